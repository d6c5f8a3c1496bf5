"""Disk memo: the result of a pure function, kept under a digest of its arguments.

An entry is the folder `cache/<function>/<digest>/`: arrays as `.npy`, tensors as
`.safetensors`, tables as `.parquet`, everything else in `values.json`, and `recipe.json`, which
says how it was computed and holds a checksum per file. It is written in a staging folder and
renamed into place last, so an entry that exists is whole. Nothing is ever pickled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import functools
import hashlib
import importlib.metadata
import inspect
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file

from backend import settings
from backend.schema import NotFoundError, StoreError

log = logging.getLogger("tessera.memo")

NOT_KEYED = frozenset({"progress", "folder", "device", "inputs"})
LIBRARIES = ("torch", "transformers", "numpy", "polars", "sae-lens", "umap-learn")
_verified: set[tuple[str, int, int]] = set()


@dataclasses.dataclass(frozen=True)
class Entry:
    """A result on disk. Arrays are memory-mapped; tables and values are read whole."""

    folder: Path
    digest: str

    def array(self, name: str) -> np.ndarray:
        return np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    def tensor(self, name: str) -> torch.Tensor:
        return load_file(self.folder / f"{name}.safetensors")["value"]

    def frame(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / f"{name}.parquet")

    def scan(self, name: str) -> pl.LazyFrame:
        return pl.scan_parquet(self.folder / f"{name}.parquet")

    def value(self, name: str) -> Any:
        return json.loads((self.folder / "values.json").read_text())[name]

    def recipe(self) -> dict[str, Any]:
        return json.loads((self.folder / "recipe.json").read_text())


# ---------------------------------------------------------------- keys


def canonical(value: Any) -> Any:
    """`value` as JSON data whose text is the same wherever it is computed.

    Raises:
        TypeError: for anything but scalars, strings, sequences, string-keyed dicts, frozen
            dataclasses and entries.
    """
    if isinstance(value, Entry):
        return {"entry": value.digest}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if not type(value).__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise TypeError(f"{type(value).__name__} is not frozen, so it cannot be part of a key")
        fields = {f.name: canonical(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and np.isfinite(value) and type(value) is float:
        return value
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: canonical(value[key]) for key in sorted(value)}
    raise TypeError(f"{value!r} ({type(value).__name__}) cannot be part of a cache key")


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__.removeprefix('backend.')}.{function.__qualname__}"


# ---------------------------------------------------------------- the decorator


class Memoized:
    """A pure function with a disk cache. Call it, or ask `find` for what is there already."""

    def __init__(self, function: Callable[..., Mapping[str, Any]], version: int) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.version = version
        self.name = _name(function)
        self.signature = inspect.signature(function)

    def recipe(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What the digest is taken of: name, version and every keyed argument."""
        bound = self.signature.bind_partial(*args, **kwargs)
        bound.apply_defaults()
        keyed = {n: canonical(v) for n, v in bound.arguments.items() if n not in NOT_KEYED}
        return {"function": self.name, "version": self.version, "arguments": keyed}

    def digest(self, *args: Any, **kwargs: Any) -> str:
        text = json.dumps(self.recipe(*args, **kwargs), sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def find(self, *args: Any, **kwargs: Any) -> Entry | None:
        """The entry for these arguments if it is on disk and whole."""
        digest = self.digest(*args, **kwargs)
        return _open(settings.current().cache / self.name / digest, digest)

    def get(self, *args: Any, **kwargs: Any) -> Entry:
        """As `find`; raises `NotFoundError` where there is none."""
        found = self.find(*args, **kwargs)
        if found is None:
            raise NotFoundError(f"{self.name} has not been computed.", "Start it and wait for it.")
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Entry:
        found = self.find(*args, **kwargs)
        if found is not None:
            return found
        digest = self.digest(*args, **kwargs)
        with _locked(digest):
            return self.find(*args, **kwargs) or self._compute(digest, *args, **kwargs)

    def _compute(self, digest: str, *args: Any, **kwargs: Any) -> Entry:
        cache = settings.current().cache
        staging = cache / "staging" / f"{digest}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        try:
            staging.mkdir(parents=True)
            if "folder" in self.signature.parameters:
                kwargs["folder"] = staging
            started = time.time()
            result = self.function(*args, **kwargs)
            _write(staging, result)
            recipe = self.recipe(*args, **kwargs) | {
                "digest": digest,
                "created": time.time(),
                "seconds": time.time() - started,
                "device": str(kwargs.get("device", "cpu")),
                "libraries": _versions(),
                "files": _checksums(staging),
            }
            (staging / "recipe.json").write_text(json.dumps(recipe, indent=1))
            _fsync(staging)
            target = cache / self.name / digest
            target.parent.mkdir(parents=True, exist_ok=True)
            staging.rename(target)
            _fsync(target.parent, files=False)
        except OSError as error:
            raise _store_error(error) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        _remember(target)
        evict(settings.current().cache_gb)
        return Entry(target, digest)


def memoize(version: int) -> Callable[[Callable[..., Mapping[str, Any]]], Memoized]:
    """Keep what a pure function returns: a dict of arrays, tensors, tables and JSON values.

    Raise `version` whenever the function computes something else. Not part of the key are
    `progress`, `device`, `inputs` (data that another argument gives the digest of) and
    `folder`, where a function may write `.npy` files itself, block by block.
    """
    return lambda function: Memoized(function, version)


# ---------------------------------------------------------------- reading and writing


def _open(folder: Path, digest: str) -> Entry | None:
    recipe = folder / "recipe.json"
    try:
        files = json.loads(recipe.read_text())["files"]
        bad = [name for name, sha in files.items() if not _is_whole(folder / name, sha)]
    except FileNotFoundError:
        if not folder.exists():
            return None
        bad = ["recipe.json"]
    except (json.JSONDecodeError, KeyError):
        bad = ["recipe.json"]
    if bad:
        log.warning("cache entry %s is damaged (%s): set aside", folder, ", ".join(bad))
        aside = settings.current().cache / "damaged" / f"{folder.name}-{uuid.uuid4().hex[:6]}"
        aside.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process was first
            folder.rename(aside)
        return None
    with contextlib.suppress(OSError):  # a read-only cache still reads
        os.utime(recipe)
    return Entry(folder, digest)


def _is_whole(path: Path, sha: str) -> bool:
    """Compares the checksum, once a process for as long as size and time stay as they are."""
    if not path.exists():
        return False
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    if key not in _verified:
        if _sha256(path) != sha:
            return False
        _verified.add(key)
    return True


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(folder: Path, result: Mapping[str, Any]) -> None:
    values: dict[str, Any] = {}
    for name, value in result.items():
        if isinstance(value, np.ndarray):
            np.save(folder / f"{name}.npy", value, allow_pickle=False)
        elif isinstance(value, torch.Tensor):
            save_file({"value": value.contiguous()}, folder / f"{name}.safetensors")
        elif isinstance(value, pl.DataFrame):
            value.write_parquet(folder / f"{name}.parquet")
        else:
            values[name] = value
    (folder / "values.json").write_text(json.dumps(values, allow_nan=False))


def _checksums(folder: Path) -> dict[str, str]:
    return {path.name: _sha256(path) for path in sorted(folder.iterdir())}


def _remember(folder: Path) -> None:
    for path in folder.iterdir():
        stat = path.stat()
        _verified.add((str(path), stat.st_size, stat.st_mtime_ns))


def _fsync(folder: Path, files: bool = True) -> None:
    for path in [*(folder.iterdir() if files else ()), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _locked(digest: str) -> Iterator[None]:
    """One computation of a digest at a time, over all processes."""
    folder = settings.current().cache / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / digest).open("w")
    except OSError as error:
        raise _store_error(error) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _store_error(error: OSError) -> StoreError:
    cache = settings.current().cache
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"The disk that holds {cache} is full; what was finished is kept.",
            "Free space, or set TESSERA_CACHE to a folder on another disk, and start again.",
        )
    return StoreError(
        f"{error.strerror or error} ({error.filename or cache}).",
        "Check that the folder exists and can be written, or set TESSERA_CACHE to another.",
    )


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


