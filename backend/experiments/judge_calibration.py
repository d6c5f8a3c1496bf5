"""A judge's own test: labels that name a word, and texts of which it is known whether they hold it.

A judge that fails this says nothing by its scores of labels, whether high or low.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.corpus import passages
from backend.corpus.contexts import Tokens
from backend.experiments.views import CALIBRATION
from backend.labels import judges, scorers
from backend.labels.judges import Question
from backend.labels.references import JudgeRef
from backend.schema import CorpusRef, ModelRef, NotFoundError
from backend.statistics.estimates import balanced_accuracy
from backend.statistics.intervals import mean_interval
from backend.store.memo import memoize

WORDS, EACH = 8, 10  # labels, and texts with and without the word
LOOKED_AT = 4_000  # contexts
SPAN = 12  # tokens on either side where a judge is shown whole contexts


@memoize("experiments.judge_calibration", version=1)
def calibrate_judge(
    model: ModelRef, corpus: CorpusRef, judge: JudgeRef, window: int | None, seed: int
) -> dict[str, Any]:
    """`known` (`CALIBRATION`): balanced accuracy and, where there are probabilities, AUROC, each
    as a mean over words with its t interval.

    Raises:
        LlmUnavailableError: the judge cannot be asked now.
        NotFoundError: the corpus is too small to hold such words.
    """
    run.report(0, 1, "Testing the judge on known answers")
    tests = questions(passages.tokens_of(model, corpus), window or SPAN, seed)
    answers = judges.load(judge).judge([question for question, _ in tests])
    truths = [truth for _, truth in tests]
    counts = list(map(scorers.confusion, truths, answers))
    n = sum(sum(each.values()) for each in counts)
    failed = sum(map(len, truths)) - n
    marks = {
        "detection": [balanced_accuracy(**each) for each in counts],
        "detection_auroc": list(map(scorers.ranking, truths, answers)),
    }
    rows = []
    for name, estimates in marks.items():
        values = [each.value for each in estimates if each and each.value is not None]
        if values:
            mean, low, high = mean_interval(values)
            bounds = (None if end is None else min(1.0, max(0.0, end)) for end in (low, high))
            rows.append((name, mean, *bounds, len(values), n, failed))
    return {"known": pl.DataFrame(rows, schema=CALIBRATION, orient="row")}


def questions(tokens: Tokens, window: int, seed: int) -> list[tuple[Question, tuple[int, ...]]]:
    """Of each of some words twenty texts in random order, and which of them hold it."""
    rng = np.random.default_rng([seed, 4])
    texts = _texts(tokens, window, rng)
    vocabularies = [set(re.findall(r"[^\W\d_]{4,}", text.casefold())) for text in texts]
    counts = Counter(word for words in vocabularies for word in words)
    fit = sorted(word for word, n in counts.items() if EACH <= n <= len(texts) - EACH)
    if len(fit) < WORDS:
        raise NotFoundError(
            f"{len(fit)} words are in {EACH} texts or more, too few to test a judge by.",
            "Read more of the corpus.",
        )
    tests = []
    for word in rng.choice(fit, WORDS, replace=False).tolist():
        has = np.array([word in words for words in vocabularies])
        both = [rng.choice(np.flatnonzero(has == side), EACH, replace=False) for side in (1, 0)]
        order = rng.permutation(np.concatenate(both))
        shuffled = tuple(texts[place] for place in order)
        question = Question("detection", f'the word "{word}"', shuffled)
        tests.append((question, tuple(has[order].astype(int).tolist())))
    return tests


def _texts(tokens: Tokens, window: int, rng: np.random.Generator) -> list[str]:
    """Texts as long as a judge is shown, from contexts at random."""
    table = tokens.contexts
    count = min(LOOKED_AT, len(table))
    texts = []
    for context in rng.choice(len(table), count, replace=False).tolist():
        first, length = int(table["first_token"][context]), int(table["length"][context])
        size = min(length, 2 * window + 1)
        begin = first + int(rng.integers(length - size + 1))
        texts.append("".join(tokens.pieces(begin, begin + size)))
    return texts
