"""Explainers under one contract, hand-counted labels, and prompts and replies of the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labels import cases, prompts
from backend.labels.contract import GREEDY, Draw, Evidence, Excerpt, Message
from backend.labels.explainers import (
    ALIASES,
    EXPLAINERS,
    Context,
    Explainer,
    find,
    token_frequency,
)
from backend.labels.own_model import layout
from backend.labels.prompts import first_sentence, from_final_token, last_paragraph
from backend.labels.stems import stem
from backend.schema import LlmError, LlmUnavailableError, NotFoundError

LONG = "It stands for ships that are out at sea, and for what they carry. Then for sailors."
GOOD = "They all speak of ships.\n[EXPLANATION]: ships at sea"


class Scripted:
    """Stands in for a paid service: gives the replies it was given, the last one for ever."""

    name = "scripted"

    def __init__(self, *replies: str | LlmError, obeys: bool = True) -> None:
        self.obeys = obeys
        self.replies = list(replies)
        self.asked: list[list[Message]] = []
        self.draws: list[tuple[float, int]] = []

    def write(self, messages: Sequence[Message], draw: Draw = GREEDY) -> str:
        self.asked.append(list(messages))
        self.draws.append((draw.temperature, draw.attempt))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, LlmError):
            raise reply
        return reply


def excerpt(*pieces: str, peak: int = 1, strength: float = 2.0) -> Excerpt:
    """The peak at `strength`, everything else silent."""
    values = [0.0] * len(pieces)
    values[peak] = strength
    return Excerpt(0, pieces, tuple(values), peak)


def evidence(*train: Excerpt, maximum: float = 2.0) -> Evidence:
    return Evidence(7, maximum, train, (), (), (), "range", "other", 0, "by hand")


def around(*triples: tuple[str, str, str]) -> Evidence:
    return evidence(*(excerpt(*triple) for triple in triples))


def verbalize(one: Excerpt) -> str:
    return f"About {one.pieces[0]}.\n\nFinal token {one.pieces[one.peak]}\nends it."


def context(*replies: str | LlmError, **more: object) -> Context:
    writer = Scripted(*(replies or (GOOD,)))
    logits = ((" old", 1.5), (" new", 1.0))
    return replace(Context(writer, verbalize, lambda: LONG, logits), **more)


def script(given: Context) -> Scripted:
    assert isinstance(given.writer, Scripted)
    return given.writer


def asked(given: Context, turn: int = 0) -> list[Message]:
    return script(given).asked[turn]


# ---------------------------------------------------------------- one contract for all

CASES = {
    "one excerpt": around(("the", " old", " ship")),
    "at the left edge": evidence(*[excerpt(" old", " ship", peak=0)] * 3),
    "at the right edge": evidence(*[excerpt("the", " old")] * 3),
    "one token": evidence(excerpt("x", peak=0)),
    "empty pieces": around(("", "", ""), ("a", "", "b")),
    "whitespace": around((" ", "\n", "\t"), ("\n\n", " ", "\r\n")),
    "markup": around(
        ("<b>", "<script>", "</b>"), ("<<", "\x07", ">>"), ("&amp;", "\x00", "\ud800")
    ),
    "Hebrew": around(("שלום", " עולם", "!"), ("את", " עולם", "?")),
    "Chinese": around(("你", "好", "吗"), ("他", "好", "。")),
    "strange numbers": evidence(excerpt("a", "b", strength=9.0), maximum=0.0),
    "no excerpt": evidence(),
}
WRITERS = [one for one in EXPLAINERS.values() if "writer" in one.needs]
every_explainer = pytest.mark.parametrize("explainer", EXPLAINERS.values(), ids=EXPLAINERS)
every_writing = pytest.mark.parametrize("explainer", WRITERS, ids=lambda one: one.name)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@every_explainer
def test_a_label_or_a_reason_always_the_same(explainer: Explainer, case: Evidence) -> None:
    first, second = explainer.explain(case, context()), explainer.explain(case, context())
    assert first == second
    assert (first.feature, first.method) == (7, explainer.name)
    assert bool(first.text) != bool(first.failed)
    assert bool(first.text) == bool(first.detail)
    reads = not explainer.of_direction
    assert first.n == 0 if first.failed or not reads else 0 < first.n <= len(case.train)
    assert first.text.isprintable()
    if not case.train and reads and explainer.name != "logit_cascade":
        assert first.failed


@every_explainer
def test_it_is_known_by_its_name_and_says_what_it_is(explainer: Explainer) -> None:
    assert EXPLAINERS[explainer.name] is find(explainer.name) is explainer
    assert explainer.help.endswith(".")
    assert "\n" not in explainer.help
    assert len({one.help for one in EXPLAINERS.values()}) == len(EXPLAINERS)


def test_aliases_and_unknown_names() -> None:
    assert find("delphi").name == "eleuther_acts_top5"
    assert not ALIASES.keys() & EXPLAINERS.keys()
    with pytest.raises(NotFoundError, match="baez_last_post"):
        find("astrology")


@every_explainer
def test_what_is_missing_is_named_and_only_that(explainer: Explainer) -> None:
    case = CASES["one excerpt"]
    if not explainer.needs:
        assert explainer.explain(case, Context(promoted=(("x", 1.0),) * 3)).text
        return
    with pytest.raises(LlmError) as caught:
        explainer.explain(case, Context())
    for need in ("writer", "verbalizer"):
        assert (need in caught.value.problem) == (need in explainer.needs)
    assert "token_frequency" in caught.value.remedy


@every_writing
def test_a_reply_without_a_label_is_asked_for_once_more(explainer: Explainer) -> None:
    given = context("no idea", GOOD)
    label = explainer.explain(CASES["one excerpt"], given)
    assert (label.text, label.failed) == ("ships at sea", "")
    assert "second attempt" in label.detail
    again = asked(given, 1)
    assert again[: len(asked(given))] == asked(given)
    assert [turn.role for turn in again[-2:]] == ["assistant", "user"]
    assert again[-2].content == "no idea"
    assert prompts.MARKER in again[-1].content


@every_writing
def test_two_replies_without_a_label_are_a_failure(explainer: Explainer) -> None:
    given = context("no idea", "", GOOD)
    label = explainer.explain(CASES["one excerpt"], given)
    assert label.text == ""
    assert prompts.MARKER in label.failed
    assert len(script(given).asked) == 2


@every_writing
def test_a_reply_that_is_no_use_is_the_labels_failure(explainer: Explainer) -> None:
    label = explainer.explain(CASES["one excerpt"], context(LlmError("Nothing said.", "Again.")))
    assert (label.text, label.failed) == ("", "Nothing said. Again.")


@pytest.mark.parametrize("obeys", [True, False])
@every_writing
def test_a_writer_that_cannot_be_asked_now_stops_the_run(explainer: Explainer, obeys: bool) -> None:
    down = LlmUnavailableError("The cap is reached.", "Raise it.")
    for replies in ((down,), ("word " * 9, down)):
        writer = Scripted(*replies, obeys=obeys)
        with pytest.raises(LlmUnavailableError, match="cap is reached"):
            explainer.explain(CASES["one excerpt"], context(writer=writer))
        assert len(writer.asked) == len(replies)


@pytest.mark.parametrize("name", ["baez", "nla_vector"])
def test_a_verbalizer_that_cannot_be_asked_now_stops_the_run(name: str) -> None:
    def down(*_: Excerpt) -> str:
        raise LlmUnavailableError("The server is down.", "Wait.")

    with pytest.raises(LlmUnavailableError, match="is down"):
        find(name).explain(CASES["one excerpt"], context(verbalizations=down, direction=down))


@every_writing
def test_temperature_is_the_posts_for_baez_alone(explainer: Explainer) -> None:
    given = context()
    explainer.explain(CASES["one excerpt"], given)
    assert script(given).draws == [(0.7 if explainer.name.startswith("baez") else 0.0, 0)]


# ---------------------------------------------------------------- token_frequency


@pytest.mark.parametrize(
    ("triples", "text", "count"),
    [
        ([("a", " Run", "x"), ("b", " running", "y"), ("c", " run", "z")], 'token "run"', "3 of 3"),
        ([("of", "a", "x"), (" Of", "b", "y"), ("c", "d", "z")], 'after "of"', "2 of 3"),
        ([("a", "b", " old"), ("c", "d", "old"), ("e", "f", "Old ")], 'say "old"', "3 of 3"),
        ([("p", "q", "r"), ("p", "q", "r")], 'token "q"', "2 of 2"),
        ([("p", "b", "r"), ("p", "q", "r")], 'after "p"', "2 of 2"),
        ([("a", "\n", "b"), ("c", "\n", "d")], 'token "↵"', "2 of 2"),
    ],
)
def test_token_frequency_by_hand(
    triples: list[tuple[str, str, str]], text: str, count: str
) -> None:
    label = EXPLAINERS["token_frequency"].explain(around(*triples), Context())
    assert label.text == text
    assert count in label.detail
    assert label.n == len(triples)


def test_token_frequency_gives_the_interval_of_its_share() -> None:
    case = around(*[("a", " old", str(i)) for i in range(7)], *[(str(i),) * 3 for i in range(3)])
    detail = EXPLAINERS["token_frequency"].explain(case, Context()).detail
    assert "7 of 10 (70%; 95% interval 40% to 89%)" in detail  # Wilson's, worked out by hand
    assert "token at the peak" in detail


pieces = st.sampled_from(["", "a", "A", " b", "b ", "c", "\n"])


@given(st.lists(st.tuples(st.lists(pieces, min_size=1, max_size=4), st.integers(0, 3)), min_size=1))
def test_token_frequency_counts_like_brute_force(
    drawn: list[tuple[list[str], int]],
) -> None:
    train = [excerpt(*some, peak=at % len(some)) for some, at in drawn]
    best = 0
    for offset in (-1, 0, 1):
        met = Counter()
        for one in train:
            at = one.peak + offset
            if 0 <= at < len(one.pieces) and one.pieces[at]:
                met[one.pieces[at].strip().lower()] += 1
        best = max([best, *met.values()])
    if best:
        assert f": {best} of {len(train)} (" in token_frequency(evidence(*train), Context()).detail
    else:
        assert EXPLAINERS["token_frequency"].explain(evidence(*train), Context()).failed


@pytest.mark.parametrize(
    "together",
    [
        "run runs running", "try tries tried trying", "class classes", "box boxes",
        "change changes changed changing", "fall falls falling", "pass passed passes",
        "walk walks walked walking",
    ],
)  # fmt: skip
def test_inflections_fold(together: str) -> None:
    assert len({stem(word) for word in together.split()}) == 1


@pytest.mark.parametrize(
    "apart",
    ["bus bu", "this thi", "king k", "string str", "need ne", "red r", "her here", "was wa"],
)
def test_other_words_stay_apart(apart: str) -> None:
    one, other = apart.split()
    assert stem(one) != stem(other)


@pytest.mark.parametrize("word", ["", "שלום", "好", "<div>s", "3s", "café's"])
def test_only_plain_english_letters_are_stemmed(word: str) -> None:
    assert stem(word) == word


# ---------------------------------------------------------------- logit_cascade


def test_each_stage_of_the_cascade_yields_to_those_before_it() -> None:
    words = ("harbour", "Harbours", "harbour")
    train = [excerpt(f"the {word} ", str(i), " old") for i, word in enumerate(words)]
    peaks = evidence(*[replace(one, pieces=(one.pieces[0], " ship", " old")) for one in train])
    after = evidence(*train)
    neither = evidence(
        *[replace(one, pieces=(*one.pieces[:2], str(-i))) for i, one in enumerate(train, 1)]
    )
    nothing = around(("the ", "1", "2"), ("of ", "3", "4"), ("boat ", "5", "6"))
    logits = ((" say", 3.0), ("says", 2.0), ("x", 1.5), (" Say", 1.0))

    def text(case: Evidence, promoted: tuple[tuple[str, float], ...]) -> str:
        label = EXPLAINERS["logit_cascade"].explain(case, Context(promoted=promoted))
        return label.text or label.failed.split(".")[0]

    assert text(peaks, logits) == 'token "ship"'
    assert text(after, logits) == 'say "old"'
    assert text(neither, logits) == 'say "say"'
    assert text(neither, logits[:3]) == 'text with "harbour"'  # two of ten are no pattern
    assert text(nothing, ()) == "No list of the cascade has a pattern"
    assert text(neither, (*[(str(i), 9.0) for i in range(8)], *logits)) == 'text with "harbour"'


def test_a_pattern_is_half_of_the_excerpts_and_two_at_least() -> None:
    def failed(*peaks: str) -> bool:
        case = around(*[(str(i), peak, f"-{i}") for i, peak in enumerate(peaks)])
        return bool(EXPLAINERS["logit_cascade"].explain(case, Context()).failed)

    assert not failed("7", "7", "8", "9")
    assert failed("7", "7", "8", "9", "10")
    assert failed("7")
    assert failed("7", "8")


def test_the_writer_sees_every_list_of_the_cascade() -> None:
    given = context()
    EXPLAINERS["logit_cascade_llm"].explain(around(("the", " tall", " mast")), given)
    shown = asked(given)[-1].content
    for line in (" tall", " mast", " old (+1.50)", " new (+1.00)", "the<< tall>> mast"):
        assert line in shown.split("\n")


# ---------------------------------------------------------------- excerpts with marks

cells = st.tuples(
    st.sampled_from(["a", " b", "<", ">", "<<", "\n", "é", ""]),
    st.sampled_from([0.0, 0.5, 1.1, 1.2, 1.9, 2.0]),
)


@given(st.lists(cells, min_size=1, max_size=12).filter(lambda some: any(v for _, v in some)))
def test_exactly_the_strong_tokens_are_marked(drawn: list[tuple[str, float]]) -> None:
    texts, values = zip(*drawn, strict=True)
    one = Excerpt(0, texts, values, values.index(max(values)))
    shown = prompts.marked(one)
    parts = re.split("(<<|>>)", shown)
    inside, outside, level = "", "", 0
    for part in parts:
        level += {"<<": 1, ">>": -1}.get(part, 0)
        assert level in (0, 1)
        if part not in ("<<", ">>"):
            inside, outside = (inside + part, outside) if level else (inside, outside + part)
    plain = str.maketrans("‹›\n", "<>↵")
    strong = [value >= 0.6 * max(values) for value in values]
    for text, is_strong in ((inside, True), (outside, False)):
        wanted = "".join(t for t, s in zip(texts, strong, strict=True) if s == is_strong)
        assert text.translate(plain) == wanted.translate(plain)


def test_strengths_stand_beside_marked_tokens_alone() -> None:
    one = Excerpt(0, ("a", " b", " c", " d"), (0.0, 1.25, 2.5, 1.5), 2)
    assert prompts.marked(one) == "a b<< c d>>"
    assert prompts.strengths(one, 5.0) == "(c : 5), (d : 3)"


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_strengths_are_1_to_10(activation: float, maximum: float) -> None:
    assert 1 <= prompts.strength(activation, maximum) <= 10


@pytest.mark.parametrize(
    ("activation", "strong"), [(0.0, 1), (0.5, 1), (0.51, 2), (2.5, 5), (4.6, 10), (5, 10), (9, 10)]
)
def test_strength_is_the_ceiling_of_tenths(activation: float, strong: int) -> None:
    assert prompts.strength(activation, 5.0) == strong


@pytest.mark.parametrize(("name", "count"), [("top5", 5), ("top20", 20)])
def test_the_strongest_excerpts_are_shown(name: str, count: int) -> None:
    case = evidence(*(excerpt("w", f"peak{i:02}.") for i in range(25)))
    given = context()
    label = EXPLAINERS[f"eleuther_acts_{name}"].explain(case, given)
    shown = asked(given)[-1].content
    met = [f"<<peak{i:02}.>>" in shown for i in range(25)]
    assert met == [True] * count + [False] * (25 - count)
    assert label.n == count
    assert f"{count} excerpts" in label.detail


@every_writing
def test_prompts_can_be_sent(explainer: Explainer) -> None:
    """No control characters but line breaks, nothing that UTF-8 refuses."""
    given = context()
    explainer.explain(CASES["markup"], given)
    for turn in asked(given):
        turn.content.encode()
        assert not re.search(r"[\x00-\x09\x0b-\x1f]", turn.content)


# ---------------------------------------------------------------- baez


def test_the_two_rules_keep_what_they_say() -> None:
    text = "Start.\n\nFinal token is a\nFinal token is b\nand more\n \nThe end\nof it.\n"
    assert last_paragraph(text) == "The end\nof it."
    assert from_final_token(text) == "Final token is b\nand more\n \nThe end\nof it."
    assert last_paragraph("one") == from_final_token("one") == "one"
    assert from_final_token("The Final token\n\nhere") == "The Final token\n\nhere"


@pytest.mark.parametrize(
    ("name", "kept", "left"),
    [
        ("baez", "About s0.\n\nFinal token t\nends it.", "None."),
        ("baez_last_post", "Final token t\nends it.", "About s0."),
        ("baez_last_code", "Final token t\nends it.", "About s0."),
    ],
)
def test_baez_reads_the_five_strongest_peaks(name: str, kept: str, left: str) -> None:
    strengths = [5.0, 4.6, 2.5, 0.51, 0.5, 0.4]
    case = [excerpt(f"s{i}", "t", strength=one) for i, one in enumerate(strengths)]
    given = context()
    label = EXPLAINERS[name].explain(evidence(*case, maximum=5.0), given)
    shown = asked(given)[-1].content
    assert kept in shown
    assert left not in shown
    assert re.findall(r"strength (\d+)", shown) == ["10", "10", "5", "2", "1"]
    assert label.n == 5


def test_empty_verbalizations_are_left_out() -> None:
    case = around(("a", "b", "c"), ("d", "e", "f"))
    some = context(verbalizations=lambda one: "sea" if one.pieces[0] == "a" else " \n")
    assert EXPLAINERS["baez"].explain(case, some).n == 1
    none = context(verbalizations=lambda one: "")
    assert "said nothing" in EXPLAINERS["baez"].explain(case, none).failed
    assert script(none).asked == []


# ---------------------------------------------------------------- nla_vector


def test_the_first_sentence_about_the_direction_is_the_label() -> None:
    given = context(direction=lambda: " Ships at sea. Sailors, too, and what they carry with them.")
    label = EXPLAINERS["nla_vector"].explain(CASES["no excerpt"], given)
    assert (label.text, label.n, label.failed) == ("Ships at sea", 0, "")
    assert script(given).asked == []


def test_a_longer_one_goes_to_the_writer_or_has_failed() -> None:
    given = context()
    label = EXPLAINERS["nla_vector"].explain(CASES["no excerpt"], given)
    assert (label.text, label.failed) == ("ships at sea", "")
    assert LONG in asked(given)[-1].content
    alone = EXPLAINERS["nla_vector"].explain(CASES["no excerpt"], context(writer=None))
    assert alone.text == ""
    assert "too long" in alone.failed


def test_a_direction_of_which_nothing_is_said_has_failed() -> None:
    given = context(direction=lambda: " \n")
    assert "said nothing" in EXPLAINERS["nla_vector"].explain(CASES["no excerpt"], given).failed


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One. Two.", "One."),
        ("Is it? It is.", "Is it?"),
        ("About 3.5 m\nof rope.", "About 3.5 m"),
        ("船。海。", "船。"),
        ("ships", "ships"),
        ("", ""),
    ],
)
def test_where_a_first_sentence_ends(text: str, first: str) -> None:
    assert first_sentence(text) == first


# ---------------------------------------------------------------- writers that do not obey


def continuing(*replies: str | LlmError) -> Context:
    return context(writer=Scripted(*replies, obeys=False))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@every_writing
def test_what_only_continues_is_shown_cases_and_no_duty(
    explainer: Explainer, case: Evidence
) -> None:
    given = continuing("ships at sea\n- another text")
    label = explainer.explain(case, given)
    if not case.train:
        assert label.failed
        return
    assert (label.text, label.failed) == ("ships at sea", "")
    ((turn,),) = script(given).asked
    assert layout([turn]) == turn.content  # reaches the model as it is
    assert prompts.MARKER not in turn.content
    *shown, last = turn.content.split("\n\n")
    cue = last.split("\n")[-1]
    assert cue.endswith(":")
    labels = [line for part in shown for line in part.split("\n") if line.startswith(cue)]
    assert len(labels) >= 3
    for line in labels:
        assert prompts.label(line.removeprefix(cue)) == line.removeprefix(cue).strip()


@every_writing
def test_a_line_that_is_no_label_is_drawn_anew_without_talk(explainer: Explainer) -> None:
    for useless in ("one two three four five six seven eight nine", LlmError("Nothing.", "Again.")):
        given = continuing(useless, "ships")
        label = explainer.explain(CASES["one excerpt"], given)
        assert (label.text, label.failed) == ("ships", "")
        assert "second attempt" in label.detail
        assert asked(given, 0) == asked(given, 1)
        heat = 0.7 if explainer.name.startswith("baez") else 0.0
        assert script(given).draws == [(heat, 0), (0.7, 1)]
    twice = explainer.explain(CASES["one excerpt"], continuing("word " * 9))
    assert (twice.text, "too long" in twice.failed) == ("", True)


def test_a_long_direction_is_a_case_too() -> None:
    given = continuing("ships")
    assert EXPLAINERS["nla_vector"].explain(CASES["no excerpt"], given).text == "ships"
    assert asked(given)[0].content.split("\n")[-2] == f"- {LONG}"


def test_cases_show_what_is_near_the_peak() -> None:
    pieces = [f" w{at}" for at in range(40)]
    given = continuing("ships")
    case = evidence(excerpt(*pieces, peak=20), excerpt(*pieces, peak=2))
    EXPLAINERS["eleuther_acts_top5"].explain(case, given)
    middle, edge, words, _ = asked(given)[0].content.split("\n\n")[-1].split("\n")
    assert middle == "- " + "".join(pieces[10:31]).replace(" w20", "<< w20>>").strip()
    assert edge == "- " + "".join(pieces[:13]).replace(" w2 ", "<< w2>> ").strip()
    assert words == "Marked words: w20, w2"


def test_the_lists_of_the_cascade_stand_in_lines() -> None:
    given = continuing("ships")
    EXPLAINERS["logit_cascade_llm"].explain(around(("a", " tall", " mast"), ("b", "x", "")), given)
    lines = asked(given)[0].content.split("\n\n")[-1].split("\n")[:-1]
    assert lines == ["Strongest: tall, x", "Then: mast", "More likely: old, new"]


@given(st.lists(cells, min_size=1, max_size=12).filter(lambda some: any(v for _, v in some)))
def test_marked_words_are_those_between_the_marks(drawn: list[tuple[str, float]]) -> None:
    texts, values = zip(*drawn, strict=True)
    one = Excerpt(0, texts, values, values.index(max(values)))
    plain = str.maketrans("‹›", "<>")
    between = re.findall("<<(.*?)>>(?!>)", prompts.marked(one))
    assert [run.translate(plain) for run in between] == cases.runs(one)


# ---------------------------------------------------------------- replies

EIGHT = "one two three four five six seven eight"


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("Thoughts.\n[EXPLANATION]: ships at sea", "ships at sea"),
        ("[EXPLANATION]: first\nNo, wait.\n[EXPLANATION]: second", "second"),
        ("[EXPLANATION]: ships\n\nI hope this helps!", "ships"),
        ("[explanation] :  ships \r\n", "ships"),
        ("**[EXPLANATION]:** ships", "ships"),
        ("**[EXPLANATION]: ships**", "ships"),
        ('[EXPLANATION]: "ships at sea."', "ships at sea"),
        ('[EXPLANATION]: "ships at sea".', "ships at sea"),
        ("[EXPLANATION]: “ships”", "ships"),
        ('[EXPLANATION]: say "old"', 'say "old"'),
        ('[EXPLANATION]: "old" or "new"', '"old" or "new"'),
        ("[EXPLANATION]: ships.", "ships"),
        ("[EXPLANATION]: 船。", "船"),
        ("[EXPLANATION]: laws of the U.S.", "laws of the U.S."),
        (f"[EXPLANATION]: {EIGHT}", EIGHT),
        ("[EXPLANATION]: <b>&amp;</b> *tags* $x$", "<b>&amp;</b> *tags* $x$"),  # text, never markup
    ],
)
def test_the_label_on_the_last_such_line_is_read(reply: str, label: str) -> None:
    assert prompts.parse(reply) == label


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("", "no line"),
        ("ships at sea", "no line"),
        ("I shall end with [EXPLANATION]: a label, but", "no line"),
        ("EXPLANATION: ships", "no line"),
        ("[EXPLANATION]:", "empty"),
        ("[EXPLANATION]: ships\n[EXPLANATION]: ", "empty"),
        ('[EXPLANATION]: ""', "empty"),
        ("[EXPLANATION]: ...", "empty"),
        ("[EXPLANATION]: label", "the form itself"),
        (f"[EXPLANATION]: {EIGHT} nine", "too long"),
        ("[EXPLANATION]: " + "船" * 121, "too long"),
        ("[EXPLANATION]: " + "x" * 10_000, "too long"),
    ],
)
def test_a_reply_without_a_usable_label_is_refused(reply: str, problem: str) -> None:
    with pytest.raises(LlmError, match=problem):
        prompts.parse(reply)


@given(st.text(max_size=200))
def test_any_label_that_is_read_is_one_short_line(text: str) -> None:
    try:
        label = prompts.parse(f"[EXPLANATION]: {text}")
    except LlmError:
        return
    assert label == label.strip() != ""
    assert len(label.split()) <= 8
    assert "\n" not in label
