"""Words and templates of the tasks; the first templates of each are for train, the last for test.

A word that the tokenizer splits is left out. Nouns are given as singular/plural, countries as
country/capital.
"""

from __future__ import annotations

from collections.abc import Sequence

NAMES = (
    "Anna Peter Laura David Kate Simon Maria Thomas Helen Robert Julia Martin Emma Frank Alice "
    "George Sarah Daniel Lucy Henry Jane Paul Rose Mark"
).split()

KEYS = (
    "red cold north quick green heavy silent round blue sharp early golden plain bright hollow "
    "narrow"
).split()
THINGS = (
    "table river horse window garden candle button bridge doctor basket cloud engine forest island "
    "kitchen ladder market orange pencil rabbit"
).split()

NOUNS = (
    "key/keys box/boxes dog/dogs car/cars book/books boy/boys girl/girls tree/trees house/houses "
    "bird/birds door/doors ship/ships horse/horses chair/chairs table/tables king/kings "
    "doctor/doctors teacher/teachers farmer/farmers lawyer/lawyers student/students "
    "soldier/soldiers painter/painters window/windows garden/gardens river/rivers "
    "mountain/mountains train/trains letter/letters bottle/bottles picture/pictures cat/cats "
    "guard/guards nurse/nurses pilot/pilots lamp/lamps cup/cups stone/stones bridge/bridges "
    "tower/towers"
).split()

COUNTRIES = (
    "France/Paris Germany/Berlin Italy/Rome Spain/Madrid Russia/Moscow Japan/Tokyo China/Beijing "
    "Egypt/Cairo Greece/Athens Austria/Vienna Poland/Warsaw Cuba/Havana Iran/Tehran Iraq/Baghdad "
    "Kenya/Nairobi Peru/Lima Norway/Oslo Portugal/Lisbon Sweden/Stockholm Ireland/Dublin "
    "Hungary/Budapest Thailand/Bangkok Ukraine/Kyiv Lebanon/Beirut Syria/Damascus Vietnam/Hanoi "
    "Denmark/Copenhagen Finland/Helsinki Belgium/Brussels Canada/Ottawa Venezuela/Caracas "
    "Turkey/Ankara Chile/Santiago Scotland/Edinburgh Libya/Tripoli Bulgaria/Sofia Qatar/Doha"
).split()

WORDS: dict[str, dict[str, Sequence[str]]] = {
    "ioi": {"names": NAMES},
    "induction": {"keys": KEYS, "words": THINGS},
    "agreement": {"nouns": NOUNS},
    "capital": {"countries": COUNTRIES},
}

# {A} and {B}: the names as they come, {S} the one that acts; {K1} {V1} {K2} {V2}: pairs of words,
# {Q} the key that is asked; {N} subject, {M} attractor; {C} country
TEMPLATES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ioi": (
        (
            "When {A} and {B} met at the station, {S} handed a ticket to",
            "After {A} and {B} had finished the meal, {S} passed the bill to",
            "While {A} and {B} were in the library, {S} lent a novel to",
            "Once {A} and {B} had reached the harbour, {S} threw a rope to",
            "Yesterday {A} and {B} cleaned the garage, and {S} gave a box to",
            "Since {A} and {B} share a flat, {S} left the keys with",
            "On the train {A} and {B} grew hungry, so {S} gave a sandwich to",
            "Although {A} and {B} were late, {S} still brought flowers for",
        ),
        (
            "As {A} and {B} left the theatre, {S} gave a scarf to",
            "Before {A} and {B} went home, {S} sent a picture to",
            "At noon {A} and {B} sat in the park, and {S} offered an apple to",
            "Because {A} and {B} work together, {S} showed the plan to",
            "In the shop {A} and {B} found a lamp, and {S} bought it for",
        ),
    ),
    "induction": (
        (
            "The {K1} {V1} and the {K2} {V2} stood there: first the {Q}",
            "We saw a {K1} {V1}, then a {K2} {V2}. We liked the {Q}",
            "Draw one {K1} {V1} beside one {K2} {V2}, and colour the {Q}",
            "Her list said {K1} {V1}, {K2} {V2}. She crossed out {Q}",
            "There was a {K1} {V1} near the {K2} {V2}. Nobody noticed the {Q}",
            "He dreamt of the {K1} {V1} and of the {K2} {V2}, mostly of the {Q}",
            "My {K1} {V1} is old, your {K2} {V2} is new, and I keep the {Q}",
            "Tell them about that {K1} {V1}, about that {K2} {V2}, again about that {Q}",
        ),
        (
            "Between the {K1} {V1} and the {K2} {V2} we chose the {Q}",
            "They sold a {K1} {V1} and a {K2} {V2}; later they missed the {Q}",
            "On the card: {K1} {V1}, {K2} {V2}. Read aloud: {Q}",
            "This story has a {K1} {V1}, a {K2} {V2} and once more the {Q}",
            "Someone painted the {K1} {V1} and the {K2} {V2}, but sold only the {Q}",
        ),
    ),
    "agreement": (
        (
            "The {N} near the {M} certainly",
            "The {N} behind the {M} probably",
            "The {N} beside the {M} now",
            "Everyone knows that the {N} opposite the {M} really",
            "The {N} next to the {M} usually",
            "I believe the {N} with the {M} also",
            "The {N} above the {M} still",
            "Today the {N} below the {M} clearly",
        ),
        (
            "The {N} in front of the {M} apparently",
            "We heard that the {N} from the {M} already",
            "The {N} by the {M} often",
            "Perhaps the {N} across from the {M} simply",
            "The {N} close to the {M} actually",
        ),
    ),
    "capital": (
        (
            "The capital of {C} is the city of",
            "The government of {C} sits in its capital,",
            "She flew to {C} and landed in the capital city,",
            "As everybody knows, the capital of {C} is called",
            "The parliament of {C} meets in the city of",
            "Question: what is the capital of {C}? Answer:",
            "The embassy in the capital of {C} is in",
            "His favourite country is {C}, above all its capital,",
        ),
        (
            "The largest museum of {C} is in its capital,",
            "He was born in {C}, in the capital city of",
            "In {C}, the seat of government is the city of",
            "A map of {C} shows that its capital is",
            "The president of {C} returned to the capital,",
            "Country: {C}. Capital:",
            "They moved to {C} and rented a flat in the capital,",
            "The king of {C} never left the capital,",
        ),
    ),
}
