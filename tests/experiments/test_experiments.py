"""Experiments: sampled, labelled, judged, stopped, gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pytest

from backend import queries, run
from backend.experiments import experiment as experiments
from backend.experiments import judge_calibration
from backend.experiments.views import Experiment
from backend.features.examples import peaks
from backend.labels import subjects
from backend.labels.evidence import LEAST
from backend.labels.judges import Question, Verdicts
from backend.labels.subjects import Sampling, features_of
from backend.models import embedder as embedders
from backend.schema import (
    Cancelled,
    LlmUnavailableError,
    NotFoundError,
    Plan,
    Progress,
    Study,
)
from tests.helpers.experimenting import PLAN, Knows, Scripted, experiment, scripted, truth_of

# ---------------------------------------------------------------- the sample and the plan


def test_sampled_features_fire_often_enough_and_each_seed_draws_its_own(study: Study) -> None:
    subject = features_of(study)
    one, repeated = experiments.sample(subject, PLAN), experiments.sample(subject, PLAN)
    assert one == repeated
    assert len(one) == PLAN.features
    assert all(len(peaks(subject.source.column(n), subject.tokens)[0]) >= LEAST for n in one)
    others = [experiments.sample(subject, Plan(features=5, seed=seed)) for seed in range(1, 5)]
    assert any(other != one for other in others)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (Plan(methods=("guess",)), "a method 'guess'"),
        (Plan(scorers=("taste",)), "a scorer 'taste'"),
        (Plan(methods=()), "Nothing is asked"),
        (Plan(features=1), "on 1 feature\\."),
        (Plan(window=0), "window of 0"),
        (Plan(marks="post", negatives="silent"), "negatives of other features"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(study: Study, wrong: Plan, problem: str) -> None:
    with pytest.raises(NotFoundError, match=problem):
        queries.estimate_cost(study.name, wrong)


# ---------------------------------------------------------------- running


def test_a_judge_that_knows_scores_one_and_a_blind_one_half(study: Study) -> None:
    plan = Plan(methods=("token_frequency",), scorers=("detection", "fuzzing"), features=5)
    truth = truth_of(study, plan)
    right = queries.experiment(
        study.name, experiment(study, plan, scripted(study, Scripted(), Knows(truth)))
    )
    assert isinstance(right, Experiment)
    assert right.means.filter(pl.col("of") == "label")["mean"].to_list() == [1.0, 1.0]
    blind = Knows({})
    blind.name = "blind"
    nothing = queries.experiment(
        study.name, experiment(study, plan, scripted(study, Scripted(), blind))
    )
    assert isinstance(nothing, Experiment)
    assert set(nothing.means["mean"]) == {0.5}
    half = Knows(truth, fails=10)
    half.name = "fails"
    failing = queries.experiment(
        study.name, experiment(study, plan, scripted(study, Scripted(), half))
    )
    assert isinstance(failing, Experiment)
    scored = failing.scores.filter((pl.col("of") == "label") & pl.col("value").is_not_null())
    assert set(scored["value"]) == {1.0}
    assert set(failing.scores["failures"]) == {10}


def test_every_label_is_judged_beside_its_controls(study: Study) -> None:
    name = experiment(
        study, PLAN, scripted(study, Scripted(fails=2), Knows(truth_of(study, PLAN)), workers=4)
    )
    view = queries.experiment(study.name, name)
    assert isinstance(view, Experiment)
    assert len(view.labels) == 5 * 3
    failed = view.labels.filter(pl.col("failed") != "")
    assert len(failed) >= 1
    assert not set(failed["text"]) - {""}
    keys = ["feature", "method"]
    score_keys = view.scores.filter(pl.col("of") == "label").select(keys).unique()
    label_keys = view.labels.filter(pl.col("failed") == "").select(keys)
    assert set(score_keys.rows()) == set(label_keys.rows())
    own = view.scores.filter(pl.col("of") == "shuffled").join(
        view.labels.select("feature", "method", "text"), on=keys, how="left"
    )
    assert len(own)
    assert set(view.scores["of"]) == {"label", "shuffled", "empty"}
    assert set(view.differences["scorer"]) >= {"detection", "fuzzing", "embedding"}
    assert set(view.controls["control"]) == {"random", "other"}
    assert (view.controls["features"] == 5).all()
    assert (view.distances["distance"] >= 0).all()


def test_hard_negatives_are_silent_and_nearest_to_train(study: Study) -> None:
    plan = Plan(methods=("token_frequency",), scorers=("detection",), features=3, negatives="hard")
    view = queries.experiment(
        study.name, experiment(study, plan, scripted(study, Scripted(), Knows({})))
    )
    assert isinstance(view, Experiment)
    assert set(view.scores["kind"]) == {"hard"}
    subject, encoder = features_of(study), embedders.load(study.embedder, "cpu")
    sampling = subjects.sampling_of(plan, study.embedder)
    for number in set(view.labels["feature"].to_list()):
        sample = subject.draw(number, sampling)
        assert all(not any(one.values) for one in sample.negatives)
        middle = encoder.embed([one.text for one in sample.train]).mean(axis=0)
        cosines = encoder.embed([one.text for one in sample.negatives]) @ middle
        silent = subject.draw(number, Sampling(negatives="silent")).negatives
        assert cosines.tolist() == pytest.approx(sorted(cosines.tolist(), reverse=True), abs=1e-5)
        assert cosines.mean() >= (encoder.embed([one.text for one in silent]) @ middle).mean()
        result = queries.comparison(study.name, view.run, number)
        assert len(result.items) == 2 * len(sample.negatives)
        with run.looking(), pytest.raises(NotFoundError, match="not been computed"):
            subject.draw(number, replace(sampling, seed=99))


def test_a_stopped_run_keeps_what_was_asked_and_goes_on(study: Study) -> None:
    plan = Plan(methods=("eleuther_acts_top5",), scorers=("embedding",), features=5, seed=7)
    first = Scripted(stops=3)
    with pytest.raises(LlmUnavailableError, match=r"cap.*3 of 5 are kept, 2 are left"):
        experiment(study, plan, scripted(study, first, Knows({})))
    second = Scripted()
    name = experiment(study, plan, scripted(study, second, Knows({})))
    assert second.asked == 2  # three were paid for already
    third = Scripted()
    assert experiment(study, plan, scripted(study, third, Knows({}))) == name
    assert third.asked == 0


def test_a_cancelled_run_goes_on_where_it_was(study: Study) -> None:
    plan = Plan(methods=("eleuther_acts_top5",), scorers=("detection",), features=5, seed=8)

    class Stop(Progress):
        def report(self, done: float, total: float, message: str, unit: str = "") -> None:
            if message == "Judging labels" and done == 3:
                raise Cancelled

    writer, judge = Scripted(), Knows({})
    with pytest.raises(Cancelled):
        experiment(study, plan, scripted(study, writer, judge), Stop())
    writes, judgements = writer.asked, judge.asked
    experiment(study, plan, scripted(study, writer, judge))
    assert writer.asked == writes
    assert judge.asked == judgements + 5 * 3 - 3


class Reads:
    """Says that a text fits where it holds the quoted word; fails on the first."""

    name = "reads"

    def judge(self, questions: Sequence[Question]) -> list[Verdicts]:
        words = [one.label.split('"')[1] for one in questions]
        return [
            Verdicts((None, *(int(word in text.casefold()) for text in one.texts[1:])))
            for one, word in zip(questions, words, strict=True)
        ]


def test_a_judge_is_tested_where_the_answer_is_known(study: Study) -> None:
    requests = judge_calibration.questions(features_of(study).tokens, 12, seed=1)
    assert len(requests) == judge_calibration.WORDS
    for question, truth in requests:
        assert sum(truth) == judge_calibration.EACH
        word = question.label.split('"')[1]
        holds = [word in text.casefold() for text in question.texts]
        assert all(has for has, true in zip(holds, truth, strict=True) if true)
    for judge, mean, failures in ((Reads(), 1.0, judge_calibration.WORDS), (Knows({}), 0.5, 0)):
        ref = scripted(study, Scripted(), judge).judge
        entry = judge_calibration.calibrate_judge(study.model, study.corpus, ref, 12, 9)
        row = entry.frame("known").row(0, named=True)
        assert row["mean"] == pytest.approx(mean, abs=0.06)
        assert row["failures"] == failures
