"""Labels of a feature or region and their scores, from study to page."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from backend import queries
from backend.features.examples import peaks
from backend.labels import subjects
from backend.labels.evidence import LEAST
from backend.labels.explainers import EXPLAINERS
from backend.labels.views import Labels, LabelScores
from backend.labels.words import LabelRequest
from backend.schema import Job, NotFoundError
from backend.study import loading as studies
from tests.helpers.jobs import run_job
from tests.helpers.pages import html_of, opened, text_of

COUNTING = ("token_frequency", "logit_cascade")


def between(numbers: pl.Series, contexts: pl.Series, whole: int) -> int:
    """One that fires in about half of the contexts, so that there are others to tell it from."""
    return int(numbers[int(np.argmin(np.abs(contexts.to_numpy() - whole / 2)))])


@pytest.fixture
def feature(ready: str) -> int:
    table = queries.wait(lambda: queries.features(ready)).table
    contexts = queries.wait(lambda: queries.overview(ready)).contexts
    fit = table.filter(pl.col("contexts") >= LEAST)
    return between(fit["feature"], fit["contexts"], contexts)


@pytest.fixture
def region(ready: str) -> int:
    subject = subjects.subject_of(studies.load(ready), "region", None, None)
    source = subject.source
    numbers = source.frequent()
    contexts = [len(peaks(source.column(int(n)), subject.tokens)[0]) for n in numbers]
    return between(pl.Series(numbers), pl.Series(contexts), len(subject.tokens.contexts))


def labels(study: str, number: int, kind: str = "feature", **options: object) -> Labels:
    """They are there at once where what is labelled is computed."""
    view = queries.labels(study, LabelRequest(number, kind, **options))
    assert isinstance(view, Labels)
    return view


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)


@pytest.mark.parametrize("kind", ["feature", "region"])
def test_methods_that_count_answer_at_once(
    ready: str, feature: int, region: int, kind: str
) -> None:
    result = labels(ready, feature if kind == "feature" else region, kind)
    assert result.labels["method"].to_list() == list(EXPLAINERS)
    known_rows = result.labels.filter(pl.col("known"))
    assert set(known_rows["method"]) >= set(COUNTING)
    for row in known_rows.iter_rows(named=True):
        assert row["detail"]
        assert bool(row["text"]) == (row["n"] > 0)
    assert "train" in result.evidence


def test_what_seldom_fires_has_no_label_and_says_so(ready: str) -> None:
    table = queries.wait(lambda: queries.features(ready)).table
    never = table.filter(pl.col("contexts") == 0)["feature"][0]
    seldom = table.filter(pl.col("contexts").is_between(1, LEAST - 1))["feature"][0]
    for number, contexts in ((never, 0), (seldom, table["contexts"][seldom])):
        result = labels(ready, number)
        assert not len(result.labels)
        assert f"fires in {contexts} contexts; a label needs {LEAST}" in result.evidence


def test_wrong_names_are_told(ready: str, feature: int) -> None:
    with pytest.raises(NotFoundError, match="range, post"):
        labels(ready, feature, split="whole")
    with pytest.raises(NotFoundError, match="There is no feature"):
        labels(ready, 10**6)
    with pytest.raises(NotFoundError, match="a feature or a region"):
        labels(ready, feature, kind="neuron")
    with pytest.raises(NotFoundError, match="other, silent"):
        queries.label_scores(ready, LabelRequest(feature, negatives="none"), "token_frequency")
    with pytest.raises(NotFoundError, match="a method 'guess'"):
        queries.write_labels(ready, LabelRequest(feature), "guess")


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("kind", ["feature", "region"])
def test_scores_stand_beside_their_controls(
    ready: str, feature: int, region: int, kind: str
) -> None:
    number, methods = feature if kind == "feature" else region, ",".join(COUNTING)
    request = LabelRequest(number, kind)
    answer = queries.label_scores(ready, request, methods)
    if isinstance(answer, Job):
        run_job(ready, answer)
    scored = queries.label_scores(ready, request, methods)
    assert isinstance(scored, LabelScores)
    table = scored.scores
    assert set(table["feature"]) == {number}
    assert set(table.filter(pl.col("method") == "")["of"]) == {"empty"}
    labelled = set(table.filter(pl.col("of") == "label")["method"])
    known_rows = labels(ready, number, kind).labels.filter(pl.col("text") != "")
    assert labelled == set(known_rows["method"]) & set(COUNTING)
    assert set(table.filter(pl.col("of") == "shuffled")["method"]) <= labelled
    rows = table.drop_nulls("value")
    assert (rows["low"] <= rows["value"]).all()
    assert (rows["value"] <= rows["high"]).all()
    scorers = {"detection", "detection_auroc", "fuzzing", "fuzzing_auroc"}
    assert set(table["scorer"]) == scorers | {"embedding", "embedding_auroc"}


@pytest.mark.usefixtures("no_worker")
def test_a_model_that_is_asked_gives_a_label_or_the_reason(ready: str, feature: int) -> None:
    methods = "eleuther_acts_top5,baez"
    run_job(ready, queries.write_labels(ready, LabelRequest(feature), methods))
    result = labels(ready, feature).labels.filter(pl.col("known"))
    assert {"eleuther_acts_top5", "baez"} <= set(result["method"])
    assert all(result["detail"])


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("page", ["features", "regions"])
def test_the_page_shows_labels_and_asks_for_scores(
    ready: str, feature: int, region: int, page: str
) -> None:
    one = page.removesuffix("s")
    app = opened(page, **{one: feature if one == "feature" else region})
    text = html_of(app).replace("<wbr>", "")
    for method in COUNTING:
        assert method in text
    if "control" not in text_of(app):  # no test before has scored them
        app.button(key="score-labels").click().run()
        assert app.query_params["scored"]
        assert "Labels and their scores" in text_of(app)
