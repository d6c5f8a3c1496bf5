"""What is shown of a memoized result, how it came about, and of one that is not there yet, how long
it will take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """How long an answer that is not there would take: `seconds` of work on this machine (None: not
    known yet), after how many jobs (`before`) that go first."""

    seconds: float | None
    before: int


@dataclass(frozen=True)
class Provenance:
    """How a result came about: what "how was this computed?" shows."""

    function: str
    digest: str
    arguments: str  # JSON
    libraries: tuple[tuple[str, str], ...]
    device: str
    seconds: float
    created: float  # Unix seconds
    command: str  # repeats it
