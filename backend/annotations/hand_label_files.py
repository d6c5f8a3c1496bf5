"""Labels made by hand as files: all events, which is everything that was said, or the current
labels as tables of any method's. Imported again, nothing is doubled, and nothing stands before what
was decided after it. `decision_formats` says which formats there are."""

from __future__ import annotations

from backend.annotations.formats import FORMATS
from backend.annotations.formats.contract import DecisionFile
from backend.annotations.views import DecisionImport
from backend.annotations.words import FileFormat
from backend.features.answers import feature_index
from backend.labels.interchange.records import FormatError
from backend.query import action, lookup
from backend.schema import NotFoundError, Study
from backend.store import annotations


@lookup
def decision_formats() -> list[FileFormat]:
    """The file formats of labels by hand."""
    return [each.words for each in FORMATS.values()]


@lookup
def export_decisions(study: Study, format: str) -> bytes:
    """Labels made by hand in a format: all events, or the current labels.

    Raises:
        NotFoundError: no such format.
    """
    if format not in FORMATS:
        raise NotFoundError(f"There is no format {format!r}.", f"Use {', '.join(FORMATS)}.")
    return FORMATS[format].write(study)


@action
def import_decisions(
    study: Study, person: str, data: bytes, format: str, file: str = ""
) -> DecisionImport:
    """Keeps what a file, called `file`, holds and is not known yet; labels without a writer become
    the `person`'s. Broken lines, and features that there are not, are named and left out.

    Raises:
        FormatError: the file cannot be read, or holds nothing.
        NotFoundError: no such format, or nobody is named.
        StoreError: it cannot be kept.
    """
    readable = {name: each.read for name, each in FORMATS.items() if each.read is not None}
    if format not in readable:
        raise NotFoundError(f"{format!r} cannot be imported.", f"Use {', '.join(readable)}.")
    name = file or f"labels.{FORMATS[format].ending}"
    source = DecisionFile(name, data, person, len(feature_index(study).table))
    events = readable[format](study, source)
    if not events.lines and not source.problems:
        raise FormatError(
            f"{name} is empty.",
            "Give a file that was exported here, or labels with feature, method and text: JSONL "
            "with one a line, or CSV or Parquet with these columns.",
        )
    annotations.add_all(events.new)
    problems = tuple(map(str, source.problems))
    return DecisionImport(len(events.new), events.known, problems, events.notes)
