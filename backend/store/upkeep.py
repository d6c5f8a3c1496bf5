"""Upkeep of the memo on disk: what is kept, what is pinned, what is evicted or swept.

Eviction takes the least recently used entries first, and never one that is pinned, being
computed, or used within the hour, since somebody may be reading it. Torch is not imported here,
so a worker sweeps before it loads anything heavy.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from filelock import Timeout

from backend import settings
from backend.schema import NotFoundError
from backend.store import disk

log = logging.getLogger("tessera.memo")

STAGING, DAMAGED, LOCKS = "staging", "damaged", "locks"
NOT_ENTRIES = frozenset({STAGING, DAMAGED, LOCKS, "models"})
PINNED = "pinned"
IN_USE = 3600.0  # seconds after its last use for which an entry is not evicted
DAMAGED_KEPT = 7 * 86400.0  # seconds for which a damaged entry can be looked into
SCAN_EVERY = 60.0  # seconds
SCAN_SHARE = 0.05  # of the limit, after which more we look again sooner

ENTRIES = pl.Schema(
    {
        "function": pl.String,
        "digest": pl.String,
        "megabytes": pl.Float64,
        "seconds": pl.Float64,  # it took; null where the recipe is damaged
        "created": pl.Float64,  # Unix seconds; null where the recipe is damaged
        "used": pl.Float64,  # Unix seconds
        "pinned": pl.Boolean,
    }
)


@dataclass(frozen=True)
class StoredEntry:
    """One entry as the file system tells it."""

    folder: Path
    size: int  # bytes
    used: float  # Unix seconds
    pinned: bool

    @property
    def digest(self) -> str:
        return self.folder.name


def lock_path(digest: str) -> Path:
    """What the process that computes or deletes an entry holds."""
    return settings.current().cache / LOCKS / digest


# ---------------------------------------------------------------- what is kept


def stock() -> list[StoredEntry]:
    """Every entry, least recently used first. What goes while we look is left out."""
    entries = [_stored_entry(folder) for folder in _folders()]
    return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.used)


def _folders() -> Iterator[Path]:
    cache = settings.current().cache
    for function in _subfolders(cache):
        if function.name not in NOT_ENTRIES:
            yield from _subfolders(function)


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as items:
            return [Path(item.path) for item in items if item.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _stored_entry(folder: Path) -> StoredEntry | None:
    try:
        with os.scandir(folder) as items:
            stats = {item.name: item.stat() for item in items}
    except FileNotFoundError:
        return None
    if "recipe.json" not in stats:
        return None
    size = sum(stat.st_size for stat in stats.values())
    return StoredEntry(folder, size, stats["recipe.json"].st_mtime, PINNED in stats)


def entries() -> pl.DataFrame:
    """Every entry, least recently used first: the columns of `ENTRIES`."""
    rows: list[tuple[Any, ...]] = []
    for item in stock():
        recipe, name, size = recipe_of(item.folder), item.folder.parent.name, item.size / 1e6
        times = recipe.get("seconds"), recipe.get("created")
        rows.append((name, item.digest, size, *times, item.used, item.pinned))
    return pl.DataFrame(rows, schema=ENTRIES, orient="row")


def totals(entries: pl.DataFrame) -> pl.DataFrame:
    """Entries, megabytes and seconds of each function, the largest first, and of all."""
    sums = [
        pl.len().alias("entries"),
        pl.col("megabytes", "seconds").sum().round(1),
        pl.col("used").max(),
    ]
    each = entries.group_by("function").agg(sums).sort("megabytes", descending=True)
    all_of_it = entries.select(pl.lit("all").alias("function"), *sums).head(1)
    return pl.concat([each, all_of_it], how="vertical_relaxed")


def recipe_of(folder: Path) -> dict[str, Any]:
    """How an entry was computed; nothing where that cannot be read."""
    try:
        return dict(json.loads((folder / "recipe.json").read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def entry_folder(digest: str) -> Path:
    """The folder of the entry whose digest begins with `digest`.

    Raises:
        NotFoundError: there is none, or more than one.
    """
    folders = [folder for folder in _folders() if digest and folder.name.startswith(digest)]
    if len(folders) != 1:
        raise NotFoundError(
            f"{len(folders) or 'No'} cache entries begin with {digest!r}.",
            "Take a digest from `python -m backend cache list`.",
        )
    return folders[0]


def pin(digest: str, pinned: bool = True) -> None:
    """Keeps an entry, named by the beginning of its digest, from eviction, or no longer.

    Raises:
        NotFoundError: as `entry_folder`.
        StoreError: the cache cannot be written.
    """
    mark = entry_folder(digest) / PINNED
    try:
        mark.touch() if pinned else mark.unlink(missing_ok=True)
    except OSError as error:
        raise disk.store_error(error) from error


# ---------------------------------------------------------------- what goes


def evict(limit_gb: float, in_use: float = IN_USE) -> list[str]:
    """Deletes damaged, then least recently used entries until at most `limit_gb` are left.

    An entry stays if it is pinned, being computed, or was used in the last `in_use` seconds.
    Returns the digests of what went.
    """
    items = stock()
    excess = sum(item.size for item in items) - round(limit_gb * 1e9)
    if excess > 0:
        shutil.rmtree(settings.current().cache / DAMAGED, ignore_errors=True)
    deleted: list[str] = []
    for item in items:
        if excess <= 0:
            break
        if not item.pinned and time.time() - item.used >= in_use and _delete(item):
            excess -= item.size
            deleted.append(item.digest)
    return deleted


def delete(items: list[StoredEntry]) -> list[str]:
    """Deletes entries but for those that are pinned or in use; the digests of what went."""
    return [item.digest for item in items if not item.pinned and _delete(item)]


def _delete(item: StoredEntry) -> bool:
    """Takes an entry out of sight in one step, then deletes it; not if it is in use after all."""
    doomed = staging_folder(item.digest)
    try:
        with disk.locked(lock_path(item.digest), timeout=0):
            now = _stored_entry(item.folder)
            if now is None or now.pinned or now.used != item.used:
                return False
            doomed.parent.mkdir(exist_ok=True)
            item.folder.rename(doomed)
    except OSError as error:  # also that another holds the lock
        log.warning("cannot evict %s: %s", item.folder, error)
        return False
    shutil.rmtree(doomed, ignore_errors=True)
    return True


def staging_folder(digest: str) -> Path:
    """A fresh name for a half-written or half-deleted entry."""
    name = f"{digest}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
    return settings.current().cache / STAGING / name


_written: dict[Path, tuple[float, float]] = {}  # cache: when it was looked at, bytes since


def evict_if_due(size: int) -> None:
    """Called after each write, of so many bytes: keeps the cache within TESSERA_CACHE_GB.

    Looks at the disk at most once a minute, or after much was written: an extraction
    writes hundreds of entries.
    """
    limit, cache = settings.current().cache_gb, settings.current().cache
    now = time.monotonic()
    scanned, bytes_since = _written.get(cache, (-SCAN_EVERY, 0.0))
    bytes_since += size
    if now - scanned < SCAN_EVERY and bytes_since < SCAN_SHARE * limit * 1e9:
        _written[cache] = (scanned, bytes_since)
        return
    _written[cache] = (now, 0.0)
    deleted = evict(limit)
    if deleted:
        log.info("evicted %d entries to stay within %g GB", len(deleted), limit)


def sweep_staging() -> None:
    """Removes what killed processes left half-written, their locks, and old damaged entries.

    Whoever computes or deletes an entry holds its lock, so what can be locked is abandoned.
    """
    cache = settings.current().cache
    for folder in _subfolders(cache / STAGING):
        lock = lock_path(folder.name.split("-")[0])
        with contextlib.suppress(Timeout), disk.locked(lock, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
    for lock in sorted((cache / LOCKS).glob("*")):
        with contextlib.suppress(Timeout), disk.locked(lock, timeout=0):
            pass  # the file goes with the lock
    for folder in _subfolders(cache / DAMAGED):
        if time.time() - folder.stat().st_ctime > DAMAGED_KEPT:
            shutil.rmtree(folder, ignore_errors=True)
