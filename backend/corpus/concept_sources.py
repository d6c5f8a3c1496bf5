"""The sources of labelled texts: where a concept set is, what it holds, and whether it has changed.

A source is a module with a `SOURCE`, and a line here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backend.corpus import (
    concept_axbench,
    concept_files,
    concept_topics,
    concept_wordnet,
    sources,
)
from backend.corpus.concept_tables import ConceptSource
from backend.schema import ConceptRef, CorpusError

SOURCES = {
    source.kind: source
    for source in (
        concept_axbench.SOURCE,
        concept_files.SOURCE,
        concept_wordnet.SOURCE,
        concept_topics.SOURCE,
    )
}


def source_of(ref: ConceptRef) -> ConceptSource:
    """The source of a set.

    Raises:
        CorpusError: there is no such kind.
    """
    if ref.kind not in SOURCES:
        kinds = ", ".join(SOURCES)
        raise CorpusError(f"There is no concept set of kind {ref.kind!r}.", f"Use one of {kinds}.")
    return SOURCES[ref.kind]


def resolve(ref: ConceptRef) -> ConceptRef:
    """The same set with the digest of its files; one of the study's corpus has none, its corpus has
    one.

    Raises:
        CorpusError: there is no such kind, file or folder, or it is not what it should be.
    """
    source = source_of(ref)
    if ref.digest or not (files := source.files(ref)):
        return ref
    return replace(ref, digest=sources.files_digest(files, lambda path: path.name))


def size_of(ref: ConceptRef) -> int | None:
    """Bytes of a set's files; None where it has none.

    Raises:
        CorpusError: as `resolve`.
    """
    files = source_of(ref).files(ref)
    return sum(path.stat().st_size for path in files) if files else None


def available(folder: Path) -> list[ConceptRef]:
    """Sets in a folder (which may be one itself), and those that are built in where they are
    installed; not resolved."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    paths = [folder] if any(_sets_at(source, folder) for source in SOURCES.values()) else inside
    return [
        ref
        for source in SOURCES.values()
        for path in (None, *paths)
        for ref in _sets_at(source, path)
    ]


def at_path(path: Path) -> ConceptRef:
    """The set at a path, of the first source that finds its files there; where none does, of the
    first that takes a file or a folder, whose error says what is missing."""
    fitting = [source for source in SOURCES.values() if _fits(source, path)]
    whole = [ref for source in fitting for ref in _sets_at(source, path)]
    return whole[0] if whole else ConceptRef(fitting[0].kind, str(path))


def _fits(source: ConceptSource, path: Path | None) -> bool:
    if path is None:
        return source.form == "built in"
    return source.form == ("folder" if path.is_dir() else "file")


def _sets_at(source: ConceptSource, path: Path | None) -> list[ConceptRef]:
    """The set of a source at a path, or built in where that is None; none where its files are not
    there."""
    ref = ConceptRef(source.kind, "" if path is None else str(path))
    if not _fits(source, path):
        return []
    try:
        source.files(ref)
    except CorpusError:
        return []
    return [ref]
