"""Concepts from texts to page: ranks against scikit-learn, scores against brute force, planted
concepts, and the page in every state."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from backend import queries, run
from backend.__main__ import main
from backend.concepts import answers as concept_answers
from backend.concepts import choices as concept_choices
from backend.concepts import coverage, rivals, scores
from backend.concepts import results as concept_results
from backend.concepts.views import (
    ConceptAurocs,
    ConceptsView,
    GrayZone,
    Membership,
    NewTextMembership,
    PurityCoverage,
)
from backend.output import plain
from backend.regions import partitioning
from backend.schema import CorpusError, Job, NotFoundError, Progress, Study
from backend.study import loading as studies
from components.concepts import membership as parts_shown
from components.concepts import purity as concept_purity
from components.concepts import readers as shown
from components.shell import markup
from components.shell.downloads import csv_bytes
from tests.conftest import SUBJECTS, sentences
from tests.helpers.pages import opened, text_of

# ---------------------------------------------------------------- the small world


def own_texts(topic: str) -> str:
    return "\n".join(sentences(topic, 100 + number, 2) for number in range(8))


@pytest.fixture
def study(ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "annotations"))
    return studies.load(ready)


@pytest.fixture
def kept(study: Study) -> str:
    """A concept of one's own, read and scored."""
    name = queries.keep_concept("boats & sea", own_texts("harbour"), own_texts("kitchen"))
    computed(study, name)
    return name


