"""How fast labels are scored, models left out, and what asking a model at once gains.

    python -m benchmarks.scoring [--full] [--json]

- `examples_per_s` is excerpts a second through detection and fuzzing, over a writer that answers at
  once: draws, marks, prompts, reading replies and intervals, all that is not the model;
- `concurrency_ratio` is how much faster 8 workers are than one, over a writer that takes 50 ms.

Excerpts are planted: contexts of 127 tokens, 10 positives and 10 negatives a feature.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from backend.labels.contract import GREEDY, Draw, Evidence, Excerpt, Message
from backend.labels.judges import PER_PROMPT, Judge, WriterJudge
from backend.labels.scorers import Score, scored
from backend.labels.trials import Trial, trial
from backend.store.executor import LOCAL
from benchmarks.report import Figure, main, median_ratio, seconds_of

LENGTH, PART = 127, 10  # tokens a context, excerpts in each part of the evidence
LATENCY, WORKERS = 0.05, 8  # seconds
REPLY = str([number % 2 for number in range(PER_PROMPT)])


class Answering:
    """A writer that says the same to everything, after a while."""

    name = "answering"
    obeys = True

    def __init__(self, latency: float = 0.0) -> None:
        self._latency = latency

    def write(self, messages: Sequence[Message], draw: Draw = GREEDY) -> str:
        if self._latency:
            time.sleep(self._latency)
        return REPLY


def planted(feature: int) -> Evidence:
    """Evidence whose feature fires on about one token in ten."""
    rng = np.random.default_rng(feature)

    def excerpt(number: int, fires: bool) -> Excerpt:
        values = np.where(rng.random(LENGTH) < 0.1, rng.random(LENGTH), 0.0) * fires
        values[number] = 1.0 * fires
        peak = number if fires else -1
        pieces = tuple(f" {word}" for word in rng.integers(10_000, size=LENGTH))
        return Excerpt(number * LENGTH + max(peak, 0), pieces, tuple(values.tolist()), peak)

    numbers = range(0, 3 * PART)
    train, test = (
        tuple(excerpt(number, True) for number in part)
        for part in (numbers[:PART], numbers[PART : 2 * PART])
    )
    negatives = tuple(excerpt(number, False) for number in numbers[2 * PART :])
    silent = ((0.0,) * LENGTH,) * PART
    return Evidence(feature, 1.0, train, test, negatives, silent, "range", "silent", 0, "planted")


def judge_all(trials: Sequence[Trial], judge: Judge) -> list[Score]:
    """Scores of trials that a judge is asked together."""
    verdicts = judge.judge([each.question for each in trials])
    pairs = zip(trials, verdicts, strict=True)
    return [score for each, one in pairs for score in scored(each, one, judge.name)]


def score_all(evidence: Sequence[Evidence]) -> int:
    """Detection and fuzzing of all; returns how many excerpts were judged."""
    trials = [
        trial(task, "numbers that end in nine", each)
        for each in evidence
        for task in ("detection", "fuzzing")
    ]
    return sum(score.n for score in judge_all(trials, WriterJudge(Answering())))


def ignore(_done: int) -> None:
    """Nobody follows the progress."""


def both_ways(prompts: int) -> tuple[float, float]:
    """Seconds for as many prompts by one worker, and by eight."""
    requests = [(Message("user", str(number)),) for number in range(prompts)]
    writer = Answering(LATENCY)
    one, many = (
        seconds_of(lambda workers=workers: LOCAL.each(writer.write, requests, ignore, workers))
        for workers in (1, WORKERS)
    )
    return one, many


def measure(full: bool) -> tuple[int, list[Figure]]:
    evidence = [planted(feature) for feature in range(500 if full else 100)]
    judged_once = score_all(evidence)
    seconds = median_ratio(lambda: (seconds_of(lambda: score_all(evidence)), 1.0))
    rate = judged_once / seconds
    ratio = median_ratio(lambda: both_ways(10 * WORKERS), rounds=3)
    return judged_once, [
        Figure("examples_per_s", rate, "/s", 2000.0, rate >= 2000),
        Figure("concurrency_ratio", ratio, "×", 7.0, ratio >= 7),
    ]


if __name__ == "__main__":
    main("scoring", measure)
