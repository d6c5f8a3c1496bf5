"""Labels as JSONL, CSV, Parquet and Neuronpedia's explanations, out and back."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import zipfile
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
from backend.labels.interchange.records import FormatError
from backend.labels.tables import LABELS, SCORES, distances, failures
from tests.helpers import interchange as given_by

FORMATS = ("jsonl", "csv", "parquet")


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
        found = files.read(write(labels), kind)
        assert (found.problems, found.duplicates) == ((), 0)
        assert_frame_equal(found.labels, labels, check_exact=True)


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@A1", "\t=1", "x" * 200_000])
def test_csv_cells_are_what_the_label_is(text: str) -> None:
    """Also for a reader that is not ours."""
    written = files.csv(frame(label(1, text=text))).decode()
    assert next(csv.DictReader(io.StringIO(written, newline="")))["text"] == text
    assert files.read(written.encode(), "csv").labels["text"].to_list() == [text]


@pytest.mark.parametrize("kind", FORMATS)
def test_importing_twice_changes_nothing(kind: files.Format) -> None:
    known = frame(label(1), label(2), label(3, text=""))
    more = frame(
        label(2, n=9),  # what is known, with another count
        label(2, text="wings"),
        label(2, text="wings", detail="again"),
        label(2, writer="org/model"),
        label(3, text="", failed="another reason"),
    )
    found = files.read(files.WRITERS[kind](more), kind, known)
    assert found.labels.select("feature", "writer", "text").rows() == [
        (2, "", "wings"),
        (2, "org/model", "birds"),
    ]
    assert found.duplicates == 3
    both = pl.concat([known, found.labels])
    assert files.read(files.WRITERS[kind](both), kind, both).labels.is_empty()


def test_broken_lines_of_jsonl_are_named() -> None:
    good = files.jsonl(frame(label(1), label(2)))
    broken = b'\n{"feature": -1, "method": "", "text": "a"}\n{"feature": 3}\n[]\n\xff\xfe\n'
    late = b'{"feature": 4, "method": "m", "text": "a", "seconds": NaN}\n'
    found = files.read(b"\xef\xbb\xbf" + good + broken + late, "jsonl", file="mine.jsonl")
    assert found.labels["feature"].to_list() == [1, 2]
    told = [(each.file, each.line, each.field) for each in found.problems]
    assert told == [
        ("mine.jsonl", 4, "feature"),
        ("mine.jsonl", 4, "method"),
        ("mine.jsonl", 5, "method"),
        ("mine.jsonl", 6, ""),
        ("mine.jsonl", 7, ""),
        ("mine.jsonl", 8, "seconds"),
    ]


def test_a_label_without_text_says_why() -> None:
    found = files.read(b'{"feature": 1, "method": "m"}', "jsonl")
    assert "neither a text nor why it failed" in str(found.problems[0])


def test_broken_rows_of_csv_are_named_by_the_line_they_begin_on() -> None:
    head = "feature,method,text,more\n"
    rows = '1,m,"two\nlines",x\n\n2,m\nx,m,a,x\n1.5,m,a,x\n3,m,=a,x\n'
    found = files.read((head + rows).encode("utf-8-sig"), "csv")
    assert [(each.line, each.field) for each in found.problems] == [
        (5, ""),
        (6, "feature"),
        (7, "feature"),
    ]
    assert found.labels["text"].to_list() == ["two\nlines", "=a"]
    assert found.labels["n"].to_list() == [None, None]
    (problem,) = files.read(head.encode() + b"1,m,a,x\n2,m,\xff,x\n", "csv").problems
    assert str(problem) == "labels.csv, line 3: is not UTF-8"


def test_a_foreign_parquet_is_read_by_its_columns() -> None:
    columns = {"text": ["a", None, "c"], "feature": [1, 2, -3], "method": ["m"] * 3, "x": [[1]] * 3}
    packed = io.BytesIO()
    pl.DataFrame(columns).write_parquet(packed)
    found = files.read(packed.getvalue(), "parquet")
    assert found.labels.row(0) == (1, "m", "", "a", "", "", None, None)
    assert [(each.line, each.field) for each in found.problems] == [(2, ""), (3, "feature")]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_to_a_parquet_file_is_an_error_or_none(data: st.DataObject) -> None:
    """It never ends the process, as a panic of a reader would."""
    written = files.parquet(frame(*(label(feature) for feature in range(9))))
    place = data.draw(st.integers(0, len(written) - 1))
    damaged = written[:place] + data.draw(st.binary(min_size=1, max_size=4)) + written[place + 1 :]
    with contextlib.suppress(FormatError):
        files.read(damaged, "parquet")
    with pytest.raises(FormatError, match="Parquet"):
        files.read(written[:place], "parquet")


# ---------------------------------------------------------------- Neuronpedia


def batches(packed: bytes) -> dict[str, list[dict[str, Any]]]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {
            name: [json.loads(line) for line in gzip.decompress(archive.read(name)).splitlines()]
            for name in archive.namelist()
        }


NONE = pl.DataFrame(schema=SCORES)


def test_batches_have_1024_rows_in_order_of_index_as_text() -> None:
    labels = frame(*(label(feature, text=f"t{feature}") for feature in range(2100)))
    found = batches(neuronpedia.explanations(labels, NONE, "gemma", "12-res"))
    assert {name: len(rows) for name, rows in found.items()} == {
        "explanations/batch-0.jsonl.gz": 1024,
        "explanations/batch-1.jsonl.gz": 1024,
        "explanations/batch-2.jsonl.gz": 52,
    }
    indices = [row["index"] for rows in found.values() for row in rows]
    assert indices == sorted(map(str, range(2100)))
    assert indices[:4] == ["0", "1", "10", "100"]


def test_an_explanation_has_neuronpedias_fields_and_its_own_scores() -> None:
    labels = frame(label(5, writer="org/model"), label(5, "human", "wings"), label(6, text=""))
    of = {"label": "birds", "feature": 5, "method": "baez", "judge": "org/judge"}
    rows = [
        {**of, "of": "label", "scorer": "detection", "value": 0.75},
        {**of, "of": "label", "scorer": "fuzzing", "value": None},
        {**of, "of": "shuffled", "scorer": "detection", "value": 0.5},
    ]
    scores = pl.DataFrame(rows, schema=SCORES)
    (found,) = batches(neuronpedia.explanations(labels, scores, "gemma", "12-res")).values()
    assert [row["description"] for row in found] == ["birds", "wings"]
    one, score = found[0], found[0]["scores"][0]
    named = {"modelId": "gemma", "layer": "12-res", "index": "5", "typeName": "baez"}
    assert named.items() <= one.items()
    assert (one["explanationModelName"], found[1]["explanationModelName"]) == ("org/model", None)
    assert [len(row["scores"]) for row in found] == [1, 0]
    assert (score["value"], score["explanationScoreTypeName"]) == (0.75, "detection")
    assert score["explanationScoreModelName"] == "org/judge"
    assert json.loads(score["jsonDetails"])["label"] == "birds"


@settings(max_examples=40, deadline=None)
@given(given_by.labels, given_by.scores)
def test_explanations_come_back(labels: pl.DataFrame, scores: pl.DataFrame) -> None:
    packed = neuronpedia.explanations(labels, scores, "m", "s")
    assert packed == neuronpedia.explanations(labels, scores, "m", "s")
    found = neuronpedia.read(packed, "m", "s")
    kept = labels.filter(pl.col("failed") == "").drop("n", "seconds")
    assert found.problems == ()
    got = found.labels.drop("n", "seconds")
    assert_frame_equal(got, kept, check_row_order=False)
    assert neuronpedia.read(packed, "m", "s", labels).labels.is_empty()


def test_a_batch_is_read_gzipped_or_not_and_what_does_not_belong_is_named() -> None:
    row = {"modelId": "m", "layer": "s", "index": "12", "description": "birds", "embedding": "[0]"}
    rows = [row, {**row, "layer": "t"}, {**row, "index": "x"}, {**row, "description": ""}]
    data = "".join(json.dumps(each) + "\n" for each in rows).encode()
    for given_as in (data, gzip.compress(data)):
        found = neuronpedia.read(given_as, "m", "s")
        assert found.labels.row(0)[:4] == (12, "neuronpedia", "", "birds")
        told = [(each.line, each.field) for each in found.problems]
        assert told == [(2, "layer"), (3, "index"), (4, "description")]
    for damaged in (b"\x1f\x8bnonsense", b"PKnonsense"):
        with pytest.raises(FormatError):
            neuronpedia.read(damaged, "m", "s")


# ---------------------------------------------------------------- distances


def test_distances_are_scipys_farthest_first() -> None:
    rng = np.random.default_rng(0)
    methods = "baez eleuther human".split()
    labels = frame(*(label(f, method, f"{f} {method}") for f in range(20) for method in methods))
    space = {text: rng.normal(size=8) * 3 for text in labels["text"]}
    asked: list[str] = []

    def vectors(texts: Any) -> np.ndarray:
        asked.extend(texts)
        return np.array([space[text] for text in texts], dtype=np.float32)

    found = distances(labels, vectors)
    assert sorted(asked) == sorted(space)  # each once
    pairs = found.group_by("method", "other").len().sort("method", "other").rows()
    assert pairs == [("baez", "eleuther", 20), ("baez", "human", 20), ("eleuther", "human", 20)]
    for row in found.iter_rows(named=True):
        assert row["text"] == f"{row['feature']} {row['method']}"
        expected = cosine(space[row["text"]], space[row["other_text"]])
        assert row["distance"] == pytest.approx(expected, abs=1e-6)
    assert found["distance"].is_sorted(descending=True)


def test_what_failed_has_no_distance_and_is_counted() -> None:
    labels = frame(
        label(1, "a", "x"),
        label(1, "b", ""),
        label(2, "a", "x"),
        label(2, "b", "x"),
        label(2, "b", "x", writer="another"),
        label(3, "b", "x"),
    )
    found = distances(labels, lambda texts: np.ones((len(texts), 3)))
    assert found.rows() == [(2, "a", "b", "x", "x", 0.0)]
    assert failures(labels).rows() == [("a", 2, 0), ("b", 4, 1)]


def test_without_a_pair_nothing_is_embedded() -> None:
    def never(texts: Any) -> np.ndarray:
        raise AssertionError(texts)

    found = distances(frame(label(1, "a", "x"), label(2, "b", "y")), never)
    assert (found.schema, len(found)) == (tables.DISTANCES, 0)
