"""Labelled texts: where a concept set is, what it holds, and whether it has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

from backend import settings
from backend.corpus import concept_classes, concept_tables, sources
from backend.corpus.concept_classes import SYNSETS
from backend.corpus.concept_tables import BENCH, NAMES, Labelled
from backend.schema import ConceptRef, CorpusError

WORDNET = Path("/usr/share/wordnet")  # where Debian's wordnet-base puts it
REMEDIES = {
    "file": "Correct the path of the concept set.",
    "axbench": "Name a folder with latent_eval_data.parquet and train_data.parquet.",
    "wordnet": "Install it (`apt-get install wordnet-base`), or name the folder of its data files.",
}
KINDS = (*REMEDIES, "topics")


def load(ref: ConceptRef, documents: Callable[[], pl.DataFrame]) -> Labelled:
    """The labelled texts of a resolved set; `documents` gives those of the study's corpus.

    Raises:
        CorpusError: something cannot be read, is missing or is not understood; it is named.
    """
    if ref.kind == "topics":
        return concept_classes.topics(documents(), ref.seed)
    paths = _paths(ref)
    if ref.kind == "wordnet":
        return concept_classes.wordnet(paths, ref.seed)
    if ref.kind == "axbench":
        return concept_tables.axbench(paths[0].parent)
    return concept_tables.table(paths[0])


def resolve(ref: ConceptRef) -> ConceptRef:
    """The same set with the digest of its files; `topics` has none, its corpus has one.

    Raises:
        CorpusError: there is no such kind, file or folder, or it is not what it should be.
    """
    if ref.kind not in KINDS:
        kinds = ", ".join(KINDS)
        raise CorpusError(f"There is no concept set of kind {ref.kind!r}.", f"Use one of {kinds}.")
    if ref.digest or ref.kind == "topics":
        return ref
    return replace(ref, digest=sources.files_digest(_paths(ref), lambda path: path.name))


def available(folder: Path) -> list[ConceptRef]:
    """Sets in a folder (it or a folder in it may be AxBench's), and WordNet where it is installed;
    not resolved."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    bench = [path for path in (folder, *inside) if all((path / name).is_file() for name in BENCH)]
    tables = [] if folder in bench else [p for p in inside if p.suffix.lower() in sources.TABLES]
    found = [ConceptRef("axbench", str(path)) for path in bench]
    found += [ConceptRef("file", str(path)) for path in tables if path.is_file()]
    if all((WORDNET / name).is_file() for name in SYNSETS):
        found.append(ConceptRef("wordnet"))
    return found


def _place(ref: ConceptRef) -> Path:
    """Where a set is; a relative path counts from the project."""
    if ref.kind == "wordnet" and not ref.path:
        return WORDNET
    return settings.ROOT / Path(ref.path).expanduser()


def _paths(ref: ConceptRef) -> list[Path]:
    """The files of a set, all of which exist."""
    place = _place(ref)
    if not ref.path and ref.kind != "wordnet":
        raise CorpusError(f"A concept set of kind {ref.kind} needs a path.", "Name one.")
    if ref.kind == "file":
        if place.is_dir() or place.suffix.lower() not in sources.TABLES:
            kinds = ", ".join(sources.TABLES)
            raise CorpusError(f"{place} is no table of labelled texts.", f"Name a {kinds} file.")
        wanted = [place]
    else:
        wanted = [place / name for name in (BENCH if ref.kind == "axbench" else SYNSETS)]
    missing = next((path for path in wanted if not path.is_file()), None)
    if missing:
        raise CorpusError(f"{missing} does not exist.", REMEDIES[ref.kind])
    names = place / NAMES
    return [*wanted, names] if ref.kind == "axbench" and names.is_file() else wanted
