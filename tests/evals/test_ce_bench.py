"""CE-Bench from marks to tab: definitions against computations by hand, planted features, nulls
that must be lower, and everything that can be wrong with stories and SAEs."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from backend import query, run
from backend.corpus import sources
from backend.evals.ce_bench import DEFINITIONS, checks, definitions, means, pairs, steer
from backend.evals.ce_bench import answers as ce_bench_answers
from backend.evals.ce_bench import sweep as ce_sweep
from backend.evals.ce_bench.definitions import Means
from backend.evals.ce_bench.views import CeBench, CeSubject
from backend.models import language_model
from backend.models import sae as sae_models
from backend.schema import (
    CorpusError,
    Job,
    ModelError,
    NotFiniteError,
    NotFoundError,
    PairsRef,
    Progress,
    SaeRef,
    StudyError,
    TesseraError,
)
from backend.study import loading as studies
from components.evals.ce_bench import checks as ce_bench_checks
from components.evals.ce_bench import details as ce_bench_details
from components.evals.ce_bench import tab as tab
from tests.conftest import LAYER, SUBJECTS, VERBS, write_sae


def given(
    mean: Any, subject_of: Any, tokens: Any = None, bos: Any = None, marked: Any = None
) -> Means:
    mean = np.array(mean, np.float32)
    counts = np.full(len(mean), 10) if tokens is None else np.array(tokens)
    return Means(
        mean=mean,
        marked=mean * 0 if marked is None else np.array(marked, np.float32),
        tokens=counts,
        marks=np.full(len(mean), 0 if marked is None else 2),
        bos=np.zeros(mean.shape[1], np.float32) if bos is None else np.array(bos, np.float32),
        subject_of=np.array(subject_of),
    )


# ---------------------------------------------------------------- definitions by hand

V = [[4.0, 0.0, 1.0], [1.0, 2.0, 1.0], [0.5, 3.0, 0.0], [0.5, 1.0, 2.0]]  # two pairs of stories
N, BOS = [3, 5, 4, 2], [8.0, 0.0, 2.0]


def test_published_scores_equal_a_hand_computation_its_slip_included() -> None:
    """Plain lists: means with the BOS, nothing subtracted from I1, z with n − 1."""
    found = definitions.score(given(V, [0, 1], N, BOS), "published")
    for pair in (0, 1):
        a, b, n, m = V[2 * pair], V[2 * pair + 1], N[2 * pair], N[2 * pair + 1]
        v1 = [(n * x + start) / (n + 1) for x, start in zip(a, BOS, strict=True)]
        v2 = [(m * x + start) / (m + 1) for x, start in zip(b, BOS, strict=True)]
        i1 = [(n * x + m * y + 2 * s) / (n + m + 2) for x, y, s in zip(a, b, BOS, strict=True)]
        i2 = [0.0, 0.0, 0.0]
        far = [abs(x - y) for x, y in zip(v1, v2, strict=True)]
        apart = [abs(x - y) for x, y in zip(i1, i2, strict=True)]
        both = [x + y for x, y in zip(far, apart, strict=True)]
        best = []
        for part in (far, apart, both):
            middle, spread = statistics.mean(part), statistics.stdev(part)
            best.append(max((x - middle) / spread for x in part))
        assert found.scores[pair].tolist() == pytest.approx(best, rel=1e-6)
        assert best[2] != pytest.approx(best[0] + best[1])  # it is no sum of the other two


def brute(means_: Means, pair: int) -> tuple[list[float], list[float]]:
    """Corrected distances of a pair, one number at a time."""
    pooled = []
    for each in range(len(means_.subject_of)):
        n, m = (int(means_.tokens[2 * each + at]) for at in (0, 1))
        one, other = (means_.mean[2 * each + at].tolist() for at in (0, 1))
        pooled.append([(n * x + m * y) / (n + m) for x, y in zip(one, other, strict=True)])
    rest = [
        p for p, s in zip(pooled, means_.subject_of, strict=True) if s != means_.subject_of[pair]
    ]
    away = [sum(column) / len(rest) for column in zip(*rest, strict=True)]
    parts = []
    for one, other in (
        (means_.mean[2 * pair].tolist(), means_.mean[2 * pair + 1].tolist()),
        (pooled[pair], away),
    ):
        low, high = min(one + other), max(one + other)
        parts.append([abs(x - y) / (high - low) for x, y in zip(one, other, strict=True)])
    return parts[0], parts[1]


def test_corrected_scores_equal_brute_force() -> None:
    rng = np.random.default_rng(0)
    made = given(rng.exponential(size=(14, 6)), [0, 0, 1, 1, 1, 2, 0], rng.integers(3, 30, 14))
    found = definitions.score(made, "corrected")
    for pair in range(7):
        far, apart = brute(made, pair)
        assert found.contrastive[pair].tolist() == pytest.approx(far, rel=1e-5)
        assert found.independent[pair].tolist() == pytest.approx(apart, rel=1e-5)
        wanted = [max(far), max(apart), max(far) + max(apart)]
        assert found.scores[pair].tolist() == pytest.approx(wanted, rel=1e-5)


def test_the_seed_tells_marked_tokens_from_unmarked_ones() -> None:
    """Story 1 is tokens (6, 0), (0, 0), story 2 (2, 4), (0, 0), (1, 0); the first are marked."""
    made = Means(
        mean=np.array([[3, 0], [1, 4 / 3]], np.float32),
        marked=np.array([[6, 0], [2, 4]], np.float32),
        tokens=np.array([2, 3]),
        marks=np.array([1, 1]),
        bos=np.array([50, 0], np.float32),
        subject_of=np.array([0]),
    )
    found = definitions.score(made, "seed")
    # marked (4, 2), unmarked (1/3, 0), so that 0 to 4 becomes 0 to 1
    assert found.independent[0].tolist() == pytest.approx([11 / 12, 1 / 2], rel=1e-6)
    assert found.contrastive[0].tolist() == pytest.approx([2 / 3, 4 / 9], rel=1e-6)
    assert found.scores[0].tolist() == pytest.approx([2 / 3, 11 / 12, 2 / 3 + 11 / 12], rel=1e-6)
    assert found.above.tolist() == [[True, True]]


def test_without_its_words_a_story_is_its_other_tokens() -> None:
    """A story of (6, 0), (1, 3), (2, 3), the first marked; and one that is all marks."""
    made = Means(
        mean=np.array([[3, 2], [4, 0]], np.float32),
        marked=np.array([[6, 0], [4, 0]], np.float32),
        tokens=np.array([3, 2]),
        marks=np.array([1, 2]),
        bos=np.zeros(2, np.float32),
        subject_of=np.array([0]),
    ).unmarked()
    assert made.mean.tolist() == [[1.5, 3], [0, 0]]
    assert made.tokens.tolist() == [2, 1]
    assert not made.marks.any()


def test_a_pair_without_marks_has_only_a_contrastive_score_by_the_seed() -> None:
    found = definitions.score(given(V, [0, 1], N), "seed")
    assert np.isfinite(found.scores[:, 0]).all()
    assert np.isnan(found.scores[:, 1:]).all()


def test_one_subject_has_no_corrected_independence() -> None:
    found = definitions.score(given(V, [0, 0], N), "corrected")
    assert np.isfinite(found.scores[:, 0]).all()
    assert np.isnan(found.scores[:, 1:]).all()


def test_silent_features_are_no_distance_apart() -> None:
    for definition in DEFINITIONS:
        found = definitions.score(
            given(np.zeros((4, 3)), [0, 1], marked=np.zeros((4, 3))), definition
        )
        assert np.abs(found.scores).max() == 0


# ---------------------------------------------------------------- planted, and the nulls


def planted(subjects: int = 12, each: int = 2, width: int = 300) -> Means:
    """Feature s is strong in the stories of subject s alone; all else is noise."""
    rng = np.random.default_rng(1)
    subject_of = np.repeat(np.arange(subjects), each)
    mean = rng.exponential(0.2, (2 * len(subject_of), width))
    mean[np.arange(len(mean)), np.repeat(subject_of, 2)] += 3
    return given(mean, subject_of)


def held(made: Means) -> dict[str, Any]:
    found = {d: definitions.score(made, d) for d in ("published", "corrected")}
    rows = checks.held_out(made, found, 0).iter_rows(named=True)
    return {row["definition"]: row for row in rows}


def test_a_planted_feature_is_found_again_on_the_pair_held_out() -> None:
    row = held(planted())["corrected"]
    assert (row["median"], row["share"], row["pairs"], row["subjects"]) == (1.0, 1.0, 24, 12)
    assert row["other_median"] > 5
    assert row["other_share"] < 0.5
    assert row["null"] < 0.8
    assert row["chance"] == pytest.approx(10 / 300)


def test_features_that_are_high_everywhere_do_not_pass_for_reading_a_subject() -> None:
    made = planted()
    loud = made.mean.copy()
    loud[:, 50] += 40
    row = held(replace(made, mean=loud))["published"]
    assert (row["share"], row["other_share"], row["null"]) == (1.0, 1.0, 1.0)


def test_noise_is_found_again_as_often_as_chance_says() -> None:
    rng = np.random.default_rng(2)
    made = given(rng.exponential(size=(160, 200)), np.repeat(np.arange(20), 4))
    row = held(made)["corrected"]
    assert row["low"] <= 0.2
    assert row["share"] < 0.2


def test_nulls_are_lower_where_a_subject_is_read() -> None:
    made = planted()
    found = {"corrected": definitions.score(made, "corrected")}
    table = checks.scores(made, found, np.empty((0, 24)), 0)
    row = table.row(by_predicate=pl.col("score") == "independent", named=True)
    assert row["low"] <= row["value"] <= row["high"]
    assert row["null_high"] < row["value"]
    contrast = table.row(by_predicate=pl.col("score") == "contrastive", named=True)
    assert contrast["null"] > contrast["value"]  # stories of one subject are alike


def test_the_published_independence_has_no_null() -> None:
    made = planted()
    found = {"published": definitions.score(made, "published")}
    table = checks.scores(made, found, np.empty((0, 24)), 0)
    nulls = dict(table.select("score", "null").iter_rows())
    assert nulls["independent"] is None
    assert nulls["contrastive"] > 0
    assert nulls["interpretability"] > 0


def test_moved_marks_keep_their_runs() -> None:
    rng = np.random.default_rng(0)
    mask = np.array([0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0], bool)
    seen = set()
    for _ in range(200):
        made = means.placed(mask, rng)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], made.astype(int), [0]])))
        assert sorted((edges[1::2] - edges[::2]).tolist()) == [1, 2, 3]
        seen |= set(np.flatnonzero(made).tolist())
    assert seen == set(range(13))
    assert means.placed(np.ones(4, bool), rng).all()
    assert not means.placed(np.zeros(4, bool), rng).any()


def test_halves_hold_different_subjects() -> None:
    made = planted()
    side = checks.sides(12, 0)
    assert sorted(side.tolist()) == [0] * 6 + [1] * 6
    table = checks.halves(made, 0).filter(definition="corrected", score="independent")
    assert table["subjects"].to_list() == [6, 6]
    part = made.subset(np.flatnonzero(side[made.subject_of] == 0))
    wanted = definitions.score(part, "corrected").scores[:, 1].mean()
    assert table["value"][0] == pytest.approx(wanted)


def test_overlap_counts_features_in_common() -> None:
    width = 100
    mean = np.zeros((8, width))
    for story, first in enumerate((0, 0, 10, 10, 60, 60, 60, 60)):
        mean[story, first : first + 20] = 1 + np.arange(20)
    rows = {r["of"]: r["value"] for r in checks.overlap(given(mean, [0, 0, 1, 1]), 0).to_dicts()}
    assert rows == {"pair": 1.0, "subject": pytest.approx(0.75), "others": pytest.approx(0.0)}


# ---------------------------------------------------------------- marks


def test_marks_become_spans_of_the_plain_text() -> None:
    text, spans, whole = pairs.marked("A <subject>red boat</subject> and <SUBJECT>boats</SUBJECT>.")
    assert text == "A red boat and boats."
    assert [text[a:b] for a, b in spans] == ["red boat", "boats"]
    assert whole


@pytest.mark.parametrize(
    "story",
    [
        "<subject>open",
        "shut</subject> it",
        "<subject>a <subject>b</subject></subject>",
        "</subject>",
    ],
)
def test_broken_marks_mark_nothing(story: str) -> None:
    text, spans, whole = pairs.marked(story)
    assert "subject" not in text.casefold()
    assert not spans
    assert not whole


def row(subject: str, number: int, marked: bool = True) -> dict[str, str]:
    """A pair of short stories on a topic of the small world."""
    words = SUBJECTS[subject]
    tell = lambda at: " ".join(  # noqa: E731
        f"The {f'<subject>{words[0]}</subject>' if marked else words[0]} "
        f"{VERBS[(number * 3 + at + i) % 10]} the {words[1 + (2 * i + at + number) % 9]} on {i}."
        for i in range(6)
    )
    return {
        "subject": subject,
        "aspect1": "one",
        "aspect2": "two",
        "story1": tell(0),
        "story2": tell(5),
    }


def write(path: Path, rows: list[dict[str, Any]]) -> PairsRef:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return pairs.choose(str(path))


ROWS = [row(subject, number) for subject in SUBJECTS for number in range(3)]


def read(study: str, ref: PairsRef) -> pairs.Stories:
    return pairs.Stories(pairs.read(studies.load(study).model, ref))


def test_a_token_is_marked_where_it_overlaps_a_mark(small: str, tmp_path: Path) -> None:
    stories = read(small, write(tmp_path / "some.jsonl", ROWS))
    assert stories.subjects == list(SUBJECTS)
    assert len(stories.pairs) == 9
    first = stories.tokens
    text, spans, _ = pairs.marked(ROWS[0]["story1"])
    assert first.documents["text"][0] == text
    inside = [
        any(first.starts[t] < b and first.ends[t] > a for a, b in spans)
        for t in range(stories.offsets[1])
    ]
    assert stories.marked[: stories.offsets[1]].tolist() == inside
    assert 0 < sum(inside) < len(inside)


def test_what_is_odd_about_stories_is_counted(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "LONGEST", 40)
    long = row("kitchen", 0) | {"story2": "The oven. " * 40 + "<subject>oven</subject>"}
    broken = row("harbour", 0) | {"story1": "The <subject>boat is lost."}
    stories = read(small, write(tmp_path / "odd.jsonl", [row("orchard", 0, False), long, broken]))
    assert stories.counts["unmarked"] == 1
    assert stories.counts["broken"] == 1
    assert stories.counts["limit"] == 40
    assert stories.counts["cut"] >= 1
    assert np.diff(stories.offsets).max() == 40
    assert not stories.marked[stories.offsets[3] : stories.offsets[4]].any()  # cut with its mark


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"story2": " "}, r"row 2, has no text in story2"),
        ({"story1": "<subject></subject>"}, r"row 2, has no text in story1"),
        ({"subject": ""}, r"row 2, has no text in subject"),
        ({"story1": 7}, r"row 2, has no text in story1"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, bad: dict[str, Any], said: str) -> None:
    ref = write(tmp_path / "bad.jsonl", [ROWS[0], ROWS[1] | bad])
    with pytest.raises(CorpusError, match=said):
        pairs.load(ref)


def test_sets_that_are_not_there_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(CorpusError, match="no pair"):
        pairs.load(pairs.choose(str(tmp_path / "empty.jsonl")))
    with pytest.raises(CorpusError, match="does not exist"):
        pairs.choose(str(tmp_path / "none.csv"))
    with pytest.raises(CorpusError, match="no table"):
        pairs.choose(str(tmp_path))
    with pytest.raises(CorpusError, match="no stories called"):
        pairs.choose("stories")


def test_a_set_of_the_hub_is_streamed_at_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def stream(ref: Any) -> Any:
        asked.append(ref)
        yield {"story1": "One.", "story2": "Two.", "subject_title": "boats"}

    monkeypatch.setattr(sources.hub, "dataset_commit", lambda _: "abc")
    monkeypatch.setattr(sources, "hub_rows", stream)
    ref = pairs.choose("GulkoA/contrastive-stories-v0:all")
    assert (ref.kind, ref.revision) == ("hub", "abc")
    assert [pair.subject for pair in pairs.load(ref)] == ["boats"]
    assert (asked[0].path, asked[0].digest) == ("GulkoA/contrastive-stories-v0:all", "abc")


def test_tesseras_own_stories_are_what_they_should_be() -> None:
    own = pairs.load(pairs.choose(""))
    subjects = [pair.subject for pair in own]
    assert len(own) >= 36
    assert len(set(subjects)) >= 12
    assert min(subjects.count(s) for s in set(subjects)) >= 3
    for pair in own:
        parsed = [pairs.marked(story) for story in pair.stories]
        assert all(whole and spans for _, spans, whole in parsed), pair.subject
        assert all(pair.aspects)
        lengths = [len(text) for text, _, _ in parsed]
        assert max(lengths) < 1.3 * min(lengths)


# ---------------------------------------------------------------- the whole way, small


def reading(folder: Path, study: str, ref: PairsRef, subject: str) -> SaeRef:
    """A random SAE whose feature 7 is set by hand to fire on a subject's marked tokens alone."""
    write_sae(folder)
    loaded = studies.load(study)
    stories = read(study, ref)
    network = language_model.load(loaded.model, "cpu")
    rows = [
        network.residual(
            torch.tensor([[network.bos, *stories.tokens.ids[a:b].tolist()]]), None, LAYER
        )
        for a, b in zip(stories.offsets[:-1], stories.offsets[1:], strict=True)
    ]
    x = torch.cat([each[0, 1:] for each in rows]).double()
    own = np.repeat(stories.subject_of == stories.subjects.index(subject), 2)
    wanted = torch.from_numpy(stories.marked & np.repeat(own, np.diff(stories.offsets)))
    whole = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    fitted = torch.linalg.lstsq(whole, wanted.double()[:, None]).solution[:, 0]
    from sae_lens import SAE

    made = SAE.load_from_disk(str(folder), device="cpu", dtype="float32")
    made.W_enc.data[:, 7] = 500 * fitted[:-1].float()
    made.b_enc.data[7] = 500 * float(fitted[-1]) - 100
    made.save_model(folder)
    return SaeRef(f"folder:{folder}", sae_models.resolve(f"folder:{folder}"))


