"""The baez experiment folder: what goes out comes back, and broken files are named."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.labels.interchange import baez
from backend.labels.interchange.baez import Experiment
from backend.labels.interchange.baez_reader import read_folder
from backend.labels.interchange.records import FormatError
from tests.helpers.baez import (
    LAYER,
    _jsonl,
    baez_pack,
    experiments,
    of_the_post,
    read_files,
    same,
    small_experiment,
)


@pytest.fixture
def experiment() -> Experiment:
    return small_experiment()


@settings(max_examples=60, deadline=None)
@given(experiments())
def test_what_goes_out_comes_back(experiment: Experiment) -> None:
    result = read_folder(baez.packed(experiment))
    assert result.problems == result.notes == ()
    same(result.experiment, experiment)


def test_a_folder_has_the_files_of_the_post(experiment: Experiment) -> None:
    assert sorted(baez.files(experiment)) == [
        "features.jsonl",
        "label_distance__baez__vs__eleuther_acts_top5.csv",
        "labels.jsonl",
        "nla_examples.jsonl",
        "raw/feature_7.json",
        "raw/feature_8.json",
        "scores.jsonl",
        "scores_flat.csv",
    ]


def test_a_zip_of_the_folder_itself_is_read(experiment: Experiment) -> None:
    """As a file manager packs it, with its own files beside."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in baez.files(experiment).items():
            archive.writestr(f"exp_3/{name}", data)
        archive.writestr("__MACOSX/exp_3/._features.jsonl", b"\x00")
        archive.writestr("exp_3/plot.png", b"\x89PNG")
    result = read_folder(packed.getvalue())
    assert result.problems == ()
    same(result.experiment, experiment)


def lines(files: dict[str, bytes], name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files[name].decode().splitlines()]


def test_the_posts_scripts_find_what_they_look_up(experiment: Experiment) -> None:
    files = baez.files(experiment)
    raw = json.loads(files["raw/feature_7.json"])["activations"]
    assert sorted((a["maxValue"] for a in raw), reverse=True) == [3.5, 1.0, 1.0]
    assert all(a["index"] == "7" and len(a["tokens"]) == len(a["values"]) for a in raw)
    assert lines(files, "features.jsonl")[0]["raw_path"] == "raw/feature_7.json"
    error = lines(files, "nla_examples.jsonl")[0]
    assert error["feature_key"] == f"gemma-3/{LAYER}/7"
    assert error["examples"] == [
        {"text": "a bird", "activation": 10},
        {"text": "wings", "activation": 4},
    ]
    assert lines(files, "labels.jsonl")[0]["result"]["explanation"] == "birds"
    scored, control = lines(files, "scores.jsonl")
    assert scored["scores"]["detection"] == {"accuracy": 0.7, "n": 20}
    assert scored["scores"]["embedding"]["gap"] == 0.02
    assert (scored["explanation_model"], scored["scorer_model"]) == ("org/model", "org/judge")
    assert (scored["method"], control["method"]) == ("baez", "baez [shuffled]")
    flat = list(csv.DictReader(io.StringIO(files["scores_flat.csv"].decode())))
    assert [(row["index"], row["fuzz_accuracy"]) for row in flat] == [("7", "0.7")] * 2


def test_a_long_text_survives(experiment: Experiment) -> None:
    long = '«ß» "quoted"\n<b>日本</b>, ' * 450
    labels = experiment.labels.with_columns(text=pl.lit(long), failed=pl.lit(""))
    distances = experiment.distances.with_columns(text=pl.lit(long * 20))
    changed = replace(experiment, labels=labels, distances=distances)
    assert len(long) > 10_000
    same(read_folder(baez.packed(changed)).experiment, changed)


def test_a_method_too_long_for_a_file_is_refused(experiment: Experiment) -> None:
    distances = experiment.distances.with_columns(other=pl.lit("é" * 40))
    with pytest.raises(FormatError, match="cannot name a file"):
        baez.files(replace(experiment, distances=distances))


# ---------------------------------------------------------------- broken files


