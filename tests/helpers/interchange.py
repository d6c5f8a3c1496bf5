"""Strategies for what goes out and comes in: texts of any script, labels, scores."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import Any

import polars as pl
from hypothesis import strategies as st

from backend.labels.tables import LABELS, SCORES

NASTY = (
    "=1+1", "+1", "-1", "@SUM(A1)", '"', "'", ",", ";", "\t=1", "a\nb", "a\r\nb", "\r", "\x00",
    "\u2028", "\x85", "\ufeff", "null", "NaN", " ", "-0", "\\", "\\n", "../../etc/passwd",
    "<script>alert(1)</script>", "$x^2$ **b**", "שלום", "مرحبا", "日本語", "नमस्ते",
    "👩‍👩‍👧", "a\u0301",
)  # fmt: skip
texts = st.text(min_size=1, max_size=20) | st.sampled_from(NASTY)
names = st.sampled_from(["baez", "token_frequency", "a/b", "..", "é ü", 'x"y,z', "__vs__"])
features = st.integers(0, 5) | st.integers(0, 2**63 - 1)
whole = st.none() | st.integers(0, 2**40)
number = st.none() | st.floats(allow_nan=False, allow_infinity=False)
seconds = st.none() | st.floats(0, 1e9)

label = st.fixed_dictionaries(
    {
        "feature": features,
        "method": names,
        "writer": st.sampled_from(["", "org/model", "=cmd|' /C calc'!A0"]),
        "text": texts,
        "detail": st.just("") | texts,
        "failed": st.just(""),
        "n": whole,
        "seconds": seconds,
    }
)
failed = st.builds(lambda row, why: {**row, "text": "", "failed": why}, label, texts)


def _key(row: dict[str, object]) -> tuple[object, ...]:
    return row["feature"], row["method"], row["writer"], row["text"]


labels = st.lists(label | failed, max_size=8, unique_by=_key).map(
    lambda rows: pl.DataFrame(rows, schema=LABELS)
)

COUNTS = dict.fromkeys(("n", "tp", "fp", "tn", "fn", "failures", "seed"), whole)
FLOATS = dict.fromkeys(("value", "low", "high", "chance"), number)
WORDS = dict.fromkeys(("label", "judge", "interval", "split", "kind", "setting"), texts)
SCORERS = ["detection", "detection_auroc", "fuzzing", "embedding"]
score = st.fixed_dictionaries(
    {
        "of": st.sampled_from(["label", "shuffled", "empty"]),
        "feature": features,
        "method": names,
        "scorer": st.sampled_from(SCORERS),
        **COUNTS,
        **FLOATS,
        **WORDS,
    }
)
scores = st.lists(score, max_size=8).map(lambda rows: pl.DataFrame(rows, schema=SCORES))


def batches(packed: bytes) -> dict[str, list[dict[str, Any]]]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {
            name: [json.loads(line) for line in gzip.decompress(archive.read(name)).splitlines()]
            for name in archive.namelist()
        }
