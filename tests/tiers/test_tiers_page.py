"""The Tiers page."""

from __future__ import annotations

import html
import math
from dataclasses import replace
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl

import numpy as np
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from backend import queries
from backend.experiments.views import Run
from backend.schema import Job, Plan, Study, Thresholds, TierSpec
from backend.store.views import Provenance
from backend.tiers import assignment
from backend.tiers.views import TIER, TierTable, named
from components.shell import address, status
from components.tiers import charts as tier_charts
from components.tiers import inspector as tier_inspector
from components.tiers import table as shown_tiers
from components.tiers.check import latest
from tests.helpers.decisions import decision
from tests.helpers.pages import html_of, opened, param, text_of
from tests.tiers.conftest import SPEC, compute_tiers

LINK = {"study": "small", "count": 5, "input": 1, "output": 1, "cross": 5}


def test_a_cold_page_says_what_is_computed(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    app = opened("tiers")
    assert "Features of the SAE" in text_of(app)


def test_the_page_sorts_and_shows_the_windows_of_a_feature(sorted_study: Study) -> None:
    app = opened("tiers", **LINK, feature=20, tau_in="0.5")
    text = text_of(app)
    table = queries.tiers(sorted_study.name, SPEC, Thresholds(input=0.5))
    assert not isinstance(table, Job)
    for tier in ("1 input", "1 output", "2 cross", "3 obscure"):
        assert f"{tier} {table.counts[tier]}" in text
    assert "strongest examples, one a document" in text
    assert "Label tiers 1 and 2" in [button.label for button in app.button]
    assert "Check the protocol" in [button.label for button in app.button]
    app.slider(key="tiers:tau_in").set_value(1.0).run()
    app.slider(key="tiers:tau_out").set_value(1.0).run()
    app.slider(key="tiers:tau_cross").set_value(1.0).run()
    assert f"obscure {64 - table.counts['unscored']}" in text_of(app)


def table_of(rho: list[tuple[float, float, float]], thresholds: Thresholds) -> TierTable:
    """Features of known ρ input, output and cross, as the tiers sort them."""
    parts = [np.array(column, dtype=np.float32) for column in zip(*rho, strict=True)]
    columns = dict(zip(("input", "output", "cross"), parts, strict=True))
    frame = pl.DataFrame({"feature": range(len(rho)), **columns}).with_columns(
        named(assignment.assign(parts, thresholds)), margin=assignment.margin(parts, thresholds)
    )
    return TierTable(TierSpec(), thresholds, frame, {}, pl.DataFrame(), cast(Provenance, None))


@pytest.mark.parametrize(
    ("rho", "words"),
    [
        ((0.7, 0.62, 0.0), "ρ input is .20 above it, ρ output .12 above; the larger excess"),
        ((0.6, 0.62, 0.0), "ρ output is .12 above it, ρ input .10 above; the larger excess"),
        ((0.6004, 0.6, 0.0), "ρ input is .1004 above it, ρ output .1000 above; the larger"),
        ((0.7, 0.1, 0.0), "ρ input is .20 above its τ; ρ output does not reach its own."),
        ((math.nan, 0.9, 0.0), "ρ output is .40 above its τ; ρ input does not reach its own."),
        ((0.1, 0.1, 0.8), "ρ cross is .30 above it."),
        ((0.1, 0.1, 0.1), "No ρ reaches its τ."),
        ((math.nan, math.nan, math.nan), "fewer than two examples"),
    ],
)
def test_a_tier_says_why_it_is_that_one(rho: tuple[float, float, float], words: str) -> None:
    whole = table_of([rho], Thresholds(0.5, 0.5, 0.5))
    assert words in tier_inspector.reason(whole, 0)


def test_the_tier_and_its_settings_are_carried_both_ways(sorted_study: Study) -> None:
    table = queries.tiers(sorted_study.name, SPEC, Thresholds(input=0.5))
    assert not isinstance(table, Job)
    for page, other in (("tiers", "features"), ("features", "tiers")):
        app = opened(page, **LINK, feature=20, tau_in="0.5")
        link = next(part for part in html_of(app).split('href="') if part.startswith(f"{other}?"))
        parameters = dict(parse_qsl(html.unescape(link.split('"')[0]).partition("?")[2]))
        assert {
            "feature": "20",
            "tau_in": "0.5",
            "count": "5",
            "cross": "5",
        }.items() <= parameters.items()
        assert str(table.table["tier"][20]) in text_of(app)
        assert tier_inspector.reason(table, 20) in text_of(app)


def test_features_open_without_tiers_and_none_are_asked_for(ready: str) -> None:
    before = len(queries.jobs())
    app = opened("features", feature=20, count=10, input=20)
    assert "Its tier is not computed: Tiers" in text_of(app)
    assert len(queries.jobs()) == before


def test_a_heading_orders_the_list_and_n_and_p_go_through_it(sorted_study: Study) -> None:
    app = opened("tiers", **LINK, sort="output")
    shown = app.dataframe[0].value
    values = shown["output"].dropna().tolist()
    assert values == sorted(values, reverse=True)
    assert shown["output"].tolist()[: len(values)] == values, "those without a score come last"
    assert "by ρ output" in text_of(app)
    app = opened("tiers", **LINK, sort="output", reverse="1")
    rising = app.dataframe[0].value
    assert rising["output"].tolist()[: len(values)] == values[::-1]
    assert "by ρ output, reversed" in text_of(app)
    first, second = rising["feature"].tolist()[:2]
    app = opened("tiers", **LINK, sort="output", reverse="1", feature=int(first))
    next(button for button in app.button if button.label == "Next").click().run()
    assert param(app, "feature") == str(second)


def test_the_experiment_by_tier_has_an_estimate(sorted_study: Study) -> None:
    plan = queries.plan_by_tier(sorted_study.name, SPEC, Thresholds(), 15)
    words = status.estimate_words(queries.run_experiment.estimate(sorted_study.name, plan))
    assert text_of(opened("tiers", **LINK)).count(words) >= 1


def test_wrong_links_are_told(sorted_study: Study) -> None:
    app = opened("tiers", fine=False, study="small", count=7)
    assert "Tiers cannot stand on 7 examples" in text_of(app)
    app = opened("tiers", fine=False, **LINK, feature=10**6)
    assert "There is no feature 1000000" in text_of(app)
    for name, value in (("tau_in", "much"), ("tau_out", "inf"), ("tau_cross", "nan")):
        app = opened("tiers", fine=False, **LINK, **{name: value})
        assert f"The link says {name} = '{value}', not a correlation" in text_shown(app)
        assert app.slider(key=f"tiers:{name}").value == address.SORTED[name].default
    assert "not a correlation" in text_shown(
        opened("queue", fine=False, study="small", tau_in="1.5")
    )


def text_shown(app: AppTest) -> str:
    return html.unescape(text_of(app))


def test_a_label_by_hand_stands_in_the_list_and_the_inspector(
    sorted_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path))
    queries.decide(sorted_study.name, "Ada", [decision(20, "a made-up name")])
    queries.decide(sorted_study.name, "Bob", [decision(20, "another name")])
    app = opened("tiers", **LINK, feature=20)
    listed = next(frame.value for frame in app.dataframe if "margin" in list(frame.value))
    assert len(set(listed["feature"])) == len(listed)
    shown = listed.set_index("feature")["label"]
    assert str(shown[20]) == "a made-up name · by Ada"
    text = text_of(app)
    assert "human a made-up name Ada" in text
    assert "human another name Bob" in text


