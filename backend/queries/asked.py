"""What the arguments of queries mean."""

from __future__ import annotations

from dataclasses import replace

from backend.regions.partitioning import check_spec
from backend.schema import (
    ModelError,
    NotFoundError,
    PartitionSpec,
    SaeRef,
    Study,
)


def spec_of(study: Study, p: float | None, k: float | None) -> PartitionSpec:
    spec = replace(
        study.partition,
        p=study.partition.p if p is None else float(p),
        k=study.partition.k if k is None else float(k),
    )
    check_spec(spec)
    return spec


def sae_of(study: Study) -> SaeRef:
    if study.sae is None:
        raise ModelError(
            f"The study {study.name} names no SAE, so it has no features.",
            "Add an [sae] table to its file, or pick a study with one.",
        )
    return study.sae


def partition_of(study: Study, of: str, p: float | None, k: float | None) -> PartitionSpec | None:
    """None: the study's features; else the partition whose regions are meant."""
    if of == "feature":
        sae_of(study)
        return None
    if of == "region":
        return spec_of(study, p, k)
    raise NotFoundError(f"There are no labels of a {of!r}.", "Ask for a feature or a region.")


def names_of(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def numbers_of(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in names_of(text))
    except ValueError:
        raise NotFoundError(
            f"{text!r} is no list of features.", "Give their numbers, with commas between."
        ) from None
