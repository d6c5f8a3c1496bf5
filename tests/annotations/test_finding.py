"""Search by label, token and text, and the best label of each feature."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from backend import queries, run
from backend.annotations import finding
from backend.annotations.finding import EXACT, TOKEN, WORDS, rank_labels
from backend.corpus import passages
from backend.features.answers import feature_index
from backend.study import loading
from tests.conftest import FEATURES
from tests.helpers.decisions import decision


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
    monkeypatch.setattr(finding, "_by_counting", lambda subject: counted)
    monkeypatch.setattr(finding, "_by_model", lambda subject: counted.clear())
    assert queries.decide(ready, "ann", [decision(1, "boats at sea")]).refused == {}
    labels = queries.best_labels(ready)
    assert labels.to_dicts() == [
        {"number": 1, "method": "human", "label": "boats at sea"},
        {"number": 2, "method": "token_frequency", "label": 'token "b"'},
    ]
    by_label = queries.find_features(ready, "boats")
    assert (by_label["feature"][0], by_label["matched"][0]) == (1, "label")
    assert queries.best_labels(ready, "region")["number"].to_list() == [1, 2]  # by counting alone
    assert queries.jobs() == []


def test_regions_are_found_among_their_members(ready: str) -> None:
    table = queries.find_regions(ready, "boat")
    hits = queries.search_regions(ready, "boat")
    assert set(hits["region"]) <= set(table["region"])
    assert table["rank"].to_list() == sorted(table["rank"], reverse=True)
    assert len(queries.find_regions(ready, "nowherewordatall")) == 0
