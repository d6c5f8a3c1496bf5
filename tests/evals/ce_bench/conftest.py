"""What tests of CE-Bench share: means by hand, stories of the small world, and an SAE that reads a
subject."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backend import run
from backend.evals.ce_bench import answers as ce_bench_answers
from backend.evals.ce_bench import pairs
from backend.evals.ce_bench.definitions import Means
from backend.evals.ce_bench.views import CeBench
from backend.models import language_model
from backend.models import sae as sae_models
from backend.schema import (
    PairsRef,
    Progress,
    SaeRef,
)
from backend.study import loading as studies
from components.evals.ce_bench import tab as tab
from tests.conftest import LAYER, SUBJECTS, VERBS, write_sae


def means_of(
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


def row(subject: str, number: int, marked: bool = True) -> dict[str, str]:
    """A pair of short stories on a topic of the small world."""
    words = SUBJECTS[subject]

    def tell(side: int) -> str:
        mark = f"<subject>{words[0]}</subject>" if marked else words[0]
        return " ".join(
            f"The {mark} {VERBS[(number * 3 + side + i) % 10]} "
            f"the {words[1 + (2 * i + side + number) % 9]} on {i}."
            for i in range(6)
        )

    return {
        "subject": subject,
        "aspect1": "one",
        "aspect2": "two",
        "story1": tell(0),
        "story2": tell(5),
    }


ROWS = [row(subject, number) for subject in SUBJECTS for number in range(3)]


def write(path: Path, rows: list[dict[str, Any]]) -> PairsRef:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return pairs.choose(str(path))


def stories_of(study: str, ref: PairsRef) -> pairs.Stories:
    return pairs.Stories(pairs.read_stories(studies.load(study).model, ref))


def reading(folder: Path, study: str, ref: PairsRef, subject: str) -> SaeRef:
    """A random SAE whose feature 7 is set by hand to fire on a subject's marked tokens alone."""
    write_sae(folder)
    loaded = studies.load(study)
    stories = stories_of(study, ref)
    network = language_model.load(loaded.model, "cpu")
    rows = [
        network.residual(
            torch.tensor([[network.bos, *stories.tokens.ids[a:b].tolist()]]), None, LAYER
        )
        for a, b in zip(stories.offsets[:-1], stories.offsets[1:], strict=True)
    ]
    x = torch.cat([each[0, 1:] for each in rows]).double()
    own = np.repeat(stories.subject_of == stories.subjects.index(subject), 2)
    expected = torch.from_numpy(stories.marked & np.repeat(own, np.diff(stories.offsets)))
    whole = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    fitted = torch.linalg.lstsq(whole, expected.double()[:, None]).solution[:, 0]
    from sae_lens import SAE

    sae = SAE.load_from_disk(str(folder), device="cpu", dtype="float32")
    sae.W_enc.data[:, 7] = 500 * fitted[:-1].float()
    sae.b_enc.data[7] = 500 * float(fitted[-1]) - 100
    sae.save_model(folder)
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
