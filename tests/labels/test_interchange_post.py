"""The folder of the baez post itself comes in."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from backend.labels import trials
from backend.labels.interchange import baez, baez_reader
from backend.labels.interchange.baez import Experiment
from backend.labels.interchange.baez_reader import read_folder
from tests.helpers.baez import KEY, _jsonl, of_the_post, read_files, small_experiment


@pytest.fixture
def experiment() -> Experiment:
    return small_experiment()


def test_the_posts_folder_is_cut_by_rank_as_its_scripts_cut_it() -> None:
    result = read_files(of_the_post())
    assert result.problems == ()
    (one,) = result.experiment.evidence
    assert [each.strength for each in one.train] == [30, 29, 28, 27, 26]
    assert [each.strength for each in one.test] == list(range(25, 15, -1))
    assert (one.maximum, one.split, one.negatives) == (30, "post", ())
    assert one.train[0].text == "▁the▁birds30"
    assert "no negatives" in one.how
    trials.held_out(one)  # raises where parts seem to share a context
    assert result.experiment.verbalizations.row(1) == (3, 2, "bird 1", 9)


def test_delphi_means_the_top_five_everywhere() -> None:
    result = read_files(of_the_post())
    created = result.experiment
    assert created.labels["method"].to_list() == ["eleuther_acts_top5", "baez"]
    assert set(created.scores["method"]) == {"eleuther_acts_top5"}
    assert created.distances.row(0) == (3, "baez", "eleuther_acts_top5", "wings", "Birds", 0.25)
    assert baez_reader.NOTES["delphi"] in result.notes


def test_what_the_post_could_not_parse_is_a_failure() -> None:
    result = read_files(of_the_post())
    failed = result.experiment.labels.row(1, named=True)
    assert (failed["text"], failed["failed"]) == ("", "Explanation could not be parsed.")
    assert any("are failures" in note for note in result.notes)


def test_the_posts_scores_claim_no_more_than_it_kept() -> None:
    scores = read_files(of_the_post()).experiment.scores
    error = scores.select("scorer", "value", "n", "judge", "label").rows()
    assert error[:2] == [
        ("detection", 0.55, 20, "org/y", "Birds"),
        ("fuzzing", 0.5, 20, "org/y", "Birds"),
    ]
    assert error[2][:2] == ("embedding", 0.01)
    assert scores.select("tp", "failures", "low", "high", "seed").null_count().row(0) == (3,) * 5


FLAT = b"index,method,explanation_model,detection_accuracy,fuzz_accuracy,embedding_gap\n"


def test_its_analysis_calls_the_top_five_top_twenty() -> None:
    files = of_the_post()
    del files["scores.jsonl"]
    files["scores_flat.csv"] = FLAT + b"3,eleuther_acts_top20,org/x,0.55,,0.01\n"
    result = read_files(files)
    assert result.problems == ()
    rows = result.experiment.scores.select("method", "scorer", "value", "label").rows()
    assert rows == [
        ("eleuther_acts_top5", "detection", 0.55, "Birds"),
        ("eleuther_acts_top5", "embedding", 0.01, "Birds"),
    ]
    for note in ("eleuther_acts_top20", "scores_flat.csv"):
        assert baez_reader.NOTES[note] in result.notes


def test_a_true_top_twenty_keeps_its_name(experiment: Experiment) -> None:
    method = pl.lit("eleuther_acts_top20")
    labels = experiment.labels.with_columns(method=method)
    changed = replace(
        experiment, labels=labels, scores=experiment.scores.with_columns(method=method)
    )
    result = read_folder(baez.packed(changed))
    assert set(result.experiment.labels["method"]) == {"eleuther_acts_top20"}
    assert set(result.experiment.scores["method"]) == {"eleuther_acts_top20"}
    assert result.notes == ()


def test_scores_of_a_true_top_twenty_are_its_own() -> None:
    files = of_the_post()
    created = {**KEY, "index": 3, "explanation_model": "org/x", "result": {"explanation": "Wings"}}
    files["labels.jsonl"] += _jsonl({**created, "method": "eleuther_acts_top20"})
    del files["scores.jsonl"]
    files["scores_flat.csv"] = FLAT + b"3,eleuther_acts_top20,org/x,0.55,,\n"
    result = read_files(files).experiment.scores
    assert result.select("method", "label").rows() == [("eleuther_acts_top20", "Wings")]
