"""Labelling experiments: some features, several methods, several scorers, and what it comes to.

After the *baez* post: methods side by side on the same features and the same held-out excerpts,
with labels that know nothing beside them. Every label and every judgement is kept by itself, so
an experiment that was stopped goes on where it was, and pays for nothing twice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from backend.answers import labelling
from backend.answers.labelling import Subject, Tools
from backend.features.examples import peaks
from backend.intervals import wilson
from backend.labels import explainers, scorers, tables
from backend.labels.contract import Embedder
from backend.labels.evidence import LEAST, NEGATIVES, SPLITS
from backend.labels.verbalizers import controls
from backend.models import embedder as embedders
from backend.schema import (
    CorpusRef,
    EmbedderRef,
    ModelRef,
    NotFoundError,
    Plan,
    Progress,
    SaeRef,
    Site,
    VerbalizerRef,
)
from backend.store.memo import Entry, memoize

SCORERS = ("detection", "fuzzing", "embedding")
FEWEST, MOST = 2, 500  # features
CONTROLS = pl.Schema(
    {
        "control": pl.String,
        "features": pl.Int64,
        "n": pl.Int64,  # peaks
        "share": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "ties": pl.Int64,
    }
)


def check(plan: Plan) -> None:
    """Raises NotFoundError where a plan names what there is not."""
    wrong = [
        *(f"a method {name!r}" for name in plan.methods if name not in explainers.EXPLAINERS),
        *(f"a scorer {name!r}" for name in plan.scorers if name not in SCORERS),
        *([f"a split {plan.split!r}"] if plan.split not in SPLITS else []),
        *([f"negatives {plan.negatives!r}"] if plan.negatives not in NEGATIVES else []),
        *([f"marks {plan.marks!r}"] if plan.marks not in ("matched", "post") else []),
    ]
    if wrong:
        raise NotFoundError(
            f"There is not {', '.join(wrong)}.",
            f"Methods: {', '.join(explainers.EXPLAINERS)}. Scorers: {', '.join(SCORERS)}. Splits: "
            f"{', '.join(SPLITS)}. Negatives: {', '.join(NEGATIVES)}. Marks: matched, post.",
        )
    if not plan.methods or not plan.scorers:
        raise NotFoundError("Nothing is asked for.", "Choose a method and a scorer at least.")
    if not FEWEST <= plan.features <= MOST or (plan.window is not None and plan.window < 1):
        raise NotFoundError(
            f"{plan.features} features with a window of {plan.window} cannot be.",
            f"Choose {FEWEST} to {MOST} features, and a window of 1 token or more.",
        )
    if plan.marks == "post" and plan.negatives != "other":
        raise NotFoundError(
            "Marks as in the post stand where a negative's own feature fires.",
            "Choose negatives of other features, or matched marks.",
        )


def sample(subject: Subject, plan: Plan) -> list[int]:
    """Random features that fire in enough contexts, as many as planned or there are.

    Raises:
        NotFoundError: there are not even two.
    """
    source, tokens = subject.source, subject.tokens
    rng = np.random.default_rng([plan.seed, 3])
    found: list[int] = []
    for number in rng.permutation(source.frequent()).tolist():
        if len(peaks(source.column(number), tokens)[0]) >= LEAST:
            found.append(number)
            if len(found) == plan.features:
                break
    if len(found) < FEWEST:
        raise NotFoundError(
            f"{len(found)} {source.what}s fire in {LEAST} contexts or more.",
            "Read more of the corpus.",
        )
    return sorted(found)


# ---------------------------------------------------------------- running one


@dataclass(frozen=True)
class Running:
    """An experiment's steps, each memoized: computed, or looked for."""

    subject: Subject
    embedder: EmbedderRef
    plan: Plan
    writer: str
    judge: str
    verbalizer: VerbalizerRef
    tools: Tools
    device: str
    progress: Progress
    numbers: tuple[int, ...]

    @property
    def _how(self) -> dict[str, Any]:
        return {"inputs": self.tools, "device": self.device, "progress": Progress()}

    def verbalize(self) -> list[Entry]:
        """What the verbalizer says of each number's peaks, where a method asks for it."""
        if not any("verbalizer" in explainers.find(each).needs for each in self.plan.methods):
            return []
        named = self.plan.split, self.plan.seed, self.verbalizer
        calls = [
            functools.partial(
                labelling.verbalized, *self.subject.arguments, number, *named, **self._how
            )
            for number in self.numbers
        ]
        return self._each("Putting activations into words", calls, 1)

    # ------------------------------------------------------------ labels

    def _pairs(self) -> list[tuple[int, str]]:
        return [(number, method) for method in self.plan.methods for number in self.numbers]

    def _label(self, number: int, method: str) -> tuple[Any, ...]:
        named = labelling.needed(method, self.writer, self.verbalizer)
        return *self.subject.arguments, number, method, self.plan.split, self.plan.seed, *named

    def labels(self) -> pl.DataFrame:
        """`tables.LABELS` of every method and number."""
        calls = [
            functools.partial(labelling.explain, *self._label(*pair), **self._how)
            for pair in self._pairs()
        ]
        return self._table(self._each("Labelling", calls, self.tools.workers))

    def labels_found(self) -> pl.DataFrame | None:
        """As `labels`; None where one is not computed."""
        entries = [labelling.explain.find(*self._label(*pair)) for pair in self._pairs()]
        held = [entry for entry in entries if entry is not None]
        return self._table(held) if len(held) == len(entries) else None

    def _table(self, entries: Sequence[Entry]) -> pl.DataFrame:
        rows = [
            {
                "feature": number,
                "method": method,
                "writer": labelling.needed(method, self.writer, self.verbalizer)[0],
                **{name: entry.value(name) for name in ("text", "detail", "failed", "n")},
                "seconds": entry.recipe()["seconds"],
            }
            for (number, method), entry in zip(self._pairs(), entries, strict=True)
        ]
        return pl.DataFrame(rows, schema=tables.LABELS)

    # ------------------------------------------------------------ judgements

    def _judgement(self, number: int, text: str, scorer: str) -> tuple[Any, ...]:
        plan = self.plan
        which = *self.subject.arguments, number, text
        drawn = plan.split, plan.negatives, plan.seed
        if scorer == "embedding":
            return *which, *drawn, self.embedder
        marks = plan.marks if scorer == "fuzzing" else "matched"
        return *which, scorer, *drawn, self.judge, marks, plan.window

    def judged(self, number: int, text: str, scorer: str) -> Entry:
        """The entry with the scores of a label."""
        arguments = self._judgement(number, text, scorer)
        if scorer == "embedding":
            return labelling.embedded(*arguments, device=self.device, progress=Progress())
        return labelling.judged(*arguments, **self._how)

    def judged_found(self, number: int, text: str, scorer: str) -> Entry | None:
        """As `judged`; None where it is not computed."""
        step = labelling.embedded if scorer == "embedding" else labelling.judged
        return step.find(*self._judgement(number, text, scorer))

    def scores(self, labels: pl.DataFrame) -> pl.DataFrame:
        """`tables.SCORES` of every label that did not fail, and of its controls."""
        texts = judged_texts(labels, self.plan)
        asked = [(*each, scorer) for scorer in self.plan.scorers for each in texts]
        unique = list(dict.fromkeys((number, text, s) for number, _, _, text, s in asked))
        entries: dict[tuple[int, str, str], Entry] = {}
        for message, local in (("Judging labels", False), ("Embedding labels", True)):
            some = [each for each in unique if (each[2] == "embedding") == local]
            calls = [functools.partial(self.judged, *each) for each in some]
            found = self._each(message, calls, 1 if local else self.tools.workers)
            entries |= zip(some, found, strict=True)
        parts = [
            entries[number, text, scorer]
            .frame("scores")
            .with_columns(method=pl.lit(method), of=pl.lit(of), label=pl.lit(text))
            for number, method, of, text, scorer in asked
        ]
        return (
            pl.concat(parts).select(list(tables.SCORES))
            if parts
            else pl.DataFrame(schema=tables.SCORES)
        )

    def _each(
        self, message: str, calls: Sequence[Callable[[], Entry]], workers: int
    ) -> list[Entry]:
        def report(done: int, total: int) -> None:
            self.progress.report(done, total, message, "steps")

        return list(_in_order(calls, workers, report))


