"""The baez experiment folder: what goes out comes back, and the post's own folder comes in."""

from __future__ import annotations

import contextlib
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
from polars.testing import assert_frame_equal

from backend.labels import trials
from backend.labels.contract import Evidence, Excerpt
from backend.labels.interchange import baez, baez_reader
from backend.labels.interchange.baez import Experiment
from backend.labels.interchange.baez_reader import Imported, read
from backend.labels.interchange.records import FormatError
from backend.labels.tables import DISTANCES, LABELS, SCORES, VERBALIZATIONS, farthest
from tests.helpers import interchange as given_by

MODEL, LAYER = "org/gemma-3", "12-res-4k"
TABLES = ("verbalizations", "labels", "scores", "distances")

# ---------------------------------------------------------------- anything at all

values = st.floats(0, 1e6)


@st.composite
def excerpts(draw: st.DrawFn, fires: bool) -> Excerpt:
    """Tokens and values; where it fires, the peak is the first strongest."""
    pieces = draw(st.lists(given_by.texts, min_size=1, max_size=4))
    if not fires:
        return Excerpt(draw(given_by.features), tuple(pieces), (0.0,) * len(pieces), -1)
    own = draw(st.lists(values, min_size=len(pieces), max_size=len(pieces)))
    own[draw(st.integers(0, len(own) - 1))] = 1e6 + draw(values)
    return Excerpt(draw(given_by.features), tuple(pieces), tuple(own), own.index(max(own)))


@st.composite
def evidences(draw: st.DrawFn, feature: int) -> Evidence:
    negatives = draw(st.lists(excerpts(fires=False), max_size=2))
    foreign = [
        tuple(draw(st.lists(values, min_size=len(one.pieces), max_size=len(one.pieces))))
        for one in negatives
    ]
    train = draw(st.lists(excerpts(fires=True), min_size=1, max_size=3))
    test = draw(st.lists(excerpts(fires=True), max_size=2))
    split, kind = (
        draw(st.sampled_from(["range", "post"])),
        draw(st.sampled_from(["other", "silent"])),
    )
    parts = tuple(train), tuple(test), tuple(negatives), tuple(foreign)
    seed, how = draw(st.integers(0, 2**32)), draw(given_by.texts)
    return Evidence(feature, draw(values), *parts, split, kind, seed, how)


said = st.fixed_dictionaries(
    {
        "feature": given_by.features,
        "rank": st.integers(1, 9),
        "text": st.just("") | given_by.texts,
        "strength": st.integers(1, 10),
    }
)
apart = st.fixed_dictionaries(
    {
        "feature": given_by.features,
        "method": st.sampled_from(["", "..", "a/b"]),
        "other": st.sampled_from(["baez", "é ü", "x/y"]),
        "text": given_by.texts,
        "other_text": given_by.texts,
        "distance": st.floats(0, 2),
    }
)


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    numbers = draw(st.lists(given_by.features, min_size=1, max_size=3, unique=True))
    return Experiment(
        MODEL,
        LAYER,
        tuple(draw(evidences(feature)) for feature in numbers),
        pl.DataFrame(draw(st.lists(said, max_size=5)), schema=VERBALIZATIONS),
        draw(given_by.labels),
        draw(given_by.scores),
        farthest(pl.DataFrame(draw(st.lists(apart, max_size=5)), schema=DISTANCES)),
        draw(st.sampled_from(["", "2025-06-01T12:00:00+00:00"])),
    )


def same(one: Experiment, other: Experiment) -> None:
    assert one.evidence == other.evidence
    assert (one.model, one.layer, one.made) == (other.model, other.layer, other.made)
    for name in TABLES:
        left, right = getattr(one, name), getattr(other, name)
        assert_frame_equal(left, right, check_exact=True, check_row_order=False)


@settings(max_examples=60, deadline=None)
@given(experiments())
def test_what_goes_out_comes_back(experiment: Experiment) -> None:
    found = read(baez.packed(experiment))
    assert found.problems == found.notes == ()
    same(found.experiment, experiment)


# ---------------------------------------------------------------- one experiment


def excerpt(row: int, *pieces: str, strength: float = 1.0) -> Excerpt:
    return Excerpt(row, pieces, (strength, *([0.0] * (len(pieces) - 1))), 0)


