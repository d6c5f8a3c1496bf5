"""Labelled texts in, concept sets out: every label accounted for, train and test kept apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.schema import NotFoundError, Study
from tests.corpus.conftest import (
    NOTHING,
    PER_CONTEXT,
    everything,
    opened,
    rows_of,
    table,
    texts,
)

# ---------------------------------------------------------------- a table of one's own


@pytest.mark.parametrize("name", ["joy.jsonl", "joy.csv", "joy.parquet"])
@pytest.mark.parametrize("column", ["text", "output", "sentence"])
def test_a_table_with_two_classes_is_one_concept(
    loaded: Study, tmp_path: Path, name: str, column: str
) -> None:
    rows = rows_of({"Positive": 6, "NEGATIVE": 8, "hard_negative": 2}, column)
    found = opened(loaded, table(tmp_path / name, rows))
    assert found.concepts.rows() == [(0, "joy", "")]
    assert found.number_of("Joy") == 0
    said = [
        [row[column] for row in rows if row["label"] == label]
        for label in dict.fromkeys(row["label"] for row in rows)
    ]
    assert everything(found, 0) == [sorted(part) for part in said]
    for split in ("train", "test"):
        assert [len(part) for part in found.texts_of(0, split)] == [3, 4, 1]
    assert found.dropped == NOTHING


@pytest.mark.parametrize(
    ("yes", "no"),
    [("1", "0"), ("True", "false"), ("pos", "NEG"), (1, 0), (True, False), (1.0, 0.0)],
)
def test_classes_may_be_spelled_in_other_ways(
    loaded: Study, tmp_path: Path, yes: object, no: object
) -> None:
    rows = [{"text": f"the {n}", "label": yes if n % 2 else no} for n in range(8)]
    found = opened(loaded, table(tmp_path / "odd.jsonl", rows))
    assert everything(found, 0)[0] == ["the 1", "the 3", "the 5", "the 7"]


def test_a_column_names_the_concept_and_another_the_split(loaded: Study, tmp_path: Path) -> None:
    rows = [
        {"Text": f"{concept} {label} {n}", "Label": label, "Concept": concept, "Split": split}
        for concept in ("red", "blue")
        for label in ("positive", "negative")
        for n, split in enumerate(["train", "Test", "train", "test", "TEST"])
    ]
    found = opened(loaded, table(tmp_path / "colours.csv", rows))
    assert found.concepts["name"].to_list() == ["red", "blue"]
    positive, negative, _ = texts(found, found.number_of("blue"), "train")
    assert positive == ["blue positive 0", "blue positive 2"]
    assert negative == ["blue negative 0", "blue negative 2"]
    assert len(found.texts_of(0, "test")[0]) == 3


def test_other_labels_are_a_concept_each_against_the_rest(loaded: Study, tmp_path: Path) -> None:
    rows = rows_of({"anger": 4, "joy": 6, "calm": 20})
    found = opened(loaded, table(tmp_path / "moods.csv", rows))
    assert sorted(found.concepts["name"]) == ["anger", "calm", "joy"]
    for name, (own, others) in {"anger": (4, 8), "joy": (6, 12), "calm": (20, 10)}.items():
        positive, negative, hard = everything(found, found.number_of(name))
        assert len(positive) == own
        assert all(name in text for text in positive)
        assert len(set(negative)) == others  # two a positive, or all there are
        assert not any(name in text for text in negative)
        assert hard == []


def test_languages_and_scripts_are_kept_as_written(loaded: Study, tmp_path: Path) -> None:
    said = [
        "Ночь, улица",
        "ある日の午後",
        "שלום עולם",
        "नमस्ते दुनिया",
        "🙂🙃",
        "e\u0301té",
        "a\r\nb",
        "أهلا",
    ]
    rows = [{"text": text, "label": n % 2} for n, text in enumerate(said)]
    found = opened(loaded, table(tmp_path / "радость.jsonl", rows))
    assert found.concepts["name"].to_list() == ["радость"]
    assert everything(found, 0)[:2] == [sorted(said[1::2]), sorted(said[::2])]


def test_half_a_surrogate_pair_becomes_a_replacement_character(
    loaded: Study, tmp_path: Path
) -> None:
    rows = rows_of({"1": 4, "0": 4})
    rows[0]["text"] = "half \ud83d here"
    found = opened(loaded, table(tmp_path / "half.jsonl", rows))
    assert "half \ufffd here" in everything(found, 0)[0]


# ---------------------------------------------------------------- what is left out


def test_what_is_left_out_is_counted_by_its_reason(loaded: Study, tmp_path: Path) -> None:
    ample = [
        {"text": f"{label} {split} {n}", "label": label, "split": split}
        for label in ("positive", "negative")
        for split in ("train", "test")
        for n in range(3)
    ]
    odd = [
        {"text": "  \n", "label": "positive", "split": "test"},
        {"text": "positive   TRAIN 0 ", "label": "positive", "split": "train"},
        {"text": "Positive train 0", "label": "positive", "split": "train"},
        {"text": "said to be both", "label": "positive", "split": "train"},
        {"text": "Said to be both", "label": "negative", "split": "test"},
        {"text": "positive test 0", "label": "positive", "split": "train"},
    ]
    found = opened(loaded, table(tmp_path / "odd.jsonl", ample + odd))
    assert found.dropped == NOTHING | {
        "empty": 1,
        "repeated": 2,
        "contradictory": 2,
        "in_both_splits": 1,
    }
    assert sorted(found.tokens.documents["text"]) == sorted(row["text"] for row in ample)
    assert texts(found, 0, "test")[0] == ["positive test 0", "positive test 1", "positive test 2"]


def test_a_text_that_is_negative_and_hard_is_hard(loaded: Study, tmp_path: Path) -> None:
    rows = [*rows_of({"1": 4, "0": 4}), {"text": "almost", "label": "0"}]
    rows.append({"text": "almost", "label": "hard negative"})
    found = opened(loaded, table(tmp_path / "a.csv", rows))
    assert everything(found, 0)[2] == ["almost"]
    assert "almost" not in everything(found, 0)[1]
    assert found.dropped["repeated"] == 1


def test_a_text_of_two_labels_is_neither(loaded: Study, tmp_path: Path) -> None:
    rows = [*rows_of({"anger": 4, "joy": 4}), {"text": "both", "label": "joy"}]
    rows.append({"text": "BOTH", "label": "anger"})
    found = opened(loaded, table(tmp_path / "moods.csv", rows))
    assert "both" not in found.tokens.documents["text"].to_list()
    assert found.dropped == NOTHING | {"contradictory": 2}


def test_a_text_of_two_concepts_is_read_once(loaded: Study, tmp_path: Path) -> None:
    rows = [
        {"text": f"shared {n % 8}", "label": int(n % 8 < 4), "concept": "a" if n < 8 else "b"}
        for n in range(16)
    ]
    found = opened(loaded, table(tmp_path / "two.jsonl", rows))
    assert len(found.tokens.documents) == 8
    assert everything(found, 0) == everything(found, 1)
    assert found.dropped == NOTHING


# ---------------------------------------------------------------- splits


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32),
    rows=st.lists(
        st.tuples(
            st.integers(0, 12), st.sampled_from("ab"), st.sampled_from(["1", "0", "hard negative"])
        ),
        max_size=30,
    ),
)
def test_train_and_test_share_no_text_whatever_the_seed(
    loaded: Study, tmp_path: Path, seed: int, rows: list[tuple[int, str, str]]
) -> None:
    sound = [
        {"text": f"{c} {label} {n}", "concept": c, "label": label}
        for c in "ab"
        for label in "10"
        for n in range(4)
    ]
    odd = [{"text": f"Text {n}", "concept": c, "label": label} for n, c, label in rows]
    ref = replace(table(tmp_path / "any.jsonl", sound + odd), seed=seed)
    found = opened(loaded, ref)
    sides = [
        {
            " ".join(text.casefold().split())
            for c in (0, 1)
            for part in texts(found, c, split)
            for text in part
        }
        for split in ("train", "test")
    ]
    assert not sides[0] & sides[1]
    assert sum(map(len, sides)) == len(found.tokens.documents)
    for concept in (0, 1):
        parts = [set(part) for part in everything(found, concept)]
        assert sum(map(len, parts)) == len(set.union(*parts))  # no text has two kinds


def test_the_seed_chooses_the_split_and_the_split_is_even(loaded: Study, tmp_path: Path) -> None:
    ref = table(tmp_path / "a.csv", rows_of({"1": 21, "0": 30}))
    first, again, other = (opened(loaded, replace(ref, seed=seed)) for seed in (3, 3, 4))
    assert first.labels.equals(again.labels)
    assert not first.labels.equals(other.labels)
    assert [len(part) for part in other.texts_of(0, "train")] == [11, 15, 0]
    assert [len(part) for part in other.texts_of(0, "test")] == [10, 15, 0]


# ---------------------------------------------------------------- tokens


def test_a_text_longer_than_a_context_is_read_in_several(loaded: Study, tmp_path: Path) -> None:
    rows = rows_of({"1": 4, "0": 4})
    rows[2]["text"] = "The gull hides the rope. " * 30
    found = opened(loaded, table(tmp_path / "long.jsonl", rows))
    assert found.windowed == 1
    at = found.tokens.documents["text"].to_list().index(rows[2]["text"])
    first, last = (int(offset) for offset in found.offsets[at : at + 2])
    assert last - first > PER_CONTEXT
    windows = found.tokens.contexts.filter(pl.col("document") == at)["length"]
    assert len(windows) == -(-(last - first) // PER_CONTEXT)
    assert windows.max() == PER_CONTEXT
    assert "".join(found.tokens.pieces(first, last)) == rows[2]["text"]


def test_offsets_part_the_tokens_by_text(loaded: Study, tmp_path: Path) -> None:
    found = opened(loaded, table(tmp_path / "a.csv", rows_of({"1": 5, "0": 5})))
    assert found.offsets.dtype == np.int64
    assert (found.offsets[0], found.offsets[-1]) == (0, len(found.tokens))
    assert (np.diff(found.offsets) >= 1).all()
    for at, text in enumerate(found.tokens.documents["text"]):
        assert "".join(found.tokens.pieces(*found.offsets[at : at + 2].tolist())) == text


def test_a_concept_that_does_not_exist_is_an_error_that_names_near_ones(
    loaded: Study, tmp_path: Path
) -> None:
    found = opened(loaded, table(tmp_path / "a.csv", rows_of({"anger": 4, "joy": 4})))
    with pytest.raises(NotFoundError, match=r"no concept 'angr'.*one of: anger"):
        found.number_of("angr")
    with pytest.raises(NotFoundError, match="concepts 0 to 1"):
        found.texts_of(2, "train")
    with pytest.raises(NotFoundError, match="'dev'"):
        found.texts_of(0, "dev")
