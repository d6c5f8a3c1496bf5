"""What explainers show a writer, and how they read its replies."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labels import cases, prompts
from backend.labels.contract import Evidence, Excerpt
from backend.labels.explainers import (
    EXPLAINERS,
    Context,
    Explainer,
)
from backend.labels.own_model import layout
from backend.labels.prompts import first_sentence, from_final_token, last_paragraph
from backend.schema import LlmError
from tests.helpers.explaining import (
    CASES,
    LONG,
    Scripted,
    around,
    context,
    every_writing,
    evidence,
    excerpt,
    messages_of,
    script,
)

# ---------------------------------------------------------------- excerpts with marks

cells = st.tuples(
    st.sampled_from(["a", " b", "<", ">", "<<", "\n", "é", ""]),
    st.sampled_from([0.0, 0.5, 1.1, 1.2, 1.9, 2.0]),
)


@given(st.lists(cells, min_size=1, max_size=12).filter(lambda some: any(v for _, v in some)))
def test_exactly_the_strong_tokens_are_marked(pairs: list[tuple[str, float]]) -> None:
    texts, values = zip(*pairs, strict=True)
    one = Excerpt(0, texts, values, values.index(max(values)))
    prompt = prompts.marked(one)
    parts = re.split("(<<|>>)", prompt)
    inside, outside, level = "", "", 0
    for part in parts:
        level += {"<<": 1, ">>": -1}.get(part, 0)
        assert level in (0, 1)
        if part not in ("<<", ">>"):
            inside, outside = (inside + part, outside) if level else (inside, outside + part)
    plain = str.maketrans("‹›\n", "<>↵")
    strong = [value >= 0.6 * max(values) for value in values]
    for text, is_strong in ((inside, True), (outside, False)):
        expected = "".join(t for t, s in zip(texts, strong, strict=True) if s == is_strong)
        assert text.translate(plain) == expected.translate(plain)


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
    tools = context()
    label = EXPLAINERS[f"eleuther_acts_{name}"].explain(case, tools)
    prompt = messages_of(tools)[-1].content
    marks = [f"<<peak{i:02}.>>" in prompt for i in range(25)]
    assert marks == [True] * count + [False] * (25 - count)
    assert label.n == count
    assert f"{count} excerpts" in label.detail


@every_writing
def test_prompts_can_be_sent(explainer: Explainer) -> None:
    """No control characters but line breaks, nothing that UTF-8 refuses."""
    tools = context()
    explainer.explain(CASES["markup"], tools)
    for turn in messages_of(tools):
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
    ("name", "part", "rest"),
    [
        ("baez", "About s0.\n\nFinal token t\nends it.", "None."),
        ("baez_last_post", "Final token t\nends it.", "About s0."),
        ("baez_last_code", "Final token t\nends it.", "About s0."),
    ],
)
def test_baez_reads_the_five_strongest_peaks(name: str, part: str, rest: str) -> None:
    strengths = [5.0, 4.6, 2.5, 0.51, 0.5, 0.4]
    case = [excerpt(f"s{i}", "t", strength=one) for i, one in enumerate(strengths)]
    tools = context()
    label = EXPLAINERS[name].explain(evidence(*case, maximum=5.0), tools)
    prompt = messages_of(tools)[-1].content
    assert part in prompt
    assert rest not in prompt
    assert re.findall(r"strength (\d+)", prompt) == ["10", "10", "5", "2", "1"]
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
    tools = context(direction=lambda: " Ships at sea. Sailors, too, and what they carry with them.")
    label = EXPLAINERS["nla_vector"].explain(CASES["no excerpt"], tools)
    assert (label.text, label.n, label.failed) == ("Ships at sea", 0, "")
    assert script(tools).asked == []


def test_a_longer_one_goes_to_the_writer_or_has_failed() -> None:
    tools = context()
    label = EXPLAINERS["nla_vector"].explain(CASES["no excerpt"], tools)
    assert (label.text, label.failed) == ("ships at sea", "")
    assert LONG in messages_of(tools)[-1].content
    alone = EXPLAINERS["nla_vector"].explain(CASES["no excerpt"], context(writer=None))
    assert alone.text == ""
    assert "too long" in alone.failed


def test_a_direction_of_which_nothing_is_said_has_failed() -> None:
    tools = context(direction=lambda: " \n")
    assert "said nothing" in EXPLAINERS["nla_vector"].explain(CASES["no excerpt"], tools).failed


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
    tools = continuing("ships at sea\n- another text")
    label = explainer.explain(case, tools)
    if not case.train:
        assert label.failed
        return
    assert (label.text, label.failed) == ("ships at sea", "")
    ((turn,),) = script(tools).asked
    assert layout([turn]) == turn.content  # reaches the model as it is
    assert prompts.MARKER not in turn.content
    *prompt, last = turn.content.split("\n\n")
    cue = last.split("\n")[-1]
    assert cue.endswith(":")
    labels = [line for part in prompt for line in part.split("\n") if line.startswith(cue)]
    assert len(labels) >= 3
    for line in labels:
        assert prompts.label(line.removeprefix(cue)) == line.removeprefix(cue).strip()


@every_writing
def test_a_line_that_is_no_label_is_drawn_anew_without_talk(explainer: Explainer) -> None:
    for useless in ("one two three four five six seven eight nine", LlmError("Nothing.", "Again.")):
        tools = continuing(useless, "ships")
        label = explainer.explain(CASES["one excerpt"], tools)
        assert (label.text, label.failed) == ("ships", "")
        assert "second attempt" in label.detail
        assert messages_of(tools, 0) == messages_of(tools, 1)
        heat = 0.7 if explainer.name.startswith("baez") else 0.0
        assert script(tools).draws == [(heat, 0), (0.7, 1)]
    twice = explainer.explain(CASES["one excerpt"], continuing("word " * 9))
    assert (twice.text, "too long" in twice.failed) == ("", True)


def test_a_long_direction_is_a_case_too() -> None:
    tools = continuing("ships")
    assert EXPLAINERS["nla_vector"].explain(CASES["no excerpt"], tools).text == "ships"
    assert messages_of(tools)[0].content.split("\n")[-2] == f"- {LONG}"


def test_cases_show_what_is_near_the_peak() -> None:
    pieces = [f" w{place}" for place in range(40)]
    tools = continuing("ships")
    case = evidence(excerpt(*pieces, peak=20), excerpt(*pieces, peak=2))
    EXPLAINERS["eleuther_acts_top5"].explain(case, tools)
    middle, edge, words, _ = messages_of(tools)[0].content.split("\n\n")[-1].split("\n")
    assert middle == "- " + "".join(pieces[10:31]).replace(" w20", "<< w20>>").strip()
    assert edge == "- " + "".join(pieces[:13]).replace(" w2 ", "<< w2>> ").strip()
    assert words == "Marked words: w20, w2"


def test_the_lists_of_the_cascade_stand_in_lines() -> None:
    tools = continuing("ships")
    EXPLAINERS["logit_cascade_llm"].explain(around(("a", " tall", " mast"), ("b", "x", "")), tools)
    lines = messages_of(tools)[0].content.split("\n\n")[-1].split("\n")[:-1]
    assert lines == ["Strongest: tall, x", "Then: mast", "More likely: old, new"]


@given(st.lists(cells, min_size=1, max_size=12).filter(lambda some: any(v for _, v in some)))
def test_marked_words_are_those_between_the_marks(pairs: list[tuple[str, float]]) -> None:
    texts, values = zip(*pairs, strict=True)
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
