"""Experiments and labels as files, out of the app and into it."""

from __future__ import annotations

import datetime
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from backend import settings
from backend.experiments import experiment, runs
from backend.experiments.views import CALIBRATION, CONTROLS, Experiment, ExperimentImport, Run
from backend.experiments.words import FORMATS
from backend.labels import prompts, tables
from backend.labels.contract import Evidence
from backend.labels.interchange import baez, baez_reader, neuronpedia
from backend.labels.interchange.tables import WRITERS
from backend.labels.kinds import SCORERS
from backend.labels.subjects import Subject, features_of
from backend.query import action, lookup
from backend.schema import NotFoundError, Plan, StoreError, Study
from backend.store.views import Provenance


@lookup
def export_experiment(study: Study, run: str, format: str) -> bytes:
    """An experiment's labels as jsonl, csv, parquet or neuronpedia (zip), or all as baez (zip).

    Raises:
        NotFoundError: no such format or experiment.
    """
    if format not in FORMATS:
        raise NotFoundError(f"There is no format {format!r}.", f"Use {', '.join(FORMATS)}.")
    imported = run.startswith(runs.IMPORTED)
    source = _contents(run).experiment if imported else runs.finished(run)
    if format in WRITERS:
        return WRITERS[format](source.labels)
    if format == "neuronpedia":
        return neuronpedia.explanations(source.labels, source.scores, *neuronpedia.names(study))
    return baez.packed(source if isinstance(source, baez.Experiment) else _whole(study, source))


def _whole(study: Study, ended: runs.Results) -> baez.Experiment:
    """An experiment with its evidence and what the verbalizer says."""
    subject = features_of(study)
    evidence = [subject.draw(feature, ended.sampling) for feature in ended.features]
    created = datetime.datetime.fromtimestamp(ended.entry.recipe()["created"], datetime.UTC)
    model, source = neuronpedia.names(study)
    return baez.Experiment(
        model=model,
        layer=source,
        evidence=tuple(evidence),
        verbalizations=_verbalizations(subject, evidence, ended),
        labels=ended.labels,
        scores=ended.scores,
        distances=ended.entry.frame("distances"),
        made=created.isoformat(),
    )


def _verbalizations(
    subject: Subject, evidence: Sequence[Evidence], ended: runs.Results
) -> pl.DataFrame:
    """`tables.VERBALIZATIONS`, of those that an experiment asked for."""
    rows = []
    for each in evidence:
        strengths = {one.row: prompts.strength(one.strength, each.maximum) for one in each.train}
        for rank, row in enumerate(ended.texts_at_peaks(subject, each.feature), 1):
            rows.append((each.feature, rank, row["real"], strengths[row["row"]]))
    return pl.DataFrame(rows, schema=tables.VERBALIZATIONS, orient="row")


# ---------------------------------------------------------------- in


def _folder() -> Path:
    return settings.current().annotations / "imports"


@action
def import_experiment(data: bytes) -> ExperimentImport:
    """Keeps an experiment folder of the baez post, given as a zip; what cannot be read in it is
    named, and the rest is taken.

    Raises:
        FormatError: there is nothing in it to read.
        StoreError: it cannot be kept.
    """
    contents = baez_reader.read_folder(data)
    name = f"{runs.IMPORTED}{hashlib.sha256(data).hexdigest()[:16]}"
    try:
        _folder().mkdir(parents=True, exist_ok=True)
        staged = _folder() / f"{name}.part"
        staged.write_bytes(data)
        staged.rename(_folder() / f"{name}.zip")
    except OSError as error:
        raise StoreError(
            f"The file could not be kept: {error.strerror}.",
            f"Check that {_folder()} can be written and its disk has room.",
        ) from error
    return ExperimentImport(name, tuple(map(str, contents.problems)), contents.notes)


@functools.lru_cache(maxsize=4)
def _contents(name: str) -> baez_reader.FolderContents:
    path = _folder() / f"{name}.zip"
    if not path.is_file() or path.parent != _folder():
        raise NotFoundError(f"There is no import {name}.", "Import the folder again.")
    return baez_reader.read_folder(path.read_bytes())


def list_imports() -> list[Run]:
    """What was imported, newest first."""
    paths = sorted(_folder().glob(f"{runs.IMPORTED}*.zip"), key=lambda path: -path.stat().st_mtime)
    return [_run(path.stem, path.stat().st_mtime) for path in paths]


def _run(name: str, created: float) -> Run:
    contents = _contents(name).experiment
    return Run(name, _plan(contents), _names(contents.labels["writer"]), "", created, done=True)


def _names(column: pl.Series) -> str:
    return ", ".join(sorted(filter(None, column.unique())))


def _plan(contents: baez.Experiment) -> Plan:
    scored = set(contents.scores["scorer"].to_list())
    first = contents.evidence[0] if contents.evidence else None
    return Plan(
        methods=tuple(contents.labels["method"].unique(maintain_order=True)),
        scorers=tuple(name for name in SCORERS if name in scored),
        features=contents.labels["feature"].n_unique(),
        split=first.split if first else "",
        negatives=first.kind if first else "",
        seed=first.seed if first else 0,
        window=None,
    )


def view(study: Study, run: str) -> Experiment:
    """An imported experiment; it has no verdicts, so its labels cannot be compared by excerpt."""
    contents = _contents(run).experiment
    return Experiment(
        run=run,
        plan=_plan(contents),
        writer=_names(contents.labels["writer"]),
        judge=_names(contents.scores["judge"]),
        labels=contents.labels,
        scores=contents.scores,
        **experiment.summary(contents.scores),
        distances=contents.distances,
        controls=pl.DataFrame(schema=CONTROLS),
        known=pl.DataFrame(schema=CALIBRATION),
        provenance=Provenance(
            "imported", run, "{}", (), "", 0.0, (_folder() / f"{run}.zip").stat().st_mtime,
            f"python -m backend export_experiment --study {study.name} --run {run} --format baez",
        ),
    )  # fmt: skip
