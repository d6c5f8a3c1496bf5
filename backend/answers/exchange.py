"""Experiments and labels as files, out of the app and into it."""

from __future__ import annotations

import datetime
import functools
import hashlib
from pathlib import Path

import polars as pl

from backend import settings
from backend.answers import experiments, labelling, runs
from backend.answers.known import KNOWN
from backend.answers.subjects import features_of, sampling_of
from backend.labels import prompts, tables
from backend.labels.interchange import baez, baez_reader, neuronpedia
from backend.labels.interchange.tables import WRITERS
from backend.schema import NotFoundError, Plan, StoreError, Study
from backend.views import Experiment, Imported, Provenance, Run

FORMATS = (*WRITERS, "neuronpedia", "baez")  # the last two as zip


def export(study: Study, run: str, format: str) -> bytes:
    """An experiment's labels as jsonl, csv or parquet, as Neuronpedia's explanations, or the whole
    experiment as a folder of the baez post; the last two as zip.

    Raises:
        NotFoundError: no such format or experiment.
    """
    if format not in FORMATS:
        raise NotFoundError(f"There is no format {format!r}.", f"Use {', '.join(FORMATS)}.")
    if run.startswith(runs.IMPORTED):
        held = _read(run).experiment
        labels, scores = held.labels, held.scores
    else:
        entry, _, _ = runs.finished(run)
        labels, scores = entry.frame("labels"), entry.frame("scores")
    if format in WRITERS:
        return WRITERS[format](labels)
    if format == "neuronpedia":
        return neuronpedia.explanations(labels, scores, *names(study))
    return baez.packed(
        _read(run).experiment if run.startswith(runs.IMPORTED) else _whole(study, run)
    )


def names(study: Study) -> tuple[str, str]:
    """Model and source as Neuronpedia has them: short names."""
    assert study.sae
    model = study.model.source.partition(":")[2].rsplit("/", 1)[-1]
    return model, f"{study.site.layer}-{study.sae.source.rsplit('/', 1)[-1]}"


def _whole(study: Study, run: str) -> baez.Experiment:
    entry, plan, _ = runs.finished(run)
    of, labels = features_of(study), entry.frame("labels")
    numbers = sorted(set(labels["feature"].to_list()))
    sampling = sampling_of(plan, study.embedder)
    drawn = [of.draw(number, sampling) for number in numbers]
    said = []
    for each in drawn:
        told = labelling.verbalized.find(of, each.feature, sampling.train, study.verbalizer)
        texts = told.frame("texts") if told else pl.DataFrame({"row": [], "real": []})
        strengths = {one.row: prompts.strength(one.strength, each.maximum) for one in each.train}
        for rank, row in enumerate(texts.iter_rows(named=True), 1):
            said.append((each.feature, rank, row["real"], strengths[row["row"]]))
    made = datetime.datetime.fromtimestamp(entry.recipe()["created"], datetime.UTC)
    model, source = names(study)
    return baez.Experiment(
        model=model,
        layer=source,
        evidence=tuple(drawn),
        verbalizations=pl.DataFrame(said, schema=tables.VERBALIZATIONS, orient="row"),
        labels=labels,
        scores=entry.frame("scores"),
        distances=entry.frame("distances"),
        made=made.isoformat(),
    )


# ---------------------------------------------------------------- in


def _folder() -> Path:
    return settings.current().annotations / "imports"


def take(data: bytes) -> Imported:
    """Keeps an experiment folder of the baez post, given as a zip; what cannot be read in it is
    named, and the rest is taken.

    Raises:
        FormatError: there is nothing in it to read.
        StoreError: it cannot be kept.
    """
    found = baez_reader.read(data)
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
    return Imported(name, tuple(map(str, found.problems)), found.notes)


@functools.lru_cache(maxsize=4)
def _read(name: str) -> baez_reader.Imported:
    path = _folder() / f"{name}.zip"
    if not path.is_file() or path.parent != _folder():
        raise NotFoundError(f"There is no import {name}.", "Import the folder again.")
    return baez_reader.read(path.read_bytes())


def listed() -> list[Run]:
    """What was imported, newest first."""
    paths = sorted(_folder().glob(f"{runs.IMPORTED}*.zip"), key=lambda path: -path.stat().st_mtime)
    return [_run(path.stem, path.stat().st_mtime) for path in paths]


def _run(name: str, created: float) -> Run:
    held = _read(name).experiment
    writers = [writer for writer in held.labels["writer"].unique().to_list() if writer]
    return Run(name, _plan(held), ", ".join(writers), "", created, done=True)


def _plan(held: baez.Experiment) -> Plan:
    scored = set(held.scores["scorer"].to_list())
    first = held.evidence[0] if held.evidence else None
    return Plan(
        methods=tuple(held.labels["method"].unique(maintain_order=True)),
        scorers=tuple(name for name in experiments.SCORERS if name in scored),
        features=held.labels["feature"].n_unique(),
        split=first.split if first else "",
        negatives=first.kind if first else "",
        seed=first.seed if first else 0,
        window=None,
    )


def view(run: str) -> Experiment:
    """An imported experiment; it has no verdicts, so its labels cannot be compared by excerpt."""
    held = _read(run).experiment
    plan = _plan(held)
    means, differences, gains = experiments.summary(held.scores)
    judges = [judge for judge in held.scores["judge"].unique().to_list() if judge]
    return Experiment(
        run=run,
        plan=plan,
        writer=", ".join(sorted({writer for writer in held.labels["writer"] if writer})),
        judge=", ".join(sorted(judges)),
        labels=held.labels,
        scores=held.scores,
        means=means,
        differences=differences,
        gains=gains,
        distances=held.distances,
        controls=pl.DataFrame(schema=experiments.CONTROLS),
        known=pl.DataFrame(schema=KNOWN),
        provenance=Provenance(
            "imported", run, "{}", (), "", 0.0, (_folder() / f"{run}.zip").stat().st_mtime,
            f"python -m backend export --run {run} --format baez",
        ),
    )  # fmt: skip
