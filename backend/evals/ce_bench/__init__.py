"""CE-Bench: what features do on contrastive stories."""

from __future__ import annotations

from backend.evals.evaluation import Evaluation, Parameter

DEFINITIONS = ("seed", "published", "corrected")
PARTS = {  # of the tab, with the question that each answers
    "scores": "Is the score better than that of random directions, and than nothing left to find?",
    "held out": "Does a feature that reads a subject read it on a pair that it was not chosen by?",
    "features": "Which features tell subjects apart, and are they the same for all?",
    "saes": "Do other SAEs of this model score differently?",
    "stories": "Where in the stories does a feature fire, and does it steer the model?",
}

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
