"""All events as JSONL: everything that was said, and so what was undone or superseded."""

from __future__ import annotations

from typing import Any

from backend.annotations import hand_labels
from backend.annotations.formats.contract import DecisionFile, DecisionFormat, FileEvents
from backend.labels.interchange import records
from backend.labels.interchange.records import Amount, Name
from backend.schema import Study
from backend.store import annotations
from backend.store.annotations import New


class Line(records.Record):
    """One event as a file has it."""

    uid: Name
    made: Amount
    person: Name
    kind: Name
    value: dict[str, Any]


def write(study: Study) -> bytes:
    return records.json_bytes(
        {name: getattr(event, name) for name in Line.model_fields}
        for event in annotations.of_study(study.name, hand_labels.KINDS)
    )


def read(study: Study, file: DecisionFile) -> FileEvents:
    """Events that are new, known by their uids."""
    known_uids = {event.uid for event in annotations.of_study(study.name, hand_labels.KINDS)}
    lines = list(records.json_lines(Line, file.data, file.name, file.problems))
    new: dict[str, New] = {}
    duplicates = 0
    for number, line in lines:
        event = New(line.uid, line.person, line.kind, study.name, "", line.value, line.made)
        if file.refuses(number, event):
            continue
        if line.uid in known_uids or line.uid in new:
            duplicates += 1
            continue
        new[line.uid] = _completed(study, line)
    return FileEvents(len(lines), list(new.values()), duplicates)


def _completed(study: Study, line: Line) -> New:
    """An event with all that one of its kind has."""
    is_decision = line.kind == "decision"
    subject = f"feature {line.value['feature']}" if is_decision else ""
    value = hand_labels.value_of(line.value) if is_decision else {"of": str(line.value["of"])}
    return New(line.uid, line.person, line.kind, study.name, subject, value, line.made)


EVENTS = DecisionFormat(
    name="events",
    title="everything that was said, as JSONL",
    ending="events.jsonl",
    mime="application/jsonl",
    loses="",
    write=write,
    read=read,
)