@pytest.fixture
def unlinked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links without a page that they would stand on."""
    for module in (shown, parts_shown, concept_purity):
        monkeypatch.setattr(module, "anchor", lambda label, *_, **__: label)


def computed(study: Study, name: str) -> concept_results.ConceptResults:
    with run.computing("cpu", Progress()):
        return concept_results.results_of(study, name, None, None)


def test_scores_are_the_strongest_token_of_each_text(study: Study, kept: str) -> None:
    held = computed(study, kept)
    found, every = scores.text_points(study.reading, held.ref)
    points = torch.cat([part for _, part in every]).numpy().astype(np.float64)
    exemplars = held.build.array("exemplars").astype(np.float64)
    similarity = points @ exemplars.T
    for text in range(len(found.offsets) - 1):
        low, high = found.offsets[text : text + 2]
        wanted = similarity[low:high].max(axis=0)
        assert held.scores["exemplar"][text] == pytest.approx(wanted, abs=1e-5)
    means = scores.text_means(study.reading, held.ref).array("means")
    assert means[1] == pytest.approx(points[slice(*found.offsets[1:3])].mean(axis=0), abs=1e-6)


def test_scores_do_not_depend_on_how_points_come(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(size=(50, 4)).astype(np.float32))
    offsets = np.array([0, 1, 7, 30, 50])
    for cut in (1, 3, 8, 50):
        best = torch.full((4, 4), -torch.inf)
        for first in range(0, 50, cut):
            scores.raise_to_strongest(rows[first : first + cut], first, offsets, best)
        wanted = [rows[a:b].amax(dim=0) for a, b in itertools.pairwise(offsets)]
        assert torch.equal(best, torch.stack(wanted))


def test_features_fire_as_the_sae_says(study: Study, kept: str) -> None:
    held = computed(study, kept)
    found = held.set
    network_scores, counts = (held.strengths["sae"].array(name) for name in ("scores", "counts"))
    assert network_scores.shape == counts.shape == (len(found.offsets) - 1, 64)
    assert counts.sum() == 6 * len(found.tokens), "six features fire on each token"
    assert ((network_scores > 0) == (counts > 0)).all()


def test_train_and_test_are_kept_apart(study: Study, kept: str) -> None:
    held = computed(study, kept)
    readers = queries.concept_aurocs(study.name, kept)
    assert isinstance(readers, ConceptAurocs)
    row = readers.readers.row(by_predicate=pl.col("method") == "exemplar", named=True)
    train, test = (held.set.texts_of(0, split) for split in ("train", "test"))
    assert not set(np.concatenate(train)) & set(np.concatenate(test))
    similarity = held.scores["exemplar"]
    by_train = [
        roc_auc_score([1] * len(train[0]) + [0] * len(train[1]), similarity[np.r_[train[:2]], r])
        for r in range(similarity.shape[1])
    ]
    assert row["column"] == int(np.argmax(np.round(by_train, 12)))
    wanted = roc_auc_score(
        [1] * len(test[0]) + [0] * len(test[1]), similarity[np.r_[test[:2]], row["column"]]
    )
    assert row["value"] == pytest.approx(wanted, abs=1e-12)
    assert row["low"] <= row["value"] <= row["high"]
    assert (row["positives"], row["negatives"]) == (4, 4)
    assert readers.aurocs["exemplar"].max() == row["best"] >= row["value"]


@pytest.mark.usefixtures("unlinked")
def test_ties_on_training_texts_are_counted_and_no_pick_is_shown(study: Study, kept: str) -> None:
    """Of regions and rivals alike, what the tied have on test texts, and what is said of them."""
    held = computed(study, kept)
    found = queries.concept_aurocs(study.name, kept)
    assert isinstance(found, ConceptAurocs)
    positive, negative, _ = held.set.texts_of(0, "test")
    for kind, table in held.unit_scores.items():
        row = found.readers.row(by_predicate=pl.col("method") == kind, named=True)
        best = [r for r, value in enumerate(table.array("train")[0]) if value == row["train"]]
        labels = [1] * len(positive) + [0] * len(negative)
        values = held.scores[kind][np.r_[positive, negative]]
        tested = [roc_auc_score(labels, values[:, r]) for r in best]
        assert row["tied"] == len(best)
        assert row["tied_mean"] == pytest.approx(np.mean(tested))
        assert (row["tied_low"], row["tied_high"]) == pytest.approx((min(tested), max(tested)))
    many = {"tied": 37, "tied_mean": 0.84, "tied_low": 0.52, "tied_high": 1.0, "column": 7}
    region = pl.col("method").is_in(["exemplar", "coreset"])
    tied = found.readers.with_columns(
        pl.when(region).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in many.items()
    )
    said = shown.answer(replace(found, readers=tied))
    assert "37 regions are as good as each other" in said
    assert "random activations .84 (.52 to 1.00 of 37 tied)" in said
    assert "Region 7" not in said
    assert "37 tied" in shown.readers_html(tied, "negative")
    one = found.readers.with_columns(tied=pl.when(region).then(1).otherwise(pl.col("tied")))
    assert "chosen on training texts" in shown.answer(replace(found, readers=one))


def test_length_tells_whichever_way_and_says_its_chance(study: Study) -> None:
    """Concepts of longer and of shorter texts do not cancel."""
    held = computed(study, "topics")
    over = queries.mean_aurocs(study.name)
    assert not isinstance(over, Job)
    row = over.filter(method="length", contrast="negative").row(0, named=True)
    sizes, values = np.diff(held.set.offsets), []
    for concept in range(3):
        positive, negative, _ = held.set.texts_of(concept, "test")
        labels = [1] * len(positive) + [0] * len(negative)
        values.append(roc_auc_score(labels, sizes[np.r_[positive, negative]]))
    assert row["mean"] == pytest.approx(np.mean([max(v, 1 - v) for v in values]))
    assert 0.5 < row["chance"] < 0.75
    rng = np.random.default_rng(0)
    null = [roc_auc_score(labels, rng.normal(size=len(labels))) for _ in range(2000)]
    assert row["chance"] == pytest.approx(np.mean(np.abs(np.array(null) - 0.5)) + 0.5, abs=0.02)
    assert (row["concepts"], row["texts"]) == (3, 12)
    said = shown.over_html(over)
    assert f"{row['negatives']} negative readings of 12 different test texts" in said
    assert "AxBench" not in said


def test_words_tell_what_words_can_tell(study: Study, kept: str) -> None:
    """Boats and kitchens share no noun: a bag of words has all of it, labels shuffled nothing."""
    found = queries.concept_aurocs(study.name, kept)
    assert isinstance(found, ConceptAurocs)
    bow = found.readers.row(by_predicate=pl.col("method") == "bow", named=True)
    assert bow["value"] == 1.0
    # nothing is said of how a single concept's mean would vary
    ends = found.over.select("low", "high", "gain_low", "gain_high")
    assert set(ends.dtypes) == {pl.Float64}
    assert ends.null_count().row(0) == (len(ends),) * 4


def test_rivals_are_as_many_as_regions(study: Study, kept: str) -> None:
    held = computed(study, kept)
    exemplars = held.build.array("exemplars")
    points = torch.cat([p for _, p in partitioning.points(study.reading)]).numpy()
    for kind in rivals.DIRECTIONS:
        made = rivals.directions(held.partition, kind, 0)
        assert made.shape == exemplars.shape
        lengths = np.linalg.norm(made, axis=1)
        assert lengths[lengths > 0] == pytest.approx(1, abs=1e-5)
    coreset = rivals.directions(held.partition, "coreset", 0)
    nearest = (coreset @ points.T).max(axis=1)
    assert nearest == pytest.approx(1, abs=1e-5), "each is an activation of the corpus"


def test_k_means_finds_planted_clusters() -> None:
    rng = np.random.default_rng(0)
    centres = np.linalg.qr(rng.normal(size=(16, 16)))[0][:6]
    drawn = centres[rng.integers(6, size=600)] + 0.05 * rng.normal(size=(600, 16))
    points = torch.from_numpy((drawn / np.linalg.norm(drawn, axis=1)[:, None]).astype(np.float32))
    found, moved = rivals.kmeans(points, 12, rng)
    assert moved < 0.02
    assert (found.numpy() @ centres.T).max(axis=0).min() > 0.98


def test_as_many_clusters_as_points_are_the_points() -> None:
    rng = np.random.default_rng(0)
    drawn = torch.from_numpy(rng.normal(size=(9, 5)).astype(np.float32))
    points = torch.nn.functional.normalize(drawn, dim=1)
    found, moved = rivals.kmeans(points, 9, rng)
    assert moved == 0
    assert (found @ points.T).amax(dim=1).numpy() == pytest.approx(1, abs=1e-6)


# ---------------------------------------------------------------- features that overlap


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 8))
def test_a_cover_takes_what_adds_most_until_all_is_held(
    seed: int, tokens: int, groups: int
) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(rng.random((tokens, groups)) < 0.4)
    gains = coverage.greedy_cover(pairs[:, 0], pairs[:, 1])
    sets = [set(pairs[pairs[:, 1] == group, 0].tolist()) for group in range(groups)]
    held: set[int] = set()
    for gain in gains:
        best = max(sets, key=lambda one: len(one - held))
        assert gain == len(best - held)
        held |= best
    assert held == set(pairs[:, 0].tolist())


def test_tokens_are_covered_not_firings(study: Study, kept: str) -> None:
    """Each token fires six features: as many features as hold half of the firings are too many."""
    held = computed(study, kept)
    found = queries.purity_coverage(study.name, kept)
    assert isinstance(found, PurityCoverage)
    row = found.splitting.row(by_predicate=pl.col("method") == "sae", named=True)
    assert row["effective"] is row["whole"] is None
    counts = held.strengths["sae"].array("counts")[held.set.texts_of(0, "test")[0]]
    positives = int(np.diff(held.set.offsets)[held.set.texts_of(0, "test")[0]].sum())
    largest = np.sort(counts.sum(axis=0))[::-1]
    assert 1 <= row["half"] <= row["most"]
    assert largest[: row["half"]].sum() >= positives / 2, "a union is at most the sum"
    assert largest[0] * row["most"] >= 0.9 * positives
    assert row["uncovered"] == 0


# ---------------------------------------------------------------- hard questions


def test_membership_is_measured_on_texts_that_chose_nothing(study: Study, kept: str) -> None:
    found = queries.membership(study.name, kept)
    assert isinstance(found, Membership)
    assert set(found.table["method"]) == {"exemplar", "coreset"}
    for row in found.table.iter_rows(named=True):
        assert row["tp"] + row["fn"] == row["fp"] + row["tn"] == 4
        assert row["j"] == pytest.approx(row["tpr"] + row["tnr"] - 1)
        assert row["j_low"] <= row["j"] <= row["j_high"]


@pytest.mark.usefixtures("unlinked")
def test_rivals_stand_below_and_ids_are_no_counts(study: Study, kept: str) -> None:
    found = queries.membership(study.name, kept)
    assert isinstance(found, Membership)
    html = parts_shown.rates_html(found)
    methods = [name for name in html.split('<td class="">') if "dot" in name]
    assert all("regions" in name for name in methods[::2])
    assert all("random activations" in name for name in methods[1::2])
    assert f"1 of {len(found.js['exemplar ball'])}" in html
    owner = found.table.filter(rule="owner").with_columns(rule=pl.lit("both"))
    alike = pl.concat([found.table.filter(pl.col("rule") != "both"), owner])
    assert "is left out" in parts_shown.rates_html(replace(found, table=alike))
    other = found.table.with_columns(tp=pl.col("tp") + (pl.col("rule") == "both").cast(pl.Int64))
    assert "is left out" not in parts_shown.rates_html(replace(found, table=other))


@pytest.mark.usefixtures("unlinked")
def test_purity_counts_every_token_once(study: Study, kept: str) -> None:
    held = computed(study, kept)
    found = queries.purity_coverage(study.name, kept)
    assert isinstance(found, PurityCoverage)
    positive, negative, _ = held.set.texts_of(0, "test")
    sizes = np.diff(held.set.offsets)
    assert found.prior == pytest.approx(
        sizes[positive].sum() / sizes[np.r_[positive, negative]].sum()
    )
    for method in ("kmeans", "coreset"):
        hits = found.units.filter(pl.col("method") == method)["hits"].sum()
        assert hits == sizes[positive].sum()
    split = found.splitting.row(by_predicate=pl.col("method") == "exemplar", named=True)
    inside = found.units.filter(pl.col("method") == "exemplar")["hits"].sum()
    assert inside + split["uncovered"] == sizes[positive].sum()
    every = np.full(sizes[np.r_[positive, negative]].sum(), True)
    hit = np.arange(len(every)) < sizes[positive].sum()
    assert found.whole_f1 == pytest.approx(f1_score(hit, every))
    assert split["best_lift"] == pytest.approx(split["best_purity"] / found.prior)
    html = concept_purity.splitting_html(found)
    assert "all tokens as one part" in html
    assert f"has {found.whole_f1:.2f}".replace("0.", ".") in html
    chart = concept_purity.plane(found)
    drawn = [trace for trace in chart.data if trace.showlegend]
    assert drawn[-1].name.startswith("regions"), "on top"
    assert all(f"{len(trace.x):,} of" in trace.name for trace in drawn)


@pytest.mark.usefixtures("unlinked")
def test_new_texts_are_looked_for_in_the_chosen_region(study: Study, kept: str) -> None:
    held = computed(study, kept)
    region, tied = concept_answers.chosen_region(held, 0)
    with run.computing("cpu", Progress()):
        found = queries.new_text_membership(study.name, kept)
    assert isinstance(found, NewTextMembership)
    assert (found.region, found.tied) == (region, tied)
    positive = held.set.texts_of(0, "test")[0]
    part = found.texts.filter(pl.col("kind") == "positive")
    wanted = 1 - held.scores["exemplar"][np.sort(positive), region]
    assert part["distance"].to_numpy() == pytest.approx(wanted, abs=1e-5)
    assert sorted(part["text"]) == sorted(positive.tolist())
    html = parts_shown.shares_html(found.shares, found.theta)
    assert "n 4 texts" in html
    assert "random" not in html
    assert "tokens" in parts_shown.controls_html(found.shares)
    none = pl.col("of") == "owned"
    few = found.shares.with_columns(share=pl.when(none).then(0.0).otherwise(pl.col("share")))
    assert "Few positive ones" in parts_shown.new_texts_words(replace(found, shares=few))
    lone = replace(found, tied=3)
    assert "first of 3 that are as good" in parts_shown.new_texts_words(lone)


@pytest.mark.usefixtures("unlinked")
def test_partitions_do_not_wait_for_the_set(study: Study, kept: str) -> None:
    """What is made of another set's job stands here; only the concept's columns are missing."""
    held = computed(study, kept)
    before = queries.gray_zone.look(study.name, kept)
    assert isinstance(before, GrayZone)
    assert concept_purity.missing(before.table).startswith("Partition with k = 1.1")
    partitioning.build_partition(study.cut(replace(held.spec, k=1.1)))
    found = queries.gray_zone.look(study.name, kept)
    assert isinstance(found, GrayZone)
    row = found.table.row(1, named=True)
    assert row["regions"] > 0
    assert row["gray"] > 0
    assert row["best_f1"] is None
    assert concept_purity.missing(found.table) == "Place this set's tokens at k = 1.1"
    assert "–" in concept_purity.gray_html(found)


def test_a_gray_zone_is_shown_at_every_k(study: Study, kept: str) -> None:
    with run.computing("cpu", Progress()):
        queries.gray_zone(study.name, kept)
    found = queries.gray_zone.look(study.name, kept)
    assert isinstance(found, GrayZone)
    table = found.table
    assert table["k"].to_list() == [1.0, 1.1]
    assert table["read"].to_list() == [True, True]
    assert concept_purity.missing(table) == ""
    assert table["gray"][0] == 0
    assert table["gray"][1] > 0
    assert table["regions"][1] <= table["regions"][0]


# ---------------------------------------------------------------- what cannot be asked


@pytest.mark.parametrize(
    ("name", "positive", "negative", "said"),
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
    study: Study, name: str, positive: str, negative: str, said: str
) -> None:
    with pytest.raises(CorpusError, match=said):
        queries.keep_concept(name, positive, negative)
    assert not concept_choices.folder().exists()


def test_what_is_left_without_texts_on_both_sides_is_counted(study: Study) -> None:
    with pytest.raises(CorpusError) as raised:
        queries.keep_concept("x", "a\nb\nc\nd", "d\ne\nf\ng\nh")
    assert "3 and 4 texts are left" in raised.value.remedy


def test_another_concept_of_that_name_is_not_written_over(study: Study, kept: str) -> None:
    assert queries.keep_concept("boats & sea", own_texts("harbour"), own_texts("kitchen")) == kept
    with pytest.raises(CorpusError, match="already"):
        queries.keep_concept("boats & sea", own_texts("orchard"), own_texts("kitchen"))
    rows = [json.loads(line) for line in (concept_choices.folder() / kept).read_text().splitlines()]
    assert len(rows) == 16


def test_sets_and_concepts_that_are_not_there_are_told(study: Study, kept: str) -> None:
    with pytest.raises(NotFoundError, match="no concept set 'nothing'"):
        queries.concept_set(study.name, "nothing")
    with pytest.raises(NotFoundError, match="no concept"):
        queries.concept_aurocs(study.name, kept, "kettles")


def test_a_terminal_is_answered_too(
    study: Study, kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    view = queries.concept_set(study.name, kept)
    assert isinstance(view, ConceptsView)
    asked = view.provenance.command.split()[3:]
    assert main([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["concepts"][0]["name"] == "boats-sea"
    assert main(["concept_aurocs", "--study", study.name, "--name", kept, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["aurocs"]["exemplar"]) == view.regions


def test_every_answer_says_how_to_ask_again(
    study: Study, kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command under an answer gives that answer, its set, concept and stops included."""
    held = computed(study, "topics")
    name = held.set.concepts["name"][1]
    whole = (study.name, "topics", name)
    with run.computing("cpu", Progress()):
        queries.new_text_membership(*whole)
        queries.gray_zone(*whole)
    names = ("concept_aurocs", "membership", "new_text_membership", "purity_coverage", "gray_zone")
    for query in names:
        view = getattr(queries, query)(*whole)
        words = shlex.split(view.provenance.command)[3:]
        assert words[0] == query
        assert words[words.index("--concept") + 1] == name
        assert main([*words, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said == json.loads(json.dumps(plain(view)))
        module = parts_shown if query.endswith("membership") else concept_purity
        tables = (shown if query == "concept_aurocs" else module).tables(view)
        assert all(len(csv_bytes(table)) > 20 for table in tables.values())
    every = shown.tables(queries.concept_aurocs(*whole))["aurocs"]  # type: ignore[arg-type]
    assert len(every) == sum(t.array("train").shape[1] for t in held.unit_scores.values())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((None, None, None), "–"),
        ((None, 0.0, 1.0), "–"),
        ((0.5, None, None), ".50 –"),
        ((0.5, 0.25, 0.75), ".50 .25–.75"),
        ((0.5, -0.25, 0.75), ".50 -.25 to .75"),
    ],
)
def test_what_is_missing_is_one_dash(values: tuple[float | None, ...], said: str) -> None:
    assert re.sub("<[^>]+>", "", markup.interval(*values)) == said