def _in_order(
    calls: Sequence[Callable[[], Entry]], workers: int, report: Callable[[int, int], None]
) -> Iterator[Entry]:
    """Results in order. Where a call raises, what is under way still ends, so that replies that
    are paid for are kept; the rest is not begun."""
    if workers == 1:
        for at, call in enumerate(calls):
            report(at, len(calls))
            yield call()
        return
    pool = ThreadPoolExecutor(workers)
    try:
        asked = [pool.submit(call) for call in calls]
        waiting = set(asked)
        while waiting:
            report(len(asked) - len(waiting), len(asked))
            done, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
        yield from (future.result() for future in asked)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@memoize(version=1)
def run(
    model: ModelRef,
    site: Site,
    corpus: CorpusRef,
    of: SaeRef,
    embedder: EmbedderRef,
    plan: Plan,
    writer: str,
    judge: str,
    verbalizer: VerbalizerRef,
    *,
    inputs: Tools,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """`labels` (`tables.LABELS`), `scores` (`tables.SCORES`), `distances` (`tables.DISTANCES`), and
    `controls`: of each kind whether the verbalizer says more than nothing, where one was asked.

    Raises:
        LlmUnavailableError: a model cannot be asked any more; what was asked is kept.
    """
    subject = Subject(model, site, corpus, of)
    progress.report(0, 1, "Choosing features")
    made = Running(
        subject, embedder, plan, writer, judge, verbalizer, inputs, device, progress,
        tuple(sample(subject, plan)),
    )  # fmt: skip
    words = made.verbalize()
    labels = made.labels()
    scores = made.scores(labels)
    progress.report(0, 1, "Comparing labels")
    encoder = embedders.load(embedder, device)
    texts = [entry.frame("texts") for entry in words]
    return {
        "labels": labels,
        "scores": scores,
        "distances": tables.distances(labels, encoder.embed),
        "controls": told_apart(texts, encoder),
    }


def told_apart(texts: Sequence[pl.DataFrame], embedder: Embedder) -> pl.DataFrame:
    """`CONTROLS`: how often the embedder tells what was said of an activation from what was said
    of a control. Peaks of one feature are alike, so the interval is Wilson's with features as n:
    wider than need be."""
    if not texts:
        return pl.DataFrame(schema=CONTROLS)
    whole = pl.concat(texts)
    said = {kind: whole[kind].to_list() for kind in labelling.CONTROLS if any(whole[kind])}
    found = controls.compare(whole["real"].to_list(), said, whole["context"].to_list(), embedder)
    ends = np.cumsum([len(part) for part in texts])[:-1]
    rows = []
    for each in found:
        means = [float(part.mean()) for part in np.split(np.asarray(each.items), ends)]
        low, high = wilson(sum(means), len(means))
        ties = sum(item == controls.CHANCE for item in each.items)
        share = sum(means) / len(means)
        rows.append((each.kind, len(means), each.n, share, float(low), float(high), ties))
    return pl.DataFrame(rows, schema=CONTROLS, orient="row")


def judged_texts(labels: pl.DataFrame, plan: Plan) -> list[tuple[int, str, str, str]]:
    """(feature, method, label | shuffled | empty, text) of all that is judged. Failed labels have
    nothing to judge; each method's labels are shuffled among its own features."""
    held = labels.filter(pl.col("failed") == "")
    found: list[tuple[int, str, str, str]] = []
    for method in plan.methods:
        own = held.filter(pl.col("method") == method)
        texts = dict(zip(own["feature"].to_list(), own["text"].to_list(), strict=True))
        found += [(number, method, "label", text) for number, text in texts.items()]
        if len(texts) >= FEWEST:
            shuffled = scorers.controls(texts, plan.seed)["shuffled"]
            found += [(number, method, "shuffled", text) for number, text in shuffled.items()]
    numbers = sorted(set(held["feature"].to_list()))
    return [*found, *((number, "", "empty", "") for number in numbers)]


def summary(scores: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`scorers.SUMMARY` with `of`, labels and controls apart; `scorers.DIFFERENCES` of labels."""
    parts = [
        scorers.summary(_records(part)).with_columns(of=pl.lit(str(of)))
        for (of,), part in scores.group_by("of", maintain_order=True)
    ]
    labels = _records(scores.filter(pl.col("of") == "label"))
    empty = pl.DataFrame(schema=dict(scorers.SUMMARY) | {"of": pl.String})
    return (pl.concat(parts) if parts else empty), scorers.differences(labels)


def _records(scores: pl.DataFrame) -> list[scorers.Score]:
    return [scorers.Score(**row) for row in scores.drop("of", "label").iter_rows(named=True)]
