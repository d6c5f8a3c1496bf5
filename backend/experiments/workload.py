"""What labelling and judging have still to compute, counted in a look, so that it can be said how
long they take."""

from __future__ import annotations

from collections import Counter

from backend import run
from backend.experiments.judge_calibration import calibrate_judge
from backend.experiments.steps import ExperimentSteps, judged_texts
from backend.labels import steps as label_steps
from backend.labels.kinds import SCORERS
from backend.labels.references import OWN
from backend.labels.subjects import setting_of
from backend.store.rates import CHUNK, Part

COUNTED = 100  # labels that are looked for; of more, every so many
# of a chunk's time, until it was measured: the study's own model
LABEL, VERBALIZATIONS, JUDGEMENT, CALIBRATION = 0.1, 0.25, 0.13, 1.0
EMBEDDING = {CHUNK: 0.03}


def left(steps: ExperimentSteps, numbers: tuple[int, ...] | None = None) -> list[Part]:
    """Labels that are not written with what a verbalizer says for them, and judgements of all or of
    some `numbers`; where labels are not written yet, their judgements are as many as there can
    be."""
    numbers = steps.numbers if numbers is None else numbers
    authors = [label_steps.author_of(method, steps.models) for method in steps.plan.methods]
    pairs = [(number, author) for author in authors for number in steps.numbers]
    every = max(1, len(pairs) // COUNTED)
    missing = Counter[str]()
    for number, author in pairs[::every]:
        label = steps.subject, number, author, steps.sampling.train
        if label_steps.explain.find(*label) is None:
            asks = author.writer is not None
            missing[label_steps.explain.work(*label)] += every if asks else 0
    writes = _like(steps.models.writer.kind, LABEL)
    parts = [Part(work, count, writes) for work, count in missing.items() if count]
    parts += _unspoken(steps)
    return [*parts, *(_possible(steps, numbers) if missing else _unjudged(steps, numbers))]


def calibration(steps: ExperimentSteps) -> list[Part]:
    """The test of the judge on known answers, which an experiment begins with."""
    with run.looking(run.current().device):
        try:
            steps.test_judge()
        except run.Missing:
            like = _like(steps.models.judge.writer.kind, CALIBRATION)
            return [Part(calibrate_judge.name, like=like)]
    return []


def _unspoken(steps: ExperimentSteps) -> list[Part]:
    """What a verbalizer has not yet said of a number's peaks."""
    if not steps.asks_verbalizer:
        return []
    speaker, train = steps.models.verbalizer, steps.sampling.train
    every = max(1, len(steps.numbers) // COUNTED)
    missing = every * sum(
        label_steps.verbalize.find(steps.subject, number, train, speaker) is None
        for number in steps.numbers[::every]
    )
    like = {CHUNK: VERBALIZATIONS} if speaker.kind == "patchscope" else {}
    return [Part(label_steps.verbalize.name, missing, like)] if missing else []


def _like(kind: str, share: float) -> dict[str, float]:
    """The study's own model takes as long as it reads; of a server nothing is known beforehand."""
    return {CHUNK: share} if kind == OWN else {}


def _possible(steps: ExperimentSteps, numbers: tuple[int, ...]) -> list[Part]:
    """Judgements of every label, of shuffled ones and of the empty one."""
    each = len(numbers) * (2 * len(steps.plan.methods) + 1)
    return _parts(steps, dict.fromkeys(steps.plan.scorers, each))


def _unjudged(steps: ExperimentSteps, numbers: tuple[int, ...]) -> list[Part]:
    """Judgements that are not there."""
    counts = Counter[str]()
    rows = judged_texts(steps.labels(), steps.plan)
    texts = dict.fromkeys((number, text) for number, _, _, text in rows if number in numbers)
    for name in steps.plan.scorers:
        counts[name] = sum(steps.find_judgement((*text, name)) is None for text in texts)
    return _parts(steps, counts)


def _parts(steps: ExperimentSteps, counts: dict[str, int]) -> list[Part]:
    like = _like(steps.models.judge.writer.kind, JUDGEMENT)
    parts = []
    for name, count in counts.items():
        if not count:
            continue
        if not SCORERS[name].is_judged:
            parts.append(Part(label_steps.embed_label.name, count, EMBEDDING))
        else:
            setting = setting_of(steps.plan, name, steps.models.judge)
            work = label_steps.judge_label.work(steps.subject, 0, "", steps.sampling, setting)
            parts.append(Part(work, count, like))
    return parts
