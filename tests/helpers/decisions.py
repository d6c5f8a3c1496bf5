"""Decisions as the queue sends them."""

from __future__ import annotations

import uuid
from typing import Any


def decision(feature: int, label: str = "", **also: Any) -> dict[str, Any]:
    """An event as the browser sends it."""
    values = {
        "uid": uuid.uuid4().hex,
        "kind": "decision",
        "feature": feature,
        "occurrence": 0,
        "action": "label" if label else "skip",
        "label": label,
    }
    return values | also
