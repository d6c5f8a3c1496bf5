"""Study files: TOML in, a checked `Study` out.

`parse` reads the file alone and names every bad field with its remedy; `load` also resolves
revisions, so that the study can be part of a cache key; `check` opens what the study names and
asks whether the parts fit each other. Relative paths count from the project's folder.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import re
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from backend import settings
from backend.corpus import sources
from backend.models import language_model, sae
from backend.models.device import pick_device, pick_dtype
from backend.schema import (
    CorpusRef,
    EmbedderRef,
    Find,
    ModelError,
    ModelRef,
    PartitionSpec,
    SaeRef,
    Site,
    SourceRef,
    Study,
    StudyError,
    TesseraError,
    VerbalizerRef,
)
from backend.study.file import StudyTable, read

Ref = TypeVar("Ref", ModelRef, EmbedderRef, SaeRef, VerbalizerRef)

Stamps = tuple[tuple[int, int, int], ...]  # of folders: number, size and newest change of files

NAME = re.compile(r"[A-Za-z0-9._-]+")
COMMIT = re.compile(r"[0-9a-f]{40}")
RECHECK = 5  # seconds after which local folders are looked at again
RETRY = 30  # seconds for which what could not be found or reached is not asked for again


def names() -> list[str]:
    """The studies there are, by the names of their files."""
    files = settings.current().studies.glob("*.toml")
    return sorted(path.stem for path in files if NAME.fullmatch(path.stem))


def parse(name: str | Path) -> Study:
    """A study as its file says, without revisions; opens no model and no network.

    `name` is the name of a study, or the `Path` of a file anywhere.

    Raises:
        StudyError: no such study, not TOML, or bad fields (all of them are named).
        ModelError: the device or dtype is not to be had here.
    """
    path, environment = _find(name), settings.current()
    try:
        stat = path.stat()
        version = stat.st_mtime_ns, stat.st_size
        return _parsed(path, version, environment.device, environment.dtype)
    except OSError as error:
        problem = f"{_shown(path)} cannot be opened ({error.strerror})."
        raise StudyError(problem, "Check its name and rights.") from error


def load(name: str | Path) -> Study:
    """As `parse`, with every revision resolved; kept until the file or a folder it names changes.

    Raises:
        StudyError: as `parse`; or a folder that the file names is missing.
        ModelError, CorpusError: something it names cannot be found or reached.
    """
    study = parse(name)
    path = _find(name)
    tick = int(time.monotonic() // RECHECK)
    stamps = tuple(_folder_stamp(folder, tick) for folder in _folders(path, study))
    error = _failure(path, study, stamps, int(time.monotonic() // RETRY))
    if error is not None:
        raise type(error)(error.problem, error.remedy)
    return _resolved(path, study, stamps)


@functools.lru_cache(maxsize=32)
def check(study: Study) -> None:
    """Opens the model's configuration and the SAE, and asks whether they fit the study.

    Raises:
        StudyError: the layer or the context length is beyond the model.
        ModelError: the model cannot be read, or the SAE is of another model, site or width.
    """
    with _naming(f"Study {study.name}", "model.source"):
        config = language_model.config(study.model)
    layers = int(config.num_hidden_layers)
    if study.site.layer >= layers:
        raise StudyError(
            f"Study {study.name}, `site.layer`: {study.model.source} has no block "
            f"{study.site.layer}.",
            f"Blocks are counted from 0: write 0 to {layers - 1}.",
        )
    longest = getattr(config, "max_position_embeddings", None)
    if longest and study.corpus.context_length > longest:
        raise StudyError(
            f"Study {study.name}, `corpus.context_length`: {study.corpus.context_length} tokens "
            f"are more than {study.model.source} reads.",
            f"Write at most {longest}.",
        )
    if study.sae is not None:
        with _naming(f"Study {study.name}", "sae.source"):
            sae.check(study.sae, study.model, study.site, int(config.hidden_size))
    for number, (site, ref) in enumerate(study.saes):
        with _naming(f"Study {study.name}", f"saes[{number}].source"):
            sae.check(ref, study.model, site, int(config.hidden_size))


# ---------------------------------------------------------------- from the file to a study


def _find(name: str | Path) -> Path:
    if isinstance(name, Path):
        return name.expanduser().resolve()
    folder = settings.current().studies
    if not NAME.fullmatch(name) or name not in names():
        raise StudyError(
            f"There is no study {name!r} in {_shown(folder)}.",
            f"Choose one of {', '.join(names()) or 'none yet'}, or add a file there named in "
            "letters, digits, dots, dashes and underscores.",
        )
    return folder / f"{name}.toml"


def _shown(path: Path) -> str:
    """A path as messages name it: from the project's folder where it is inside."""
    return str(path.relative_to(settings.ROOT) if path.is_relative_to(settings.ROOT) else path)