def label(feature: int, method: str, text: str, writer: str = "org/model") -> dict[str, Any]:
    row = {"feature": feature, "method": method, "writer": writer, "text": text}
    return {**row, "detail": "", "failed": "" if text else "no reply", "n": 5, "seconds": 0.5}


def score(
    feature: int, method: str, scorer: str, value: float, of: str = "label"
) -> dict[str, Any]:
    counts = {"tp": 6, "fp": 2, "tn": 8, "fn": 4} if scorer in ("detection", "fuzzing") else {}
    return {
        **{"of": of, "label": "birds", "feature": feature, "method": method, "scorer": scorer},
        **{"judge": "org/judge", "n": 20, "value": value, "interval": "Wilson", **counts},
        **{"split": "range", "kind": "other", "setting": "window 12", "seed": 3},
    }


@pytest.fixture
def experiment() -> Experiment:
    one = Evidence(
        7,
        3.5,
        (excerpt(0, "a", " b", strength=3.5), excerpt(10, "c", " d")),
        (excerpt(20, "e", " f"),),
        (Excerpt(30, ("g", " h"), (0.0, 0.0), -1),),
        ((0.0, 2.0),),
        "range",
        "other",
        3,
        "by hand",
    )
    scorers = (("detection", 0.7), ("fuzzing", 0.7), ("embedding", 0.02))
    scores = [score(7, "baez", name, value) for name, value in scorers]
    scores += [score(7, "baez", name, value, of="shuffled") for name, value in scorers]
    distance = {"feature": 7, "method": "baez", "other": "eleuther_acts_top5"}
    distance |= {"text": "birds", "other_text": "wings", "distance": 0.4}
    return Experiment(
        "gemma-3",
        LAYER,
        (one, replace(one, feature=8)),
        pl.DataFrame(
            [(7, 1, "a bird", 10), (7, 3, "wings", 4)], schema=VERBALIZATIONS, orient="row"
        ),
        pl.DataFrame(
            [
                label(7, "baez", "birds"),
                label(7, "eleuther_acts_top5", "wings"),
                label(8, "baez", ""),
            ],
            schema=LABELS,
        ),
        pl.DataFrame(scores, schema=SCORES),
        pl.DataFrame([distance], schema=DISTANCES),
        "2025-06-01T12:00:00+00:00",
    )


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
    found = read(packed.getvalue())
    assert found.problems == ()
    same(found.experiment, experiment)


def lines(files: dict[str, bytes], name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files[name].decode().splitlines()]


