"""Which concept sets can be asked about, and a person's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

from backend import settings
from backend.concepts.views import ConceptChoice
from backend.corpus import concept_sources
from backend.corpus.concept_sets import folded
from backend.corpus.concept_tables import LEAST
from backend.query import action, lookup
from backend.schema import ConceptRef, CorpusError, NotFoundError


def folder() -> Path:
    """Where concept sets of one's own are kept: with what people say, not in the cache."""
    return settings.current().annotations / "concepts"


@lookup
def concepts_folder() -> str:
    """The folder of concept sets of one's own, as a person would write it."""
    return settings.spoken(folder())


@lookup
def concept_sets() -> list[ConceptChoice]:
    """The concept sets that can be chosen, one's own first."""
    return [
        ConceptChoice(Path(ref.path).name or ref.kind, ref, concept_sources.source_of(ref).title)
        for ref in concept_sources.available(folder())
    ]


def choose(name: str) -> ConceptRef:
    """The set of that name, resolved; a path of this machine is a name too.

    Raises:
        NotFoundError: there is none.
        CorpusError: it cannot be read.
    """
    choices = {choice.name: choice.ref for choice in concept_sets()}
    path = Path(name).expanduser()
    if name in choices:
        return concept_sources.resolve(choices[name])
    if path.is_absolute() and path.exists():
        return concept_sources.resolve(concept_sources.at_path(path))
    raise NotFoundError(
        f"There is no concept set {name!r}.",
        f"Choose one of {', '.join(choices)}, or write the path of a file or an AxBench folder.",
    )


@action
def keep_concept(name: str, positive: str, negative: str) -> str:
    """Keeps a concept of one's own, a text a line, and returns the name of its set.

    Raises:
        CorpusError: it has no name, there is another of that name, a text is on both sides, or it
            has too few texts.
    """
    stem = re.sub(r"[^\w-]+", "-", name.strip()).strip("-")
    if not stem:
        raise CorpusError("The concept has no name.", "Give it one of letters or digits.")
    parts = {"positive": _lines(positive), "negative": _lines(negative)}
    _check_sides(parts)
    _check_counts(parts)
    rows = [{"text": line, "label": kind} for kind, lines in parts.items() for line in lines]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path = folder() / f"{stem}.jsonl"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise CorpusError(f"There is a concept {stem!r} already.", "Give this one another name.")
    folder().mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path.name


def _check_counts(parts: dict[str, list[str]]) -> None:
    """Raises `CorpusError` for a side with too few texts to train and test on."""
    for kind, lines in parts.items():
        if len(lines) < 2 * LEAST:
            raise CorpusError(
                f"The concept has {len(lines)} {kind} texts.",
                f"Write at least {2 * LEAST} different ones, one a line: half of them are kept "
                "for testing.",
            )


def _check_sides(parts: dict[str, list[str]]) -> None:
    """Raises `CorpusError` for texts that are said to express the concept and not to."""
    positive, negative = ({folded(line) for line in lines} for lines in parts.values())
    both = positive & negative
    if not both:
        return
    first = next(line for line in parts["positive"] if folded(line) in both)
    left = " and ".join(f"{len(side - both)}" for side in (positive, negative))
    raise CorpusError(
        f"{len(both)} text{'s stand' if len(both) > 1 else ' stands'} on both sides: {first!r}"
        f"{' …' if len(both) > 1 else '.'}",
        f"Take each out of one box or of both. Without them {left} texts are left on the two "
        f"sides; {2 * LEAST} of each are the least.",
    )


def _lines(text: str) -> list[str]:
    """Texts that differ, as `folded` has it."""
    lines = (line.strip() for line in text.splitlines())
    return list({folded(line): line for line in reversed([*lines]) if line}.values())[::-1]