@functools.lru_cache(maxsize=64)
def _parsed(path: Path, _version: tuple[int, int], _device: str, _dtype: str) -> Study:
    """The last three (the file's stamp, the environment's choices) only tell cached calls apart."""
    table = read(path, _shown(path))
    with _naming(_shown(path), "device"):
        device = pick_device(table.device)
    with _naming(_shown(path), "model.dtype"):
        model = ModelRef(
            _portable(table.model.source),
            table.model.revision,
            pick_dtype(device, table.model.dtype),
        )
    return Study(
        name=path.stem,
        title=table.title or path.stem,
        model=model,
        site=Site(table.site.layer),
        corpus=_corpus(table),
        partition=PartitionSpec(table.partition.p, table.partition.k, table.partition.seed),
        embedder=EmbedderRef(_portable(table.embedder.source), table.embedder.revision),
        sae=SaeRef(_portable(table.sae.source), table.sae.revision) if table.sae else None,
        saes=tuple(
            (Site(each.layer), SaeRef(_portable(each.source), each.revision)) for each in table.saes
        ),
        verbalizer=VerbalizerRef(
            table.verbalizer.kind, _portable(table.verbalizer.source), table.verbalizer.revision
        ),
        p_stops=tuple(table.partition.p_stops),
        k_stops=tuple(table.partition.k_stops),
        device=device,
        notes=table.notes,
        finds=tuple(Find(**find.model_dump()) for find in table.finds),
    )


def _corpus(table: StudyTable) -> CorpusRef:
    refs = (SourceRef(**source.model_dump()) for source in table.corpus.sources)
    portable = tuple(
        replace(ref, path=_relative(ref.path)) if ref.kind == "files" else ref for ref in refs
    )
    return CorpusRef(portable, table.corpus.tokens, table.corpus.context_length, table.corpus.seed)


def _portable(source: str) -> str:
    """`folder:` sources inside the project stay relative to it, so that a moved project keeps
    its cache; others become absolute."""
    kind, _, name = source.partition(":")
    return f"folder:{_relative(name)}" if kind == "folder" else source


def _relative(path: str) -> str:
    return _shown((settings.ROOT / Path(path).expanduser()).resolve())


# ---------------------------------------------------------------- revisions


def _folders(path: Path, study: Study) -> list[Path]:
    """The files and folders on this disk that a study names; each must exist."""
    named = [("model.source", study.model.source), ("embedder.source", study.embedder.source)]
    if study.sae is not None:
        named.append(("sae.source", study.sae.source))
    named += [(f"saes[{number}].source", ref.source) for number, (_, ref) in enumerate(study.saes)]
    if study.verbalizer.kind == "nla":
        named.append(("verbalizer.source", study.verbalizer.source))
    local = [(field, s.removeprefix("folder:")) for field, s in named if s.startswith("folder:")]
    for number, source in enumerate(study.corpus.sources):
        if source.kind == "files":
            local.append((f"corpus.sources[{number}].path", source.path))
    for field, name in local:
        if not (settings.ROOT / name).exists():
            raise StudyError(
                f"{_shown(path)}, `{field}`: there is no {settings.ROOT / name}.",
                f"Correct the path (a relative one counts from {settings.ROOT})"
                + (", or leave [sae] out." if field == "sae.source" else "."),
            )
    return [settings.ROOT / name for _, name in local]


@functools.lru_cache(maxsize=256)
def _folder_stamp(folder: Path, _tick: int) -> tuple[int, int, int]:
    """Number, size and newest change of the files; looked at once a tick."""
    paths = [folder] if folder.is_file() else folder.rglob("*")
    stats = [path.stat() for path in paths if path.is_file()]
    newest = max((stat.st_mtime_ns for stat in stats), default=0)
    return len(stats), sum(stat.st_size for stat in stats), newest


@functools.lru_cache(maxsize=64)
def _failure(path: Path, study: Study, stamps: Stamps, _tick: int) -> TesseraError | None:
    """Why a study cannot be resolved; asked once a tick."""
    try:
        _resolved(path, study, stamps)
    except TesseraError as error:
        return error
    return None


@functools.lru_cache(maxsize=64)
def _resolved(path: Path, study: Study, _stamps: Stamps) -> Study:
    """The stamps of its folders only tell cached calls apart."""

    def resolved(field: str, resolve: Callable[[str, str], str], ref: Ref) -> Ref:
        with _naming(_shown(path), field):
            return replace(ref, revision=resolve(ref.source, ref.revision))

    texts: list[SourceRef] = []
    for number, source in enumerate(study.corpus.sources):
        with _naming(_shown(path), f"corpus.sources[{number}]"):
            texts.append(sources.resolve(source))
    verbalizer, is_nla = study.verbalizer, study.verbalizer.kind == "nla"
    return replace(
        study,
        model=resolved("model.source", _revision, study.model),
        embedder=resolved("embedder.source", _embedder_revision, study.embedder),
        corpus=replace(study.corpus, sources=tuple(texts)),
        sae=study.sae and resolved("sae.source", sae.resolve, study.sae),
        saes=tuple(
            (site, resolved(f"saes[{number}].source", sae.resolve, ref))
            for number, (site, ref) in enumerate(study.saes)
        ),
        verbalizer=resolved("verbalizer.source", _revision, verbalizer) if is_nla else verbalizer,
    )


def _revision(source: str, revision: str) -> str:
    """A full commit hash stands as it is, so that a pinned study needs no look-up."""
    if COMMIT.fullmatch(revision):
        return revision
    return language_model.resolve(source, revision)


def _embedder_revision(source: str, revision: str) -> str:
    kind, _, name = source.partition(":")
    if kind != "package":
        return _revision(source, revision)
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelError(f"The package {name} is not installed.", "Run `make env`.") from error


@contextlib.contextmanager
def _naming(file: str, field: str) -> Generator[None]:
    """Errors raised inside keep their type and gain the file and the field."""
    try:
        yield
    except TesseraError as error:
        raise type(error)(f"{file}, `{field}`: {error.problem}", error.remedy) from error
