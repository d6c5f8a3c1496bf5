"""An entry of the memo on disk: how it is written, read and checked.

The folder `cache/<function>/<digest>/` holds arrays as `.npy`, tensors as `.safetensors`, tables
as `.parquet`, everything else in `values.json`, and `recipe.json`, which says how the entry was
computed and holds a checksum per file. Nothing is ever pickled.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file

from backend import settings
from backend.schema import NotFoundError
from backend.store import disk, upkeep
from backend.store.views import Provenance

log = logging.getLogger("tessera.memo")


@dataclass(frozen=True)
class Entry:
    """A result on disk. Arrays are memory-mapped; tables and values are read whole.

    Every reader raises `NotFoundError` where the entry was evicted since it was opened.
    """

    folder: Path
    digest: str

    def __contains__(self, name: str) -> bool:
        """Whether it holds an array of that name."""
        return (self.folder / f"{name}.npy").exists()

    def array(self, name: str) -> np.ndarray:
        return np.load(self._file(f"{name}.npy"), mmap_mode="r", allow_pickle=False)

    def tensor(self, name: str) -> torch.Tensor:
        return load_file(self._file(f"{name}.safetensors"))["value"]

    def frame(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self._file(f"{name}.parquet"))

    def value(self, name: str) -> Any:
        return json.loads(self._file("values.json").read_text())[name]

    def recipe(self) -> dict[str, Any]:
        return json.loads(self._file("recipe.json").read_text())

    def provenance(self, command: str) -> Provenance:
        """How it came about; `command` is the query that shows it."""
        recipe = self.recipe()
        return Provenance(
            function=recipe["function"],
            digest=self.digest,
            arguments=json.dumps(recipe["arguments"], indent=1),
            libraries=tuple(recipe["libraries"].items()),
            device=recipe["device"],
            seconds=recipe["seconds"],
            created=recipe["created"],
            command=f"python -m backend {command}",
        )

    def _file(self, name: str) -> Path:
        _mark_used(self.folder)
        path = self.folder / name
        if not path.exists() and not self.folder.exists():
            raise NotFoundError(
                f"The result {self.digest} was evicted from the cache.",
                "Reload the page to compute it again, or raise TESSERA_CACHE_GB.",
            )
        if not path.exists():
            names = ", ".join(sorted(each.name for each in self.folder.iterdir()))
            raise KeyError(f"{name} of {self.digest}: it holds {names}")
        return path


def _mark_used(folder: Path) -> None:
    with contextlib.suppress(OSError):  # a read-only cache still reads
        os.utime(folder / "recipe.json")


# ---------------------------------------------------------------- reading


def open_entry(folder: Path, digest: str) -> Entry | None:
    """The entry in `folder` if it is there and whole; a damaged one is set aside.

    Raises:
        StoreError: the disk does not let us read it.
    """
    try:
        bad = _damage(folder, digest)
    except OSError as error:
        raise disk.store_error(error) from error
    if bad is None:
        _mark_used(folder)
        return Entry(folder, digest)
    if folder.exists():
        log.warning("cache entry %s is damaged (%s): set aside", folder, bad)
        _set_aside(folder)
    return None


def _damage(folder: Path, digest: str) -> str | None:
    """The name of a file that is missing or not as it was written; None for a whole entry."""
    try:
        recipe = json.loads((folder / "recipe.json").read_text())
        if recipe["digest"] != digest:
            return "recipe.json"
        files = dict(recipe["files"])
        return next((name for name, sha in files.items() if sha256(folder / name) != sha), None)
    except FileNotFoundError as error:
        return Path(error.filename).name
    except (NotADirectoryError, ValueError, KeyError, TypeError):
        return "recipe.json"


def sha256(path: Path) -> str:
    """The digest of a file, read once a process for as long as size and time stay as they are."""
    stat = path.stat()
    return _sha256(_Version(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, path))


@dataclass(frozen=True)
class _Version:
    """A file as it is now; it stays the same where the file is moved."""

    device: int
    inode: int
    size: int
    changed: int  # nanoseconds
    path: Path = field(compare=False)


@functools.lru_cache(maxsize=1 << 16)
def _sha256(file: _Version) -> str:
    with file.path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _set_aside(folder: Path) -> None:
    target = settings.current().cache / upkeep.DAMAGED / f"{folder.name}-{uuid.uuid4().hex[:6]}"
    try:
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)
    except FileNotFoundError:
        log.info("another process set %s aside first", folder)
    except OSError as error:  # it will be found damaged again, and nothing can be computed here
        log.warning("cannot set %s aside: %s", folder, error)


def verify() -> list[str]:
    """Digests of damaged entries, each set aside. Reads every byte of the cache."""
    _sha256.cache_clear()
    stock = upkeep.stock()
    return [item.digest for item in stock if open_entry(item.folder, item.digest) is None]


# ---------------------------------------------------------------- writing


def write(folder: Path, result: Mapping[str, Any]) -> None:
    """Writes what a memoized function returned.

    Raises:
        TypeError, ValueError: a value is no JSON, or an array or table holds Python objects.
    """
    values: dict[str, Any] = {}
    for name, value in result.items():
        if isinstance(value, np.ndarray):
            np.save(folder / f"{name}.npy", value, allow_pickle=False)
        elif isinstance(value, torch.Tensor):
            plain = value.detach().cpu().contiguous()
            save_file({"value": plain}, folder / f"{name}.safetensors")
        elif isinstance(value, pl.DataFrame):
            value.write_parquet(folder / f"{name}.parquet")
        else:
            values[name] = value
    (folder / "values.json").write_text(json.dumps(values, allow_nan=False))
