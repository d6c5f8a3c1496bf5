"""What a file format of labels by hand is: a file of this package, and a line in its registry.

`write` gives a study's decisions as a file. `read` finds in a file the events that are new: a
format without it goes out alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from backend.annotations import hand_labels
from backend.annotations.words import FileFormat
from backend.labels.interchange.records import Problem
from backend.schema import Study
from backend.store.annotations import New

AHEAD = 86_400  # seconds by which the clock of whoever made a file may be fast


@dataclass(frozen=True)
class DecisionFile:
    """A file that is imported: its `data`, the `person` who imports it, how many `features` the
    study has, and, as they are met, the `problems` of lines that are left out."""

    name: str
    data: bytes
    person: str
    features: int
    problems: list[Problem] = field(default_factory=list)

    def refuses(self, line: int, event: New) -> bool:
        """Whether an event is no good; then its line is left out."""
        reason = hand_labels.refusal(
            {**event.value, "kind": event.kind, "uid": event.uid}, self.features
        )
        if len(event.person) > hand_labels.NAME:
            reason = f"The name of who said it has more than {hand_labels.NAME} characters."
        if event.made > time.time() + AHEAD:
            reason = "It was made in the future: `made` is in Unix seconds."
        return self.leaves_out(line, reason)

    def leaves_out(self, line: int, reason: str) -> bool:
        """Whether there is a reason against a line; it is kept with the problems."""
        if reason:
            self.problems.append(Problem(self.name, line, "", reason))
        return bool(reason)


class FileEvents(NamedTuple):
    """What a file comes to: how many `lines` could be read, the events that are `new`, how many
    were `known`, and `notes` on how some of the lines were understood."""

    lines: int
    new: list[New]
    known: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DecisionFormat:
    """One format; the first five fields are those of `FileFormat`."""

    name: str
    title: str
    ending: str
    mime: str
    loses: str
    write: Callable[[Study], bytes]
    read: Callable[[Study, DecisionFile], FileEvents] | None = None

    @property
    def words(self) -> FileFormat:
        """What pages need to know of it."""
        can_import = self.read is not None
        return FileFormat(self.name, self.title, self.ending, self.mime, self.loses, can_import)
