"""An experiment, step by step; each step is memoized by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import polars as pl

from backend import run
from backend.experiments.judge_calibration import calibrate_judge
from backend.labels import explainers, scorers, tables, writers
from backend.labels import steps as label_steps
from backend.labels.kinds import SCORERS
from backend.labels.references import JudgeRef
from backend.labels.subjects import (
    HARD,
    Models,
    Sampling,
    Subject,
    find_hard_negatives,
    sampling_of,
    setting_of,
)
from backend.schema import LlmUnavailableError, Plan
from backend.store.memo import Entry

FEWEST = 2  # labels that can be shuffled

Item = TypeVar("Item")
Judgement = tuple[int, str, str]  # number, text of the label, scorer
# number, method, whose label it is (label, shuffled, empty), text of the label
JudgedText = tuple[int, str, str, str]


@dataclass(frozen=True)
class ExperimentSteps:
    """The steps of an experiment on some features or regions: computed, or looked for."""

    subject: Subject
    plan: Plan
    models: Models
    numbers: tuple[int, ...]

    @property
    def sampling(self) -> Sampling:
        return sampling_of(self.plan, self.models.embedder)

    def test_judge(self) -> Entry:
        """How the judge does where the answer is known."""

        def step(judge: JudgeRef) -> Entry:
            reading, plan = self.subject.reading, self.plan
            return calibrate_judge(reading.model, reading.corpus, judge, plan.window, plan.seed)

        return _each(step, [self.models.judge], "Testing the judge")[0]

    @property
    def asks_verbalizer(self) -> bool:
        """Whether a method of the plan needs what a verbalizer says."""
        return any(map(needs_verbalizer, self.plan.methods))

    def verbalize(self) -> list[Entry]:
        """What the verbalizer says of each number's peaks, where a method asks for it."""
        if not self.asks_verbalizer:
            return []

        def step(number: int) -> Entry:
            train, speaker = self.sampling.train, self.models.verbalizer
            return label_steps.verbalize(self.subject, number, train, speaker)

        return _each(step, self.numbers, "Putting activations into words")

    # ------------------------------------------------------------ labels

    def first_labels(self) -> None:
        """Labels that need no verbalizer, which takes long: people can begin with them."""
        quick = [each for each in self.plan.methods if not needs_verbalizer(each)]
        if quick and self.asks_verbalizer:
            self.labels(quick)
            run.current().progress.milestone()

    def labels(self, methods: Sequence[str] = ()) -> pl.DataFrame:
        """`tables.LABELS` of every number and method, or of some methods."""
        methods = methods or self.plan.methods
        authors = [label_steps.author_of(method, self.models) for method in methods]
        pairs = [(number, author) for author in authors for number in self.numbers]

        def step(pair: tuple[int, label_steps.Author]) -> Entry:
            return label_steps.explain(self.subject, *pair, self.sampling.train)

        entries = _each(step, pairs, "Labelling", writers.workers(self.models.writer))
        return _label_table(list(zip(pairs, entries, strict=True)))

    def known_labels(self) -> pl.DataFrame:
        """`labels`, as far as they are kept; nothing is computed."""
        pairs = []
        for method, number in product(self.plan.methods, self.numbers):
            author = label_steps.author_of(method, self.models)
            entry = label_steps.explain.find(self.subject, number, author, self.sampling.train)
            if entry is not None:
                pairs.append(((number, author), entry))
        return _label_table(pairs)

    # ------------------------------------------------------------ judgements

    def prepare(self) -> None:
        """Looks for hard negatives, where the plan wants them."""
        if self.plan.negatives == HARD:

            def step(number: int) -> Entry:
                return find_hard_negatives(self.subject, number, self.sampling)

            _each(step, self.numbers, "Looking for hard negatives")

    def judge(self, judgement: Judgement) -> Entry:
        """The entry with the scores of a label."""
        number, text, scorer = judgement
        label = self.subject, number, text, self.sampling
        if not SCORERS[scorer].is_judged:
            return label_steps.embed_label(*label, self.models.embedder)
        return label_steps.judge_label(*label, setting_of(self.plan, scorer, self.models.judge))

    def judge_all(self, judgements: Sequence[Judgement]) -> dict[Judgement, Entry]:
        """As `judge`; those by a model first."""
        entries: dict[Judgement, Entry] = {}
        at_once = writers.workers(self.models.judge.writer)
        for message, by_judge in (("Judging labels", True), ("Embedding labels", False)):
            some = [each for each in judgements if SCORERS[each[2]].is_judged == by_judge]
            results = _each(self.judge, some, message, at_once if by_judge else 1)
            entries |= zip(some, results, strict=True)
        return entries

    def find_judgement(self, judgement: Judgement) -> Entry | None:
        """As `judge`, if it is kept; nothing is computed."""
        with run.looking(run.current().device):
            try:
                return self.judge(judgement)
            except run.Missing:
                return None

    def known_scores(self, texts: Sequence[JudgedText]) -> pl.DataFrame:
        """`scores` of the texts by each scorer of the plan, as far as they are kept."""
        pairs = [(text, scorer) for text in texts for scorer in self.plan.scorers]
        return self.scores(
            [pair for pair in pairs if self.find_judgement((pair[0][0], pair[0][3], pair[1]))]
        )

    def scores(self, rows: Sequence[tuple[JudgedText, str]]) -> pl.DataFrame:
        """`tables.SCORES` of texts, each by a scorer, in their order."""
        judgements = [(number, text, scorer) for (number, _, _, text), scorer in rows]
        entries = self.judge_all(list(dict.fromkeys(judgements)))
        parts = [pl.DataFrame(schema=tables.SCORES)]
        for judgement, ((_, method, control, text), _) in zip(judgements, rows, strict=True):
            columns = {"method": method, "of": control, "label": text}
            literals = {name: pl.lit(value) for name, value in columns.items()}
            frame = entries[judgement].frame("scores").with_columns(**literals)
            parts.append(frame.select(list(tables.SCORES)))
        return pl.concat(parts)


