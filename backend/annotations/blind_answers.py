"""Answers to blind questions: what a person said of an item of an experiment, and which is next."""

from __future__ import annotations

from typing import Any

import numpy as np

from backend.schema import Study
from backend.store import annotations
from backend.store.annotations import Event

ROUND = 20  # items that a person is asked about


def latest_answers(kind: str, study: Study, run: str) -> dict[tuple[str, str], Event]:
    """By person and item the last answer: a later one takes the earlier one back."""
    events = annotations.events(kind, study.name, run)
    return {(event.person, str(event.value["item"])): event for event in events}


def add_answer(kind: str, study: Study, run: str, person: str, value: dict[str, Any]) -> None:
    """Keeps an answer; `value` names the `item`."""
    annotations.add(kind, study.name, run, _name(person), value)


def next_item(
    kind: str, study: Study, run: str, person: str, items: list[str]
) -> tuple[str, int, int]:
    """The first item that the person has not answered, "" after a round, how many are done, and
    how many there are. Each person has an order of their own, the same every time."""
    answered = {item for who, item in latest_answers(kind, study, run) if who == _name(person)}
    rng = np.random.default_rng([int(run[:12], 16), *person.strip().encode()])
    round_items = [sorted(items)[place] for place in rng.permutation(len(items))][:ROUND]
    rest = [item for item in round_items if item not in answered]
    return (rest[0] if rest else ""), len(round_items) - len(rest), len(round_items)


def _name(person: str) -> str:
    return person.strip() or "somebody"
