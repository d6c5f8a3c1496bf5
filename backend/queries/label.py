"""Labels by every method, experiments, and people who judge."""

from __future__ import annotations

from backend.answers.experiment_queries import (
    comparison,
    experiment,
    experiments,
    export_experiment,
    import_experiment,
)
from backend.answers.labels import label_methods, label_scores, labels, server, write_labels
from backend.answers.meaning import search_labels
from backend.answers.people import (
    answer_detection,
    answer_verbalization,
    detection_scores,
    detection_task,
    verbalization_scores,
    verbalization_task,
    vote,
    votes,
)
from backend.answers.quotes import estimate_cost
from backend.answers.runs import run_experiment, start_experiment

__all__ = [
    "answer_detection",
    "answer_verbalization",
    "comparison",
    "detection_scores",
    "detection_task",
    "estimate_cost",
    "experiment",
    "experiments",
    "export_experiment",
    "import_experiment",
    "label_methods",
    "label_scores",
    "labels",
    "run_experiment",
    "search_labels",
    "server",
    "start_experiment",
    "verbalization_scores",
    "verbalization_task",
    "vote",
    "votes",
    "write_labels",
]
