"""Answers to blind questions: what a person said of an item of an experiment, and which is next."""

from __future__ import annotations

from typing import Any

import numpy as np

from backend.annotations.hand_labels import checked_name
from backend.schema import Study
from backend.store import annotations
from backend.store.annotations import Event

ROUND = 20  # items that a person is asked about


def latest_answers(kind: str, study: Study, run: str) -> dict[tuple[str, str], Event]:
    """By person and item the last answer: a later one takes the earlier one back."""
    events = annotations.events(kind, study.name, run)
    return {(event.person, str(event.value["item"])): event for event in events}


def add_answer(
    kind: str, study: Study, run: str, person: str, value: dict[str, Any], uid: str = ""
) -> None:
    """Keeps an answer, one that is sent twice (`uid`) once; `value` names the `item`.

    Raises:
        NotFoundError: nobody is named.
    """
    annotations.add(kind, study.name, run, checked_name(person), value, uid)


def next_items(
    kind: str, study: Study, run: str, person: str, items: list[str]
) -> tuple[list[str], int, int]:
    """The items of the round that the person has not answered, how many are done, and how many
    there are. Each person has an order of their own, the same every time.

    Raises:
        NotFoundError: nobody is named.
    """
    name = checked_name(person)
    answered = {item for who, item in latest_answers(kind, study, run) if who == name}
    rng = np.random.default_rng([int(run.removeprefix("import-")[:12], 16), *name.encode()])
    round_items = [sorted(items)[place] for place in rng.permutation(len(items))][:ROUND]
    rest = [item for item in round_items if item not in answered]
    return rest, len(round_items) - len(rest), len(round_items)
