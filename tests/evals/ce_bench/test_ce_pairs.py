"""Pairs of stories: marks, what is odd about them, and sets that are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.corpus import sources
from backend.evals.ce_bench import pairs
from backend.schema import (
    CorpusError,
)
from components.evals.ce_bench import tab as tab
from tests.conftest import SUBJECTS
from tests.evals.ce_bench.conftest import ROWS, row, stories_of, write


def test_marks_become_spans_of_the_plain_text() -> None:
    text, spans, whole = pairs.parse_marks(
        "A <subject>red boat</subject> and <SUBJECT>boats</SUBJECT>."
    )
    assert text == "A red boat and boats."
    assert [text[a:b] for a, b in spans] == ["red boat", "boats"]
    assert whole


@pytest.mark.parametrize(
    "story",
    [
        "<subject>open",
        "shut</subject> it",
        "<subject>a <subject>b</subject></subject>",
        "</subject>",
    ],
)
def test_broken_marks_mark_nothing(story: str) -> None:
    text, spans, whole = pairs.parse_marks(story)
    assert "subject" not in text.casefold()
    assert not spans
    assert not whole


def test_a_token_is_marked_where_it_overlaps_a_mark(small: str, tmp_path: Path) -> None:
    stories = stories_of(small, write(tmp_path / "some.jsonl", ROWS))
    assert stories.subjects == list(SUBJECTS)
    assert len(stories.pairs) == 9
    first = stories.tokens
    text, spans, _ = pairs.parse_marks(ROWS[0]["story1"])
    assert first.documents["text"][0] == text
    inside = [
        any(first.starts[t] < b and first.ends[t] > a for a, b in spans)
        for t in range(stories.offsets[1])
    ]
    assert stories.marked[: stories.offsets[1]].tolist() == inside
    assert 0 < sum(inside) < len(inside)


def test_what_is_odd_about_stories_is_counted(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "LONGEST", 40)
    long = row("kitchen", 0) | {"story2": "The oven. " * 40 + "<subject>oven</subject>"}
    broken = row("harbour", 0) | {"story1": "The <subject>boat is lost."}
    stories = stories_of(
        small, write(tmp_path / "odd.jsonl", [row("orchard", 0, False), long, broken])
    )
    assert stories.counts["unmarked"] == 1
    assert stories.counts["broken"] == 1
    assert stories.counts["limit"] == 40
    assert stories.counts["cut"] >= 1
    assert np.diff(stories.offsets).max() == 40
    assert not stories.marked[stories.offsets[3] : stories.offsets[4]].any()  # cut with its mark


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"story2": " "}, r"row 2, has no text in story2"),
        ({"story1": "<subject></subject>"}, r"row 2, has no text in story1"),
        ({"subject": ""}, r"row 2, has no text in subject"),
        ({"story1": 7}, r"row 2, has no text in story1"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(
    tmp_path: Path, bad: dict[str, Any], sentence: str
) -> None:
    ref = write(tmp_path / "bad.jsonl", [ROWS[0], ROWS[1] | bad])
    with pytest.raises(CorpusError, match=sentence):
        pairs.load(ref)


def test_sets_that_are_not_there_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(CorpusError, match="no pair"):
        pairs.load(pairs.choose(str(tmp_path / "empty.jsonl")))
    with pytest.raises(CorpusError, match="does not exist"):
        pairs.choose(str(tmp_path / "none.csv"))
    with pytest.raises(CorpusError, match="no table"):
        pairs.choose(str(tmp_path))
    with pytest.raises(CorpusError, match="no stories called"):
        pairs.choose("stories")


def test_a_set_of_the_hub_is_streamed_at_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[Any] = []

    def stream(ref: Any) -> Any:
        requests.append(ref)
        yield {"story1": "One.", "story2": "Two.", "subject_title": "boats"}

    monkeypatch.setattr(sources.hub, "dataset_commit", lambda _: "abc")
    monkeypatch.setattr(sources, "hub_rows", stream)
    ref = pairs.choose("GulkoA/contrastive-stories-v0:all")
    assert (ref.kind, ref.revision) == ("hub", "abc")
    assert [pair.subject for pair in pairs.load(ref)] == ["boats"]
    assert (requests[0].path, requests[0].digest) == ("GulkoA/contrastive-stories-v0:all", "abc")


def test_tesseras_own_stories_are_what_they_should_be() -> None:
    own = pairs.load(pairs.choose(""))
    subjects = [pair.subject for pair in own]
    assert len(own) >= 36
    assert len(set(subjects)) >= 12
    assert min(subjects.count(s) for s in set(subjects)) >= 3
    for pair in own:
        parsed = [pairs.parse_marks(story) for story in pair.stories]
        assert all(whole and spans for _, spans, whole in parsed), pair.subject
        assert all(pair.aspects)
        lengths = [len(text) for text, _, _ in parsed]
        assert max(lengths) < 1.3 * min(lengths)
