"""An experiment while it runs: its memoized steps, computed or looked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import polars as pl

from backend.answers import labelling
from backend.answers.known import known
from backend.answers.subjects import (
    HARD,
    Models,
    Sampling,
    Subject,
    Tools,
    hard,
    sampling_of,
    setting_of,
)
from backend.labels import explainers, scorers, tables
from backend.schema import LlmUnavailableError, Plan, Progress
from backend.store.memo import Entry

FEWEST = 2  # labels that can be shuffled


@dataclass(frozen=True)
class Running:
    """An experiment's steps, each memoized: computed, or looked for."""

    subject: Subject
    plan: Plan
    models: Models
    tools: Tools
    device: str
    progress: Progress
    numbers: tuple[int, ...]

    @property
    def _how(self) -> dict[str, Any]:
        return {"inputs": self.tools, "device": self.device, "progress": Progress()}

    @property
    def sampling(self) -> Sampling:
        return sampling_of(self.plan, self.models.embedder)

    def test_judge(self) -> Entry:
        """How the judge does where the answer is known."""
        where = self.subject.model, self.subject.corpus, self.models.judge
        how: dict[str, Any] = {"inputs": self.tools, "progress": self.progress}
        call = functools.partial(known, *where, self.plan.window, self.plan.seed, **how)
        return self._each("Testing the judge", [call], 1)[0]

    def verbalize(self) -> list[Entry]:
        """What the verbalizer says of each number's peaks, where a method asks for it."""
        if not any("verbalizer" in explainers.find(each).needs for each in self.plan.methods):
            return []
        named = self.sampling.train, self.models.verbalizer
        calls = [
            functools.partial(labelling.verbalized, self.subject, number, *named, **self._how)
            for number in self.numbers
        ]
        return self._each("Putting activations into words", calls, 1)

    # ------------------------------------------------------------ labels

    def _pairs(self) -> list[tuple[int, str]]:
        return [(number, method) for method in self.plan.methods for number in self.numbers]

    def _label(self, number: int, method: str) -> tuple[Any, ...]:
        author = labelling.author_of(method, self.models)
        return self.subject, number, author, self.sampling.train

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
                "writer": labelling.author_of(method, self.models).writer,
                **{name: entry.value(name) for name in ("text", "detail", "failed", "n")},
                "seconds": entry.recipe()["seconds"],
            }
            for (number, method), entry in zip(self._pairs(), entries, strict=True)
        ]
        return pl.DataFrame(rows, schema=tables.LABELS)

    # ------------------------------------------------------------ judgements

    def prepare(self) -> None:
        """Looks for hard negatives, where the plan wants them."""
        if self.plan.negatives != HARD:
            return
        how: dict[str, Any] = {"device": self.device, "progress": Progress()}
        calls = [
            functools.partial(hard, self.subject, number, self.sampling, **how)
            for number in self.numbers
        ]
        self._each("Looking for hard negatives", calls, 1)

    def _judgement(self, number: int, text: str, scorer: str) -> tuple[Any, ...]:
        which = self.subject, number, text, self.sampling
        if scorer == "embedding":
            return *which, self.models.embedder
        return *which, setting_of(self.plan, scorer, self.models.judge)

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
        """Results in order; a run that cannot go on says what of this step is kept and left."""
        ended: list[Entry] = []

        def one(call: Callable[[], Entry]) -> Entry:
            entry = call()
            ended.append(entry)
            return entry

        def report() -> None:
            self.progress.report(len(ended), len(calls), message, "steps")

        try:
            return _all([functools.partial(one, call) for call in calls], workers, report)
        except LlmUnavailableError as error:
            left = len(calls) - len(ended)
            kept = f"{message}: {len(ended)} of {len(calls)} are kept, {left} are left"
            kept += ", and all steps after this."
            raise LlmUnavailableError(f"{error.problem} {kept}", error.remedy) from error


def _all(
    calls: Sequence[Callable[[], Entry]], workers: int, report: Callable[[], None]
) -> list[Entry]:
    """Results in order. Where a call raises, what is under way still ends, so that replies that
    are paid for are kept; the rest is not begun."""
    if workers == 1:
        found = []
        for call in calls:
            report()
            found.append(call())
        return found
    pool = ThreadPoolExecutor(workers)
    try:
        asked = [pool.submit(call) for call in calls]
        waiting = set(asked)
        while waiting:
            report()
            done, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
        return [future.result() for future in asked]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


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
