"""Labels made by hand as files: all events, which is everything that was said, or the current
labels as tables of any method's, with the occurrence and the time they were made. Taken in again,
nothing is doubled, and nothing stands before what was decided after it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

import polars as pl
from pydantic import Field, field_validator

from backend.answers import decisions, exchange, features
from backend.answers.decisions import Key, Ledger
from backend.labels import tables
from backend.labels.interchange import neuronpedia, records
from backend.labels.interchange import tables as files
from backend.labels.interchange.records import Amount, FormatError, Name, Problem
from backend.labels.interchange.tables import WRITERS
from backend.schema import NotFoundError, Study, conform
from backend.store import annotations
from backend.store.annotations import New
from backend.views import Taken

HUMAN = "human"  # the method of a label made by hand
NO_LABEL = "no label fits"
FORMATS = ("events", *WRITERS, "neuronpedia")
HELD = pl.Schema({**tables.LABELS, "occurrence": pl.Int64, "made": pl.Float64})  # Unix seconds
SLACK = 1.0  # seconds by which a spreadsheet may have rounded a time
AHEAD = 86_400  # seconds by which the clock of whoever made a file may be fast


def export(study: Study, format: str) -> bytes:
    """All `events` as JSONL; or the current labels as jsonl, csv or parquet, or as Neuronpedia's
    explanations (zip).

    Raises:
        NotFoundError: no such format.
    """
    if format not in FORMATS:
        raise NotFoundError(f"There is no format {format!r}.", f"Use {', '.join(FORMATS)}.")
    if format == "events":
        return records.json_bytes(
            {"uid": e.uid, "made": e.made, "person": e.person, "kind": e.kind, "value": e.value}
            for e in annotations.of_study(study.name, decisions.KINDS)
        )
    if format == "neuronpedia":
        empty = pl.DataFrame(schema=tables.SCORES)
        return neuronpedia.explanations(labels_of(study), empty, *exchange.names(study))
    return WRITERS[format](_held(study), HELD)


def labels_of(study: Study) -> pl.DataFrame:
    """`tables.LABELS`: what everybody calls features now, a first look and a repeat apart; a
    feature for which no label fits has failed."""
    return conform(_held(study), tables.LABELS)


def _held(study: Study) -> pl.DataFrame:
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
            "occurrence": row["occurrence"],
            "made": row["made"],
        }
        for row in decisions.human_labels(study).iter_rows(named=True)
        if row["action"] != "skip"
    ]
    return pl.DataFrame(rows, schema=HELD)


# ---------------------------------------------------------------- in


class Line(records.Record):
    """One event as a file has it."""

    uid: Name
    made: Amount
    person: Name
    kind: Name
    value: dict[str, Any]


class Row(files.Row):
    """One label as a file has it; one without a time was made before anything that stands."""

    occurrence: Annotated[int, Field(ge=0, le=1, strict=False)] = 0
    made: Amount | None = None

    @field_validator("made", mode="before")
    @classmethod
    def _no_time(cls, given: Any) -> Any:
        return None if given == "" else given

    @field_validator("occurrence", mode="before")
    @classmethod
    def _first(cls, given: Any) -> Any:
        return 0 if given in ("", None) else given


def take(study: Study, person: str, data: bytes, format: str, file: str = "") -> Taken:
    """Keeps what a file, called `file`, holds and is not known yet. Labels of a table that name no
    writer become the `person`'s; broken lines, and features that there are not, are named and left
    out. A label that stands already is known, whatever else was said with it.

    Raises:
        FormatError: the file cannot be read, or holds nothing.
        NotFoundError: no such format, or nobody is named.
        StoreError: it cannot be kept.
    """
    if format not in ("events", *WRITERS):
        raise NotFoundError(f"{format!r} cannot be taken in.", "Use events, jsonl, csv or parquet.")
    of = _File(file or f"labels.{format}", len(features.read_or_raise(study).table), [])
    if format == "events":
        lines = list(records.json_lines(Line, data, of.name, of.bad))
        return _taken(of, lines, *_events(study, of, lines))
    name = decisions.checked_name(person)
    rows = list(files.lines(Row, data, format, of.name, of.bad)) if data.strip() else []
    with decisions.ledger(study) as book:
        fresh, known = _labels(study, of, name, rows, book)
    wrong = {problem.line for problem in of.bad}
    good = [row for line, row in rows if line not in wrong]
    return _taken(of, rows, fresh, known, _unsigned(good))


class _File(NamedTuple):
    """A file that is taken in."""

    name: str
    features: int  # that there are
    bad: list[Problem]

    def wrong(self, line: int, event: New) -> bool:
        reason = decisions.wrong(
            {**event.value, "kind": event.kind, "uid": event.uid}, self.features
        )
        if len(event.person) > decisions.NAME:
            reason = f"The name of who said it has more than {decisions.NAME} characters."
        if event.made > time.time() + AHEAD:
            reason = "It was made in the future: `made` is in Unix seconds."
        return self.left_out(line, reason)

    def left_out(self, line: int, reason: str) -> bool:
        if reason:
            self.bad.append(Problem(self.name, line, "", reason))
        return bool(reason)


def _taken(
    of: _File, lines: Sequence[Any], fresh: list[New], known: int, notes: tuple[str, ...] = ()
) -> Taken:
    if not lines and not of.bad:
        raise FormatError(
            f"{of.name} is empty.",
            "Give a file that was exported here, or labels with feature, method and text: JSONL "
            "with one a line, or CSV or Parquet with these columns.",
        )
    annotations.add_all(fresh)
    return Taken(len(fresh), known, tuple(map(str, of.bad)), notes)


# ---------------------------------------------------------------- events


def _events(study: Study, of: _File, lines: Iterable[tuple[int, Line]]) -> tuple[list[New], int]:
    """Events that are new, and how many are known."""
    known = {event.uid for event in annotations.of_study(study.name, decisions.KINDS)}
    fresh: dict[str, New] = {}
    twice = 0
    for number, line in lines:
        event = New(line.uid, line.person, line.kind, study.name, "", line.value, line.made)
        if of.wrong(number, event):
            continue
        if line.uid in known or line.uid in fresh:
            twice += 1
            continue
        fresh[line.uid] = _whole(study, line)
    return list(fresh.values()), twice


def _whole(study: Study, line: Line) -> New:
    """An event with all that one of its kind has."""
    decision = line.kind == "decision"
    subject = f"feature {line.value['feature']}" if decision else ""
    value = decisions.said(line.value) if decision else {"of": str(line.value["of"])}
    return New(line.uid, line.person, line.kind, study.name, subject, value, line.made)


# ---------------------------------------------------------------- labels


class _Said(NamedTuple):
    """What a decision comes to."""

    action: str
    label: str
    made: float | None
    uid: str

    def same(self, other: _Said) -> bool:
        return (self.action, self.label) == (other.action, other.label)


def _labels(
    study: Study, of: _File, person: str, rows: Iterable[tuple[int, Row]], book: Ledger
) -> tuple[list[New], int]:
    """Decisions that labels come to and that are new, and how many are known."""
    fresh: list[New] = []
    known = 0
    added: dict[Key, list[_Said]] = {}
    for line, row in rows:
        event = _of_label(study, person, row)
        if of.wrong(line, event) or of.left_out(line, _no_decision(row)):
            continue
        key = event.person, row.feature, row.occurrence
        said = _Said(event.value["action"], event.value["label"], row.made, event.uid)
        past, now = _past(book, key, added.get(key, []))
        if _known(said, past, now):
            known += 1
        elif now and now.action != "skip" and said.made is None:
            of.left_out(line, _undated(event.person, row.feature))
        else:
            later = now is not None and said.made is not None and said.made >= (now.made or 0)
            value = event.value | {"old": now.uid if now and later else ""}
            fresh.append(replace(event, value=value))
            added.setdefault(key, []).append(said._replace(made=said.made or time.time()))
    return fresh, known


def _no_decision(row: Row) -> str:
    if row.method != HUMAN and not row.text:
        return f"{row.method} gave no label, which does not say that none fits."
    return ""


def _undated(person: str, feature: int) -> str:
    return (
        f"Feature {feature} has another decision of {person}, and the row does not say when it "
        "was made (`made`, in Unix seconds)."
    )


def _past(book: Ledger, key: Key, added: list[_Said]) -> tuple[list[_Said], _Said | None]:
    """What was ever decided of an item, and what stands."""
    made = [_Said(d.action, d.label, d.made, d.uid) for d in book.by_key.get(key, ())]
    standing = [each for each in made if each.uid not in book.undone] + added
    standing.sort(key=lambda each: each.made or 0.0)
    return made + added, standing[-1] if standing else None


def _known(said: _Said, past: list[_Said], now: _Said | None) -> bool:
    """Whether it stands, or was said at its time; one without a time, whether it was ever said."""
    if now and said.same(now):
        return True
    return any(
        said.same(each) and (said.made is None or abs(said.made - (each.made or 0.0)) < SLACK)
        for each in past
    )


def _of_label(study: Study, person: str, row: Row) -> New:
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
    value, subject = decisions.said(event), f"feature {row.feature}"
    return New(uid, who, "decision", study.name, subject, value, row.made or 0.0)


def _unsigned(rows: Sequence[Row]) -> tuple[str, ...]:
    """How many labels name no person, in words."""
    none = sum(row.method == HUMAN and not row.writer.strip() for row in rows)
    methods = sum(row.method != HUMAN for row in rows)
    said = (none, "had no writer and"), (methods, "of methods, which their notes name,")
    return tuple(
        f"{count:,} {'row' if count == 1 else 'rows'} {words} "
        f"{'counts' if count == 1 else 'count'} as yours."
        for count, words in said
        if count
    )