def test_the_posts_scripts_find_what_they_look_up(experiment: Experiment) -> None:
    files = baez.files(experiment)
    raw = json.loads(files["raw/feature_7.json"])["activations"]
    assert sorted((a["maxValue"] for a in raw), reverse=True) == [3.5, 1.0, 1.0]
    assert all(a["index"] == "7" and len(a["tokens"]) == len(a["values"]) for a in raw)
    assert lines(files, "features.jsonl")[0]["raw_path"] == "raw/feature_7.json"
    told = lines(files, "nla_examples.jsonl")[0]
    assert told["feature_key"] == f"gemma-3/{LAYER}/7"
    assert told["examples"] == [
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
    same(read(baez.packed(changed)).experiment, changed)


def test_a_method_too_long_for_a_file_is_refused(experiment: Experiment) -> None:
    distances = experiment.distances.with_columns(other=pl.lit("é" * 40))
    with pytest.raises(FormatError, match="cannot name a file"):
        baez.files(replace(experiment, distances=distances))


# ---------------------------------------------------------------- the post's own folder

KEY = {"layer": LAYER, "model_id": "gemma-3"}


def activation(strength: float, at: int = 1) -> dict[str, Any]:
    tokens = ["▁the", "▁bird", "s", f"{strength}"]
    peaked = [strength if place == at else 0 for place in range(4)]
    return {"tokens": tokens, "values": peaked, "maxValue": strength, "maxValueTokenIndex": at}


def of_the_post() -> dict[str, bytes]:
    """What its scripts write, of one feature with 17 activations above 0."""
    strengths = [4, 0, *range(30, 14, -1)]
    raw = {"index": "3", "modelId": "gemma-3", "activations": [activation(s) for s in strengths]}
    key = {"feature_key": f"gemma-3/{LAYER}/3", "index": 3, **KEY}
    summed = {
        "detection": {"accuracy": 0.55, "n": 20},
        "fuzz": {"accuracy": 0.5, "n": 20},
        "embedding": {"mean_pos": 0.2, "mean_neg": 0.19, "gap": 0.01},
    }
    made = {"explanation_model": "org/x", "generated_at": "2025"}
    texts = {"delphi": "Birds", "baez": "Explanation could not be parsed."}
    labels = [
        {**key, "method": method, **made, "result": {"explanation": text}}
        for method, text in texts.items()
    ]
    examples = [{"text": f"bird {i}", "activation": 10 - i} for i in range(5)]
    scores = {**key, "method": "delphi", **made, "scorer_model": "org/y", "scores": summed}
    head = "feature_key,label__baez,label__delphi,cosine_similarity,cosine_distance"
    distance = f"{head}\n{key['feature_key']},wings,Birds,0.75,0.25\n"
    return {
        "features.jsonl": _jsonl({**key, "raw_path": "raw/feature_3.json", "source": "random"}),
        "raw/feature_3.json": json.dumps(raw, indent=2).encode(),
        "nla_examples.jsonl": _jsonl({**key, "examples": examples, "fetched_at": "2025"}),
        "labels.jsonl": _jsonl(*labels),
        "scores.jsonl": _jsonl(scores),
        "label_distance__baez__vs__delphi.csv": distance.encode(),
    }


def _jsonl(*records: dict[str, Any]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def read_files(files: dict[str, bytes]) -> Imported:
    return read(baez_pack(files))


def baez_pack(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_the_posts_folder_is_cut_by_rank_as_its_scripts_cut_it() -> None:
    found = read_files(of_the_post())
    assert found.problems == ()
    (one,) = found.experiment.evidence
    assert [each.strength for each in one.train] == [30, 29, 28, 27, 26]
    assert [each.strength for each in one.test] == list(range(25, 15, -1))
    assert (one.maximum, one.split, one.negatives) == (30, "post", ())
    assert one.train[0].text == "▁the▁birds30"
    assert "no negatives" in one.how
    trials.held_out(one)  # raises where parts seem to share a context
    assert found.experiment.verbalizations.row(1) == (3, 2, "bird 1", 9)


def test_delphi_means_the_top_five_everywhere() -> None:
    found = read_files(of_the_post())
    made = found.experiment
    assert made.labels["method"].to_list() == ["eleuther_acts_top5", "baez"]
    assert set(made.scores["method"]) == {"eleuther_acts_top5"}
    assert made.distances.row(0) == (3, "baez", "eleuther_acts_top5", "wings", "Birds", 0.25)
    assert baez_reader.NOTES["delphi"] in found.notes


def test_what_the_post_could_not_parse_is_a_failure() -> None:
    found = read_files(of_the_post())
    failed = found.experiment.labels.row(1, named=True)
    assert (failed["text"], failed["failed"]) == ("", "Explanation could not be parsed.")
    assert any("are failures" in note for note in found.notes)


def test_the_posts_scores_claim_no_more_than_it_kept() -> None:
    scores = read_files(of_the_post()).experiment.scores
    told = scores.select("scorer", "value", "n", "judge", "label").rows()
    assert told[:2] == [
        ("detection", 0.55, 20, "org/y", "Birds"),
        ("fuzzing", 0.5, 20, "org/y", "Birds"),
    ]
    assert told[2][:2] == ("embedding", 0.01)
    assert scores.select("tp", "failures", "low", "high", "seed").null_count().row(0) == (3,) * 5


FLAT = b"index,method,explanation_model,detection_accuracy,fuzz_accuracy,embedding_gap\n"


def test_its_analysis_calls_the_top_five_top_twenty() -> None:
    files = of_the_post()
    del files["scores.jsonl"]
    files["scores_flat.csv"] = FLAT + b"3,eleuther_acts_top20,org/x,0.55,,0.01\n"
    found = read_files(files)
    assert found.problems == ()
    rows = found.experiment.scores.select("method", "scorer", "value", "label").rows()
    assert rows == [
        ("eleuther_acts_top5", "detection", 0.55, "Birds"),
        ("eleuther_acts_top5", "embedding", 0.01, "Birds"),
    ]
    for note in ("eleuther_acts_top20", "scores_flat.csv"):
        assert baez_reader.NOTES[note] in found.notes


def test_a_true_top_twenty_keeps_its_name(experiment: Experiment) -> None:
    method = pl.lit("eleuther_acts_top20")
    labels = experiment.labels.with_columns(method=method)
    changed = replace(
        experiment, labels=labels, scores=experiment.scores.with_columns(method=method)
    )
    found = read(baez.packed(changed))
    assert set(found.experiment.labels["method"]) == {"eleuther_acts_top20"}
    assert set(found.experiment.scores["method"]) == {"eleuther_acts_top20"}
    assert found.notes == ()


def test_scores_of_a_true_top_twenty_are_its_own() -> None:
    files = of_the_post()
    made = {**KEY, "index": 3, "explanation_model": "org/x", "result": {"explanation": "Wings"}}
    files["labels.jsonl"] += _jsonl({**made, "method": "eleuther_acts_top20"})
    del files["scores.jsonl"]
    files["scores_flat.csv"] = FLAT + b"3,eleuther_acts_top20,org/x,0.55,,\n"
    found = read_files(files).experiment.scores
    assert found.select("method", "label").rows() == [("eleuther_acts_top20", "Wings")]


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
    found = read_files(files)
    told = [(each.file, each.line, each.field) for each in found.problems]
    assert told == [
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
    shown = [str(each) for each in found.problems]
    assert shown[1].startswith("labels.jsonl, line 4: is not JSON")
    assert shown[5] == "labels.jsonl, line 8: `method` is missing"
    same(found.experiment, replace(experiment, evidence=experiment.evidence[:1]))


def test_a_missing_file_costs_only_what_it_held(experiment: Experiment) -> None:
    for gone in ("nla_examples.jsonl", "labels.jsonl", "scores.jsonl"):
        files = baez.files(experiment)
        del files["scores_flat.csv"]
        del files[gone]
        found = read_files(files)
        assert [str(each) for each in found.problems] == [f"{gone}: is not there"]
        assert found.experiment.evidence == experiment.evidence


@pytest.mark.parametrize("path", ["../../secret.json", "/etc/passwd", "raw/../../secret.json"])
def test_no_path_in_a_file_is_followed(experiment: Experiment, path: str) -> None:
    files = baez.files(experiment)
    files[path] = files["raw/feature_7.json"].replace(b'" b"', b'"secret"')
    named = files["features.jsonl"].replace(b"raw/feature_7.json", path.encode())
    found = read_files(files | {"features.jsonl": named})
    assert found.experiment.evidence == experiment.evidence
    assert [each.field for each in found.problems] == ["raw_path"]


def test_method_names_lead_nowhere(experiment: Experiment) -> None:
    distances = experiment.distances.with_columns(method=pl.lit("../../../x"))
    files = baez.files(replace(experiment, distances=distances))
    assert not [name for name in files if ".." in name.split("/")]
    assert all(name.count("/") == name.startswith("raw/") for name in files)
    assert read_files(files).experiment.distances["method"].to_list() == ["../../../x"]


def test_what_is_no_experiment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (b"PK nonsense", b"", baez_pack({"a.txt": b""})):
        with pytest.raises(FormatError):
            read(source)
    monkeypatch.setattr("backend.labels.interchange.records.LIMIT", 1000)
    with pytest.raises(FormatError, match="more than"):
        read(baez_pack({"labels.jsonl": b" " * 1001}))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_damage_is_more_than_a_named_problem(data: st.DataObject) -> None:
    """Bytes lost or changed anywhere in any file of the post's folder."""
    files = of_the_post()
    name = data.draw(st.sampled_from(sorted(files)))
    first = data.draw(st.integers(0, len(files[name])))
    last = data.draw(st.integers(first, min(len(files[name]), first + 20)))
    files[name] = files[name][:first] + data.draw(st.binary(max_size=5)) + files[name][last:]
    read_files(files)
    packed = baez_pack(of_the_post())
    place = data.draw(st.integers(0, len(packed) - 1))
    damaged = packed[:place] + data.draw(st.binary(min_size=1, max_size=8)) + packed[place + 1 :]
    with contextlib.suppress(FormatError):
        read(damaged)