def listing(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str) -> str:
    """The small study with something added to its file."""
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "many.toml").write_text((world / "studies" / "small.toml").read_text() + more)
    monkeypatch.setenv("TESSERA_STUDIES", str(folder))
    return "many"


def compute(study: str, stories: str) -> None:
    """What the job of CE-Bench does."""
    with run.computing("cpu", Progress()):
        ce_bench_answers.ce_bench(study, stories)


def look(study: str, stories: str) -> CeBench:
    """CE-Bench as it is computed."""
    view = ce_bench_answers.ce_bench.look(study, stories)
    assert view is not None
    return view


@pytest.fixture
def stories(tmp_path: Path) -> str:
    write(tmp_path / "some.jsonl", ROWS)
    return str(tmp_path / "some.jsonl")


def test_a_feature_set_to_read_one_subject_is_its_first(
    small: str, stories: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = reading(tmp_path / "sae", small, pairs.choose(stories), "kitchen")
    text = (world / "studies" / "small.toml").read_text()
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "read.toml").write_text(
        text.replace(str(world / "sae"), ref.source[7:])
    )
    monkeypatch.setenv("TESSERA_STUDIES", str(tmp_path / "studies"))
    compute("read", stories)
    view = look("read", stories)
    for definition in ("corrected", "seed"):
        tops = view.tops.filter(definition=definition, subject="kitchen")
        assert tops.row(0, named=True)["feature"] == 7
        assert tops.row(0, named=True)["above"] == 1
        others = view.tops.filter((pl.col("subject") != "kitchen") & (pl.col("rank") <= 3))
        assert 7 not in others.filter((pl.col("definition") == definition) & (pl.col("above") > 0))
    one = ce_bench_answers.ce_subject("read", "kitchen", stories)
    assert isinstance(one, CeSubject)
    assert one.feature == 7
    read_ = read("read", pairs.choose(stories))
    for number, passage in enumerate(one.stories[0], 6):  # of the fourth pair
        marked = read_.marked[slice(*read_.offsets[number : number + 2])]
        values = np.array(passage.values)
        assert "".join(passage.pieces) == read_.tokens.documents["text"][number]
        assert values[marked].mean() > 3 * values[~marked].mean()


