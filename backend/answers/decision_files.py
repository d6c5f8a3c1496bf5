"""Labels made by hand as files: all events, which is everything that was said, or the current
labels as tables of any method's. Taken in again, nothing is doubled."""

from __future__ import annotations

import hashlib
from typing import Any

import polars as pl

from backend.answers import decisions, exchange, features
from backend.labels import tables
from backend.labels.interchange import neuronpedia
from backend.labels.interchange.records import Name, Problem, Record, json_bytes, json_lines
from backend.labels.interchange.tables import WRITERS, read
from backend.schema import NotFoundError, Study
from backend.store import annotations
from backend.store.annotations import New
from backend.views import Taken

HUMAN = "human"  # the method of a label made by hand
NO_LABEL = "no label fits"
FORMATS = ("events", *WRITERS, "neuronpedia")


def export(study: Study, format: str) -> bytes:
    """All `events` as JSONL; or the current labels as jsonl, csv or parquet, or as Neuronpedia's
    explanations (zip).

    Raises:
        NotFoundError: no such format.
    """
    if format not in FORMATS:
        raise NotFoundError(f"There is no format {format!r}.", f"Use {', '.join(FORMATS)}.")
    if format == "events":
        return json_bytes(
            {"uid": e.uid, "made": e.made, "person": e.person, "kind": e.kind, "value": e.value}
            for e in annotations.of_study(study.name, decisions.KINDS)
        )
    labels = labels_of(study)
    if format == "neuronpedia":
        empty = pl.DataFrame(schema=tables.SCORES)
        return neuronpedia.explanations(labels, empty, *exchange.names(study))
    return WRITERS[format](labels)


def labels_of(study: Study) -> pl.DataFrame:
    """`tables.LABELS`: what everybody calls features now, a first look and a repeat apart; a
    feature for which no label fits has failed."""
    rows = [
        {
            "feature": row["feature"],
            "method": HUMAN,
            "writer": row["person"],
            "text": row["label"],
            "detail": row["notes"],
            "failed": "" if row["action"] == "label" else NO_LABEL,
            "n": None,
            "seconds": row["seconds"],
        }
        for row in decisions.human_labels(study).iter_rows(named=True)
        if row["action"] != "skip"
    ]
    return pl.DataFrame(rows, schema=tables.LABELS)


# ---------------------------------------------------------------- in


class Line(Record):
    """One event as a file has it."""

    uid: Name
    made: float
    person: Name
    kind: Name
    value: dict[str, Any]


def take(study: Study, person: str, data: bytes, format: str) -> Taken:
    """Keeps what a file holds and is not known yet. Labels of a table that name no writer become
    the `person`'s; broken lines, and features that there are not, are named and left out.

    Raises:
        FormatError: the file cannot be read.
        NotFoundError: no such format, or nobody is named.
        StoreError: it cannot be kept.
    """
    bad: list[Problem] = []
    if format == "events":
        new = [_event(study, line) for _, line in json_lines(Line, data, "events.jsonl", bad)]
    elif format in WRITERS:
        name = decisions.checked_name(person)
        found = read(data, format, None, "")
        bad += found.problems
        new = [_of_label(study, name, row) for row in found.labels.iter_rows(named=True)]
    else:
        raise NotFoundError(f"{format!r} cannot be taken in.", "Use events, jsonl, csv or parquet.")
    return _keep(study, new, bad)


def _keep(study: Study, new: list[New], bad: list[Problem]) -> Taken:
    width = len(features.read_or_raise(study).table)
    known = {e.uid for e in annotations.of_study(study.name, decisions.KINDS)}
    good: list[New] = []
    for line, event in enumerate(new, 1):
        reason = decisions.wrong({**event.value, "kind": event.kind, "uid": event.uid}, width)
        if reason:
            bad.append(Problem("file", line, "", reason))
        else:
            good.append(event)
    fresh = {event.uid: event for event in good if event.uid not in known}
    annotations.add_all(list(fresh.values()))
    return Taken(len(fresh), len(good) - len(fresh), tuple(map(str, bad)))


def _event(study: Study, line: Line) -> New:
    subject = f"feature {line.value['feature']}" if "feature" in line.value else ""
    return New(line.uid, line.person, line.kind, study.name, subject, line.value, line.made)


def _of_label(study: Study, person: str, row: dict[str, Any]) -> New:
    """A decision from a table's row; the same row has the same uid each time."""
    who = row["writer"].strip()[: decisions.NAME] if row["method"] == HUMAN else ""
    said = "\n".join([study.name, who or person, str(row["feature"]), row["method"], row["text"]])
    value = decisions.blank(row["feature"]) | {
        "action": "label" if row["text"] else "none",
        "label": row["text"],
        "notes": row["detail"] if row["method"] == HUMAN else f"by {row['method']}",
        "seconds": row["seconds"] or 0.0,
    }
    uid = hashlib.sha256(said.encode()).hexdigest()[:32]
    return New(uid, who or person, "decision", study.name, f"feature {row['feature']}", value)
