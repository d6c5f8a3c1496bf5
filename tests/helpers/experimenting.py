"""Experiments of a writer and a judge that answer as they are told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from backend import run
from backend.experiments import experiment as experiments
from backend.labels import judges, subjects, writers
from backend.labels.contract import GREEDY, Draw, Message
from backend.labels.judges import Judge, Question, Verdicts
from backend.labels.references import JudgeRef, WriterRef
from backend.labels.subjects import Models, features_of, wordings_of
from backend.schema import (
    LlmError,
    LlmUnavailableError,
    Plan,
    Progress,
    Study,
)

PLAN = Plan(methods=("token_frequency", "eleuther_acts_top5", "baez"), features=5)


class Scripted:
    """Labels with the first word it is shown, or fails; counts what it is asked."""

    name = "scripted"
    obeys = True

    def __init__(self, fails: int = 0, stops: int = 10**9) -> None:
        self.asked, self.fails, self.stops = 0, fails, stops

    def write(self, messages: Sequence[Message], draw: Draw = GREEDY) -> str:
        self.asked += 1
        if self.asked > self.stops:
            raise LlmUnavailableError("The cap is reached.", "Raise it.")
        if self.asked <= self.fails:
            raise LlmError("Nothing to say.", "Ask another.")
        return f"[EXPLANATION]: words like {messages[-1].content.split()[2]}"


Truth = dict[tuple[str, ...], tuple[int, ...]]  # of the texts of a question


class Knows:
    """Answers a question as it was told; may fail on the first texts of each."""

    name = "knows"

    def __init__(self, truth: Truth, fails: int = 0) -> None:
        self.truth, self.fails, self.asked = truth, fails, 0

    def judge(self, questions: Sequence[Question]) -> list[Verdicts]:
        self.asked += len(questions)
        blind = (0,) * 100
        answers = [self.truth.get(one.texts, blind[: len(one.texts)]) for one in questions]
        return [Verdicts((None,) * self.fails + each[self.fails :]) for each in answers]


PATCHES: list[pytest.MonkeyPatch] = []  # that of the test that runs


def truth_of(study: Study, plan: Plan) -> Truth:
    """What is true of every text that a judge will see."""
    subject, sampling = features_of(study), subjects.sampling_of(plan, study.embedder)
    truth: Truth = {}
    for number in experiments.sample(subject, plan):
        for task in ("detection", "fuzzing"):
            trial = subject.trial(number, "", sampling, subjects.setting_of(plan, task))
            truth[trial.question.texts] = trial.truth
    return truth


def scripted(study: Study, writer: Scripted, judge: Judge, workers: int = 1) -> Models:
    """References of a kind that this test registers: they name its writer and judge."""
    (patches,) = PATCHES
    kind = writers.Kind(lambda ref, device: writer, workers)
    patches.setitem(writers.KINDS, "scripted", kind)
    patches.setitem(judges.KINDS, "scripted", lambda ref: judge)
    author, arbiter = (WriterRef("scripted", served=tool.name) for tool in (writer, judge))
    return Models(author, JudgeRef("scripted", arbiter), study.verbalizer, study.embedder)


def experiment(study: Study, plan: Plan, models: Models, progress: Progress | None = None) -> str:
    """Runs an experiment; its name."""
    with run.computing("cpu", progress or Progress()):
        return experiments.run(features_of(study), plan, models, wordings_of(plan)).digest
