"""Features of known kind, and what they say of the tiers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score

from backend import queries, query, run
from backend.corpus.contexts import Tokens, tokenize
from backend.models import language_model
from backend.schema import CorpusError, Job, Progress, Study, Thresholds, Tier, TierSpec, Window
from backend.store.memo import Entry
from backend.study import loading as studies
from backend.tiers import check as tier_check
from backend.tiers import planted, windows
from backend.tiers.views import TierCheck
from backend.tiers.windows import PeakSet
from backend.tiers.words import COUNTS
from tests import conftest
from tests.helpers.embedders import Words
from tests.tiers.conftest import tier_of

pytestmark = pytest.mark.model
EACH, NEAR = 5, 10  # planted features of a kind, documents of a topic


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """The small world with texts enough to plant in, and its tiers checked."""
    root = tmp_path_factory.mktemp("large")
    conftest.write_world(root, documents=60)
    with conftest.environment(root), pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows.embedders, "load", lambda ref, device: Words())
        patch.setattr(planted, "EACH", EACH)
        patch.setattr(planted, "NEAR", NEAR)
        patch.setattr(tier_check, "SAMPLE", 20)
        study = studies.load("small")
        with run.computing("cpu", Progress()):
            queries.tier_check("small")
        yield study


@pytest.fixture
def checked(large: Study) -> TierCheck:
    result = queries.tier_check(large.name)
    assert isinstance(result, TierCheck)
    return result


def planted_in(study: Study, which: int) -> tuple[Entry, Tokens, np.ndarray]:
    result = planted.plant(study.model, study.corpus, which)
    return result, Tokens(tokenize(study.model, study.corpus)), result.array("rows")


# ---------------------------------------------------------------- planted features


def test_planted_features_are_what_they_are_said_to_be(large: Study) -> None:
    """But for a tenth of strays. `near`: how far from the peak the word is."""
    pieces = language_model.vocabulary(large.model).frame("pieces")["text"].to_numpy()
    for which in (0, 1):
        result, tokens, rows = planted_in(large, which)
        table = result.frame("planted")
        assert table["kind"].to_list() == np.repeat(planted.KINDS, EACH).tolist()
        for (kind, word), row in zip(table.iter_rows(), rows, strict=True):
            there = row[row >= 0]
            if kind in (Tier.INPUT, Tier.OUTPUT):
                near = there + (kind == Tier.OUTPUT)
                share = np.mean(pieces[tokens.ids[np.minimum(near, len(tokens) - 1)]] == word)
            else:
                topics = np.array(tokens.documents["topic"])[tokens.document_of[there]]
                share = max(np.mean(topics == topic) for topic in conftest.SUBJECTS)
            assert (share > 0.7) == (kind != Tier.OBSCURE)


def test_the_sets_share_neither_word_nor_topic(large: Study) -> None:
    words, documents = [], []
    for which in (0, 1):
        result, tokens, _ = planted_in(large, which)
        words.append(set(result.frame("planted")["word"]) - {""})
        rows = np.concatenate(planted._topics(tokens, which))
        documents.append(set(tokens.document_of[rows].tolist()))
    assert len(words[0]) == len(words[1]) == 2 * EACH
    assert not words[0] & words[1]
    assert not documents[0] & documents[1]


def test_planting_needs_a_corpus_that_is_large_enough(ready: str) -> None:
    study = studies.load(ready)
    with pytest.raises(CorpusError, match="Read more of it"):
        planted.plant(study.model, study.corpus, 0)


def test_f1_and_confusion_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true, result = rng.integers(1, 5, 200), rng.integers(0, 5, 200)
    for tier in planted.KINDS:
        expected = f1_score(true == tier, result == tier)
        assert planted.f1(true, result, tier) == pytest.approx(expected)
    table = planted.confusion(true, result)
    for row in table.iter_rows(named=True):
        count = ((true == tier_of(row["kind"])) & (result == tier_of(row["tier"]))).sum()
        assert (row["count"], row["of"]) == (count, (true == tier_of(row["kind"])).sum())
        assert row["low"] <= row["share"] <= row["high"]


def test_what_separates_the_kinds_is_chosen() -> None:
    """ρ is noise but for one window of each kind: these are found, with τ in the gap."""
    rng = np.random.default_rng(1)
    kinds = np.repeat([int(kind) for kind in planted.KINDS], 12)
    telling = {Window(-1, 0): Tier.INPUT, Window(1, 5): Tier.OUTPUT, Window(-10, 10): Tier.CROSS}
    scored = {
        (window, count): rng.uniform(0, 0.2, len(kinds))
        + 0.6 * ((kinds == telling.get(window, 99)) & (count == 10))
        for window in (*planted.INPUTS, *planted.OUTPUTS, *planted.CROSSES)
        for count in COUNTS
    }
    result = planted.choose(kinds, scored)
    assert result.spec == TierSpec(10, 1, 5, 10)
    assert result.f1 == 1
    assert 0.2 < result.thresholds.input < 0.6
    assert 0.2 < result.thresholds.cross < 0.6


# ---------------------------------------------------------------- what the page shows


def test_the_check_is_of_the_other_set(large: Study, checked: TierCheck) -> None:
    """What the check shows is what one finds by sorting the second set by hand."""
    result, _, _ = planted_in(large, 1)
    spec, tau = TierSpec(), Thresholds()
    rho = [
        np.asarray(
            windows.scores(
                PeakSet(result, large.model, large.corpus, large.embedder), window, spec.count
            ).array("plain")
        )
        for window in spec.windows
    ]
    one, other, cross = (np.nan_to_num(r, nan=-9) for r in rho)
    tier = np.where(cross >= tau.cross, Tier.CROSS, Tier.OBSCURE)
    first = (one >= tau.input) | (other >= tau.output)
    tier = np.where(first, np.where(other - tau.output > one - tau.input, 2, 1), tier)
    kinds = np.repeat(planted.KINDS, EACH)
    for row in checked.confusion.filter(tier="1 input").iter_rows(named=True):
        assert row["count"] == ((kinds == tier_of(row["kind"])) & (tier == Tier.INPUT)).sum()
    for row in checked.kinds.iter_rows(named=True):
        own = tier_of(row["tier"])
        expected = f1_score(kinds == own, tier == own)
        assert row["f1"] == pytest.approx(expected)
        assert row["low"] <= row["f1"] <= row["high"]


def test_what_was_chosen_sorts_the_other_set(large: Study, checked: TierCheck) -> None:
    assert checked.f1 > 0.6, "four kinds at random have .25"
    with run.computing("cpu", Progress()):
        queries.tier_check(large.name, checked.spec)
    best = queries.tier_check(large.name, checked.spec, checked.thresholds)
    assert isinstance(best, TierCheck)
    right = best.confusion.filter(pl.col("kind") == pl.col("tier"))["count"].sum()
    assert right / (4 * EACH) > 0.5


def test_stability_and_opinion_are_of_the_features(large: Study, checked: TierCheck) -> None:
    stable = checked.stability
    assert stable["n"].unique().to_list() == [20]
    assert stable["same"].is_between(0, 1).all()
    assert set(stable["changed"]) == {"count", "input", "output", "cross"}
    table = queries.tiers(large.name)
    assert not isinstance(table, Job)
    for row in checked.opinion.iter_rows(named=True):
        assert row["features"] <= (table.table["tier"] == row["tier"]).sum()
    assert checked.opinion["features"].sum() > 0
    assert checked.opinion["output"].drop_nulls().is_between(0, 1).all()


def test_a_check_is_one_job_that_thresholds_share(
    large: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    spec = TierSpec(weighted=True)
    assert queries.tier_check.look(large.name, spec) is None
    job, other = (queries.tier_check(large.name, spec, Thresholds(tau)) for tau in (0.1, 0.2))
    assert isinstance(job, Job)
    assert isinstance(other, Job)
    assert (job.id, job.query) == (other.id, "tier_check")
    query.compute(job.query, large.name, json.loads(job.arguments), "cpu", Progress())
    assert isinstance(queries.tier_check(large.name, spec, Thresholds(0.2)), TierCheck)
    queries.cancel(job.id)
