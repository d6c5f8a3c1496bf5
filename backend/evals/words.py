"""The evaluations: their keys, what the screen calls them, their URL parameters. Imports no model.

An evaluation is a folder here, named in `NAMES`, and a tab of that name in `components/evals`.
"""

from __future__ import annotations

import importlib

from backend.evals.evaluation import Evaluation

NAMES = (  # in the order of their tabs
    "ce_bench",
    "expert_lens",
    "sage",
)

EVALUATIONS: dict[str, Evaluation] = {
    name: importlib.import_module(f"backend.evals.{name}").EVALUATION for name in NAMES
}
