"""Jobs done at once, in this process."""

from __future__ import annotations

import json

from backend import query
from backend.schema import Job, Progress


def run_job(study: str, answer: object) -> None:
    """What the job would do, here."""
    assert isinstance(answer, Job)
    query.compute(answer.query, study, json.loads(answer.arguments), "cpu", Progress())
