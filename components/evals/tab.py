"""What a tab of the Benchmarks page is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from components.shell.status import Desk

Arguments = tuple[Any, ...]  # of the evaluation's query, after the study
Tables = Mapping[str, pl.DataFrame]  # what can be downloaded, by name


@dataclass(frozen=True)
class Tab:
    """`choose` renders what is to be evaluated and gives the arguments of the evaluation's query.
    `render` takes the answer, the study, these arguments and the queries, for the parts that are
    asked for one by one; it shows the answer and gives its tables."""

    choose: Callable[[], Arguments]
    render: Callable[[Any, str, Any, Desk], Tables]
