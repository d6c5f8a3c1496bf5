"""How a result came about."""

from __future__ import annotations

import json

from backend.store.memo import Entry
from backend.store.views import Provenance


def of(entry: Entry, command: str) -> Provenance:
    """The provenance of a memo entry; `command` is the query that shows it."""
    recipe = entry.recipe()
    return Provenance(
        function=recipe["function"],
        digest=entry.digest,
        arguments=json.dumps(recipe["arguments"], indent=1),
        libraries=tuple(recipe["libraries"].items()),
        device=recipe["device"],
        seconds=recipe["seconds"],
        created=recipe["created"],
        command=f"python -m backend {command}",
    )
