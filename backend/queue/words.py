"""Which features are queued and in which order, as backend and pages share it. Imports nothing."""

from __future__ import annotations

from dataclasses import dataclass

# in which features are queued, and what the page says of it
ORDERS = {
    "margin": "nearest to another tier first",
    "density": "densest first",
    "disagreement": "those first that methods call most differently",
    "random": "at random",
}


@dataclass(frozen=True)
class Selection:
    """Which features are queued, and in which order; `only` names some by number, with commas, and
    then no tier counts."""

    tier: str = "obscure"
    order: str = "margin"
    seed: int = 0
    only: str = ""