def test_everything_is_computed_by_one_job_and_read_without_a_model(
    small: str, stories: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    assert ce_bench_answers.ce_bench.look(small, stories) is None
    assert isinstance(ce_bench_answers.ce_bench(small, stories), Job)
    compute(small, stories)
    monkeypatch.setattr(language_model, "load", lambda *_: pytest.fail("a model was loaded"))
    view = look(small, stories)
    assert view.subjects == tuple(SUBJECTS)
    assert view.width == 64
    assert set(view.scores["reader"]) == {"sae", "random_topk"}
    assert view.readers["l0"].to_list() == pytest.approx([6, 6], abs=0.2)
    assert view.scores.filter(definition="corrected")["value"].null_count() == 0
    assert len(view.sweep.filter(reader="sae")) == 9
    assert not view.missing
    with pytest.raises(NotFoundError, match="no feature 64"):
        ce_bench_answers.ce_subject(small, "", stories, "seed", 64)
    with pytest.raises(NotFoundError, match="no subject 'cars'"):
        ce_bench_answers.ce_subject(small, "cars", stories)


def test_headline_numbers_carry_n_and_what_their_control_gives(small: str, stories: str) -> None:
    compute(small, stories)
    table = ce_bench_answers.measures(look(small, stories))
    assert table.columns == ["measure", "value", "low", "high", "n", "n_of", "null", "control"]
    rows = {r["measure"]: r for r in table.iter_rows(named=True)}
    assert rows["independent score, corrected"]["control"] == "subjects dealt at random"
    assert rows["independent score, corrected"]["n"] == 3
    assert rows["interpretability score, published"]["control"] == "stories dealt to other pairs"
    assert "feature found again on a pair held out, corrected" in rows
    assert "interpretability score, corrected, random directions" in rows
    assert table["measure"].n_unique() == len(table)


def test_the_tab_says_what_was_found(small: str, stories: str) -> None:
    compute(small, stories)
    view = look(small, stories)
    assert "of 9 cases" in tab.answer(view)
    assert "by the corrected definition" not in tab.answer(view)
    assert "(" not in tab.answer(view)
    assert "There are 3 subjects only" in tab.answer(view)
    for definition in DEFINITIONS:
        assert len(tab.scores_chart(view, definition).data) == 2
        cloud = ce_bench_details.cloud_chart(view, definition)
        assert len(cloud.data[0].x) == 64
        heat = ce_bench_details.heat_chart(view, definition).data[0]
        assert heat.z.shape == (len(view.heat[definition].features), 3)
    assert len(ce_bench_checks.held_out_chart(view).data[0].y) == 4
    assert ce_bench_checks.held_out_html(view).count("<tr>") == 9
    assert tab.scores_html(view).count("<tr>") == 13
    assert set(tab.tables(view)) >= {"scores", "held out", "pairs"}


def test_a_verdict_needs_intervals_over_five_subjects(small: str, stories: str) -> None:
    compute(small, stories)
    few = look(small, stories)
    several = pl.lit(5).alias("subjects")
    many = replace(
        few, subjects=tuple("abcde"),
        scores=few.scores.with_columns(several), held_out=few.held_out.with_columns(several),
    )  # fmt: skip
    said = tab.answer(many)
    assert " by the corrected definition (" in said
    assert " to " in said
    assert "mean nothing" not in said
    without = pl.when(pl.col("reader") == "sae").then("low").alias("low")
    endless = tab.answer(replace(many, scores=many.scores.with_columns(without)))
    assert not any(word in endless for word in ("level", "above", "below"))


def test_what_a_link_asks_for_that_is_not_there_is_named(small: str, stories: str) -> None:
    compute(small, stories)
    view = look(small, stories)
    right = {"subject": "kitchen", "feature": 63, "shift": 16.0}
    assert not ce_bench_checks.amiss(view, **right)
    assert not ce_bench_checks.amiss(view, "", -1, 0.5)
    for name, value in {"subject": "unicorns", "feature": 64, "shift": 99.0}.items():
        assert list(ce_bench_checks.amiss(view, **right | {name: value})) == [name]
    both = ce_bench_checks.amiss(view, "unicorns", -2, float("nan"))
    assert both["feature"] == "a feature from 0 to 63"
    assert list(both) == ["subject", "feature", "shift"]


def test_line_breaks_of_a_steered_text_are_seen() -> None:
    shown = ce_bench_details.continuation("<b>a\nb", 3)
    assert "&lt;b&gt;a" in shown
    assert "⏎" in shown
    assert "special tokens" in ce_bench_details.continuation("", 2)


def test_one_subject_and_no_marks_are_said_and_not_scored(small: str, tmp_path: Path) -> None:
    name = str(tmp_path / "one.jsonl")
    write(tmp_path / "one.jsonl", [row("harbour", at, marked=False) for at in range(3)])
    compute(small, name)
    view = look(small, name)
    values = {(r["definition"], r["score"]): r["value"] for r in view.scores.to_dicts()}
    for definition in ("seed", "corrected"):
        assert values[definition, "independent"] is None
        assert values[definition, "contrastive"] > 0
    assert values["published", "independent"] > 0
    assert "3 pairs mark no subject" in tab.head_html(view)
    assert "there is one subject" in tab.head_html(view)
    assert tab.answer(view) == "There is one subject, so nothing can be told from anything."
    for table in (tab.scores_html, ce_bench_checks.held_out_html, ce_bench_checks.overlap_html):
        assert "–</small>" not in table(view)
        assert "<small>–" not in table(view)
        assert "––" not in table(view)
    assert ce_bench_details.cloud_chart(view, "corrected").layout.annotations
    assert ce_bench_answers.measures(view).filter(pl.col("value").is_null()).height
    study = studies.load(small)
    where = study.model, study.site, study.sae, pairs.choose(name)
    with pytest.raises(TesseraError, match="nothing to tell it from"):
        steer.steer(*where, "harbour", "A boat", 1.0, 4)


def test_random_directions_keep_as_many_as_the_sae(small: str, stories: str) -> None:
    study, ref = studies.load(small), pairs.choose(stories)
    where = study.model, study.site, study.sae, ref
    own, control = (means.coded(*where, reader) for reader in means.READERS)
    assert control.value("width") == own.value("width")
    assert set(np.diff(control.array("offsets")).tolist()) == {6}
    assert (control.array("values") > 0).all()
    assert not np.array_equal(control.array("features"), own.array("features"))
    made, rows = means.read_means(means.means(*where, "sae")), own.array("offsets")
    last = read(small, ref).offsets[1]
    cells = slice(0, rows[last])
    wanted = np.bincount(own.array("features")[cells], own.array("values")[cells], 64) / last
    assert made.mean[0] == pytest.approx(wanted, rel=1e-5)


def test_an_sae_of_another_site_or_without_numbers_is_refused(
    small: str, stories: str, tmp_path: Path
) -> None:
    study, ref = studies.load(small), pairs.choose(stories)
    write_sae(tmp_path / "elsewhere", layer=1)
    other = SaeRef(f"folder:{tmp_path / 'elsewhere'}", "")
    with pytest.raises(ModelError, match="after block 1"):
        means.coded(study.model, study.site, other, ref, "sae")
    write_sae(tmp_path / "bad")
    from sae_lens import SAE

    made = SAE.load_from_disk(str(tmp_path / "bad"), device="cpu", dtype="float32")
    made.b_enc.data[3] = torch.inf
    made.save_model(tmp_path / "bad")
    bad = SaeRef(f"folder:{tmp_path / 'bad'}", "")
    with pytest.raises(NotFiniteError):
        means.coded(study.model, study.site, bad, ref, "sae")
    with pytest.raises(ModelError, match="has no SAE"):
        ce_bench_answers.ce_bench.entry.function(replace(study, sae=None), stories)


# ---------------------------------------------------------------- several SAEs

TABLE = '\n[[saes]]\nlayer = {layer}\nsource = "folder:{source}"\n'


def test_saes_that_a_study_lists_are_swept(
    small: str, stories: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ""
    for layer in (0, 1, 3):
        write_sae(tmp_path / f"sae{layer}", layer=layer)
        more += TABLE.format(layer=layer, source=tmp_path / f"sae{layer}")
    study = studies.load(listing(world, tmp_path, monkeypatch, more))
    assert [site.layer for site, _ in study.saes] == [0, 1, 3]
    assert all(ref.revision for _, ref in study.saes)
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    assert isinstance(ce_sweep.ce_sweep("many", stories), Job)
    with run.computing("cpu", Progress()):
        ce_sweep.ce_sweep("many", stories)
    table = ce_sweep.ce_sweep.look("many", stories)
    assert table is not None
    assert sorted(table["layer"].unique()) == [0, 1, LAYER, 3]
    view = look("many", stories)
    assert (view.listed, view.missing) == (3, 0)
    assert view.rankings["saes"].to_list() == [4] * len(view.rankings)
    assert len(view.rankings)
    assert view.rankings["rho"].is_between(-1, 1).all()
    chart = ce_bench_details.sweep_chart(view.sweep, "corrected interpretability")
    assert len(chart.data) == 2 * (1 + (table["l0"].round(1).n_unique() > 1))
    assert list(chart.data[0].x) == [0, 1, LAYER, 3]
    assert ce_bench_details.sweep_html(view).count("<tr>") == 9


def test_a_listed_sae_that_does_not_fit_is_named(
    small: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sae(tmp_path / "sae1", layer=1)
    more = TABLE.format(layer=3, source=tmp_path / "sae1")
    study = studies.load(listing(world, tmp_path, monkeypatch, more))
    with pytest.raises(ModelError, match=r"saes\[0\].source.*after block 1"):
        studies.check(study)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('\n[[saes]]\nsource = "folder:x"\n', r"saes\[0\].layer.* is missing"),
        (TABLE.format(layer=-1, source="x"), r"saes\[0\].layer"),
        (TABLE.format(layer=1, source="nowhere"), r"`saes\[0\].source`: there is no"),
    ],
)
def test_a_listed_sae_that_is_wrong_is_named(
    small: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, said: str
) -> None:
    with pytest.raises(StudyError, match=said):
        studies.load(listing(world, tmp_path, monkeypatch, table))


def test_releases_are_matched_as_the_original_matches_them() -> None:
    found = ce_sweep.ce_bench_releases("gemma-scope-2b-pt-res", "layer_12/width_16k/average_l0_.*")
    assert len(found) == 5
    assert set(found["model"]) == {"gemma-2-2b"}
    with pytest.raises(ModelError, match="No release matches") as caught:
        ce_sweep.ce_bench_releases("gemma-scope-2b")
    assert "gemma-scope-2b-pt-res" in caught.value.remedy
    with pytest.raises(ModelError, match="No SAE of 1 releases"):
        ce_sweep.ce_bench_releases("gemma-scope-2b-pt-res", "layer_99.*")
    with pytest.raises(ModelError, match="no regular expression"):
        ce_sweep.ce_bench_releases("(")


def test_saes_of_another_model_are_listed_with_the_reason(small: str) -> None:
    study = studies.load(small)
    other = replace(study, model=replace(study.model, source="hub:google/gemma-3-270m"))
    with pytest.raises(ModelError, match="none can be run here: It was trained on gemma-2-2b"):
        ce_sweep.ce_bench_sweep.entry.function(
            other, "gemma-scope-2b-pt-res", "layer_12/width_16k/.*"
        )


def test_matches_of_the_study_s_model_run_at_their_own_layer(
    small: str, stories: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry is stood in for by folders, which take the same way."""
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    write_sae(tmp_path / "sae1", layer=1)
    rows = [
        {"release": "r", "id": str(at), "model": m, "repository": ""} for at, m in enumerate("ab")
    ]
    monkeypatch.setattr(sae_models, "releases", lambda *_: rows)
    monkeypatch.setattr(sae_models, "is_named", lambda name, _: name != "b")
    local = SaeRef(f"folder:{tmp_path / 'sae1'}", "")
    monkeypatch.setattr(ce_sweep, "SaeRef", lambda source, rev: replace(local, revision=rev))
    job = ce_sweep.ce_bench_sweep(small, "r", ".*", stories)
    assert isinstance(job, Job)
    query.compute(job.query, small, json.loads(job.arguments), "cpu", Progress())
    table = ce_sweep.ce_bench_sweep(small, "r", ".*", stories)
    assert isinstance(table, pl.DataFrame)
    assert set(table["layer"].drop_nulls()) == {1}
    assert table["reason"].drop_nulls().len() == 1


# ---------------------------------------------------------------- steering


@torch.inference_mode()
def by_hand(study: Any, ids: list[int], shift: torch.Tensor | None, count: int) -> list[int]:
    """Greedy tokens, everything read anew at each, a hook written out."""
    network, autoencoder = (
        language_model.load(study.model, "cpu"),
        sae_models.load(study.sae, "cpu"),
    )

    def put(_module: Any, _args: Any, output: Any) -> Any:
        whole = (output[0] if isinstance(output, tuple) else output).clone()
        codes = autoencoder.network.encode(whole[0, 1:]) + shift
        whole[0, 1:] = codes @ autoencoder.decoder + autoencoder.network.b_dec
        return (whole, *output[1:]) if isinstance(output, tuple) else whole

    handle = network.blocks[LAYER].register_forward_hook(put) if shift is not None else None
    drawn = list(ids)
    for _ in range(count):
        drawn.append(int(network.network(torch.tensor([drawn])).logits[0, -1].argmax()))
    if handle is not None:
        handle.remove()
    return drawn[len(ids) :]


def test_steered_texts_equal_hooks_written_by_hand(small: str, stories: str) -> None:
    study, ref = studies.load(small), pairs.choose(stories)
    entry = steer.steer(
        study.model, study.site, study.sae, ref, "kitchen", "The oven finds", 4.0, 6
    )
    texts = dict(entry.frame("texts").select("kind", "text").iter_rows())
    encode = language_model.tokenizer(study.model)
    network = language_model.load(study.model, "cpu")
    ids = [network.bos, *encode("The oven finds", add_special_tokens=False)["input_ids"]]
    made = means.read_means(means.means(study.model, study.site, study.sae, ref, "sae"))
    own = np.repeat(made.subject_of == 1, 2)
    shift = torch.from_numpy(made.mean[own].mean(axis=0) - made.mean[~own].mean(axis=0))
    for kind, given_ in {
        "unchanged": None, "reconstruction": 0 * shift, "towards": 4 * shift, "away": -4 * shift
    }.items():  # fmt: skip
        wanted = encode.decode(by_hand(study, ids, given_, 6), skip_special_tokens=True)
        assert texts[kind] == wanted, kind
    moved = dict(entry.frame("texts").select("kind", "moved").iter_rows())
    assert moved["unchanged"] == pytest.approx(0, abs=1e-6)
    assert moved["towards"] > 0
    assert set(texts) == set(steer.KINDS)
    assert by_hand(study, ids, None, 6) == by_hand(study, ids, None, 6)  # no hook stays behind


def test_mentions_are_of_marked_words() -> None:
    words = {"boat", "boats"}
    assert steer.mentions("Boats, boat; a boathouse is no BOAT.", words) == 3


def test_what_cannot_be_steered_is_said(small: str, stories: str) -> None:
    study, ref = studies.load(small), pairs.choose(stories)
    where = study.model, study.site, study.sae, ref
    with pytest.raises(NotFoundError, match="No story is about 'cars'"):
        steer.steer(*where, "cars", "The boat", 1.0)
    with pytest.raises(ModelError, match="tokens"):
        steer.steer(*where, "harbour", "boat " * 300, 1.0)
    for prompt, strength in ((" ", 1.0), ("The boat", float("nan"))):
        with pytest.raises(ModelError):
            ce_bench_answers.ce_steer(small, "harbour", prompt, strength, stories)
