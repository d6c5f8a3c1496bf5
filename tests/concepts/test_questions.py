"""Hard questions of a concept: membership, purity, new texts, the gray zone; and the command
under each answer."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score

from backend import queries, run
from backend.__main__ import main
from backend.concepts import answers as concept_answers
from backend.concepts.views import (
    ConceptsView,
    GrayZone,
    Membership,
    NewTextMembership,
    PurityCoverage,
)
from backend.output import json_text
from backend.regions import partitioning
from backend.schema import Progress, Study
from components.concepts import membership as parts_shown
from components.concepts import purity as concept_purity
from components.concepts import readers as shown
from components.shell.downloads import csv_bytes
from tests.concepts.conftest import computed


def test_membership_is_measured_on_texts_that_chose_nothing(study: Study, boats: str) -> None:
    view = queries.membership(study.name, boats)
    assert isinstance(view, Membership)
    assert set(view.table["method"]) == {"exemplar", "coreset"}
    for row in view.table.iter_rows(named=True):
        assert row["tp"] + row["fn"] == row["fp"] + row["tn"] == 4
        assert row["j"] == pytest.approx(row["tpr"] + row["tnr"] - 1)
        assert row["j_low"] <= row["j"] <= row["j_high"]


@pytest.mark.usefixtures("unlinked")
def test_rivals_stand_below_and_ids_are_no_counts(study: Study, boats: str) -> None:
    view = queries.membership(study.name, boats)
    assert isinstance(view, Membership)
    html = parts_shown.rates_html(view)
    methods = [name for name in html.split('<td class="">') if "dot" in name]
    assert all("regions" in name for name in methods[::2])
    assert all("random activations" in name for name in methods[1::2])
    assert f"1 of {len(view.js['exemplar ball'])}" in html
    owner = view.table.filter(rule="owner").with_columns(rule=pl.lit("both"))
    alike = pl.concat([view.table.filter(pl.col("rule") != "both"), owner])
    assert "is left out" in parts_shown.rates_html(replace(view, table=alike))
    other = view.table.with_columns(tp=pl.col("tp") + (pl.col("rule") == "both").cast(pl.Int64))
    assert "is left out" not in parts_shown.rates_html(replace(view, table=other))


@pytest.mark.usefixtures("unlinked")
def test_purity_counts_every_token_once(study: Study, boats: str) -> None:
    results = computed(study, boats)
    view = queries.purity_coverage(study.name, boats)
    assert isinstance(view, PurityCoverage)
    positive, negative, _ = results.set.texts_of(0, "test")
    sizes = np.diff(results.set.offsets)
    assert view.prior == pytest.approx(
        sizes[positive].sum() / sizes[np.r_[positive, negative]].sum()
    )
    for method in ("kmeans", "coreset"):
        hits = view.units.filter(pl.col("method") == method)["hits"].sum()
        assert hits == sizes[positive].sum()
    split = view.splitting.row(by_predicate=pl.col("method") == "exemplar", named=True)
    inside = view.units.filter(pl.col("method") == "exemplar")["hits"].sum()
    assert inside + split["uncovered"] == sizes[positive].sum()
    every = np.full(sizes[np.r_[positive, negative]].sum(), True)
    hit = np.arange(len(every)) < sizes[positive].sum()
    assert view.whole_f1 == pytest.approx(f1_score(hit, every))
    assert split["best_lift"] == pytest.approx(split["best_purity"] / view.prior)
    html = concept_purity.splitting_html(view)
    assert "all tokens as one part" in html
    assert f"has {view.whole_f1:.2f}".replace("0.", ".") in html
    chart = concept_purity.plane(view)
    traces = [trace for trace in chart.data if trace.showlegend]
    assert traces[-1].name.startswith("regions"), "on top"
    assert all(f"{len(trace.x):,} of" in trace.name for trace in traces)


@pytest.mark.usefixtures("unlinked")
def test_new_texts_are_looked_for_in_the_chosen_region(study: Study, boats: str) -> None:
    results = computed(study, boats)
    region, tied = concept_answers.chosen_region(results, 0)
    with run.computing("cpu", Progress()):
        view = queries.new_text_membership(study.name, boats)
    assert isinstance(view, NewTextMembership)
    assert (view.region, view.tied) == (region, tied)
    positive = results.set.texts_of(0, "test")[0]
    part = view.texts.filter(pl.col("kind") == "positive")
    expected = 1 - results.scores["exemplar"][np.sort(positive), region]
    assert part["distance"].to_numpy() == pytest.approx(expected, abs=1e-5)
    assert sorted(part["text"]) == sorted(positive.tolist())
    html = parts_shown.shares_html(view)
    assert "n 4 texts" in html
    assert "random" not in html
    assert "tokens" in parts_shown.controls_html(view.shares)
    none = pl.col("of") == "owned"
    few = view.shares.with_columns(share=pl.when(none).then(0.0).otherwise(pl.col("share")))
    assert "Few positive ones" in parts_shown.new_texts_words(replace(view, shares=few))
    lone = replace(view, tied=3)
    assert "first of 3 that are as good" in parts_shown.new_texts_words(lone)


@pytest.mark.usefixtures("unlinked")
def test_partitions_do_not_wait_for_the_set(study: Study, boats: str) -> None:
    """What is made of another set's job stands here; only the concept's columns are missing."""
    results = computed(study, boats)
    before = queries.gray_zone.look(study.name, boats)
    assert isinstance(before, GrayZone)
    assert concept_purity.missing(before.table).startswith("Partition with k = 1.1")
    partitioning.build_partition(study.cut(replace(results.partition.spec, k=1.1)))
    view = queries.gray_zone.look(study.name, boats)
    assert isinstance(view, GrayZone)
    row = view.table.row(1, named=True)
    assert row["regions"] > 0
    assert row["gray"] > 0
    assert row["best_f1"] is None
    assert concept_purity.missing(view.table) == "Place this set's tokens at k = 1.1"
    assert "–" in concept_purity.gray_html(view)


def test_a_gray_zone_is_shown_at_every_k(study: Study, boats: str) -> None:
    with run.computing("cpu", Progress()):
        queries.gray_zone(study.name, boats)
    view = queries.gray_zone.look(study.name, boats)
    assert isinstance(view, GrayZone)
    table = view.table
    assert table["k"].to_list() == [1.0, 1.1]
    assert table["read"].to_list() == [True, True]
    assert concept_purity.missing(table) == ""
    assert table["gray"][0] == 0
    assert table["gray"][1] > 0
    assert table["regions"][1] <= table["regions"][0]


# ---------------------------------------------------------------- the command


def test_a_terminal_is_answered_too(
    study: Study, boats: str, capsys: pytest.CaptureFixture[str]
) -> None:
    view = queries.concept_set(study.name, boats)
    assert isinstance(view, ConceptsView)
    words = view.provenance.command.split()[3:]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["concepts"][0]["name"] == "boats-sea"
    assert main(["concept_aurocs", "--study", study.name, "--name", boats, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["aurocs"]["exemplar"]) == view.regions


def test_every_answer_says_how_to_ask_again(
    study: Study, boats: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command under an answer gives that answer, its set, concept and stops included."""
    results = computed(study, "topics")
    name = results.set.concepts["name"][1]
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
        printed = json.loads(capsys.readouterr().out)
        assert printed == json.loads(json_text(view))
        module = parts_shown if query.endswith("membership") else concept_purity
        tables = (shown if query == "concept_aurocs" else module).tables(view)
        assert all(len(csv_bytes(table)) > 20 for table in tables.values())
    every = shown.tables(queries.concept_aurocs(*whole))["aurocs"]  # type: ignore[arg-type]
    assert len(every) == sum(t.array("train").shape[1] for t in results.unit_scores.values())
