"""What became of the answers that a browser sends to Judge."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit as st

from backend.schema import NotFoundError, StoreError
from components.experiments import blind_judging

GONE = NotFoundError("There is no item.", "Reload.")
FULL = StoreError("The disk is full.", "Make room.")


@pytest.mark.parametrize(
    ("fails", "acked", "problem"),
    [
        ({}, ["a", "b", "c"], ""),
        ({"b": GONE}, ["a", "b", "c"], "not kept"),  # never can be: told, and dropped
        ({"b": FULL}, ["a"], "disk is full"),  # sent again, and in this order
        ({"b": ValueError("odd")}, ["a"], "ValueError: odd"),
    ],
)
def test_answers_are_acknowledged_in_their_order(
    monkeypatch: pytest.MonkeyPatch, fails: dict[str, Exception], acked: list[str], problem: str
) -> None:
    def keep(answer: dict[str, Any]) -> None:
        if error := fails.get(answer["uid"]):
            raise error

    answers = [{"uid": uid} for uid in "abc"]
    state: dict[str, Any] = {}
    monkeypatch.setattr(st, "session_state", state)
    monkeypatch.setattr(blind_judging, "_wire", lambda: {"answers": answers})
    blind_judging._keep(keep)
    assert state["judge.reply"]["acked"] == acked
    assert problem in state["judge.reply"]["problem"]
    assert bool(problem) == bool(state["judge.reply"]["problem"])
