"""Planted evidence, and judges of known skill."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from backend.labels import scorers, trials
from backend.labels.contract import GREEDY, Draw, Evidence, Excerpt, Message
from backend.labels.judges import Judge
from backend.labels.tables import Score
from backend.labels.trials import Trial
from backend.statistics import estimates

COLOURS = "amber blue crimson green indigo".split()
WORDS = [f"{a}{b}" for a in "mo ta ri ske lun".split() for b in "na bel dor vik sum pa".split()]
LENGTH = 40  # words a context, one a token

# ---------------------------------------------------------------- planted evidence


def context(row: int, fires: Sequence[int], rng: np.random.Generator) -> Excerpt:
    """Words without sense, with a colour wherever the feature fires; unlike lengths."""
    length = LENGTH - int(rng.integers(7))
    words = [str(rng.choice(COLOURS if place in fires else WORDS)) for place in range(length)]
    values = [float(rng.uniform(2, 5)) if place in fires else 0.0 for place in range(length)]
    peak = int(np.argmax(values)) if fires else -1
    pieces = tuple(f" {word}" for word in words)
    return Excerpt(row + max(peak, 0), pieces, tuple(values), peak)


def planted(feature: int, count: int = 10) -> Evidence:
    """A feature that fires on runs of colours late in a context; what fires in the negatives does
    so once and early."""
    rng = np.random.default_rng([7, feature])
    rows = iter(range(0, LENGTH * 4 * count, LENGTH))

    def positive() -> Excerpt:
        first = int(rng.integers(20, 28))
        return context(next(rows), range(first, first + int(rng.integers(1, 5))), rng)

    train, test = (tuple(positive() for _ in range(count)) for _ in range(2))
    negatives = tuple(context(next(rows), (), rng) for _ in range(count))
    foreign = tuple(
        tuple(float(position == place) for position in range(len(each.pieces)))
        for each, place in zip(negatives, rng.integers(0, 15, size=count), strict=True)
    )
    return Evidence(feature, 5.0, train, test, negatives, foreign, "range", "other", 3, "planted")


# ---------------------------------------------------------------- judges of known skill


def fits(text: str) -> bool:
    """What an oracle says: a colour among the marked words, or anywhere where none is marked."""
    marked = " ".join(re.findall(r"<<(.*?)>>", text)) or text
    return any(colour in marked for colour in COLOURS)


def coin(text: str) -> bool:
    return bool(zlib.crc32(text.encode()) >> 7 & 1)


class ScriptedWriter:
    """Answers by a rule for each excerpt; `garbles` says on which prompts it talks instead."""

    name = "scripted"

    def __init__(
        self, rule: Callable[[str], bool], garbles: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.rule, self.garbles = rule, garbles
        self.asked: list[Sequence[Message]] = []

    def write(self, messages: Sequence[Message], draw: Draw = GREEDY) -> str:
        assert draw.temperature == 0
        self.asked.append(messages)
        if self.garbles(messages[1].content):
            return "Hard to say: [1, 2]"
        return f"Sure: {[int(self.rule(text)) for text in excerpts_of(messages)]}"


def excerpts_of(messages: Sequence[Message]) -> list[str]:
    return [json.loads(line) for line in re.findall(r"(?m)^\d+\. (.*)$", messages[1].content)]


class ScriptedPredictor:
    """Finds a label as likely after a text as a rule says, whatever the label."""

    name = "leaning"

    def __init__(self, likely: Callable[[str], float]) -> None:
        self.likely = likely
        self.asked: list[str] = []  # answers

    def likelihoods(self, prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
        self.asked += answers
        texts = [json.loads(re.findall(r"(?m)^Text: (.*)$", prompt)[-1]) for prompt in prompts]
        pairs = zip(texts, answers, strict=True)
        return np.log([self.likely(text) if answer else 1.0 for text, answer in pairs])


class WordEmbedder:
    """Bags of words as unit vectors, of the first `reads` words of a text."""

    name = "bags"

    def __init__(self, reads: int = 1000) -> None:
        self.reads = reads

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        labels = {word: place for place, word in enumerate([*COLOURS, *WORDS])}
        bags = np.full((len(texts), len(labels)), 1e-3)
        for bag, text in zip(bags, texts, strict=True):
            for word in text.split()[: self.reads]:
                bag[labels[word]] += 1
        return (bags / np.linalg.norm(bags, axis=1, keepdims=True)).astype(np.float32)


def value(result: Score | estimates.Estimate) -> float:
    assert result.value is not None
    return result.value


def judge_all(trials: Sequence[Trial], judge: Judge) -> list[Score]:
    """Scores of trials that a judge is asked together."""
    verdicts = judge.judge([each.question for each in trials])
    pairs = zip(trials, verdicts, strict=True)
    return [score for each, one in pairs for score in scorers.scored(each, one, judge.name)]


def detection(
    label: str, evidence: Evidence, judge: Judge, method: str, scorer: str = "detection", **how: Any
) -> list[Score]:
    scores = judge_all([trials.trial(scorer, label, evidence, **how)], judge)
    return [replace(score, method=method) for score in scores]


TASKS = (detection, partial(detection, scorer="fuzzing"))
