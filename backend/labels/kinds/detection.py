"""Detection: does what a label describes occur in an excerpt? Paulo et al. (arXiv 2410.13928)."""

from __future__ import annotations

from backend.labels.kinds.base import Scorer

DETECTION = Scorer(
    name="detection",
    measure="balanced accuracy",
    duty=(
        "You are given a description of something that occurs in text, and numbered excerpts. "
        "For each excerpt decide on its own: 1 if what is described occurs anywhere in it, "
        "0 if it does not. Any number of them may fit, none and all included."
    ),
    cue="It contains:",
    # labels in the forms that explainers give them
    shots=(
        ("We meet again on Thursday at noon.", "days of the week"),
        ("Fog hung over the valley until ten.", "weather"),
        ("It was neither warm nor dry.", 'the word "nor"'),
    ),
)
