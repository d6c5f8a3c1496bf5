"""What tests of SAGE share: words that the small tokenizer knows, and a whole small run, its gate
held open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import run
from backend.evals.sage import answers as sage_answers
from backend.evals.sage import tasks as prompts
from backend.evals.sage.sites import Sizes
from backend.evals.sage.views import Sage
from backend.models import language_model
from backend.models.patching import Patcher
from backend.schema import ModelRef, Progress, Study
from backend.study import loading as studies

SIZES = Sizes(train=40, test=24)
WORDS = {
    "keys": "boat captain anchor tide sailor pier rope lantern gull storm butter oven".split(),
    "words": "kettle onion pepper knife apron bread apple ladder basket branch wasp fence".split(),
}
TEMPLATES = (
    ("The {K1} {V1} the {K2} {V2} the {Q}", "The {K1} {V1} on the {K2} {V2} on the {Q}"),
    ("The {K1} {V1} finds the {K2} {V2} finds the {Q}",),
)


@pytest.fixture(scope="module")
def words(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Words and templates of which the small tokenizer makes one token each, in a cache of their
    own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSERA_STUDIES", str(world / "studies"))
        patch.setenv("TESSERA_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setitem(prompts.WORDS, "induction", WORDS)
        patch.setitem(prompts.TEMPLATES, "induction", TEMPLATES)
        patch.setattr(sage_answers, "SIZES", SIZES)
        yield


@pytest.fixture(scope="module")
def study(words: None) -> Study:
    return studies.load("small")


@pytest.fixture
def patcher(world: Path) -> Patcher:
    ref = ModelRef(f"folder:{world / 'model'}", "", "float32")
    return Patcher(language_model.LanguageModel(ref, "cpu"))


@pytest.fixture(scope="module")
def view(study: Study) -> Sage:
    """The whole view of the small study, its gate held open."""
    with pytest.MonkeyPatch.context() as patch:
        gate = sage_answers.gate_row

        def open_(task: str, words: str, problem: str, ld: Any) -> dict[str, Any]:
            return gate(task, words, problem, ld) | {"solved": not problem, "problem": problem}

        patch.setattr(sage_answers, "gate_row", open_)
        patch.setattr(sage_answers, "NEGLIGIBLE", 0.0)
        with run.computing("cpu", Progress()):
            sage_answers.sage("small")
        view = sage_answers.sage.look("small")
    assert view is not None
    return view