def test_without_a_server_none_can_be_asked(
    sorted_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TESSERA_LLM_URL", raising=False)
    app = opened("tiers", **LINK, who="server")
    (start,) = (button for button in app.button if button.label == "Label tiers 1 and 2")
    assert start.disabled
    assert "No server is configured" in text_of(app)
    assert (app.number_input(key="tiers:calls").value or 0) > 0  # a cap, before anybody sets one
    app = opened("tiers", **LINK)
    assert not next(b for b in app.button if b.label == "Label tiers 1 and 2").disabled


def test_thresholds_go_back_to_what_was_calibrated(sorted_study: Study) -> None:
    app = opened("tiers", **LINK, tau_in=0.5, tau_cross=0.4)
    app.button(key="defaults").click().run()
    usual = Thresholds()
    values = {str(slider.key).split(":")[1]: slider.value for slider in app.slider}
    shown = [values[name] for name in ("tau_in", "tau_out", "tau_cross")]
    assert shown == [usual.input, usual.output, usual.cross]
    assert app.button(key="defaults").disabled


def test_steps_leave_out_what_has_no_score(
    sorted_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "get", {"tier": "all"}.get)
    table = queries.tiers(sorted_study.name, SPEC)
    assert not isinstance(table, Job)
    lost = pl.col("feature").is_in([3, 20])
    tier = pl.when(lost).then(pl.lit("unscored")).otherwise(pl.lit("1 input"))
    view = replace(table, table=table.table.with_columns(tier=tier.cast(TIER)))
    assert {3, 20} <= set(shown_tiers.listed(view)["feature"])
    assert sorted(shown_tiers.steps(view)) == sorted(set(range(64)) - {3, 20})


@pytest.mark.parametrize(
    ("rho", "tau", "texts"),
    [
        (0.4, 0.29, (".40", ".29", "yes")),
        (0.2854, 0.29, (".285", ".290", "no")),
        (0.05997, 0.06, (".05997", ".06000", "no")),
        (None, 0.29, ("–", ".29", "no")),
    ],
)
def test_digits_tell_on_which_side_it_is(
    rho: float | None, tau: float, texts: tuple[str, str, str]
) -> None:
    assert tier_inspector.against(rho, tau) == texts


def test_whole_contexts_are_shown_and_open_where_they_decided(sorted_study: Study) -> None:
    name, whole = sorted_study.name, TierSpec(count=5, input=1, output=1, cross=0)
    compute_tiers(sorted_study, whole)
    evidence = queries.tier_evidence(name, 20, whole)
    assert not isinstance(evidence, Job)
    for cross, opened_ in ((-1.0, "<details open>"), (2.0, "<details>")):
        table = queries.tiers(name, whole, Thresholds(2.0, 2.0, cross))
        assert not isinstance(table, Job)
        shown = tier_inspector.contexts_html(evidence, table)
        assert opened_ in shown
        assert shown.count('class="passage"') == len(evidence.examples)


def test_an_opened_feature_moves_no_axis(sorted_study: Study) -> None:
    table = queries.tiers(sorted_study.name, SPEC)
    assert not isinstance(table, Job)
    ranges = []
    for feature in (None, 20):
        layout = tier_charts.plane(table, feature).layout
        ranges.append((layout.xaxis.range, layout.yaxis.range))
    assert ranges[0] == ranges[1]
    assert all(low < high for low, high in ranges[0])


def test_the_experiment_that_ended_last_is_shown_first() -> None:
    runs = [
        Run(name, Plan(), "writer", "judge", created, done)
        for name, created, done in (("failed", 9, False), ("old", 1, True), ("new", 5, True))
    ]
    assert latest(runs) == "new"
    assert latest(runs[:1]) == "failed"
