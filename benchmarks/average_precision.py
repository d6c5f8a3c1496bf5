"""How fast the average precision of all units is.

    python -m benchmarks.average_precision [--full] [--json]

- `units_per_s`: units whose average precision over 240 sentences, 80 of them positive, is known
  after a second; a third of the units has many ties;
- `sklearn_ratio`: a unit's seconds in a loop over scikit-learn's function, over its seconds here;
- `largest_gap`: from scikit-learn's value, over the units of that loop.
"""

from __future__ import annotations

import statistics

import numpy as np
from sklearn.metrics import average_precision_score

from backend.statistics.ranking import average_precisions
from benchmarks.report import Figure, main, seconds_of

SENTENCES, POSITIVES, UNITS, LOOPED = 240, 80, 124_416, 500


def draw_values(units: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Responses [sentences, units] and which sentences are positive."""
    responses = np.random.default_rng(seed).normal(size=(SENTENCES, units)).astype(np.float32)
    responses[:, ::3] = np.round(responses[:, ::3], 1)
    return responses, np.arange(SENTENCES) < POSITIVES


def measure(full: bool) -> tuple[int, list[Figure]]:
    responses, positive = draw_values(UNITS)
    scores = average_precisions(responses, positive)  # compiled, and warm
    expected = np.empty(LOOPED)

    def loop() -> None:
        for unit in range(LOOPED):
            expected[unit] = average_precision_score(positive, responses[:, unit])

    rounds = 7 if full else 3
    ours, theirs = (
        [seconds_of(work) for _ in range(rounds)]
        for work in (lambda: average_precisions(responses, positive), loop)
    )
    rate = UNITS / statistics.median(ours)
    ratio = statistics.median(theirs) / LOOPED * rate
    gap = float(np.abs(scores[:LOOPED] - expected).max())
    return UNITS, [
        Figure("units_per_s", rate, "/s", 150_000, rate >= 150_000),
        Figure("sklearn_ratio", ratio, "×", 50, ratio >= 50),
        Figure("largest_gap", gap, "", 1e-12, gap <= 1e-12),
    ]


if __name__ == "__main__":
    main("average_precision", measure)
