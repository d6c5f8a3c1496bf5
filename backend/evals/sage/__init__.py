"""SAGE: an SAE against supervised dictionaries on a task the model solves."""

from __future__ import annotations

from backend.evals.evaluation import Evaluation, Parameter

TASKS = ("ioi", "induction", "agreement", "capital")  # hardest first

EVALUATION = Evaluation(
    name="sage",
    title="SAGE",
    hint="Does the SAE hold what a task is known to need, and can it be changed there?",
    cost="Not computed yet: the model is asked whether it can do the tasks, then sites are found "
    "and patched. Up to fifteen minutes; what is done is kept if you stop.",
    parameters={
        "task": Parameter(f"one of {', '.join(TASKS)}", "", options=("", *TASKS)),
        "role": Parameter("a place in the prompt", ""),
    },
)
