"""The current labels as a table, in JSONL, CSV or Parquet, with the occurrence and the time they
were made; tables of other methods' labels too are read."""

from __future__ import annotations

import copy
import functools
import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any

from pydantic import Field

from backend.annotations import hand_labels
from backend.annotations.formats.contract import DecisionFile, DecisionFormat, FileEvents
from backend.annotations.hand_labels import DATED_LABELS, HUMAN, Ledger, dated_labels
from backend.annotations.views import Decision
from backend.labels.interchange import tables as label_files
from backend.labels.interchange.records import Amount
from backend.labels.interchange.tables import WRITERS, Format
from backend.schema import Study
from backend.store.annotations import Event, New

SLACK = 1.0  # seconds by which a spreadsheet may have rounded a time
LOSES = (
    "Holds who calls which feature what now, notes and times; loses what was undone or superseded, "
    "tags, confidence, flags, texts, and whether hints were seen"
)


class Row(label_files.Row):
    """One label as a file has it; one without a time was made before anything that stands."""

    occurrence: Annotated[int, Field(ge=0, le=1, strict=False)] = 0
    made: Amount | None = None


def write(format: Format, study: Study) -> bytes:
    return WRITERS[format](dated_labels(study), DATED_LABELS)


def read(format: Format, study: Study, file: DecisionFile) -> FileEvents:
    """Decisions that are new. Labels that name no writer become those of who imports them; a label
    that stands already is known, whatever else was said with it.

    Raises:
        FormatError: the file cannot be read.
        NotFoundError: nobody is named.
    """
    file = replace(file, person=hand_labels.checked_name(file.person))
    rows: list[tuple[int, Row]] = []
    if file.data.strip():
        rows += label_files.lines(Row, file.data, format, file.name, file.problems)
    with hand_labels.ledger(study) as ledger:
        new, duplicates = _new_decisions(study, file, rows, ledger)
    bad_lines = {problem.line for problem in file.problems}
    good = [row for line, row in rows if line not in bad_lines]
    return FileEvents(len(rows), new, duplicates, _unsigned(good))


# ---------------------------------------------------------------- what is new


def _new_decisions(
    study: Study, file: DecisionFile, rows: Iterable[tuple[int, Row]], ledger: Ledger
) -> tuple[list[New], int]:
    """Decisions that labels come to and that are new, and how many are known."""
    new: list[New] = []
    duplicates = 0
    book = copy.deepcopy(ledger)  # grows by what is new
    for line, row in rows:
        event = _event(study, file.person, row)
        if file.refuses(line, event) or file.leaves_out(line, _no_decision(row)):
            continue
        key = event.person, row.feature, row.occurrence
        current = book.current.get(key)
        if _is_known(event, book.by_key.get(key, ()), current):
            duplicates += 1
        elif current and current.action != "skip" and row.made is None:
            which = f"Feature {row.feature} has another decision of {event.person}"
            undated = "the row does not say when it was made (`made`, in Unix seconds)"
            file.leaves_out(line, f"{which}, and {undated}.")
        else:
            # it replaces the decision that stands, if it is later
            later = current is not None and row.made is not None and row.made >= current.made
            old = current.uid if current and later else ""
            event = replace(event, value=event.value | {"old": old})
            new.append(event)
            fields: dict[str, Any] = asdict(event) | {"made": event.made or time.time()}
            book.add(Event(**fields, id=book.last))
    return new, duplicates


def _no_decision(row: Row) -> str:
    if row.method != HUMAN and not row.text:
        return f"{row.method} gave no label, which does not say that none fits."
    return ""


def _is_known(event: New, past: Sequence[Decision], current: Decision | None) -> bool:
    """Whether it stands, or was said at its time; one without a time, whether it was ever said."""
    statement = event.value["action"], event.value["label"]
    if current and statement == (current.action, current.label):
        return True
    return any(
        statement == (each.action, each.label)
        and (not event.made or abs(event.made - each.made) < SLACK)
        for each in past
    )


def _event(study: Study, person: str, row: Row) -> New:
    """A decision from a table's row; the same row has the same uid each time."""
    who = (row.writer.strip() if row.method == HUMAN else "") or person
    words = [study.name, who, str(row.feature), row.method, row.text, str(row.occurrence)]
    uid = hashlib.sha256("\n".join([*words, str(row.made or "")]).encode()).hexdigest()[:32]
    event = {
        "feature": row.feature,
        "occurrence": row.occurrence,
        "action": "label" if row.text else "none",
        "label": row.text,
        "notes": row.detail if row.method == HUMAN else f"by {row.method}",
        "seconds": row.seconds or 0.0,
    }
    value, subject = hand_labels.value_of(event), f"feature {row.feature}"
    return New(uid, who, "decision", study.name, subject, value, row.made or 0.0)


def _unsigned(rows: Sequence[Row]) -> tuple[str, ...]:
    """How many labels name no person, in words."""
    unnamed = sum(row.method == HUMAN and not row.writer.strip() for row in rows)
    methods = sum(row.method != HUMAN for row in rows)
    reasons = (unnamed, "had no writer and"), (methods, "of methods, which their notes name,")
    return tuple(
        f"{count:,} {'row' if count == 1 else 'rows'} {words} "
        f"{'counts' if count == 1 else 'count'} as yours."
        for count, words in reasons
        if count
    )


# ---------------------------------------------------------------- the formats


def _table(format: Format, title: str, mime: str) -> DecisionFormat:
    return DecisionFormat(
        name=format,
        title=f"current labels as {title}",
        ending=format,
        mime=mime,
        loses=LOSES,
        write=functools.partial(write, format),
        read=functools.partial(read, format),
    )


TABLES = (
    _table("jsonl", "JSONL", "application/jsonl"),
    _table("csv", "CSV", "text/csv"),
    _table("parquet", "Parquet", "application/vnd.apache.parquet"),
)
