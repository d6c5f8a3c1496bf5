"""The door: what pages and the command line are told about a small, fully computed study."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from backend import queries, run
from backend.__main__ import main
from backend.corpus import passages
from backend.features import codes
from backend.features.views import FeatureTable, FeatureView
from backend.overview.views import Overview
from backend.regions import answers, partitioned
from backend.regions.views import MemberDraw, RegionMap, RegionView
from backend.schema import Job, ModelError, NotFoundError, Progress, StudyError, TesseraError
from backend.study import loading as studies
from components.regions.controls import preview_words
from tests.conftest import LAYER
from tests.helpers.pages import html_of, opened


def region_map(study: str) -> RegionMap:
    answer = queries.regions(study)
    assert isinstance(answer, RegionMap)
    return answer


def partitioned_study(study: str) -> partitioned.Partitioned:
    return partitioned.partitioned(studies.load(study).cut())


# ---------------------------------------------------------------- regions


def test_every_token_is_counted_in_one_region(ready: str) -> None:
    answer = region_map(ready)
    assert answer.table["region"].to_list() == list(range(len(answer.table)))
    assert answer.table["size"].sum() + answer.table["gray"].sum() == answer.tokens
    assert answer.gray == answer.uncovered == 0
    assert answer.table["share"].sum() == pytest.approx(1)


def test_the_map_is_whole_and_laid_out_by_umap(ready: str) -> None:
    answer = region_map(ready)
    assert answer.layout == "umap"
    assert answer.pending is None
    assert np.isfinite(answer.table.select("x", "y").to_numpy()).all()


def test_an_exemplar_is_a_member_at_distance_zero(ready: str) -> None:
    for region in (0, 1, len(region_map(ready).table) - 1):
        view = queries.region(ready, region)
        assert isinstance(view, RegionView)
        assert view.exemplar.distance == pytest.approx(0, abs=1e-6)
        assert view.exemplar.passage.pieces[view.exemplar.passage.focus] == view.row["token"]
        assert view.tokens["count"].sum() <= view.row["size"]
        assert view.topics["count"].sum() == view.row["size"]


def test_a_token_leads_to_its_region(ready: str) -> None:
    for region, row in enumerate(partitioned_study(ready).regions["token"][:5]):
        assert queries.region_of(ready, row) == region
    with pytest.raises(NotFoundError, match="tokens 0 to"):
        queries.region_of(ready, 10**9)


def test_members_are_drawn_as_said(ready: str) -> None:
    table = region_map(ready).table
    region = int(table.sort("size", descending=True)["region"][0])
    closest = queries.region_members(ready, region, draw=MemberDraw("closest", 5))
    farthest = queries.region_members(ready, region, draw=MemberDraw("farthest", 5))
    near = [member.distance for member in closest.items]
    far = [member.distance for member in farthest.items]
    assert near == sorted(near)
    assert max(near) <= min(far)
    owner = partitioned_study(ready).owner
    assert {int(owner[m.token]) for m in (*closest.items, *farthest.items)} == {region}
    assert closest.population == table["size"][region] - 1  # the exemplar is shown above
    draws = (MemberDraw("random", seed=seed) for seed in (0, 0, 1))
    one, second, other = (
        [member.token for member in queries.region_members(ready, region, draw=draw).items]
        for draw in draws
    )
    assert one == second
    assert one != other


def test_search_counts_what_a_plain_count_finds(ready: str) -> None:
    hits = queries.search_regions(ready, "anchor")
    tokens, owner = partitioned_study(ready).tokens, partitioned_study(ready).owner
    rows = []
    for document, text in enumerate(tokens.documents["text"]):
        first, last = tokens.document_span(document)
        for match in re.finditer(r"\banchor\b", text):
            rows += [
                row
                for row in range(first, last)
                if tokens.starts[row] < match.end() and tokens.ends[row] > match.start()
            ]
    counted = np.bincount(owner[rows], minlength=len(region_map(ready).table))
    assert dict(hits.select("region", "hits").iter_rows()) == {
        region: count for region, count in enumerate(counted) if count
    }


def test_search_of_parts_of_words_and_of_nothing(ready: str) -> None:
    tokens = partitioned_study(ready).tokens
    assert len(passages.find_text(tokens, "anch*")) >= len(passages.find_text(tokens, "anchor"))
    assert len(passages.find_text(tokens, "ancho")) == 0
    assert len(passages.find_text(tokens, "  ")) == 0
    assert len(passages.find_text(tokens, "<script>alert(1)")) > 0


def test_a_document_is_shown_whole_by_region_and_by_feature(ready: str) -> None:
    tokens = partitioned_study(ready).tokens
    for number in (0, len(tokens.documents) - 1):
        passage = queries.document(ready, number)
        assert "".join(passage.pieces) == tokens.documents["text"][number]
        assert len(passage.regions) == len(passage.values) == len(passage.pieces)
    study = studies.load(ready)
    assert study.sae is not None
    entry = codes.index(study.reading, study.sae)
    busiest = int(np.argmax(np.diff(entry.array("offsets"))))
    first, last = tokens.document_span(0)
    low, high = entry.array("offsets")[busiest : busiest + 2]
    rows, values = entry.array("rows")[low:high], entry.array("values")[low:high]
    expected = np.zeros(last - first)
    inside = (rows >= first) & (rows < last)
    expected[rows[inside] - first] = values[inside]
    assert queries.document(ready, 0, feature=busiest).values == pytest.approx(expected.tolist())


def test_stops_that_are_not_computed_are_null(ready: str) -> None:
    frame = queries.stops(ready)
    done = frame.filter(p=10.0, k=1.0)
    assert done["regions"][0] == len(region_map(ready).table)
    assert frame["regions"].null_count() == len(frame) - 1
    assert frame["theta"].null_count() == 0


# ---------------------------------------------------------------- features


def test_features_agree_with_their_index(ready: str) -> None:
    answer = queries.features(ready)
    assert isinstance(answer, FeatureTable)
    study = studies.load(ready)
    assert study.sae is not None
    entry = codes.index(study.reading, study.sae)
    active = np.diff(entry.array("offsets"))
    assert answer.table["active"].to_list() == active.tolist()
    assert answer.dead == int((active == 0).sum())
    assert answer.l0 == pytest.approx(active.sum() / answer.tokens)


def test_a_feature_and_its_examples(ready: str) -> None:
    answer = queries.features(ready)
    assert isinstance(answer, FeatureTable)
    busiest = int(answer.table.sort("active", descending=True)["feature"][0])
    view = queries.feature(ready, busiest)
    assert isinstance(view, FeatureView)
    assert view.histogram["count"].sum() == view.row["active"]
    assert len(view.promoted) > 0
    assert len(view.regions) > 0
    top = queries.feature_examples(ready, busiest, draw="top", count=4)
    peaks = [example.activation for example in top.items]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[0] == pytest.approx(view.row["max"])
    for example in top.items:
        assert max(example.passage.values) == pytest.approx(example.activation)
    silent = queries.feature_examples(ready, busiest, draw="silent", count=4)
    assert all(max(example.passage.values) == 0 for example in silent.items)
    quantile = queries.feature_examples(ready, busiest, draw="quantile 1", count=4)
    assert all(example.activation > 0 for example in quantile.items)


def test_search_of_features_finds_where_they_fire(ready: str) -> None:
    hits = queries.search_features(ready, "anchor")
    assert len(hits) > 0
    assert hits["share"].max() <= 1  # type: ignore[operator]


def test_overview_adds_up(ready: str) -> None:
    answer = queries.overview(ready)
    assert isinstance(answer, Overview)
    assert answer.topics["tokens"].sum() == answer.tokens
    assert answer.topics["documents"].sum() == answer.documents
    assert isinstance(answer.regions, RegionMap)


def test_a_study_says_what_it_looks_at(ready: str, capsys: pytest.CaptureFixture[str]) -> None:
    card = queries.study(ready)
    assert (card.name, card.problem, card.p_stops) == (ready, "", (20.0, 10.0))
    assert main(["prepare", "--study", ready]) == 0
    assert capsys.readouterr().out == f"{ready} is ready.\n"


@pytest.fixture
def other(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], str]:
    """Writes the study `small` anew with one text of its file replaced, in an empty cache that no
    worker serves."""
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)

    def write(old: str, new: str) -> str:
        text = (world / "studies" / "small.toml").read_text()
        assert old in text
        (tmp_path / "studies").mkdir()
        (tmp_path / "studies" / "other.toml").write_text(text.replace(old, new))
        monkeypatch.setenv("TESSERA_STUDIES", str(tmp_path / "studies"))
        monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "cache"))
        return "other"

    return write


def test_parts_that_do_not_fit_are_told_before_anything_is_computed(
    other: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = other(f"layer = {LAYER}", "layer = 40")
    assert "has no block 40" in queries.study(name).problem
    assert main(["study", "--study", name]) == 0
    assert "write 0 to 3" in capsys.readouterr().out
    assert main(["prepare", "--study", name]) == 1
    assert "has no block 40" in capsys.readouterr().err
    assert queries.jobs() == []


def test_a_corpus_shorter_than_asked_is_no_preview(other: Callable[[str, str], str]) -> None:
    name = other("context_length = 32", "context_length = 32\ntokens = 1_000_000")
    loaded = studies.load(name)
    with run.computing("cpu", Progress()):
        answers.regions.part(loaded)
    view = queries.regions.look(name)
    assert view is not None
    assert view.tokens == view.corpus_tokens
    assert (view.asked_tokens, view.layout) == (1_000_000, "umap")
    assert preview_words(view) == ""
    assert "asks for 1,000,000" in html_of(opened("regions", study=name))


# ---------------------------------------------------------------- what is not there


@pytest.mark.parametrize(
    "ask",
    [
        lambda study: queries.region(study, 10_000),
        lambda study: queries.region(study, -1),
        lambda study: queries.feature(study, 10_000),
        lambda study: queries.document(study, 10_000),
        lambda study: queries.document(study, 0, feature=-5),
        lambda study: queries.region_members(study, 0, draw=MemberDraw("sideways")),
        lambda study: queries.feature_examples(study, 0, draw="quantile 11"),
        lambda study: queries.job("no such job"),
    ],
)
def test_what_does_not_exist_is_named_with_a_remedy(ready: str, ask: object) -> None:
    with pytest.raises(TesseraError) as caught:
        ask(ready)  # type: ignore[operator]
    assert caught.value.problem
    assert caught.value.remedy


def test_an_unknown_study_and_bad_stops(ready: str) -> None:
    with pytest.raises(StudyError):
        queries.regions("../../etc/passwd")
    with pytest.raises(TesseraError):
        queries.regions(ready, p=-1)
    with pytest.raises(TesseraError):
        queries.regions(ready, k=0.5)


def test_a_study_without_sae_says_so(
    ready: str, world, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (world / "studies" / "small.toml").read_text()
    (tmp_path / "bare.toml").write_text(re.sub(r"\[sae\]\n.*\n", "", text))
    monkeypatch.setenv("TESSERA_STUDIES", str(tmp_path))
    with pytest.raises(ModelError, match="no SAE"):
        queries.features("bare")
    overview = queries.overview("bare")
    assert isinstance(overview, Overview)
    assert overview.features is None


def test_what_is_missing_is_a_job_and_asked_once(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    first, second = queries.regions(small), queries.regions(small)
    assert isinstance(first, Job)
    assert isinstance(second, Job)
    assert first.id == second.id
    assert first.state == "queued"
    assert (first.query, first.title) == ("regions", "Regions of the corpus")
    named = queries.regions(small, p=10.0, k=1.0)
    assert isinstance(named, Job)
    assert named.id == first.id, "the study's own p and k, named"
    other = queries.regions(small, p=20.0)
    assert isinstance(other, Job)
    assert other.id != first.id
    assert queries.cancel(first.id).state == "cancelled"
    second = queries.regions(small)
    assert isinstance(second, Job)
    assert (second.id, second.state) == (first.id, "cancelled")


def test_a_bad_study_file_is_listed_with_its_problem(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.toml").write_text("this is not toml")
    monkeypatch.setenv("TESSERA_STUDIES", str(tmp_path))
    (card,) = queries.studies()
    assert card.problem
    assert card.remedy


# ---------------------------------------------------------------- the command line


def test_the_command_line_shows_what_the_page_shows(
    ready: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["regions", "--study", ready, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    answer = region_map(ready)
    assert printed["theta"] == answer.theta
    assert pl.DataFrame(printed["table"])["size"].to_list() == answer.table["size"].to_list()
    assert main(["region", "--study", ready, "--region", "0"]) == 0
    assert "exemplar" in capsys.readouterr().out


def test_errors_on_the_command_line_name_the_remedy(
    ready: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["region", "--study", ready, "--region", "99999"]) == 1
    assert "This partition has regions 0 to" in capsys.readouterr().err
    assert main(["nonsense"]) == 2


def test_unknown_jobs_are_not_found(ready: str) -> None:
    with pytest.raises(NotFoundError):
        queries.cancel("nope")
