"""Explainers under one contract, and labels counted by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labels import prompts
from backend.labels.contract import Evidence, Excerpt
from backend.labels.explainers import (
    COUNTERS,
    EXPLAINERS,
    Context,
    Explainer,
    token_frequency,
)
from backend.labels.stems import stem
from backend.schema import LlmError, LlmUnavailableError
from tests.helpers.explaining import (
    CASES,
    GOOD,
    Scripted,
    around,
    context,
    every_explainer,
    every_writing,
    evidence,
    excerpt,
    messages_of,
    script,
)

# ---------------------------------------------------------------- one contract for all


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@every_explainer
def test_a_label_or_a_reason_always_the_same(explainer: Explainer, case: Evidence) -> None:
    first, second = explainer.explain(case, context()), explainer.explain(case, context())
    assert first == second
    assert bool(first.text) != bool(first.failed)
    assert bool(first.text) == bool(first.detail)
    reads = not explainer.of_direction
    assert first.n == 0 if first.failed or not reads else 0 < first.n <= len(case.train)
    assert first.text.isprintable()
    if not case.train and reads and explainer.name != "logit_cascade":
        assert first.failed


@every_explainer
def test_it_is_known_by_its_name_and_says_what_it_is(explainer: Explainer) -> None:
    assert EXPLAINERS[explainer.name] is explainer
    assert explainer.help.endswith(".")
    assert "\n" not in explainer.help
    assert len({one.help for one in EXPLAINERS.values()}) == len(EXPLAINERS)


@every_writing
def test_a_reply_without_a_label_is_asked_for_once_more(explainer: Explainer) -> None:
    tools = context("no idea", GOOD)
    label = explainer.explain(CASES["one excerpt"], tools)
    assert (label.text, label.failed) == ("ships at sea", "")
    assert "second attempt" in label.detail
    messages = messages_of(tools, 1)
    assert messages[: len(messages_of(tools))] == messages_of(tools)
    assert [turn.role for turn in messages[-2:]] == ["assistant", "user"]
    assert messages[-2].content == "no idea"
    assert prompts.MARKER in messages[-1].content


@every_writing
def test_two_replies_without_a_label_are_a_failure(explainer: Explainer) -> None:
    tools = context("no idea", "", GOOD)
    label = explainer.explain(CASES["one excerpt"], tools)
    assert label.text == ""
    assert prompts.MARKER in label.failed
    assert len(script(tools).asked) == 2


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
        EXPLAINERS[name].explain(CASES["one excerpt"], context(verbalizations=down, direction=down))


@every_writing
def test_temperature_is_the_posts_for_baez_alone(explainer: Explainer) -> None:
    tools = context()
    explainer.explain(CASES["one excerpt"], tools)
    assert script(tools).draws == [(0.7 if explainer.name.startswith("baez") else 0.0, 0)]


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


@pytest.mark.parametrize(
    ("side", "triples", "text"),
    [
        # the other side shares more, and is not taken
        ("output", [("a", "b", "x"), ("c", "b", "X"), ("d", "b", "y")], 'say "x"'),
        ("input", [("a", "b", "x"), ("c", "B", "x"), ("d", "e", "x")], 'token "b"'),
        ("input", [("of", "b", "x"), ("of", "c", "x")], 'after "of"'),
        ("output", [("a", "b", "x"), ("c", "b", "y")], ""),
        ("input", [("a", "b", "x"), ("c", "d", "x")], ""),
        ("output", [("a", "b", ""), ("c", "b", "")], ""),
    ],
)
def test_counting_on_one_side_says_nothing_of_the_other(
    side: str, triples: list[tuple[str, str, str]], text: str
) -> None:
    label = COUNTERS[side].explain(around(*triples), Context())
    assert label.text == text
    assert bool(label.failed) == (text == "")
    name = "after the peak" if side == "output" else "before the peak"
    assert text or name in label.failed


def test_token_frequency_gives_the_interval_of_its_share() -> None:
    case = around(*[("a", " old", str(i)) for i in range(7)], *[(str(i),) * 3 for i in range(3)])
    detail = EXPLAINERS["token_frequency"].explain(case, Context()).detail
    assert "7 of 10 (70%; 95% interval 40% to 89%)" in detail  # Wilson's, worked out by hand
    assert "token at the peak" in detail


pieces = st.sampled_from(["", "a", "A", " b", "b ", "c", "\n"])


@given(st.lists(st.tuples(st.lists(pieces, min_size=1, max_size=4), st.integers(0, 3)), min_size=1))
def test_token_frequency_counts_like_brute_force(
    pairs: list[tuple[list[str], int]],
) -> None:
    train = [excerpt(*some, peak=place % len(some)) for some, place in pairs]
    best = 0
    for offset in (-1, 0, 1):
        counts = Counter()
        for one in train:
            place = one.peak + offset
            if 0 <= place < len(one.pieces) and one.pieces[place]:
                counts[one.pieces[place].strip().lower()] += 1
        best = max([best, *counts.values()])
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
    tools = context()
    EXPLAINERS["logit_cascade_llm"].explain(around(("the", " tall", " mast")), tools)
    prompt = messages_of(tools)[-1].content
    for line in (" tall", " mast", " old (+1.50)", " new (+1.00)", "the<< tall>> mast"):
        assert line in prompt.split("\n")
