"""Features by tier: the protocol, and what a study answers."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import queries
from backend.__main__ import main
from backend.schema import Job, NotFoundError, Study, Thresholds, Tier, TierSpec
from backend.tiers import answers as tier_answers
from backend.tiers import assignment
from components.shell import downloads
from tests.tiers.conftest import NAMES, SPEC, WINDOWS


def test_tiers_follow_the_protocol() -> None:
    nan = float("nan")
    cases = [
        ((0.5, 0.1, 0.9), Tier.INPUT),
        ((0.1, 0.5, 0.9), Tier.OUTPUT),
        ((0.5, 0.6, 0.0), Tier.OUTPUT),  # .6 exceeds .4 by more than .5 exceeds .4
        ((0.4, 0.0, 0.0), Tier.INPUT),  # at τ
        ((0.39, 0.39, 0.4), Tier.CROSS),
        ((0.39, 0.39, 0.39), Tier.OBSCURE),
        ((nan, 0.5, 0.0), Tier.OUTPUT),
        ((0.5, nan, nan), Tier.INPUT),
        ((0.1, nan, nan), Tier.OBSCURE),
        ((nan, nan, nan), Tier.UNSCORED),
    ]
    rho = np.array([values for values, _ in cases])
    result = assignment.assign(rho.T, Thresholds(0.4, 0.4, 0.4))
    assert result.tolist() == [tier for _, tier in cases]
    far = assignment.margin(rho.T, Thresholds(0.4, 0.4, 0.4))
    expected = [0.1, 0.1, 0.2, 0, 0, 0.01, 0.1, 0.1, 0.3]
    assert far[:-1].tolist() == pytest.approx(expected)
    assert np.isnan(far[-1])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_agreement_is_less_what_chance_gives(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs).T
    same, kappa = assignment.agreement(one, other)
    both = (one > 0) & (other > 0)
    if not both.any():
        assert np.isnan(same)
        return
    assert same == pytest.approx((one[both] == other[both]).mean())
    if len(set(one[both]) | set(other[both])) > 1:
        chance = sum((one[both] == tier).mean() * (other[both] == tier).mean() for tier in Tier)
        assert kappa == pytest.approx((same - chance) / (1 - chance), abs=1e-12)


def test_a_study_is_sorted_and_another_threshold_needs_no_job(sorted_study: Study) -> None:
    name = sorted_study.name
    result = queries.tiers(name, SPEC, Thresholds(0.3, 0.3, 0.3))
    assert not isinstance(result, Job)
    rho = [result.table[window].to_numpy() for window in WINDOWS]
    expected = assignment.assign(rho, Thresholds(0.3, 0.3, 0.3))
    assert result.table["tier"].to_list() == [Tier(tier).title for tier in expected]
    assert list(result.counts.values()) == np.bincount(expected, minlength=5).tolist()
    assert list(result.counts) == NAMES
    strict = queries.tiers(name, SPEC, Thresholds(2.0, 2.0, 2.0))
    assert not isinstance(strict, Job)
    assert strict.counts["3 obscure"] == sum(strict.counts.values()) - strict.counts["unscored"]
    obscure = tier_answers.of_tier(sorted_study, Tier.OBSCURE, SPEC, Thresholds(0.3, 0.3, 0.3))
    assert sorted(obscure.tolist()) == np.flatnonzero(expected == Tier.OBSCURE).tolist()
    margin = result.table["margin"].to_numpy()[obscure]
    assert (np.diff(margin) >= 0).all()


def test_files_and_terminals_name_tiers_as_the_screen_does(
    sorted_study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    table = queries.tiers(sorted_study.name, SPEC)
    assert not isinstance(table, Job)
    profile = queries.tier_profile(sorted_study.name, SPEC)
    assert profile["tier"].to_list()[:5] == NAMES
    for frame in (table.table, profile):
        expected = frame["tier"].cast(pl.String).to_list()
        csv = pl.read_csv(downloads.csv_bytes(frame), schema_overrides={"tier": pl.String})
        parquet = pl.read_parquet(downloads.parquet_bytes(frame))
        assert csv["tier"].to_list() == parquet["tier"].cast(pl.String).to_list() == expected
    spec = json.dumps({"count": 5, "input": 1, "output": 1, "cross": 5})
    assert main(["tiers", "--study", sorted_study.name, "--spec", spec, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [row["tier"] for row in printed["table"]] == table.table["tier"].to_list()
    assert printed["counts"] == table.counts


def test_evidence_holds_the_windows_that_were_scored(sorted_study: Study) -> None:
    evidence = queries.tier_evidence(sorted_study.name, 20, SPEC)
    assert not isinstance(evidence, Job)
    table = queries.tiers(sorted_study.name, SPEC)
    assert not isinstance(table, Job)
    for row in evidence.rho.iter_rows(named=True):
        assert row["rho"] == pytest.approx(table.table[row["window"]][20])
        assert 0 <= row["below"] <= 1
    assert list(evidence.strengths) == sorted(evidence.strengths, reverse=True)
    for example in evidence.examples:
        up_to, _, around = example
        assert up_to.text.endswith(up_to.peak)
        assert up_to.text in around.text


def test_wrong_questions_are_told(study: Study) -> None:
    for spec, word in ((TierSpec(count=7), "examples"), (TierSpec(input=3), "input")):
        with pytest.raises(NotFoundError, match=word):
            queries.tiers(study.name, spec)
    with pytest.raises(NotFoundError, match="output"):
        queries.tiers(study.name, TierSpec(output=0))
