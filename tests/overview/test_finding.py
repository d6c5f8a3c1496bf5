"""Search by label, token and text, and the best label of each feature."""

from __future__ import annotations

import html
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import streamlit as st

from backend import queries, run
from backend.corpus import passages
from backend.features.answers import feature_index
from backend.labels import label_search
from backend.labels.subjects import Sampling, subject_of
from backend.labels.words import LabelRequest, mark_named
from backend.overview import finding
from backend.overview.finding import EXACT, TOKEN, WORDS, rank_labels
from backend.study import loading
from components.labels import panel
from components.shell import markup
from tests.conftest import FEATURES
from tests.helpers.caches import use_copy_without
from tests.helpers.decisions import decision
from tests.helpers.jobs import run_job


def test_a_label_that_is_all_of_the_search_comes_before_one_that_holds_it() -> None:
    labels = pl.Series(
        ["years of war", 'token "Year"', "year", "the year", "yearly", "a year in it"]
    )
    ranks = rank_labels(labels, "year")
    assert ranks[[1, 2]].tolist() == [EXACT, EXACT]
    assert WORDS < ranks[5] < ranks[3] < EXACT  # the more of a label it is, the better
    assert ranks[[0, 4]].tolist() == [0, 0]  # words are found whole
    assert (rank_labels(labels, "year*")[[0, 4]] > WORDS).all()
    assert not rank_labels(labels, " * ").any()
    assert not rank_labels(labels, "(").any()


@pytest.fixture
def results(ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pl.DataFrame:
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path))
    monkeypatch.setattr(finding, "_by_counting", lambda study, subject: frame_of())
    monkeypatch.setattr(finding, "_by_model", lambda subject: frame_of())
    table = queries.find_features(ready, "boat")
    assert isinstance(table, pl.DataFrame)
    return table


def test_texts_are_ranked_by_the_f1_that_a_brute_force_count_gives(
    ready: str, results: pl.DataFrame
) -> None:
    study = loading.load(ready)
    with run.looking("cpu"):
        index = feature_index(study)
        rows = set(passages.find_text(index.tokens, "boat").tolist())
        for feature, matched, rank, hits, share in results.iter_rows():
            fires = set(index.column(feature).rows.tolist())
            assert hits == len(fires & rows)
            assert share == pytest.approx(hits / max(1, len(fires)))
            f1 = 2 * hits / (len(fires) + len(rows))
            own = index.table["top_token"][feature].strip().lower() == "boat"
            assert ("token" in matched, "text" in matched) == (own, hits > 0)
            assert rank == pytest.approx(f1 + TOKEN * own)
        firing = {n for n in range(FEATURES) if rows & set(index.column(n).rows.tolist())}
    assert results["rank"].to_list() == sorted(results["rank"], reverse=True)
    assert firing <= set(results["feature"])


def test_a_feature_that_fires_everywhere_does_not_lead(results: pl.DataFrame) -> None:
    texts = results.filter(pl.col("matched") == "text")
    if len(texts) > 1:
        best, most = texts.row(0, named=True), texts.sort("hits").row(-1, named=True)
        assert best["rank"] >= most["rank"]


def test_the_best_label_is_by_hand_then_by_counting_and_none_is_made(
    ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path))
    counted = pl.DataFrame(
        [(1, "token_frequency", 'token "a"'), (2, "token_frequency", 'token "b"')],
        schema=finding.LABELS,
        orient="row",
    )
    monkeypatch.setattr(finding, "_by_counting", lambda study, subject: counted)
    monkeypatch.setattr(finding, "_by_model", lambda subject: counted.clear())
    before = queries.jobs()
    assert queries.decide(ready, "ann", [decision(1, "boats at sea")]).refused == {}
    labels = queries.best_labels(ready)
    assert labels.to_dicts() == [
        {"number": 1, "method": "human", "label": "boats at sea"},
        {"number": 2, "method": "token_frequency", "label": 'token "b"'},
    ]
    by_label = queries.find_features(ready, "boats")
    assert (by_label["feature"][0], by_label["matched"][0]) == (1, "label")
    assert queries.best_labels(ready, "region")["number"].to_list() == [1, 2]  # by counting alone
    assert queries.jobs() == before


def frame_of(*rows: tuple[int, str, str]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=finding.LABELS, orient="row")


def test_a_label_that_names_no_word_is_the_last_choice() -> None:
    by_hand = frame_of((1, "human", "."))
    better = frame_of((2, "baez", 'say "␠"'), (2, "nla_vector", "spaces"))
    by_model = frame_of((3, "baez", "…"), (4, "baez", "boats"))
    counted = frame_of(
        *((n, "token_frequency", 'token "."') for n in (1, 2, 3, 4, 5)),
        (3, "token_frequency", 'token "boat"'),
        (6, "token_frequency_output", 'say "␠"'),
        (6, "token_frequency", 'token "boat"'),
    )
    best = finding._first_of_each([by_hand, better, by_model, counted])
    assert best.select("number", "label").rows() == [
        (1, "."),  # a person knows what they say
        (2, "spaces"),
        (3, 'token "boat"'),
        (4, "boats"),
        (5, 'token "."'),  # there is no other
        (6, 'token "boat"'),
    ]


