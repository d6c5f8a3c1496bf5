"""Files of other tools, in the folder TESSERA_REFERENCE_DATA: `make test-reference`."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from backend.corpus import concept_sets, concept_sources, sources
from backend.corpus.concept_sets import ConceptSet
from backend.schema import ConceptRef, CorpusError, SourceRef
from backend.study import loading

pytestmark = pytest.mark.reference


@pytest.fixture
def concept10() -> Path:
    """AxBench's Concept10 for block 20 of Gemma-2-2B."""
    return Path(os.environ["TESSERA_REFERENCE_DATA"]) / "axbench" / "prod_2b_l20_v1"


@pytest.mark.parametrize("name", ["latent_eval_data.parquet", "train_data.parquet"])
def test_axbench_tables_are_a_corpus(concept10: Path, name: str) -> None:
    source = SourceRef(
        "files", str(concept10 / name), text_field="output", topic_field="output_concept"
    )
    resolved = sources.resolve(source)
    assert len(resolved.digest) == 16
    assert resolved == sources.resolve(source)
    expected = pl.read_parquet(concept10 / name).filter(pl.col("output").str.strip_chars() != "")
    found = list(sources.read(resolved, 0))
    assert [text for _, _, text in found] == expected["output"].to_list()
    assert [topic for topic, _, _ in found] == expected["output_concept"].to_list()


def test_a_folder_with_a_file_of_other_fields_names_them(concept10: Path) -> None:
    source = SourceRef("files", str(concept10), text_field="output")
    with pytest.raises(CorpusError, match=r"metadata\.jsonl.*has no text in the field 'output'"):
        list(sources.read(sources.resolve(source), 0))


def test_axbench_is_a_concept_set(concept10: Path, small: str) -> None:
    loaded = loading.load(small)
    ref = concept_sources.resolve(ConceptRef("axbench", str(concept10)))
    found = ConceptSet(concept_sets.read(loaded.model, loaded.corpus, ref))
    assert found.concepts["name"].n_unique() == 10
    sizes = {
        split: [[len(part) for part in found.texts_of(concept, split)] for concept in range(10)]
        for split in ("train", "test")
    }
    assert sizes["train"] == [[72, 72, 0]] * 10
    assert [size[:2] for size in sizes["test"]] == [[36, 36]] * 10
    assert sum(size[2] for size in sizes["test"]) == 35
    assert set(found.dropped.values()) == {0}