# ---------------------------------------------------------------- upkeep


def entries() -> pl.DataFrame:
    """Every entry: function, digest, megabytes, seconds it took, created, used, pinned."""
    rows = []
    for path in settings.current().cache.glob("*/*/recipe.json"):
        if path.parent.parent.name in ("staging", "damaged"):
            continue
        recipe = json.loads(path.read_text())
        files = list(path.parent.iterdir())
        rows.append(
            {
                "function": path.parent.parent.name,
                "digest": path.parent.name,
                "megabytes": sum(file.stat().st_size for file in files) / 1e6,
                "seconds": recipe["seconds"],
                "created": recipe["created"],
                "used": path.stat().st_mtime,
                "pinned": (path.parent / "pinned").exists(),
            }
        )
    schema = dict.fromkeys(("function", "digest"), pl.String) | dict.fromkeys(
        ("megabytes", "seconds", "created", "used"), pl.Float64
    )
    return pl.DataFrame(rows, schema=schema | {"pinned": pl.Boolean}).sort("used")


def entry_folder(digest: str) -> Path:
    """The folder of the entry whose digest begins with `digest`; raises `NotFoundError`."""
    found = list(settings.current().cache.glob(f"*/{digest}*/recipe.json")) if digest else []
    if len(found) != 1:
        raise NotFoundError(
            f"{len(found)} cache entries begin with {digest!r}.",
            "Take a digest from `python -m backend cache list`.",
        )
    return found[0].parent


def verify() -> list[str]:
    """Digests of damaged entries, each set aside."""
    _verified.clear()
    digests = entries()["digest"].to_list()
    return [d for d in digests if _open(entry_folder(d), d) is None]


def evict(limit_gb: float) -> list[str]:
    """Deletes least recently used entries, pinned ones excepted, until at most `limit_gb` are left."""
    table = entries()
    excess = table["megabytes"].sum() / 1e3 - limit_gb
    gone: list[str] = []
    for row in table.filter(~pl.col("pinned")).iter_rows(named=True):
        if excess <= 0:
            break
        shutil.rmtree(entry_folder(row["digest"]))
        excess -= row["megabytes"] / 1e3
        gone.append(row["digest"])
    return gone


def sweep_staging() -> None:
    """Removes what killed processes left half-written."""
    for path in (settings.current().cache / "staging").glob("*-*-*"):
        if not Path(f"/proc/{path.name.split('-')[1]}").exists():
            shutil.rmtree(path, ignore_errors=True)
