"""Labels as JSONL, CSV, Parquet and Neuronpedia's explanations, out and back."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy.spatial.distance import cosine

from backend.labels import tables
from backend.labels.interchange import neuronpedia
from backend.labels.interchange import tables as files
from backend.labels.interchange.records import FormatError, Problem
from backend.labels.tables import LABELS, SCORES, distances
from tests.helpers import interchange as given_by


def read(data: bytes, kind: files.Format, file: str = "") -> tuple[pl.DataFrame, list[Problem]]:
    """The labels of a file, and what is wrong with the rest."""
    problems: list[Problem] = []
    rows = files.lines(files.Row, data, kind, file or f"labels.{kind}", problems)
    return pl.DataFrame([row.model_dump() for _, row in rows], schema=LABELS), problems


def label(feature: int, method: str = "baez", text: str = "birds", **more: Any) -> dict[str, Any]:
    row = {"feature": feature, "method": method, "writer": "", "text": text, "detail": ""}
    return {**row, "failed": "" if text else "no reply", "n": 5, "seconds": 0.5, **more}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LABELS)


# ---------------------------------------------------------------- JSONL, CSV, Parquet


@settings(max_examples=60, deadline=None)
@given(given_by.labels)
def test_labels_come_back_from_every_format(labels: pl.DataFrame) -> None:
    for kind, write in files.WRITERS.items():
        result, problems = read(write(labels), kind)
        assert problems == []
        assert_frame_equal(result, labels, check_exact=True)


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@A1", "\t=1", "x" * 200_000])
def test_csv_cells_are_what_the_label_is(text: str) -> None:
    """Also for a reader that is not ours."""
    data = files.csv(frame(label(1, text=text))).decode()
    assert next(csv.DictReader(io.StringIO(data, newline="")))["text"] == text
    assert read(data.encode(), "csv")[0]["text"].to_list() == [text]


def test_broken_lines_of_jsonl_are_named() -> None:
    good = files.jsonl(frame(label(1), label(2)))
    broken = b'\n{"feature": -1, "method": "", "text": "a"}\n{"feature": 3}\n[]\n\xff\xfe\n'
    late = b'{"feature": 4, "method": "m", "text": "a", "seconds": NaN}\n'
    result, problems = read(b"\xef\xbb\xbf" + good + broken + late, "jsonl", "mine.jsonl")
    assert result["feature"].to_list() == [1, 2]
    error = [(each.file, each.line, each.field) for each in problems]
    assert error == [
        ("mine.jsonl", 4, "feature"),
        ("mine.jsonl", 4, "method"),
        ("mine.jsonl", 5, "method"),
        ("mine.jsonl", 6, ""),
        ("mine.jsonl", 7, ""),
        ("mine.jsonl", 8, "seconds"),
    ]


def test_a_label_without_text_says_why() -> None:
    _, problems = read(b'{"feature": 1, "method": "m"}', "jsonl")
    assert "neither a text nor why it failed" in str(problems[0])


def test_broken_rows_of_csv_are_named_by_the_line_they_begin_on() -> None:
    head = "feature,method,text,more\n"
    rows = '1,m,"two\nlines",x\n\n2,m\nx,m,a,x\n1.5,m,a,x\n3,m,=a,x\n'
    result, problems = read((head + rows).encode("utf-8-sig"), "csv")
    assert [(each.line, each.field) for each in problems] == [
        (5, ""),
        (6, "feature"),
        (7, "feature"),
    ]
    assert result["text"].to_list() == ["two\nlines", "=a"]
    assert result["n"].to_list() == [None, None]
    _, (problem,) = read(head.encode() + b"1,m,a,x\n2,m,\xff,x\n", "csv")
    assert str(problem) == "labels.csv, line 3: is not UTF-8"


def test_a_foreign_parquet_is_read_by_its_columns() -> None:
    columns = {"text": ["a", None, "c"], "feature": [1, 2, -3], "method": ["m"] * 3, "x": [[1]] * 3}
    packed = io.BytesIO()
    pl.DataFrame(columns).write_parquet(packed)
    result, problems = read(packed.getvalue(), "parquet")
    assert result.row(0) == (1, "m", "", "a", "", "", None, None)
    assert [(each.line, each.field) for each in problems] == [(2, ""), (3, "feature")]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_to_a_parquet_file_is_an_error_or_none(data: st.DataObject) -> None:
    """It never ends the process, as a panic of a reader would."""
    file_data = files.parquet(frame(*(label(feature) for feature in range(9))))
    place = data.draw(st.integers(0, len(file_data) - 1))
    damaged = (
        file_data[:place] + data.draw(st.binary(min_size=1, max_size=4)) + file_data[place + 1 :]
    )
    with contextlib.suppress(FormatError):
        read(damaged, "parquet")
    with pytest.raises(FormatError, match="Parquet"):
        read(file_data[:place], "parquet")


# ---------------------------------------------------------------- Neuronpedia


NONE = pl.DataFrame(schema=SCORES)


def test_batches_have_1024_rows_in_order_of_index_as_text() -> None:
    labels = frame(*(label(feature, text=f"t{feature}") for feature in range(2100)))
    result = given_by.batches(neuronpedia.explanations(labels, NONE, "gemma", "12-res"))
    assert {name: len(rows) for name, rows in result.items()} == {
        "explanations/batch-0.jsonl.gz": 1024,
        "explanations/batch-1.jsonl.gz": 1024,
        "explanations/batch-2.jsonl.gz": 52,
    }
    indices = [row["index"] for rows in result.values() for row in rows]
    assert indices == sorted(map(str, range(2100)))
    assert indices[:4] == ["0", "1", "10", "100"]


def test_an_explanation_has_neuronpedias_fields_and_its_own_scores() -> None:
    labels = frame(label(5, writer="org/model"), label(5, "human", "wings"), label(6, text=""))
    kind = {"label": "birds", "feature": 5, "method": "baez", "judge": "org/judge"}
    rows = [
        {**kind, "of": "label", "scorer": "detection", "value": 0.75},
        {**kind, "of": "label", "scorer": "fuzzing", "value": None},
        {**kind, "of": "shuffled", "scorer": "detection", "value": 0.5},
    ]
    scores = pl.DataFrame(rows, schema=SCORES)
    (result,) = given_by.batches(
        neuronpedia.explanations(labels, scores, "gemma", "12-res")
    ).values()
    assert [row["description"] for row in result] == ["birds", "wings"]
    one, score = result[0], result[0]["scores"][0]
    names = {"modelId": "gemma", "layer": "12-res", "index": "5", "typeName": "baez"}
    assert names.items() <= one.items()
    assert (one["explanationModelName"], result[1]["explanationModelName"]) == ("org/model", None)
    assert [len(row["scores"]) for row in result] == [1, 0]
    assert (score["value"], score["explanationScoreTypeName"]) == (0.75, "detection")
    assert score["explanationScoreModelName"] == "org/judge"
    assert json.loads(score["jsonDetails"])["label"] == "birds"


@settings(max_examples=40, deadline=None)
@given(given_by.labels, given_by.scores)
def test_every_label_is_an_explanation(labels: pl.DataFrame, scores: pl.DataFrame) -> None:
    packed = neuronpedia.explanations(labels, scores, "m", "s")
    assert packed == neuronpedia.explanations(labels, scores, "m", "s")
    rows = [
        (int(row["index"]), row["typeName"], row["explanationModelName"] or "", row["description"])
        for batch in given_by.batches(packed).values()
        for row in batch
    ]
    saved = labels.filter(pl.col("failed") == "").select("feature", "method", "writer", "text")
    assert sorted(rows) == sorted(saved.rows())


# ---------------------------------------------------------------- distances


def test_distances_are_scipys_farthest_first() -> None:
    rng = np.random.default_rng(0)
    methods = "baez eleuther human".split()
    labels = frame(*(label(f, method, f"{f} {method}") for f in range(20) for method in methods))
    space = {text: rng.normal(size=8) * 3 for text in labels["text"]}
    requests: list[str] = []

    def vectors(texts: Any) -> np.ndarray:
        requests.extend(texts)
        return np.array([space[text] for text in texts], dtype=np.float32)

    result = distances(labels, vectors)
    assert sorted(requests) == sorted(space)  # each once
    pairs = result.group_by("method", "other").len().sort("method", "other").rows()
    assert pairs == [("baez", "eleuther", 20), ("baez", "human", 20), ("eleuther", "human", 20)]
    for row in result.iter_rows(named=True):
        assert row["text"] == f"{row['feature']} {row['method']}"
        expected = cosine(space[row["text"]], space[row["other_text"]])
        assert row["distance"] == pytest.approx(expected, abs=1e-6)
    assert result["distance"].is_sorted(descending=True)


def test_what_failed_has_no_distance() -> None:
    labels = frame(
        label(1, "a", "x"),
        label(1, "b", ""),
        label(2, "a", "x"),
        label(2, "b", "x"),
        label(2, "b", "x", writer="another"),
        label(3, "b", "x"),
    )
    result = distances(labels, lambda texts: np.ones((len(texts), 3)))
    assert result.rows() == [(2, "a", "b", "x", "x", 0.0)]


def test_without_a_pair_nothing_is_embedded() -> None:
    def never(texts: Any) -> np.ndarray:
        raise AssertionError(texts)

    result = distances(frame(label(1, "a", "x"), label(2, "b", "y")), never)
    assert (result.schema, len(result)) == (tables.DISTANCES, 0)