def _label_table(pairs: Sequence[tuple[tuple[int, label_steps.Author], Entry]]) -> pl.DataFrame:
    rows = [
        {
            "feature": number,
            "method": author.method,
            "writer": author.writer.name if author.writer else "",
            **{name: entry.value(name) for name in ("text", "detail", "failed", "n")},
            "seconds": entry.recipe()["seconds"],
        }
        for (number, author), entry in pairs
    ]
    return pl.DataFrame(rows, schema=tables.LABELS)


def _each(
    function: Callable[[Item], Entry], items: Sequence[Item], message: str, workers: int = 1
) -> list[Entry]:
    """Results in order; a run that cannot go on says what of this step is kept and left."""
    ended: list[Entry] = []

    def step(item: Item) -> Entry:
        entry = function(item)
        ended.append(entry)
        return entry

    try:
        return run.each(step, items, message, "steps", workers)
    except LlmUnavailableError as error:
        rest = len(items) - len(ended)
        progress = f"{message}: {len(ended)} of {len(items)} are kept, {rest} are left"
        progress += ", and all steps after this."
        raise LlmUnavailableError(f"{error.problem} {progress}", error.remedy) from error


def needs_verbalizer(method: str) -> bool:
    """Whether a method asks a verbalizer."""
    return "verbalizer" in explainers.EXPLAINERS[method].needs


def judged_texts(labels: pl.DataFrame, plan: Plan) -> list[JudgedText]:
    """All that is judged. Failed labels have nothing to judge; each method's labels are shuffled
    among its own features."""
    valid = labels.filter(pl.col("failed") == "")
    rows: list[JudgedText] = []
    for method in plan.methods:
        own = valid.filter(pl.col("method") == method)
        texts = dict(zip(own["feature"].to_list(), own["text"].to_list(), strict=True))
        rows += [(number, method, "label", text) for number, text in texts.items()]
        if len(texts) >= FEWEST:
            others = scorers.shuffled(texts, plan.seed)
            rows += [(number, method, "shuffled", text) for number, text in others.items()]
    numbers = sorted(set(valid["feature"].to_list()))
    return [*rows, *((number, "", "empty", "") for number in numbers)]