@pytest.mark.parametrize(
    ("label", "named", "shown"),
    [
        ('say "␠"', "white space", "most often before white space (·)"),
        ('token "."', "punctuation", "most often punctuation (.)"),
        ('after "↵"', "white space", "most often after white space (⏎)"),
        ('token "\'s"', "", 'token "\'s"'),
        ('token "年"', "", 'token "年"'),
        ("a full stop", "", "a full stop"),
        ("...", "punctuation", "..."),
    ],
)
def test_a_label_of_marks_is_said_in_words(label: str, named: str, shown: str) -> None:
    assert mark_named(label) == named
    assert markup.plain_label(label) == shown.removeprefix("most often ")
    text = re.sub("<[^>]+>", "", markup.label(label))
    assert html.unescape(text).replace('"', "") == shown.replace('"', "")


def test_a_label_told_from_its_control_comes_before_others(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = pl.DataFrame({"of": ["label"] * 2, "label": ["a", "b"], "method": ["baez", "human"]})
    rows = [("a", 0.1, 0.05), ("b", 0.3, 0.1), ("a", 0.1, 0.02), ("c", 0.5, -0.1)]
    names = ["label", "difference", "difference_low"]
    monkeypatch.setattr(finding, "known_scores", lambda *_: scores)
    monkeypatch.setattr(finding, "advantages", lambda _: pl.DataFrame(rows, names, orient="row"))
    better = finding._told_from_control(Any, LabelRequest(3))  # type: ignore[arg-type]
    assert better.rows() == [(3, "baez", "a"), (3, "human", "b")], "by more scorers first"


@pytest.mark.parametrize("kind", ["feature", "region"])
def test_lists_and_panel_show_one_label(
    ready: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    use_copy_without("labels.*", tmp_path, monkeypatch)
    study = loading.load(ready)
    where: tuple[float, ...] = () if kind == "feature" else (study.partition.p, study.partition.k)
    numbers = range(0, 60, 7)

    def panel_labels() -> list[str]:
        views = [panel.known_labels(queries, ready, n, kind, *where) for n in numbers]
        return [groups[0].text if (groups := panel.grouped(view)) else "" for view in views]

    def listed(number: int | None, n: int) -> str:
        labels = queries.best_labels(ready, kind, *(where or (None, None)), number)
        return next(iter(labels.filter(number=n)["label"]), "")

    monkeypatch.setitem(st.session_state, "address.page", f"{kind}s")
    alone = [listed(n, n) for n in numbers]
    assert any(alone)
    assert panel_labels() == alone
    assert not any(listed(None, n) for n in numbers), "the others are not counted yet"
    run_job(ready, queries.count_labels(ready, kind, *where))
    assert [listed(None, n) for n in numbers] == alone
    assert panel_labels() == alone


def test_counting_is_on_the_side_of_the_tier(
    ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    use_copy_without("labels.*", tmp_path, monkeypatch)
    run_job(ready, queries.count_labels(ready))
    tiers = ["1 input", "1 output", "2 cross", "3 obscure"] * FEATURES
    view = SimpleNamespace(
        table=pl.DataFrame({"feature": range(FEATURES), "tier": tiers[:FEATURES]}).cast(
            {"feature": pl.Int32}
        )
    )
    monkeypatch.setattr(finding.tier_answers.tiers, "look", lambda *_: view)
    study = loading.load(ready)
    with run.looking("cpu"):
        entry = label_search.counted(subject_of(study, "feature", None, None), Sampling())
    counted = {(n, m): label for n, m, label, _ in entry.frame("labels").iter_rows()}
    best = dict(queries.best_labels(ready).select("number", "label").iter_rows())
    sides = 0
    for number, label in best.items():
        method = {0: "token_frequency_input", 1: "token_frequency_output"}.get(number % 4, "")
        own = counted.get((number, method), "")
        if own and not mark_named(own):
            assert label == own
            sides += own != counted[number, "token_frequency"]
    assert sides, "else this test shows nothing"


def test_regions_are_found_among_their_members(ready: str) -> None:
    table = queries.find_regions(ready, "boat")
    hits = queries.search_regions(ready, "boat")
    assert set(hits["region"]) <= set(table["region"])
    assert table["rank"].to_list() == sorted(table["rank"], reverse=True)
    assert len(queries.find_regions(ready, "nowherewordatall")) == 0
