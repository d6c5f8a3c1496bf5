"""Kept answers equal themselves, and what is changed in their file is told, with its size."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from backend.schema import TesseraError
from benchmarks import golden, golden_questions
from benchmarks.golden_leaves import MOST_VALUES, Difference, difference, leaves
from benchmarks.golden_questions import Question

QUESTIONS = [
    Question("regions/map", "whole_map"),
    Question("regions/features", "whole_features"),
    Question("regions/region", "region", {"region": 3}),
    Question("regions/members", "members", {"region": 3, "draw": "random"}),
    Question("regions/stop", "stop", {"p": 10.0, "k": 1.0}),
]


@pytest.fixture
def file(ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The answers to `QUESTIONS` on the small world, kept."""
    monkeypatch.setattr(golden, "GROUPS", {"regions": lambda study: iter(QUESTIONS)})
    path = tmp_path / "kept.json"
    assert golden.main(["--keep", str(path), "--study", ready]) == 0
    return path


def change(file: Path, question: str, path: str, add: float, index: int) -> None:
    """Adds to one kept number and makes its digest that of another leaf."""
    record = golden.read(file)
    values = record.values[golden.values_key(question, path)]
    values[index] += add
    record.questions[question]["leaves"][path]["digest"] = "another"
    golden.write(file, record)


def run_against(file: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The differences that the command prints as JSON."""
    capsys.readouterr()
    code = golden.main(["--against", str(file), "--json"])
    differences = json.loads(capsys.readouterr().out)["differences"]
    assert code == (1 if differences else 0)
    return differences


def test_kept_answers_equal_themselves(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_against(file, capsys) == []
    record = golden.read(file)
    assert list(record.questions) == [question.name for question in QUESTIONS]
    assert "table.coherence" in record.questions["regions/map"]["leaves"]
    paths = [path for row in record.questions.values() for path in row["leaves"]]
    assert not [path for path in paths if "provenance" in path or "pending" in path]


def test_a_changed_number_is_told_with_its_size(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    largest = np.abs(golden.read(file).values["regions|map|table.coherence"]).max()
    change(file, "regions/map", "table.coherence", add=-0.25, index=2)
    (difference,) = run_against(file, capsys)
    assert (difference["question"], difference["path"]) == ("regions/map", "table.coherence")
    assert (difference["what"], difference["cells"]) == ("numbers", 1)
    assert difference["largest"] == pytest.approx(0.25)
    assert difference["relative"] == pytest.approx(0.25 / largest)
    golden.main(["--against", str(file)])
    assert "table.coherence: numbers, max |Δ| 0.25" in capsys.readouterr().out


def test_a_leaf_or_a_question_that_is_gone_is_told(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = golden.read(file)
    row = record.questions["regions/map"]
    row["leaves"]["table.colour"] = row["leaves"]["theta"]
    record.values["regions|map|table.colour"] = record.values["regions|map|theta"]
    record.questions["regions/gone"] = row | {"query": "no_such_query"}
    golden.write(file, record)
    differences = [(row["question"], row["path"], row["what"]) for row in run_against(file, capsys)]
    assert differences == [
        ("regions/map", "table.colour", "missing"),
        ("regions/gone", "", "missing"),
    ]


def test_renames_bring_old_words_and_new_answers_together(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = golden.read(file)
    row = record.questions["regions/region"]
    row["query"], row["arguments"] = "one_region", {"number": 3}
    row["leaves"] = {
        path.replace("exemplar.", "middle."): leaf for path, leaf in row["leaves"].items()
    }
    record.values = {
        name.replace("|exemplar.", "|middle."): values for name, values in record.values.items()
    }
    golden.write(file, record)
    assert {row["question"] for row in run_against(file, capsys)} == {"regions/region"}
    monkeypatch.setitem(golden.QUERY_RENAMES, "one_region", "region")
    monkeypatch.setitem(golden.ARGUMENT_RENAMES, "one_region.number", "region")
    monkeypatch.setitem(golden.FIELD_RENAMES, "region.middle", "region.exemplar")
    assert run_against(file, capsys) == []


def test_the_file_of_another_study_is_not_mixed_with(file: Path) -> None:
    with pytest.raises(TesseraError, match="small"):
        golden.keep(file, "demo", ["regions"])


# ---------------------------------------------------------------- leaves


def leaf_difference(old: object, new: object) -> Difference | None:
    """The difference of two answers that are one leaf each."""
    (old_record,), (leaf,) = leaves(old), leaves(new)
    return difference("question", old_record.path, old_record.as_json(), old_record.values, leaf)


def test_a_long_column_is_sampled_and_its_digest_is_of_all() -> None:
    numbers = np.arange(10 * MOST_VALUES, dtype=np.float32)
    moved = numbers.copy()
    moved[7] += 1
    result = leaf_difference(numbers, moved)
    assert result
    assert (result.what, result.cells, result.compared) == ("numbers", 0, MOST_VALUES)
    moved[20] += 4
    result = leaf_difference(numbers, moved)
    assert result
    assert (result.cells, result.largest) == (1, 4)


def test_types_counts_texts_and_empty_cells_are_told_apart() -> None:
    whole = np.arange(3, dtype=np.int32)
    for old, new, what in (
        (whole, whole.astype(np.int64), "type"),
        (whole, whole[:2], "count"),
        (("a", "b"), ("a", "c"), "texts"),
        (1.0, "1.0", "type"),
        (np.array([np.nan, 1.0]), np.array([0.0, 1.0]), "numbers"),
    ):
        result = leaf_difference(old, new)
        assert result
        assert result.what == what
    assert leaf_difference(np.array([np.nan]), np.array([np.nan])) is None
    empty, zero = (pl.DataFrame({"n": [value]}, schema={"n": pl.Int64}) for value in (None, 0))
    old, new = list(leaves(empty)), list(leaves(zero))
    assert [leaf.path for leaf in old] == ["columns", "n"]
    assert old[1].digest != new[1].digest


@dataclass(frozen=True)
class Nested:
    seconds: float
    parts: tuple[pl.DataFrame, ...]
    by_name: dict[str, tuple[int | None, ...]]


def test_paths_name_fields_places_and_columns() -> None:
    answer = Nested(3.0, (pl.DataFrame({"a": [1.0], "seconds": [2.0]}),), {"x": (1, None)})
    assert [leaf.path for leaf in leaves(answer)] == [
        "parts",
        "parts[0].columns",
        "parts[0].a",
        "by_name[x]",
    ]


def test_groups_are_chosen_by_the_beginning_of_their_names() -> None:
    assert golden.select_groups("") == list(golden_questions.GROUPS)
    assert golden.select_groups("tier, region") == ["regions", "tiers"]
