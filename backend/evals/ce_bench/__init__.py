"""CE-Bench: what features do on contrastive stories."""

from __future__ import annotations

from backend.evals.ce_bench.words import PARTS
from backend.evals.evaluation import Evaluation, Parameter

DEFINITIONS = ("seed", "published", "corrected")

EVALUATION = Evaluation(
    name="ce_bench",
    title="CE-Bench",
    hint="Do features tell two stories on one subject apart, and subjects from each other?",
    cost="Not computed yet: the model reads the stories once, for the study's SAE and for a "
    "control. One to three minutes, computed once.",
    parameters={
        "pairs": Parameter("a set of pairs", ""),
        "part": Parameter(f"one of {', '.join(PARTS)}", "", options=("", *PARTS)),
        "swept": Parameter("0 or 1", False, "flag"),
        "definition": Parameter("corrected, published or seed", "corrected", options=DEFINITIONS),
        "subject": Parameter("a subject", ""),
        "feature": Parameter("a feature's number", -1, "whole"),
        "steered": Parameter("a prompt", ""),
        "shift": Parameter("a strength", 0.5, "number"),
    },
)
