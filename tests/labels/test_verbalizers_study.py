"""The [verbalizer] table of a study file: good ones, bad ones, and what they become."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.labels import verbalizers
from backend.models import language_model
from backend.schema import LlmUnavailableError, ModelError, StudyError, VerbalizerRef
from backend.study import loading
from tests.helpers.study_files import GOOD, written


def with_table(directory: Path, table: str) -> str:
    return written(directory, f"{GOOD}\n[verbalizer]\n{table}\n")


def test_a_study_that_names_none_reads_with_its_own_model(folder: Path) -> None:
    assert loading.load(written(folder)).verbalizer == VerbalizerRef("patchscope", "", "")


@pytest.mark.parametrize(
    ("table", "ref"),
    [
        ('kind = "patchscope"', VerbalizerRef("patchscope")),
        (
            'kind = "nla"\nsource = "hub:owner/name"\nrevision = "v1"',
            VerbalizerRef("nla", "hub:owner/name", "v1"),
        ),
        (
            'kind = "neuronpedia"\nsource = "gemma-3-27b-it"',
            VerbalizerRef("neuronpedia", "gemma-3-27b-it"),
        ),
    ],
)
def test_each_kind_becomes_a_reference(folder: Path, table: str, ref: VerbalizerRef) -> None:
    assert loading.parse(with_table(folder, table)).verbalizer == ref


@pytest.mark.parametrize(
    ("table", "field", "remedy"),
    [
        ('source = "hub:a/b"', "`verbalizer.kind` is missing", 'Add "patchscope"'),
        ('kind = "oracle"', "`verbalizer.kind`", '"patchscope", "nla" or "neuronpedia"'),
        ('kind = "nla"', "`verbalizer`: ''", "Begin with hub: or folder:"),
        ('kind = "nla"\nsource = "package:x"', "`verbalizer`", "Begin with hub: or folder:"),
        ('kind = "nla"\nsource = "folder:x"\nrevision = "v1"', "no revision", "Leave `revision`"),
        ('kind = "patchscope"\nsource = "hub:a/b"', "of the study's own", "Leave `source` out"),
        ('kind = "patchscope"\nrevision = "v1"', "no revision to choose", "Leave `revision` out"),
        ('kind = "neuronpedia"', "neuronpedia needs a source", "Add source"),
        ('kind = "neuronpedia"\nsource = "a"\nrevision = "1"', "no revision", "Leave `revision`"),
        ('kind = "patchscope"\nlayer = 3', "`verbalizer.layer`", "Known here: kind"),
    ],
)
def test_every_bad_table_is_named_with_its_remedy(
    folder: Path, table: str, field: str, remedy: str
) -> None:
    with pytest.raises(StudyError) as caught:
        loading.parse(with_table(folder, table))
    assert field in caught.value.problem
    assert remedy in caught.value.remedy


def test_the_revision_of_a_checkpoint_is_resolved(folder: Path, world: Path) -> None:
    table = f'kind = "nla"\nsource = "folder:{world / "model"}"'
    result = loading.load(with_table(folder, table)).verbalizer
    assert result.revision == language_model.resolve(f"folder:{world / 'model'}")
    assert len(result.revision) == 16


def test_a_checkpoint_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(StudyError, match=r"`verbalizer\.source`: there is no .*no/such"):
        loading.load(with_table(folder, 'kind = "nla"\nsource = "folder:no/such"'))


def test_a_hub_that_cannot_be_reached_names_the_field(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = language_model.resolve

    def unreachable(source: str, revision: str = "") -> str:
        if source.startswith("hub:"):
            raise ModelError(f"{source} cannot be loaded.", "Check the network.")
        return resolve(source, revision)

    monkeypatch.setattr(language_model, "resolve", unreachable)
    with pytest.raises(ModelError, match=r"`verbalizer\.source`: hub:owner/name"):
        loading.load(with_table(folder, 'kind = "nla"\nsource = "hub:owner/name"'))


def test_the_template_names_the_nla_of_its_model_and_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESSERA_STUDIES", raising=False)
    result = loading.parse("gemma-3-27b-it-l41-262k")
    assert result.verbalizer == VerbalizerRef("nla", "hub:kitft/nla-gemma3-27b-L41-av", "")
    assert result.site.layer == 41


def test_a_studys_neuronpedia_is_at_the_configured_address(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_NEURONPEDIA_URL", "http://localhost:9")
    reading = loading.parse(with_table(folder, 'kind = "neuronpedia"\nsource = "tiny"'))
    result = verbalizers.load(reading.verbalizer, reading.model, reading.site, "cpu")
    assert result.name == "NLA of tiny at block 12 on localhost:9"
    monkeypatch.setenv("TESSERA_NEURONPEDIA_URL", "localhost")
    with pytest.raises(LlmUnavailableError, match="no http address"):
        verbalizers.load(reading.verbalizer, reading.model, reading.site, "cpu")
