"""What is shown of a memoized result: how it came about."""

from __future__ import annotations

from dataclasses import dataclass


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
