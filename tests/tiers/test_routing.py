"""Each tier is labelled by its route; studies and labels side by side, tier by tier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from backend import queries, run
from backend.experiments import experiment
from backend.labels.subjects import features_of, models_of, wordings_of
from backend.labels.words import LabelRequest
from backend.schema import Job, Plan, Progress, Study, Thresholds
from backend.tiers import answers as tier_answers
from backend.tiers import routing
from backend.tiers.words import RoutePlan
from tests.tiers.conftest import SPEC, WINDOWS


def test_tiers_are_labelled_by_their_route(
    unlabelled_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, low = unlabelled_study.name, Thresholds(2.0, 2.0, -1.0)  # all that is scored is cross
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    plan = RoutePlan(most=2)
    quote = queries.estimate_route_cost(name, SPEC, low, plan)
    assert (quote.features, quote.calls) == (2, 2)
    job = queries.route(name, SPEC, low, plan)
    assert isinstance(job, Job)
    numbers = routing.numbers(unlabelled_study, SPEC, low, 2)
    with run.computing("cpu", Progress()):
        queries.route(name, SPEC, low, plan)
    result = queries.tier_labels(name, SPEC, low)
    assert not isinstance(result, Job)
    assert set(result["method"]) <= {"eleuther_acts_top5"}
    routed = queries.route(name, SPEC, low, plan)
    assert not isinstance(routed, Job)
    assert routed.filter(method="eleuther_acts_top5").equals(result)
    for number in numbers:  # asked, whether or not such a small model had a label
        answer = queries.labels(name, LabelRequest(number))
        assert not isinstance(answer, Job)
        assert answer.labels.filter(method="eleuther_acts_top5")["known"].item()
    first = queries.tier_labels(name, SPEC, Thresholds(-1.0, 2.0, 2.0))
    assert not isinstance(first, Job)
    assert set(first["method"]) == {"token_frequency_input"}
    assert len(first) > 20
    queries.cancel(job.id)


SIDES = {"1 input": ("token ", "after "), "1 output": ("say ",)}


@pytest.mark.parametrize("query", ["route", "tier_labels"])
def test_no_label_of_tier_1_is_of_the_other_kind(unlabelled_study: Study, query: str) -> None:
    name = unlabelled_study.name
    table = queries.tiers(name, SPEC)
    assert not isinstance(table, Job)
    middle = Thresholds(*(float(table.table[w].fill_nan(None).median()) for w in WINDOWS))
    nothing = Thresholds(middle.input, middle.output, 2.0)  # no model is asked
    with run.computing("cpu", Progress()):
        queries.route(name, SPEC, nothing)
    labels = getattr(queries, query)(name, SPEC, nothing)
    table = queries.tiers(name, SPEC, nothing)
    assert not isinstance(table, Job)
    counts = dict.fromkeys(SIDES, 0)
    for row in labels.join(table.table, on="feature").iter_rows(named=True):
        assert (row["label"] == "") == (row["failed"] != "")
        if row["label"]:
            assert row["label"].startswith(SIDES[row["tier"]])
            counts[row["tier"]] += 1
    assert min(counts.values()) > 5
    counted = features_of(unlabelled_study).source.frequent()
    first = table.table.filter(pl.col("tier").is_in(list(SIDES)))["feature"].to_list()
    assert set(labels["feature"]) == set(first) & set(counted.tolist())


def test_the_profile_has_every_study_of_the_model(
    sorted_study: Study, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    text = (world / "studies" / "small.toml").read_text()
    (folder / "small.toml").write_text(text)
    (folder / "broken.toml").write_text("title = 1")
    (folder / "later.toml").write_text(text.replace("layer = 2", "layer = 3"))
    monkeypatch.setenv("TESSERA_STUDIES", str(folder))
    result = queries.tier_profile("small", SPEC)
    assert result["study"].unique(maintain_order=True).to_list() == ["small", "later"]
    assert result["layer"].unique(maintain_order=True).to_list() == [2, 3]
    here = result.filter(pl.col("study") == "small")
    assert here["count"].sum() == 64
    assert here["share"].sum() == pytest.approx(1)
    assert result.filter(pl.col("study") == "later")["count"].null_count() == 5


def test_an_experiment_has_as_many_features_of_each_tier(
    sorted_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = queries.tiers(sorted_study.name, SPEC)
    assert not isinstance(table, Job)
    parts = (table.table[window].to_numpy() for window in ("input", "output", "cross"))
    middle = Thresholds(*(float(np.nanquantile(rho, 0.7)) for rho in parts))
    plan = queries.plan_by_tier(sorted_study.name, SPEC, middle, each=2)
    scores = tier_answers.correlations(sorted_study, SPEC)
    counts = np.bincount(scores.assign(middle)[list(plan.among)], minlength=5)
    assert counts[0] == 0
    assert counts.max() == 2
    assert experiment.sample(features_of(sorted_study), plan) == list(plan.among)


def test_scores_by_tier_are_means_over_its_features(sorted_study: Study) -> None:
    subject, models = features_of(sorted_study), models_of(sorted_study, "own")
    plan = Plan(methods=("token_frequency",), scorers=("embedding",), features=6)
    entry = experiment.run(subject, plan, models, wordings_of(plan))
    result = queries.labels_by_tier(sorted_study.name, entry.digest, SPEC)
    table = queries.tiers(sorted_study.name, SPEC)
    assert not isinstance(result, Job)
    assert not isinstance(table, Job)
    whole = entry.frame("scores").filter(pl.col("scorer") == "embedding_auroc")
    for row in result.iter_rows(named=True):
        part = whole.filter(
            (pl.col("method") == row["method"])
            & (pl.col("of") == row["of"])
            & pl.col("feature").map_elements(
                lambda n, row=row: table.table["tier"][n] == row["tier"], return_dtype=pl.Boolean
            )
        )
        assert row["mean"] == pytest.approx(part["value"].mean())
        assert row["features"] == part["feature"].n_unique()
