"""What an evaluation says of itself: one value in the `__init__` of its folder."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

if TYPE_CHECKING:
    from backend.query import Query

# The headline numbers of an evaluation, by which studies are compared. `n` counts `n_of`; `null`
# is what `control` gives in place of `value`.
MEASURES = pl.Schema(
    {
        "measure": pl.String,
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "n": pl.Int64,
        "n_of": pl.String,
        "null": pl.Float64,
        "control": pl.String,
    }
)


def measure_row(
    measure: str, row: Mapping[str, Any], n_of: str, control: str, **changed: Any
) -> dict[str, Any]:
    """A row of `MEASURES` from one with value, low, high, n and null, some of them `changed`."""
    return {**row, "measure": measure, "n_of": n_of, "control": control, **changed}


@dataclass(frozen=True)
class Parameter:
    """One URL parameter of the tab. `words` says what a link must give; `kind` is how it is read
    (share: from 0 to 1); a parameter with `options` takes one of them."""

    words: str
    default: Any
    kind: Literal["text", "whole", "number", "share", "flag"] = "text"
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answers:
    """What the tab asks: `query` takes a study's name and the arguments that the tab chooses, and
    `measures` gives the headline numbers (`MEASURES`) of its answer. `between` takes the names of
    two studies and the same arguments; its `MEASURES` are of both together."""

    query: Query[Any, Any]
    measures: Callable[[Any], pl.DataFrame]
    between: Query[Any, pl.DataFrame | None] | None = None


@dataclass(frozen=True)
class Evaluation:
    """An evaluation as the page, the address and the job list name it.

    `name` is that of its folder, its query and its tab; `hint` is the question that it answers;
    `cost` says what starting it takes. The folder's `answers` are imported when they are asked for,
    so that its words come without a model.
    """

    name: str
    title: str
    hint: str
    cost: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def answers(self) -> Answers:
        return importlib.import_module(f"backend.evals.{self.name}.answers").ANSWERS
