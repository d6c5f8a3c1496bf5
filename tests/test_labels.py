"""Labels of a feature and their scores, from study to page."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from backend import queries
from backend import study as studies
from backend.answers import labels, tasks
from backend.labels.evidence import LEAST
from backend.schema import NotFoundError, Progress
from backend.views import LabelScores
from tests.test_pages import html_of, opened, text_of


@pytest.fixture
def feature(ready: str) -> int:
    """One that fires in about half of the contexts, so that there are others to tell it from."""
    table = queries.wait(lambda: queries.features(ready)).table
    contexts = queries.wait(lambda: queries.overview(ready)).contexts
    fit = table.filter(pl.col("contexts") >= LEAST)
    return int(fit["feature"][int(np.argmin(np.abs(fit["contexts"].to_numpy() - contexts / 2)))])


@pytest.fixture
def scored(ready: str, feature: int) -> LabelScores:
    asked = {"feature": feature, "split": "range", "kind": "other", "seed": 0}
    tasks.resolve("labels")(ready, asked, "cpu", Progress())
    answer = queries.label_scores(ready, feature)
    assert isinstance(answer, LabelScores)
    return answer


def test_every_method_gives_a_label_or_says_why_not(ready: str, feature: int) -> None:
    found = queries.labels(ready, feature)
    assert found.labels["method"].to_list() == list(labels.METHODS)
    for row in found.labels.iter_rows(named=True):
        assert row["detail"]
        assert bool(row["text"]) == (row["n"] > 0)
    assert "held" in found.evidence or "train" in found.evidence
    assert queries.labels(ready, feature).labels.equals(found.labels)


def test_a_feature_that_seldom_fires_has_no_label_and_says_so(ready: str) -> None:
    table = queries.wait(lambda: queries.features(ready)).table
    rare = table.filter(pl.col("contexts") < LEAST)
    assert len(rare)
    found = queries.labels(ready, int(rare["feature"][0]))
    assert not len(found.labels)
    assert str(LEAST) in found.evidence


def test_wrong_names_are_told(ready: str, feature: int) -> None:
    with pytest.raises(NotFoundError, match="range, post"):
        queries.labels(ready, feature, split="whole")
    with pytest.raises(NotFoundError, match="other, silent"):
        queries.labels(ready, feature, negatives="none")
    with pytest.raises(NotFoundError, match="There is no feature"):
        queries.labels(ready, 10**6)


def test_scores_stand_beside_their_controls(scored: LabelScores, feature: int) -> None:
    table = scored.scores
    assert set(table["feature"]) == {feature}
    named = table.filter(pl.col("method") != "")
    assert set(named["of"]) == {"label", "shuffled"}
    assert set(named["method"]) == set(labels.METHODS)
    assert set(table.filter(pl.col("method") == "")["of"]) == {"empty"}
    counts = table.group_by("scorer").len()["len"].unique().to_list()
    assert counts == [2 * len(labels.METHODS) + 1]
    known = table.drop_nulls("value")
    assert len(known)
    assert (known["low"] <= known["value"]).all()
    assert (known["value"] <= known["high"]).all()
    assert set(table["split"]) == {"range"}
    judged = table.filter(pl.col("scorer") == "detection")
    assert (judged["n"] + judged["failures"] == 2 * judged["n"].max() // 2).all()


def test_the_same_question_gives_the_same_scores(
    ready: str, scored: LabelScores, feature: int
) -> None:
    study = studies.load(ready)
    arguments = study.model, study.site, study.corpus, study.sae, study.embedder
    again = labels.score.function(
        *arguments, feature, "range", "other", 0, device="cpu", progress=Progress()
    )
    assert again["scores"].equals(scored.scores)


@pytest.mark.usefixtures("scored")
def test_the_page_shows_labels_scores_and_controls(ready: str, feature: int) -> None:
    app = opened("features", feature=feature)
    said = html_of(app).replace("<wbr>", "")
    for method in labels.METHODS:
        assert method in said
    assert "another feature's label" not in html_of(app)
    app.button(key="score-labels").click().run()
    said = text_of(app)
    assert "another feature" in said
    assert "chance" in said
    assert app.query_params["scored"]
    assert ready
