"""Disk memo: the result of a pure function, kept under its name and a digest of its arguments.

An entry (`backend.store.entry`) is written in a staging folder, forced to the disk and renamed
into place last, so an entry that exists is whole. Callers of one digest wait for each other,
over threads and processes: it is computed once. Whether a call computes or only looks is the mood
of `backend.run`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import inspect
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, ParamSpec

from backend import run, settings
from backend.store import disk, upkeep
from backend.store.entry import Entry, open_entry, sha256, write

P = ParamSpec("P")

Kind = Callable[..., str] | None

FOLDER = "folder"  # the argument that is no part of a key
LIBRARIES = ("torch", "transformers", "numpy", "polars", "sae-lens", "umap-learn")
MARKS = frozenset({"type", "entry"})  # keys by which what is no dict is told from one


# ---------------------------------------------------------------- keys


def canonical(value: Any) -> Any:
    """`value` as JSON data whose text is the same wherever it is computed.

    Raises:
        TypeError: for anything but finite scalars, strings, sequences, string-keyed dicts,
            frozen dataclasses and entries. A dataclass with a property `content_digest`, which
            it computes from what it holds, is keyed by that instead of its fields.
    """
    if isinstance(value, Entry):
        return {"entry": value.digest}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__, **_fields(value)}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        if MARKS & value.keys():
            raise TypeError(f"a dict with a key of {sorted(MARKS)} cannot be part of a cache key")
        return {key: canonical(value[key]) for key in sorted(value)}
    raise TypeError(f"{value!r} ({type(value).__name__}) cannot be part of a cache key")


def _fields(value: Any) -> dict[str, Any]:
    name = type(value).__name__
    if not type(value).__dataclass_params__.frozen:
        raise TypeError(f"{name} is not frozen, so it cannot be part of a cache key")
    if isinstance(vars(type(value)).get("content_digest"), property | functools.cached_property):
        return {"content_digest": value.content_digest}
    fields = {
        field.name: canonical(getattr(value, field.name)) for field in dataclasses.fields(value)
    }
    if MARKS & fields.keys():
        raise TypeError(
            f"{name} has a field of {sorted(MARKS)}, so it cannot be part of a cache key"
        )
    return fields


# ---------------------------------------------------------------- the decorator


class Memoized(Generic[P]):
    """A pure function with a disk cache. Call it, or ask `find` for what is there already."""

    def __init__(
        self, function: Callable[P, Mapping[str, Any]], name: str, version: int, kind: Kind = None
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.version = version
        self.name = name
        self._kind = kind
        signature = inspect.signature(function)
        keyed = [each for each in signature.parameters.values() if each.name != FOLDER]
        self._keyed = signature.replace(parameters=keyed)
        self._has_folder = FOLDER in signature.parameters

    def recipe(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What the digest is taken of: name, version, every keyed argument, and the device unless
        it is the CPU: sums of one number format differ in their last bits between devices.

        Raises:
            TypeError: a keyed argument is missing, unknown or cannot be part of a key.
        """
        bound = self._keyed.bind(*args, **kwargs)
        bound.apply_defaults()
        keyed = {name: canonical(value) for name, value in bound.arguments.items()}
        device = run.current().device
        on_device = {} if device == "cpu" else {"device": device}
        return {"function": self.name, "version": self.version, "arguments": keyed} | on_device

    def work(self, *args: Any, **kwargs: Any) -> str:
        """What takes about as long as a call with these arguments does (`rates.Part.work`)."""
        return f"{self.name} {self._kind(*args, **kwargs)}" if self._kind else self.name

    def digest(self, *args: Any, **kwargs: Any) -> str:
        """32 hex digits that name the result."""
        text = json.dumps(self.recipe(*args, **kwargs), sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def find(self, *args: Any, **kwargs: Any) -> Entry | None:
        """The entry for these arguments if it is on disk and whole."""
        return self.open(self.digest(*args, **kwargs))

    def open(self, digest: str) -> Entry | None:
        """The entry of a digest, if it is on disk and whole."""
        return open_entry(self._target(digest), digest)

    def stored(self) -> list[str]:
        """Digests of all entries of this function on disk."""
        folder = settings.current().cache / self.name
        return sorted(path.name for path in folder.glob("*") if path.is_dir())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Entry:
        """The entry for these arguments, computed where it is not on disk.

        Raises:
            Missing: it is not on disk, and the mood is to look.
            StoreError: the disk is full or the cache cannot be written.
        """
        digest = self.digest(*args, **kwargs)
        target = self._target(digest)
        entry = open_entry(target, digest)
        if entry is not None:
            return entry
        if run.current().looks:
            raise run.Missing(self.name)
        # while another process computes what we need, a person can cancel
        message = "Waiting for another process to compute this"
        waiting = functools.partial(run.report, 0, 1, message)
        with disk.locked(upkeep.lock_path(digest), waiting=waiting):
            entry = open_entry(target, digest)
            if entry is not None:
                return entry
            with run.timing(self.work(*args, **kwargs)):
                return self._compute(digest, *args, **kwargs)

    def _target(self, digest: str) -> Path:
        return settings.current().cache / self.name / digest

    def _compute(self, digest: str, *args: Any, **kwargs: Any) -> Entry:
        staging, target = upkeep.staging_folder(digest), self._target(digest)
        started = time.time()
        try:
            staging.mkdir(parents=True)
            run.current().progress.began()
            folder = {FOLDER: staging} if self._has_folder else {}
            write(staging, self.function(*args, **kwargs, **folder))  # type: ignore[call-arg]
            recipe = self.recipe(*args, **kwargs) | {
                "digest": digest,
                "created": time.time(),
                "seconds": time.time() - started,
                "device": run.current().device,
                "libraries": _versions(),
                "files": {path.name: sha256(path) for path in sorted(staging.iterdir())},
            }
            (staging / "recipe.json").write_text(json.dumps(recipe, indent=1))
            disk.fsync(staging)
            target.parent.mkdir(parents=True, exist_ok=True)
            staging.rename(target)
            disk.fsync(target.parent, files=False)
        except Exception as error:
            if disk.is_at_fault(error):
                raise disk.store_error(error) from error
            raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        upkeep.evict_if_due(sum(path.stat().st_size for path in target.iterdir()))
        return Entry(target, digest)


_memoized: dict[str, Memoized[...]] = {}


def memoize(
    name: str, version: int, kind: Kind = None
) -> Callable[[Callable[P, Mapping[str, Any]]], Memoized[P]]:
    """Keep what a pure function returns: a dict of arrays, tensors, tables and JSON values.

    `name` (`subject.noun`) names the folder of its results, wherever the function stands in the
    code. Raise `version` whenever it computes something else. All arguments are
    part of the key but `folder`, where a function may write `.npy` files itself, block by block:
    the memo gives it. `kind` says of the arguments what a call's time depends on, where some take
    much longer than others.

    Raises:
        ValueError: another function has that name.
    """

    def decorate(function: Callable[P, Mapping[str, Any]]) -> Memoized[P]:
        memoized = Memoized(function, name, version, kind)
        places = {place(_memoized.get(name, memoized).function), place(function)}
        if len(places) > 1:
            raise ValueError(f"{' and '.join(sorted(places))} are both memoized as {name}")
        _memoized[name] = memoized
        return memoized

    return decorate


def place(function: Callable[..., Any]) -> str:
    """Where a function is defined."""
    return f"{function.__module__}.{function.__qualname__}"


def outdated() -> list[upkeep.StoredEntry]:
    """Results that nothing asks for any more: of functions that are gone, or of another version.
    They are deleted like any other when space is needed."""
    items: list[upkeep.StoredEntry] = []
    for item in upkeep.stock():
        memoized, recipe = _memoized.get(item.folder.parent.name), upkeep.recipe_of(item.folder)
        version = memoized.version if memoized else None
        if recipe and recipe.get("version") != version:  # a damaged one is not for us to judge
            items.append(item)
    return items


@functools.cache
def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in LIBRARIES}
