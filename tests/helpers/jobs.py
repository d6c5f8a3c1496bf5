"""Jobs done at once in this process, and jobs made up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from backend import query
from backend.schema import Job, Progress


def run_job(study: str, answer: object) -> None:
    """What the job would do, here."""
    assert isinstance(answer, Job)
    query.compute(answer.query, study, json.loads(answer.arguments), "cpu", Progress())


def answer_of(study: str, ask: Callable[[], Any]) -> Any:
    """The answer, once every job that it waits for has been done here."""
    while isinstance(answer := ask(), Job):
        run_job(study, answer)
    return answer


def a_job(**values: Any) -> Job:
    """A job of the query `regions`, asked for now and queued, but for `values`."""
    fields: dict[str, Any] = {
        "id": "abc",
        "query": "regions",
        "study": "demo",
        "arguments": "{}",
        "state": "queued",
        "device": "cpu",
        "done": 0.0,
        "total": 0.0,
        "unit": "",
        "message": "",
        "rate": None,
        "eta": None,
        "created": time.time(),
        "started": None,
        "finished": None,
        "heartbeat": None,
        "attempts": 0,
        "error": "",
        "traceback": "",
        "title": "Regions",
    }
    return Job(**fields | values)
