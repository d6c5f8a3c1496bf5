"""CE-Bench from stories to tab, on the small world."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from backend.evals.ce_bench import DEFINITIONS, PARTS, means, pairs, steer
from backend.evals.ce_bench import answers as ce_bench_answers
from backend.evals.ce_bench.views import CeSubject
from backend.models import language_model
from backend.schema import (
    Job,
    ModelError,
    NotFiniteError,
    NotFoundError,
    SaeRef,
    TesseraError,
)
from backend.study import loading as studies
from components.evals.ce_bench import checks as ce_bench_checks
from components.evals.ce_bench import details as ce_bench_details
from components.evals.ce_bench import tab as tab
from tests.conftest import SUBJECTS, write_sae
from tests.evals.ce_bench.conftest import compute, look, reading, row, stories_of, write


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
    read_ = stories_of("read", pairs.choose(stories))
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
    assert rows["independent score, corrected"]["control"] == "shuffled subjects"
    assert rows["independent score, corrected"]["n"] == 3
    assert rows["interpretability score, published"]["control"] == "shuffled stories"
    assert "feature found again on a pair held out, corrected" in rows
    assert "interpretability score, corrected, random directions" in rows
    assert table["measure"].n_unique() == len(table)


def test_the_tab_says_what_was_found(small: str, stories: str) -> None:
    compute(small, stories)
    view = look(small, stories)
    assert "of 9 cases" in tab.answer(view)
    assert "random directions score" not in tab.answer(view)
    assert " to " not in tab.answer(view)
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
    text = tab.answer(many)
    assert re.search(r"random directions score .*corrected \(", text)
    assert " to " in text
    assert "mean nothing" not in text
    without = pl.when(pl.col("reader") == "sae").then("low").alias("low")
    endless = tab.answer(replace(many, scores=many.scores.with_columns(without)))
    assert "random directions score" not in endless


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        ((0.9, 0.8, 0.98), "This SAE reads the subject: "),
        ((0.3, 0.2, 0.4), "This SAE is not shown to read the subject: "),
        ((0.5, 0.35, 0.6), "no better than random directions: "),
    ],
)
def test_the_headline_says_whether_features_read_subjects(
    small: str, stories: str, share: tuple[float, float, float], verdict: str
) -> None:
    compute(small, stories)
    view = look(small, stories)
    rows = view.held_out.with_columns(
        subjects=pl.lit(5), null=pl.lit(0.2), null_high=pl.lit(0.25),
        **{
            name: pl.when(pl.col("reader") == "sae").then(own).otherwise(control)
            for name, own, control in zip(
                ("share", "low", "high"), share, (0.29, 0.17, 0.44), strict=True
            )
        },
    )  # fmt: skip
    text = tab.answer(replace(view, subjects=tuple("abcde"), held_out=rows))
    assert verdict in text
    assert f"{share[0]:.0%}" in text


def test_each_part_has_a_title_and_a_question() -> None:
    assert set(tab.TITLES) == set(PARTS)
    assert all(question.endswith("?") for question in PARTS.values())


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
    write(tmp_path / "one.jsonl", [row("harbour", number, marked=False) for number in range(3)])
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
        steer.steer(*where, steer.Steering("harbour", "A boat", 1.0, 4))


def test_random_directions_keep_as_many_as_the_sae(small: str, stories: str) -> None:
    study, ref = studies.load(small), pairs.choose(stories)
    where = study.model, study.site, study.sae, ref
    own, control = (means.encode_stories(*where, reader) for reader in means.READERS)
    assert control.value("width") == own.value("width")
    assert set(np.diff(control.array("offsets")).tolist()) == {6}
    assert (control.array("values") > 0).all()
    assert not np.array_equal(control.array("features"), own.array("features"))
    story_means, rows = means.read_means(means.means(*where, "sae")), own.array("offsets")
    last = stories_of(small, ref).offsets[1]
    cells = slice(0, rows[last])
    expected = np.bincount(own.array("features")[cells], own.array("values")[cells], 64) / last
    assert story_means.mean[0] == pytest.approx(expected, rel=1e-5)


def test_an_sae_of_another_site_or_without_numbers_is_refused(
    small: str, stories: str, tmp_path: Path
) -> None:
    study, ref = studies.load(small), pairs.choose(stories)
    write_sae(tmp_path / "elsewhere", layer=1)
    other = SaeRef(f"folder:{tmp_path / 'elsewhere'}", "")
    with pytest.raises(ModelError, match="after block 1"):
        means.encode_stories(study.model, study.site, other, ref, "sae")
    write_sae(tmp_path / "bad")
    from sae_lens import SAE

    sae = SAE.load_from_disk(str(tmp_path / "bad"), device="cpu", dtype="float32")
    sae.b_enc.data[3] = torch.inf
    sae.save_model(tmp_path / "bad")
    bad = SaeRef(f"folder:{tmp_path / 'bad'}", "")
    with pytest.raises(NotFiniteError):
        means.encode_stories(study.model, study.site, bad, ref, "sae")
    with pytest.raises(ModelError, match="has no SAE"):
        ce_bench_answers.ce_bench.entry.function(replace(study, sae=None), stories)
