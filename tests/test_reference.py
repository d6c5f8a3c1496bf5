"""Files of other tools, in the folder TESSERA_REFERENCE_DATA: `make test-reference`."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from backend.corpus import sources
from backend.schema import CorpusError, SourceRef

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