# ---------------------------------------------------------------- the page


@pytest.mark.parametrize("ask", ["any region", "in or out", "purity", "gray zone"])
def test_the_page_answers(study: Study, kept: str, ask: str) -> None:
    said = text_of(opened("concepts", set=kept, ask=ask))
    expected = {
        "any region": "tells the test texts apart",
        "in or out": "best region",
        "purity": "mean pairwise distance",
        "gray zone": "ambiguity falls with k",
    }
    assert expected[ask] in said


def test_nothing_is_claimed_of_a_few_texts(study: Study, kept: str) -> None:
    found = queries.concept_aurocs(study.name, kept)
    assert isinstance(found, ConceptAurocs)
    assert "tells the test texts apart" in shown.answer(found)
    few = found.readers.with_columns(negatives=pl.lit(1, pl.Int64))
    assert "nothing can be claimed" in shown.answer(replace(found, readers=few))
    none = found.readers.with_columns(value=pl.lit(None, pl.Float64))
    assert "nothing can be said" in shown.answer(replace(found, readers=none))


def test_hard_negatives_that_are_not_there_are_told(study: Study, kept: str) -> None:
    app = opened("concepts", fine=False, set=kept, contrast="hard")
    assert "has no hard negative test texts" in text_of(app)
    assert "tells the test texts apart" in text_of(app)
    assert "positive and 4 negative test texts" in text_of(app)


@pytest.mark.parametrize("ask", ["stability", "again"])
def test_long_work_is_asked_for_first(study: Study, ask: str) -> None:
    app = opened("concepts", ask=ask)
    assert "Not computed yet" in text_of(app)
    assert app.button(key="ask")


def test_a_set_that_is_not_there_leaves_the_page_standing(study: Study) -> None:
    app = opened("concepts", fine=False, set="nothing")
    assert "There is no concept set" in text_of(app)
    assert app.selectbox


def test_topics_are_a_set_without_any_file(study: Study) -> None:
    held = computed(study, "topics")
    view = queries.concept_set(study.name)
    assert isinstance(view, ConceptsView)
    assert set(view.concepts["name"]) == set(SUBJECTS)
    over = queries.mean_aurocs(study.name)
    assert not isinstance(over, Job)
    assert set(over["concepts"]) == {3}
    bow = np.asarray(held.readers.array("bow"))
    assert bow.shape == (3, len(held.set.offsets) - 1)
