"""Concepts: any concept set against regions, rivals and features."""

from __future__ import annotations

import shlex

import polars as pl

from backend import study as studies_on_disk
from backend.answers import concept_choices, concept_parts, concept_readers, concepts, steady
from backend.answers.concepts import Held
from backend.concept_views import (
    Again,
    AnyRegion,
    ConceptChoice,
    ConceptsView,
    Gathering,
    GrayZone,
    Membership,
    Spread,
    Stable,
)
from backend.queries.asked import spec_of
from backend.schema import Job


def concept_sets() -> list[ConceptChoice]:
    """The concept sets that can be chosen, one's own first."""
    return concept_choices.choices()


def keep_concept(name: str, positive: str, negative: str) -> str:
    """Keeps a concept of one's own, a text a line, and returns the name of its set.

    Raises:
        CorpusError: there are too few texts to train and test on.
    """
    return concept_choices.keep(name, positive, negative)


def concept_set(
    study: str, name: str = "topics", p: float | None = None, k: float | None = None
) -> ConceptsView | Job:
    """A concept set: its concepts and texts, and what was left out."""
    held = _held(study, name, p, k)
    if not isinstance(held, Held):
        return held
    return concepts.view(held, name, _command("concept_set", held, name=name))


def any_region(
    study: str,
    name: str = "topics",
    concept: str = "",
    contrast: str = "negative",
    p: float | None = None,
    k: float | None = None,
) -> AnyRegion | Job:
    """How well every region, rival, feature and fitted reader tells a concept from a contrast
    (negative, hard or both)."""
    held = _held(study, name, p, k)
    if not isinstance(held, Held):
        return held
    number = held.concept(concept)
    command = _command("any_region", held, number, name=name, contrast=contrast)
    return concept_readers.any_region(held, number, contrast, command)


def over_concepts(
    study: str, name: str = "topics", p: float | None = None, k: float | None = None
) -> pl.DataFrame | Job:
    """Mean AUROC over the concepts of a set, by method and contrast."""
    held = _held(study, name, p, k)
    return concept_readers.over_concepts(held) if isinstance(held, Held) else held


def membership(
    study: str,
    name: str = "topics",
    concept: str = "",
    p: float | None = None,
    k: float | None = None,
) -> Membership | Job:
    """Hard membership at θ: TPR, TNR and J of the best region, of a union, and of every region."""
    held = _held(study, name, p, k)
    if not isinstance(held, Held):
        return held
    number = held.concept(concept)
    return concept_parts.memberships(held, number, _command("membership", held, number, name=name))


def gathering(
    study: str,
    name: str = "topics",
    concept: str = "",
    of: str = "",
    p: float | None = None,
    k: float | None = None,
) -> Gathering | Job:
    """Where new texts lie in the region that a concept's training texts choose: the concept's own
    test texts, or those of the first concept of another set, `of`."""
    held = _held(study, name, p, k)
    if not isinstance(held, Held):
        return held
    number = held.concept(concept)
    asked = (of, 0) if of and of != name else (name, number)
    command = _command("gathering", held, number, name=name, of=of)
    return concept_parts.gathered(held, number, *asked, command)


def spread(
    study: str,
    name: str = "topics",
    concept: str = "",
    p: float | None = None,
    k: float | None = None,
) -> Spread | Job:
    """Purity and coverage of every part of every way to cut the same tokens."""
    held = _held(study, name, p, k)
    if not isinstance(held, Held):
        return held
    number = held.concept(concept)
    return concept_parts.spread(held, number, _command("spread", held, number, name=name))


def gray_zone(
    study: str,
    name: str = "topics",
    concept: str = "",
    p: float | None = None,
    k: float | None = None,
) -> GrayZone | Job:
    """What a gray zone does to the partition and to a concept, at every k that is computed."""
    held = _held(study, name, p, k)
    if not isinstance(held, Held):
        return held
    number = held.concept(concept)
    return concept_parts.gray_zone(held, number, _command("gray_zone", held, number, name=name))


def start_gray_zone(
    study: str, name: str = "topics", p: float | None = None, k: float | None = None
) -> Job:
    """Computes the partition at every k of the study."""
    loaded = studies_on_disk.load(study)
    return concept_parts.start_gray(loaded, spec_of(loaded, p, k), concept_choices.choose(name))


def stable(
    study: str, p: float | None = None, k: float | None = None, ask: bool = True
) -> Stable | Job | None:
    """Whether the model's output changes where regions end (arXiv 2409.17113); None where it is
    not computed and not asked for."""
    loaded = studies_on_disk.load(study)
    return steady.stable(loaded, spec_of(loaded, p, k), ask)


def again(
    study: str, p: float | None = None, k: float | None = None, ask: bool = True
) -> Again | Job | None:
    """The partition made again in another order, with another θ and from half of the documents;
    and how well features match it. None as in `stable`."""
    loaded = studies_on_disk.load(study)
    return steady.again(loaded, spec_of(loaded, p, k), ask)


def _command(query: str, held: Held, concept: int | None = None, **also: str) -> str:
    """What a terminal would be told."""
    given = {"study": held.study.name, **also}
    if concept is not None:
        given["concept"] = held.set.concepts["name"][concept]
    given |= {"p": f"{held.spec.p:g}", "k": f"{held.spec.k:g}"}
    said = (f"--{name} {shlex.quote(value)}" for name, value in given.items() if value)
    return " ".join((query, *said))


def _held(study: str, name: str, p: float | None, k: float | None) -> Held | Job:
    loaded = studies_on_disk.load(study)
    return concepts.find_or_job(loaded, spec_of(loaded, p, k), concept_choices.choose(name))