def test_every_problem_is_named_and_the_rest_comes_in(experiment: Experiment) -> None:
    files = baez.files(experiment)
    good = json.loads(files["labels.jsonl"].splitlines()[0])
    files["labels.jsonl"] += b"{not json\n" + _jsonl(
        {**good, "index": "seven"},
        {**good, "result": {"explanation": "\ud800"}},
        {**good, "layer": "another"},
        {key: value for key, value in good.items() if key != "method"},
        {**good, "index": 2**70},
    )
    files["raw/feature_8.json"] = b'{"activations": [{"tokens": ["a"], "values": [1, 2]}]}'
    name = "label_distance__baez__vs__eleuther_acts_top5.csv"
    files[name] += (
        f"gemma-3/{LAYER}/7,a,b,0.1\r\nother/{LAYER}/7,a,b,1,0\r\ngemma-3/{LAYER}/x,a,b,1,-1\r\n".encode()
    )
    result = read_files(files)
    error = [(each.file, each.line, each.field) for each in result.problems]
    assert error == [
        ("raw/feature_8.json", 0, "activations[0]"),
        ("labels.jsonl", 4, ""),
        ("labels.jsonl", 5, "index"),
        ("labels.jsonl", 6, ""),
        ("labels.jsonl", 7, "layer"),
        ("labels.jsonl", 8, "method"),
        ("labels.jsonl", 9, "index"),
        (name, 3, ""),
        (name, 4, "feature_key"),
        (name, 5, "feature_key"),
        (name, 5, "cosine_distance"),
    ]
    prompt = [str(each) for each in result.problems]
    assert prompt[1].startswith("labels.jsonl, line 4: is not JSON")
    assert prompt[5] == "labels.jsonl, line 8: `method` is missing"
    same(result.experiment, replace(experiment, evidence=experiment.evidence[:1]))


def test_a_missing_file_costs_only_what_it_held(experiment: Experiment) -> None:
    for gone in ("nla_examples.jsonl", "labels.jsonl", "scores.jsonl"):
        files = baez.files(experiment)
        del files["scores_flat.csv"]
        del files[gone]
        result = read_files(files)
        assert [str(each) for each in result.problems] == [f"{gone}: is not there"]
        assert result.experiment.evidence == experiment.evidence


@pytest.mark.parametrize("path", ["../../secret.json", "/etc/passwd", "raw/../../secret.json"])
def test_no_path_in_a_file_is_followed(experiment: Experiment, path: str) -> None:
    files = baez.files(experiment)
    files[path] = files["raw/feature_7.json"].replace(b'" b"', b'"secret"')
    names = files["features.jsonl"].replace(b"raw/feature_7.json", path.encode())
    result = read_files(files | {"features.jsonl": names})
    assert result.experiment.evidence == experiment.evidence
    assert [each.field for each in result.problems] == ["raw_path"]


def test_method_names_lead_nowhere(experiment: Experiment) -> None:
    distances = experiment.distances.with_columns(method=pl.lit("../../../x"))
    files = baez.files(replace(experiment, distances=distances))
    assert not [name for name in files if ".." in name.split("/")]
    assert all(name.count("/") == name.startswith("raw/") for name in files)
    assert read_files(files).experiment.distances["method"].to_list() == ["../../../x"]


def test_what_is_no_experiment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (b"PK nonsense", b"", baez_pack({"a.txt": b""})):
        with pytest.raises(FormatError):
            read_folder(source)
    monkeypatch.setattr("backend.labels.interchange.records.LIMIT", 1000)
    with pytest.raises(FormatError, match="more than"):
        read_folder(baez_pack({"labels.jsonl": b" " * 1001}))


def what_is_wrong(packed: bytes) -> list[str]:
    """The named problems of a folder, or that of all of it."""
    try:
        return [each.problem for each in read_folder(packed).problems]
    except FormatError as error:
        return [error.problem]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_damage_is_more_than_a_named_problem(data: st.DataObject) -> None:
    """Bytes lost or changed anywhere in any file of the post's folder."""
    files = of_the_post()
    name = data.draw(st.sampled_from(sorted(files)))
    first = data.draw(st.integers(0, len(files[name])))
    last = data.draw(st.integers(first, min(len(files[name]), first + 20)))
    files[name] = files[name][:first] + data.draw(st.binary(max_size=5)) + files[name][last:]
    assert all(each.problem and each.file in files for each in read_files(files).problems)
    packed = baez_pack(of_the_post())
    place = data.draw(st.integers(0, len(packed) - 1))
    damaged = packed[:place] + data.draw(st.binary(min_size=1, max_size=8)) + packed[place + 1 :]
    assert all(what_is_wrong(damaged))
