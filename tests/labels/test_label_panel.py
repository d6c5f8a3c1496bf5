"""Labels as a page lists them: one row a text, in the order of what beats its control."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import streamlit as st

from backend import queries
from backend.experiments.label_advantages import advantages
from backend.experiments.single_labels import judged_of
from backend.labels import subjects, tables
from backend.labels.tables import SCORES
from backend.labels.views import ADVANTAGES, METHOD_LABELS, PEAK_TEXTS, Labels
from backend.labels.words import LabelRequest
from backend.schema import Job, Plan
from backend.statistics.intervals import difference_interval
from backend.study import loading as studies
from components.labels import panel
from components.shell import markup
from tests.helpers.jobs import run_job
from tests.helpers.pages import opened, text_of

SCORER = "embedding_auroc"


@pytest.fixture(autouse=True)
def on_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links are written as on Features."""
    monkeypatch.setitem(st.session_state, "address.page", "features")


def score(method: str, label: str, value: float | None, control: str = "label") -> dict[str, Any]:
    empty = dict.fromkeys(SCORES, None)
    ends = {"low": 0.0, "high": 1.0} if value is None else {"low": value - 0.1, "high": value + 0.1}
    return empty | ends | {
        "of": control, "label": label, "feature": 1, "method": method, "scorer": SCORER,
        "judge": "an embedder", "n": 20, "failures": 0, "value": value, "chance": 0.5,
    }  # fmt: skip


def known(labels: list[tuple[str, str]], scores: list[dict[str, Any]]) -> panel.Known:
    rows = [(method, text, "a reason", 5, True) for method, text in labels]
    view = Labels(
        1,
        pl.DataFrame(rows, METHOD_LABELS, orient="row"),
        "drawn so",
        "",
        pl.DataFrame({}, PEAK_TEXTS),
    )
    frame = advantages(pl.DataFrame(scores, schema=SCORES))
    return panel.Known(LabelRequest(1), view, frame)


LABELS = [("token_frequency", "alike"), ("logit_cascade", "better"), ("baez", "alike")]
SCORED = [
    score("token_frequency", "alike", 0.9),
    score("token_frequency", "of another", 0.88, "shuffled"),
    score("logit_cascade", "better", 0.8),
    score("logit_cascade", "of another", 0.4, "shuffled"),
    score("baez", "alike", 0.9),
    score("baez", "of another", 0.88, "shuffled"),
]


def test_what_beats_its_control_stands_first_though_another_scores_higher() -> None:
    groups = panel.grouped(known(LABELS, SCORED))
    assert [group.text for group in groups] == ["better", "alike"]
    assert [panel.worth(group) for group in groups] == [
        "beats its control by embedding AUROC", "not told from its control",
    ]  # fmt: skip


def test_methods_that_gave_the_same_label_share_a_row() -> None:
    view = known(LABELS, SCORED)
    assert panel.grouped(view)[1].methods == ("token_frequency", "baez")
    html = panel.labels_html(view, {"baez": "Reads a verbalizer."})
    assert html.count("<b>alike</b>") == 1
    assert "Reads a verbalizer." in html
    assert "Chance: .50." in html
    assert "1 of 2 scored labels beats its control" in html
    assert 'class="alike"' in html
    assert 'class="apart"' in html


def test_a_person_comes_first_and_what_is_not_scored_last() -> None:
    view = known([*LABELS, ("human", "mine"), ("nla_vector", "late")], SCORED)
    groups = panel.grouped(view)
    assert [group.text for group in groups] == ["mine", "better", "alike", "late"]
    assert (panel.worth(groups[0]), panel.worth(groups[3])) == ("by a person", "not scored")
    assert view.unscored == ["alike", "better", "late"]  # by an embedder alone, or not at all
    assert replace(view, is_complete=True).unscored == []


def test_a_label_without_a_value_or_a_control_claims_nothing() -> None:
    scores = [score("baez", "a", None), score("baez", "x", 0.5, "shuffled")]
    view = known([("baez", "a"), ("nla_vector", "b")], [*scores, score("nla_vector", "b", 0.9)])
    assert not any(panel.beats_control(row) for row in view.advantages.iter_rows(named=True))
    assert "no control" in panel.labels_html(view, {})
    alone = known([("nla_vector", "b")], [score("nla_vector", "b", 0.9)])
    assert panel.worth(panel.grouped(alone)[0]) == "scored, but its control is not"
    assert "whether one fits is not known" in panel.labels_html(alone, {})
    none = known([], [])
    assert "No method found" in panel.best_html(known([("baez", "")], []))
    assert "drawn so" in panel.best_html(none)


def test_one_control_is_judged_for_methods_of_one_label() -> None:
    rows = [
        (number, method, "", text, "", "", 1, None)
        for number, method, text in (
            (1, "baez", "same"), (1, "nla_vector", "same"), (2, "baez", "p"), (2, "nla_vector", "q")
        )
    ]  # fmt: skip
    labels = pl.DataFrame(rows, tables.LABELS, orient="row")
    texts = judged_of(labels, Plan(methods=("baez", "nla_vector")), 1)
    assert [text for _, _, control, text in texts if control == "shuffled"] == ["p", "p"]


def test_the_difference_of_two_intervals_is_that_of_their_sides() -> None:
    assert difference_interval((0.8, 0.7, 0.9), (0.4, 0.3, 0.5)) == pytest.approx(
        (0.4, 0.4 - 0.1 * 2**0.5, 0.4 + 0.1 * 2**0.5)
    )
    assert difference_interval((None, None, None), (0.4, 0.3, 0.5)) == (None, None, None)
    assert difference_interval((0.5, None, None), (0.25, 0.2, 0.3)) == (0.25, None, None)


@pytest.mark.parametrize(
    ("label", "shown"), [('say "␠"', "·"), ('token ".""', ".&quot;"), ("a <b> word", "&lt;b&gt;")]
)
def test_a_quoted_token_is_shown_as_tokens_are(label: str, shown: str) -> None:
    html = markup.label(label)
    assert shown in html
    assert "␠" not in html + markup.plain_label(label)
    assert ("quoted" in html) == label.startswith(("say", "token"))


def test_scores_that_are_kept_stand_on_the_page_without_a_press(
    ready: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    subject = subjects.features_of(studies.load(ready))
    number = next(subject.testable(subject.source.frequent().tolist()))
    request = LabelRequest(number)
    view = queries.labels(ready, request)
    assert isinstance(view, Labels)
    methods = ",".join(view.labels.filter(pl.col("text") != "")["method"])
    answer = queries.label_scores(ready, request, methods)
    if isinstance(answer, Job):
        run_job(ready, answer)
    frame = queries.label_advantages(ready, request)
    assert frame.schema == ADVANTAGES
    assert frame["control"].is_not_null().any()
    app = opened("features", feature=number)
    assert "Label less control" in text_of(app)
    assert "score-labels" not in [button.key for button in app.button]
