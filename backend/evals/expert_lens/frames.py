"""Sentences that any word fits into, so that nothing but the word tells two fillings apart."""

from __future__ import annotations

FRAMES = tuple(
    """\
The teacher wrote {} on the board and waited.
She looked up {} in the old dictionary.
Every time I hear {}, I think of my grandmother.
The first thing that came to his mind was {}.
There is a whole chapter in this book about {}.
They spent the evening talking about {} and nothing else.
Somebody had carved {} into the wooden door.
The title of the song is simply {}.
{} was the only answer that she would give.
In the middle of the page stood {} in red ink.
What do people mean when they say {} today?
He whispered {} twice before he fell asleep.
My little brother has just learned to spell {}.
For this translator, {} was the hardest part of the poem.
The quiz asked for something that goes with {}.
Please draw a picture of whatever {} makes you think of.
A sign with {} on it hung above the counter.
Nobody at the table wanted to hear about {} again.
The crossword needed another way of saying {}.
{}, he said, and everybody in the room turned around.
Her essay begins and ends with {}.
The speaker returned to {} at the end of the lecture.
On the back of the photograph was written {}.
The two of them could never agree about {}.
I would not have chosen {} for the name of a boat.
The poster showed {} in very large letters.
Among the notes on his desk was one that said {}.
Let me tell you what I know about {}.
The children were asked to act out {} without speaking.
All afternoon the radio kept coming back to {}.
The old man smiled when he heard {}.
Is {} the same in every language?
The page about {} was missing from the encyclopedia.
She had dreamed of {} three nights in a row.
The comedian made one joke after another about {}.
There were many questions, and most of them concerned {}.
He typed {} into the search field and pressed the key.
Once more the conversation turned to {}.
The museum has a small room that is devoted to {}.
You could read {} on the side of the van.
The password used to be {}, but it was changed.
Our guide explained at length where {} comes from.
When the lights came on, the screen showed {}.
The letter mentioned {} only in its last line.
A child at the back of the class shouted {}.
The editor crossed out {} and sighed.
I can say {} in four languages by now.
To her surprise, the whole game was about {}.""".splitlines()
)

# what stands in the place of the word in negatives; plain words of every kind
FILLERS = tuple(
    """\
lamp jump gentle north pencil swim narrow ladder vote purple blanket sneeze hollow window climb
polite cheese borrow heavy button frown distant carpet whistle clever umbrella stir rusty feather
argue shallow mirror knit brave kettle measure noisy turtle wander fragile pillow collect steep
basket yawn stubborn hammer float""".split()
)
SHOWN = 8  # fillers that a frame is read with
