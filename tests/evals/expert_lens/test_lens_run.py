"""ExpertLens as a whole, on the small world."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from backend import run
from backend.evals.expert_lens import answers as expert_lens_answers
from backend.evals.expert_lens.experts import TAUS, Reader
from backend.evals.expert_lens.views import ExpertLens
from backend.models import linear_maps
from backend.schema import (
    Job,
    ModelError,
    NotFoundError,
    Progress,
    Study,
    TesseraError,
)
from backend.store import jobs
from backend.study import loading as studies
from components.evals import benchmarks
from components.evals.expert_lens import concept as expert_concept
from components.evals.expert_lens import tab as page
from tests.evals.expert_lens.conftest import ASK, OWN, WHAT, compute, look


def loaded(small: str) -> Study:
    return studies.load(small)


def test_nothing_is_computed_unasked_and_a_job_knows_what_was_asked(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    assert expert_lens_answers.expert_lens.look(small, *WHAT) is None
    assert jobs.recent() == []
    jobs_of_choices = [
        expert_lens_answers.expert_lens(small, units, "corpus", concepts)
        for units, concepts in (
            ("maps", " Butter;spoon,,butter"),
            ("features", "butter, spoon"),
            ("maps", "butter, spoon"),
        )
    ]
    assert all(isinstance(job, Job) for job in jobs_of_choices)
    assert jobs_of_choices[0].id == jobs_of_choices[2].id != jobs_of_choices[1].id
    assert json.loads(jobs_of_choices[1].arguments) == ASK | {
        "units": "features",
        "concepts": "butter, spoon",
    }


def test_a_run_from_the_page_to_the_numbers(small: str, view: ExpertLens) -> None:
    assert view.refused.rows() == [("zebra", 0, 0)]
    assert view.concepts["concept"].to_list() == OWN.split(", ")[:-1]
    assert view.width == linear_maps.maps(loaded(small).model).frame("maps")["width"].sum()
    assert set(view.tree.order) == set(range(6))
    assert len(view.agreement) == 0  # none of these pairs is rated
    frame = expert_lens_answers.measures(view)
    assert frame["measure"].is_unique().all()
    assert frame.filter(pl.col("measure").str.contains("known again"))["null"][0] == 1 / 6
    text = page.answer(view, 3)
    assert f"{view.width:,} units" in text
    for name, table in page.tables(view, 3).items():
        assert len(table), name


def test_what_was_ranked_is_not_ranked_again(
    small: str, view: ExpertLens, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = Reader.read

    def counting(self: Reader, texts: list[str]) -> Any:
        sizes.append(len(texts))
        return original(self, texts)

    monkeypatch.setattr(Reader, "read", counting)
    compute(small)
    assert not sizes
    compute(small, concepts=f"{OWN}, pepper")  # one more concept: the pool and two halves
    assert len(sizes) == 3


def test_reading_the_pool_shows_progress(small: str) -> None:
    reports: list[str] = []

    class Recorder(Progress):
        def report(self, done: float, total: float, message: str, unit: str = "") -> None:
            reports.append(message)

    with run.computing("cpu", Recorder()):
        expert_lens_answers.expert_lens(small, **ASK | {"concepts": f"{OWN}, gull"})
    assert 0 < reports.index("Reading sentences") < reports.index("Ranking units")


def test_one_concept_and_its_units(small: str, view: ExpertLens) -> None:
    answer = expert_lens_answers.expert_concept(small, "butter", *WHAT)
    assert not isinstance(answer, Job)
    best = view.concepts.row(by_predicate=pl.col("concept") == "butter", named=True)
    top = answer.top.row(0, named=True)
    assert (top["unit"], top["train"], top["test"]) == pytest.approx(
        (best["best"], best["train"], best["test"])
    )
    assert answer.bins.sum(axis=1) == pytest.approx([1, 1])
    assert answer.heat.shape == (len(TAUS), 4, 7)
    counts = answer.texts.group_by("half", "positive").len()["len"].to_list()
    assert counts == [4] * 4
    with pytest.raises(NotFoundError, match="none of the concepts"):
        expert_lens_answers.expert_concept(small, "buttr", *WHAT)
    assert "butter" in expert_concept.answer(answer, 3)


def test_features_and_frames_and_what_they_share(small: str, view: ExpertLens) -> None:
    for choice in ({"sentences": "templates"}, {"units": "features"}):
        compute(small, **choice)
    features = look(small, "features", "corpus", OWN)
    framed = look(small, "maps", "templates", OWN)
    assert features.width == 64
    assert "zebra" in framed.concepts["concept"]  # frames hold any word
    later = look(small, *WHAT)  # the frames came after it
    for each in (framed, later):
        assert len(each.elsewhere)
        assert each.again.filter(measure="elsewhere")["n"].to_list() == [6]
    assert not len(view.elsewhere)
    answer = expert_lens_answers.expert_concept(small, "", "features", "corpus", OWN)
    assert not isinstance(answer, Job)
    assert answer.heat.shape == (len(TAUS), 1, 1)
    with run.computing("cpu", Progress()):
        same = expert_lens_answers.experts_between(small, small, "maps", "corpus", OWN)
        few = expert_lens_answers.experts_between(
            small, small, "maps", "corpus", "apple, spoon, pepper"
        )
    assert isinstance(same, pl.DataFrame)
    assert same["value"][0] == pytest.approx(1)
    assert few is None
    assert "concepts permuted" in benchmarks.beside_html({"both together": same})


def test_bad_choices_are_named(small: str) -> None:
    with pytest.raises(TesseraError, match="no units 'neurons'"):
        expert_lens_answers.expert_lens(small, "neurons", "corpus", "")
    many = ", ".join(f"word{number}" for number in range(201))
    with pytest.raises(TesseraError, match="201 concepts are too many"):
        expert_lens_answers.expert_lens(small, "maps", "corpus", many)
    bare = replace(loaded(small), sae=None)
    with pytest.raises(ModelError, match="no SAE"):
        expert_lens_answers.expert_lens.entry.function(bare, "features", "templates", OWN)
