"""Concept sets against regions, rivals and features; whether regions are stable."""

from backend.answers.concept_choices import concept_sets, keep_concept
from backend.answers.concept_parts import (
    gray_zone,
    membership,
    new_text_membership,
    purity_coverage,
)
from backend.answers.concept_readers import concept_aurocs, mean_aurocs
from backend.answers.concepts import concept_set
from backend.answers.steady import robustness, stable_regions

__all__ = [
    "concept_aurocs",
    "concept_set",
    "concept_sets",
    "gray_zone",
    "keep_concept",
    "mean_aurocs",
    "membership",
    "new_text_membership",
    "purity_coverage",
    "robustness",
    "stable_regions",
]
