"""The Tiers page."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from backend import queries
from backend.experiments.views import Run
from backend.schema import Job, Plan, Study, Thresholds, TierSpec
from backend.tiers.views import TIER
from components.shell import address
from components.tiers import charts as tier_charts
from components.tiers import inspector as tier_inspector
from components.tiers import table as shown_tiers
from components.tiers.check import latest
from tests.helpers.decisions import decision
from tests.helpers.pages import opened, text_of
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
