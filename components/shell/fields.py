"""What a URL parameter is: how its text is read, what it may be, and what it is by default."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from backend.evals.evaluation import Parameter
from backend.evals.words import EVALUATIONS


@dataclass(frozen=True)
class Field:
    """One URL parameter: how to read it (raises ValueError), what it is, its default and, of a
    number, the least and the most that it can be."""

    read: Callable[[str], Any]
    what: str
    default: Any = None
    least: float | None = None
    most: float | None = None

    def holds(self, value: Any) -> bool:
        """Whether a value is within the bounds."""
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )


def whole(value: str) -> int:
    if abs(int(value)) >= 2**53:  # a browser holds no larger one exactly
        raise ValueError(value)
    return int(value)


def number(value: str) -> float:
    if not math.isfinite(float(value)):
        raise ValueError(value)
    return float(value)


def flag(value: str) -> bool:
    if value not in ("0", "1"):
        raise ValueError(value)
    return value == "1"


def one_of(*options: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in options:
            raise ValueError(value)
        return value

    return read


def choice(options: Collection[str], default: str) -> Field:
    """A parameter that is one of a few."""
    return Field(one_of(*options), f"one of {', '.join(options)}", default)


READERS = {"text": str, "whole": whole, "number": number, "share": number, "flag": flag}


def field_of(parameter: Parameter) -> Field:
    """The field of a parameter that an evaluation names."""
    read = one_of(*parameter.options) if parameter.options else READERS[parameter.kind]
    bounds = (0.0, 1.0) if parameter.kind == "share" else (None, None)
    return Field(read, parameter.words, parameter.default, *bounds)


def evaluation_fields() -> dict[str, Field]:
    """Which evaluation is shown, and the parameters of all of them."""
    parts = [each.parameters.items() for each in EVALUATIONS.values()]
    return {
        "which": choice(tuple(EVALUATIONS), next(iter(EVALUATIONS))),
        "started": Field(flag, "0 or 1", False),
        "beside": Field(str, "a study", ""),
        **{name: field_of(parameter) for part in parts for name, parameter in part},
    }
