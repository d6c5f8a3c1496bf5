"""The command line: what a page shows, a terminal can show.

python -m backend list                          every query, its arguments, a line of help
python -m backend regions --study demo          a table; --json for everything
python -m backend prepare --study demo          compute all of a study
python -m backend cache list|verify|show D|pin D|unpin D|evict GB
python -m backend worker --device cpu           started by the app itself
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import math
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from backend import queries
from backend.schema import Job, TesseraError

# waits, takes more than plain words, or keeps what a person says
NOT_COMMANDS = {
    "wait",
    "quote",
    "start",
    "vote",
    "answer",
    "guessed",
    "take",
    "decide",
    "keep_concept",
    "measures",
    "queue_items",
    "route",
    "route_quote",
    "start_by_tier",
    "take_decisions",
}


def commands() -> dict[str, Callable[..., Any]]:
    """Every public query by name."""
    return {
        name: function
        for name, function in vars(queries).items()
        if inspect.isfunction(function)
        and function.__module__.startswith(f"{queries.__name__}.")
        and not name.startswith("_")
        and name not in NOT_COMMANDS
    }


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(words)
    except TesseraError as error:
        print(f"{error.problem}\n{error.remedy}", file=sys.stderr)
        return 1


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    name, rest = words[0], words[1:]
    if name == "list":
        for command, function in commands().items():
            print(f"{command}{_signature(function)}\n    {_help(function)}")
        return 0
    if name == "worker":
        return _worker(rest)
    if name == "cache":
        return _cache(rest)
    if name == "prepare":
        return _prepare(rest)
    if name not in commands():
        print(f"There is no query {name!r}. `python -m backend list` names them.", file=sys.stderr)
        return 2
    function = commands()[name]
    options = _parse(name, function, rest)
    as_json = options.pop("json")
    answer = (
        queries.wait(lambda: function(**options)) if _may_wait(function) else function(**options)
    )
    if isinstance(answer, bytes):
        sys.stdout.buffer.write(answer)
        return 0
    print(
        json.dumps(plain(answer), ensure_ascii=False, allow_nan=False) if as_json else shown(answer)
    )
    return 0


def _may_wait(function: Callable[..., Any]) -> bool:
    returned = typing.get_type_hints(function)["return"]
    return isinstance(returned, types.UnionType) and Job in typing.get_args(returned)


def _help(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").strip().split("\n")[0]


def _signature(function: Callable[..., Any]) -> str:
    parts = []
    for name, parameter in inspect.signature(function).parameters.items():
        needed = parameter.default is inspect.Parameter.empty
        if isinstance(parameter.default, bool):
            parts.append(f"[--{'no-' if parameter.default else ''}{name}]")
        else:
            parts.append(f"--{name} …" if needed else f"[--{name} {parameter.default}]")
    return " " + " ".join(parts) if parts else ""


def _parse(name: str, function: Callable[..., Any], rest: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog=f"python -m backend {name}", description=_help(function))
    hints, parts = typing.get_type_hints(function), {}
    for parameter in inspect.signature(function).parameters.values():
        kinds = [kind for kind in typing.get_args(hints[parameter.name]) if kind is not type(None)]
        kind = kinds[0] if kinds else hints[parameter.name]
        needed = parameter.default is inspect.Parameter.empty
        default = None if needed else parameter.default
        if dataclasses.is_dataclass(kind):
            parts[parameter.name] = kind
            _add_fields(parser, parameter.name, kind)
        else:
            how = _reading(kind)
            parser.add_argument(f"--{parameter.name}", required=needed, default=default, **how)
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    found = vars(parser.parse_args(rest))
    for part, kind in parts.items():
        names = [field.name for field in dataclasses.fields(kind)]
        found[part] = kind(**{field: found.pop(f"{part}.{field}") for field in names})
    return found


def _add_fields(parser: argparse.ArgumentParser, name: str, kind: Any) -> None:
    """An option for each field of a dataclass: `--spec.count 10`."""
    for field in dataclasses.fields(kind):
        how = _reading(type(field.default))
        parser.add_argument(f"--{name}.{field.name}", default=field.default, **how)


def _reading(kind: Any) -> Any:
    """How an option is read; a flag is `--name` or `--no-name`, as "False" is a text and true."""
    return {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind}


# ---------------------------------------------------------------- printing


def plain(value: Any) -> Any:
    """An answer as JSON data; NaN becomes null."""
    if isinstance(value, pl.DataFrame):
        return [plain(row) for row in value.to_dicts()]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def shown(value: Any) -> str:
    """An answer for a terminal: tables whole, passages as text."""
    if isinstance(value, list | tuple):
        return "\n".join(shown(item) for item in value)
    if not dataclasses.is_dataclass(value):
        return str(value)
    lines = []
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if isinstance(item, tuple) and len(item) > 24 and not dataclasses.is_dataclass(item[0]):
            item = f"{len(item)} values; --json prints them"
        text = (
            shown(item) if dataclasses.is_dataclass(item) or isinstance(item, tuple) else str(item)
        )
        lines.append(f"{field.name}: {text}" if "\n" not in text else f"{field.name}:\n{text}")
    return "\n".join(lines)


# ---------------------------------------------------------------- system


def _worker(rest: list[str]) -> int:
    from backend.answers import tasks
    from backend.store import worker

    parser = argparse.ArgumentParser(prog="python -m backend worker")
    parser.add_argument("--device", required=True)
    worker.run(parser.parse_args(rest).device, tasks.resolve)
    return 0


def _prepare(rest: list[str]) -> int:
    """Computes everything that the pages of a study show first."""
    parser = argparse.ArgumentParser(prog="python -m backend prepare")
    parser.add_argument("--study", default="demo")
    name = parser.parse_args(rest).study

    def whole() -> Any:
        answer = queries.regions(name)
        return answer if isinstance(answer, Job) else answer.pending

    card = queries.study(name)
    queries.wait(whole)
    if card.sae:
        queries.wait(lambda: queries.features(name))
        queries.wait(whole)
    print(f"{name} is ready.")
    return 0


def _cache(rest: list[str]) -> int:
    from backend import settings
    from backend.store import entry, upkeep

    parser = argparse.ArgumentParser(prog="python -m backend cache")
    parser.add_argument("action", choices=("list", "show", "verify", "pin", "unpin", "evict"))
    parser.add_argument("what", nargs="?", default="")
    given = parser.parse_args(rest)
    if given.action == "list":
        with pl.Config(tbl_rows=-1, fmt_str_lengths=60, tbl_width_chars=140):
            print(upkeep.entries())
    elif given.action == "show":
        print((upkeep.entry_folder(given.what) / "recipe.json").read_text())
    elif given.action == "verify":
        bad = entry.verify()
        print(
            "\n".join(f"damaged, set aside: {digest}" for digest in bad) or "All entries are whole."
        )
    elif given.action == "evict":
        gone = upkeep.evict(float(given.what or settings.current().cache_gb))
        print(f"{len(gone)} entries deleted.")
    else:
        (upkeep.pin if given.action == "pin" else upkeep.unpin)(given.what)
    return 0


if __name__ == "__main__":
    sys.exit(main())
