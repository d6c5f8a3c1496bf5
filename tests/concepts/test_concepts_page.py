"""The page of concepts in every state, a concept of one's own, and what cannot be asked."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from backend import queries, settings
from backend.concepts import choices as concept_choices
from backend.concepts import views as concept_views
from backend.concepts.views import (
    ConceptAurocs,
    ConceptsView,
)
from backend.schema import CorpusError, Job, NotFoundError, Study
from components.concepts import membership, purity, stability
from components.concepts import readers as shown
from components.shell import markup
from tests.concepts.conftest import computed, own_texts
from tests.conftest import SUBJECTS
from tests.helpers.pages import opened, text_of

# ---------------------------------------------------------------- what cannot be asked


@pytest.mark.parametrize(
    ("name", "positive", "negative", "sentence"),
    [
        ("", "a\nb\nc\nd", "e\nf\ng\nh", "no name"),
        ("few", "a\nb\nc", "e\nf\ng\nh", "3 positive texts"),
        ("none", "a\nb\nc\nd", " \n ", "0 negative texts"),
        ("same", "a\na\na\na\na", "e\nf\ng\nh", "1 positive texts"),
        ("case", "a\nb\nc\nC", "e\nf\ng\nh", "3 positive texts"),
        ("both", "a\nb\nc\nd\ne", "a\nB\nc\nd\ne", "5 texts stand on both sides: 'a' …"),
        ("some", "a\nb\nc\nd\ne", "e\nf\ng\nh\ni", "1 text stands on both sides: 'e'"),
    ],
)
def test_a_concept_of_ones_own_needs_texts(
    study: Study, name: str, positive: str, negative: str, sentence: str
) -> None:
    with pytest.raises(CorpusError, match=sentence):
        queries.keep_concept(name, positive, negative)
    assert not concept_choices.folder().exists()


def test_what_is_left_without_texts_on_both_sides_is_counted(study: Study) -> None:
    with pytest.raises(CorpusError) as raised:
        queries.keep_concept("x", "a\nb\nc\nd", "d\ne\nf\ng\nh")
    assert "3 and 4 texts are left" in raised.value.remedy


def test_another_concept_of_that_name_is_not_written_over(study: Study, boats: str) -> None:
    assert queries.keep_concept("boats & sea", own_texts("harbour"), own_texts("kitchen")) == boats
    with pytest.raises(CorpusError, match="already"):
        queries.keep_concept("boats & sea", own_texts("orchard"), own_texts("kitchen"))
    rows = [
        json.loads(line) for line in (concept_choices.folder() / boats).read_text().splitlines()
    ]
    assert len(rows) == 16


def test_sets_and_concepts_that_are_not_there_are_told(study: Study, boats: str) -> None:
    with pytest.raises(NotFoundError, match="no concept set 'nothing'"):
        queries.concept_set(study.name, "nothing")
    with pytest.raises(NotFoundError, match="no concept"):
        queries.concept_aurocs(study.name, boats, "kettles")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((None, None, None), "–"),
        ((None, 0.0, 1.0), "–"),
        ((0.5, None, None), ".50 –"),
        ((0.5, 0.25, 0.75), ".50 .25–.75"),
        ((0.5, -0.25, 0.75), ".50 −.25 to .75"),
    ],
)
def test_what_is_missing_is_one_dash(values: tuple[float | None, ...], text: str) -> None:
    assert re.sub("<[^>]+>", "", markup.interval(*values)) == text


# ---------------------------------------------------------------- the page


@pytest.mark.parametrize("ask", ["any region", "in or out", "purity", "gray zone"])
def test_the_page_answers(study: Study, boats: str, ask: str) -> None:
    text = text_of(opened("concepts", set=boats, ask=ask))
    expected = {
        "any region": "tells the test texts apart",
        "in or out": "within θ of its exemplar",
        "purity": "of all such tokens. Half of them take",
        "gray zone": "ambiguity falls with k",
    }
    assert expected[ask] in text


def test_nothing_is_claimed_of_a_few_texts(study: Study, boats: str) -> None:
    view = queries.concept_aurocs(study.name, boats)
    assert isinstance(view, ConceptAurocs)
    assert "tells the test texts apart" in shown.answer(view)
    region = view.readers.filter(method="exemplar")["column"][0]
    one = view.readers.with_columns(tied=pl.lit(1, pl.Int64))
    assert f">Region {region}</a>, chosen on training" in shown.answer(replace(view, readers=one))
    few = view.readers.with_columns(negatives=pl.lit(1, pl.Int64))
    assert "nothing can be claimed" in shown.answer(replace(view, readers=few))
    none = view.readers.with_columns(value=pl.lit(None, pl.Float64))
    assert "nothing can be said" in shown.answer(replace(view, readers=none))


def test_hard_negatives_that_are_not_there_are_told(study: Study, boats: str) -> None:
    app = opened("concepts", fine=False, set=boats, contrast="hard")
    assert "has no hard negative test texts" in text_of(app)
    assert "tells the test texts apart" in text_of(app)
    assert "positive and 4 negative test texts" in text_of(app)


@pytest.mark.parametrize("ask", ["stability", "robustness"])
def test_long_work_is_asked_for_first(study: Study, ask: str) -> None:
    app = opened("concepts", ask=ask)
    assert "Not computed yet" in text_of(app)
    assert app.button(key="ask")


def test_a_set_that_is_not_there_leaves_the_page_standing(study: Study) -> None:
    app = opened("concepts", fine=False, set="nothing")
    assert "There is no concept set" in text_of(app)
    assert app.selectbox


def test_topics_are_a_set_without_any_file(study: Study) -> None:
    results = computed(study, "topics")
    view = queries.concept_set(study.name)
    assert isinstance(view, ConceptsView)
    assert set(view.concepts["name"]) == set(SUBJECTS)
    over = queries.mean_aurocs(study.name)
    assert not isinstance(over, Job)
    assert set(over["concepts"]) == {3}
    bow = np.asarray(results.readers.array("bow"))
    assert bow.shape == (3, len(results.set.offsets) - 1)


# ---------------------------------------------------------------- answers in a sentence


def split_row(method: str, **values: float) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(concept_views.SPLITTING)
    return row | {"method": method, "units": 100} | values


def test_purity_is_answered_with_yes_or_no() -> None:
    best = {"best_region": 7, "best_purity": 1.0, "best_coverage": 0.057, "half": 82}
    rows = [split_row("exemplar", **best), split_row("coreset", **best | {"half": 134})]

    def words(*rows: dict[str, object]) -> str:
        table = pl.DataFrame(list(rows), concept_views.SPLITTING)
        return purity.purity_words(SimpleNamespace(splitting=table))

    text = words(*rows)
    assert text.startswith("No: of the tokens of <a ")
    assert "region=7" in text
    assert ">region 7</a>, the best by F1, 100% are of positive texts" in text
    assert "holds 5.7% of all such tokens. Half of them take 82 regions" in text
    assert "82 regions, with random activations 134." in text
    assert words(split_row("exemplar", **best | {"best_coverage": 0.95})).startswith("Yes")
    assert "nothing can be said" in words(split_row("exemplar"))


def rates(method: str, j: float, low: float, high: float, tied: int = 1) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(concept_views.CHOSEN_RATES)
    row |= {"method": method, "rule": "ball", "what": "best", "tied": tied}
    prefix = "tied_" if tied > 1 else ""
    ends = {f"{prefix}j": j, f"{prefix}j_low": low, f"{prefix}j_high": high}
    return row | {"j": j} | ends | {f"{prefix}tpr": 0.98, f"{prefix}tnr": 0.9}


@pytest.mark.parametrize(
    ("control", "verdict"),
    [
        (rates("coreset", 0.66, 0.5, 0.8), "It is not told from the best of random activations"),
        (rates("coreset", 0.4, 0.3, 0.5), "It does better than the best of random activations"),
        (rates("coreset", 0.97, 0.95, 1.0), "It does worse than the best of random activations"),
    ],
)
def test_who_is_in_is_answered_beside_random_activations(
    control: dict[str, object], verdict: str
) -> None:
    own = rates("exemplar", 0.88, 0.77, 0.93)
    table = pl.DataFrame([own, control], concept_views.CHOSEN_RATES)
    best = {"exemplar ball": 5}
    text = membership.membership_words(SimpleNamespace(table=table, best=best))
    assert ">Region 5</a>, which training texts choose, holds" in text
    assert "98% of the positive test texts and 10% of the others (J .88, .77 to .93)" in text
    assert verdict in text
    tied = [rates("exemplar", 0.8, 0.5, 0.9, tied=25), control]
    table = pl.DataFrame(tied, concept_views.CHOSEN_RATES)
    assert "one of the 25 regions" in membership.membership_words(SimpleNamespace(table=table))


def test_a_gray_zone_is_answered_against_none() -> None:
    empty = dict.fromkeys(concept_views.GRAY)
    wide = {"regions": 202, "overlap": 0.7, "best_purity": 0.3, "gray": 0.46}
    rows = [
        empty | {"k": 1.0, "read": True, "regions": 3822, "overlap": 10.0, "best_purity": 1.0},
        empty | {"k": 1.1, "read": False},
        empty | wide | {"k": 1.2, "read": True},
    ]
    text = purity.gray_answer(SimpleNamespace(table=pl.DataFrame(rows, concept_views.GRAY)))
    assert "From k = 1 to 1.2 the regions fall from 3,822 to 202" in text
    assert "no purer: 30% of its tokens are of positive texts, before 100%" in text
    one = SimpleNamespace(table=pl.DataFrame(rows[:1], concept_views.GRAY))
    assert "nothing can be compared yet" in purity.gray_answer(one)


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((0.023, -0.01, 0.056), "No: with 61 pairs of prompts the output is steepest as near to"),
        ((-0.1, -0.2, -0.05), "Yes: with 61 pairs of prompts the output is steepest nearer to"),
        ((0.1, 0.05, 0.2), "No: with 61 pairs of prompts the output is steepest farther from"),
    ],
)
def test_stable_regions_are_answered_against_random_activations(
    ends: tuple[float, float, float], words: str
) -> None:
    mean, low, high = ends
    row = dict.fromkeys(concept_views.BOUNDARIES) | {
        "measure": "beyond", "of": "difference", "mean": mean, "low": low, "high": high, "n": 61
    }  # fmt: skip
    boundaries = pl.DataFrame([row], concept_views.BOUNDARIES)
    view = SimpleNamespace(boundaries=boundaries, sharpness=np.array([1.2, 1.31, 1.5]))
    text = stability.stable_words(view)
    assert words in text
    assert "Median sharpness is 1.31" in text
    none = SimpleNamespace(boundaries=boundaries[:0], sharpness=np.array([1.0]))
    assert "Too few pairs" in stability.stable_words(none)


def test_robustness_is_answered_beside_random_activations() -> None:
    rows = [
        dict.fromkeys(concept_views.REPEATS)
        | {"how": how, "measure": "found", "of": kind, "value": value}
        for how, own in (("another order", 0.09), ("another θ", 0.34))
        for kind, value in (("exemplars", own), ("coreset", 0.02))
    ]
    text = stability.robustness_words(pl.DataFrame(rows, concept_views.REPEATS))
    assert text.startswith("Mostly not: ")
    better = pl.DataFrame(rows, concept_views.REPEATS).with_columns(value=pl.col("value") + 0.2)
    assert stability.robustness_words(better).startswith("In part: ")
    assert "9.0% with another order (random activations 2.0%) and 34% with another θ" in text


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 0.2, "better than"), (0.1, 0.99, "not told from"), (0.999, 1.0, "worse than")],
)
def test_a_region_is_told_from_random_activations_where_intervals_are_apart(
    low: float, high: float, verdict: str
) -> None:
    region, control = {"low": 0.5, "high": 0.9}, {"low": low, "high": high, "tied": 1}
    assert shown._verdict(region, control).startswith(verdict)
    assert "cannot be compared" in shown._verdict(region, control | {"tied": 3})


def test_the_folder_of_own_concepts_is_that_of_the_annotations(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, words in (
        (settings.ROOT / "annotations", "annotations/concepts"),
        (Path.home() / "mine", "~/mine/concepts"),
        (Path("/elsewhere"), "/elsewhere/concepts"),
    ):
        monkeypatch.setenv("TESSERA_ANNOTATIONS", str(folder))
        assert queries.concepts_folder() == words
