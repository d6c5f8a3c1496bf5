"""How a result came about."""

from __future__ import annotations

import json
import shlex

from backend.schema import Study
from backend.store.memo import Entry
from backend.store.views import Provenance


def command(query: str, study: Study, **options: str | float) -> str:
    """The query with the options that ask for the same again; what is empty is left out."""
    values = {"study": study.name} | {name: value for name, value in options.items() if value != ""}
    texts = {
        name: value if isinstance(value, str) else f"{value:g}" for name, value in values.items()
    }
    return " ".join([query, *(f"--{name} {shlex.quote(text)}" for name, text in texts.items())])


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
