"""CE-Bench over several SAEs, those of a study and those of the registry."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from backend import query, run
from backend.evals.ce_bench import sweep as ce_sweep
from backend.models import sae as sae_models
from backend.schema import (
    Job,
    ModelError,
    Progress,
    SaeRef,
    StudyError,
)
from backend.study import loading as studies
from components.evals.ce_bench import details as ce_bench_details
from components.evals.ce_bench import tab as tab
from tests.conftest import LAYER, write_sae
from tests.evals.ce_bench.conftest import listing, look

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
    assert [part.units for part in ce_sweep._work(study, stories)] == [4]
    with run.computing("cpu", Progress()):
        ce_sweep.ce_sweep("many", stories)
    assert not ce_sweep._work(study, stories), "nothing is left of it"
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
    ("table", "sentence"),
    [
        ('\n[[saes]]\nsource = "folder:x"\n', r"saes\[0\].layer.* is missing"),
        (TABLE.format(layer=-1, source="x"), r"saes\[0\].layer"),
        (TABLE.format(layer=1, source="nowhere"), r"`saes\[0\].source`: there is no"),
    ],
)
def test_a_listed_sae_that_is_wrong_is_named(
    small: str,
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    sentence: str,
) -> None:
    with pytest.raises(StudyError, match=sentence):
        studies.load(listing(world, tmp_path, monkeypatch, table))


def test_releases_are_matched_as_the_original_matches_them() -> None:
    matches = ce_sweep.ce_bench_releases(
        "gemma-scope-2b-pt-res", "layer_12/width_16k/average_l0_.*"
    )
    assert len(matches) == 5
    assert set(matches["model"]) == {"gemma-2-2b"}
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
        {"release": "r", "id": str(number), "model": m, "repository": ""}
        for number, m in enumerate("ab")
    ]
    monkeypatch.setattr(sae_models, "releases", lambda *_: rows)
    monkeypatch.setattr(sae_models, "is_named", lambda name, _: name != "b")
    local = SaeRef(f"folder:{tmp_path / 'sae1'}", "")
    monkeypatch.setattr(ce_sweep, "SaeRef", lambda source, rev: replace(local, revision=rev))
    job = ce_sweep.ce_bench_sweep(small, "r", ".*", stories)
    assert isinstance(job, Job)
    assert job.query == "ce_sweep"
    assert sae_models.resolve(local.source) in job.arguments, "the worker need not resolve it"
    query.compute(job.query, small, json.loads(job.arguments), "cpu", Progress())
    table = ce_sweep.ce_bench_sweep(small, "r", ".*", stories)
    assert isinstance(table, pl.DataFrame)
    assert set(table["layer"].drop_nulls()) == {1}
    assert table["reason"].drop_nulls().len() == 1
