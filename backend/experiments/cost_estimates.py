"""What an experiment would ask a language model for, from the prompts of a few features."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from backend.experiments import experiment
from backend.experiments.judge_calibration import EACH, SPAN, WORDS, questions
from backend.experiments.views import Quote
from backend.labels import costs, explainers, prompts
from backend.labels import steps as label_steps
from backend.labels.contract import GREEDY, Draw, Message
from backend.labels.judges import Conversation, Question, WriterJudge
from backend.labels.kinds import SCORERS
from backend.labels.references import OWN, WriterRef
from backend.labels.server import prices
from backend.labels.subjects import Sampling, Subject, features_of, models_of, setting_of
from backend.query import lookup
from backend.schema import LlmError, Plan, Study

LOOKED_AT = 3  # features that an estimate is made from
TEXT = "word " * 60  # a verbalizer's text, for an estimate
LABEL = "word " * prompts.WORDS


@dataclass
class _Recorder:
    """A writer that answers nothing and keeps the prompts, each with its limit in tokens."""

    name: str = "nobody"
    obeys: bool = True
    prompts: list[tuple[Conversation, int]] = field(default_factory=list)

    def write(self, messages: Sequence[Message], draw: Draw = GREEDY) -> str:
        self.prompts.append((messages, draw.limit))
        raise LlmError("Only noted.", "Nothing to do.")

    def sums(self) -> tuple[int, int, int]:
        """Calls, characters of their prompts, tokens of their replies at most."""
        letters = sum(costs.characters(turns) for turns, _ in self.prompts)
        return len(self.prompts), letters, sum(limit for _, limit in self.prompts)


@lookup
def estimate_cost(study: Study, plan: Plan, who: str = "own") -> Quote:
    """What an experiment asks a language model for, at most.

    Raises:
        LlmError: no server is named, or its settings are no use.
        NotFoundError: the plan names what there is not, or the features are not computed.
    """
    experiment.check(plan)
    writer = models_of(study, who).writer
    subject = features_of(study)
    numbers = experiment.sample(subject, plan)
    return replace(_quote(subject, plan, numbers, writer), left_out=_left_out(plan, numbers))


def _left_out(plan: Plan, numbers: Sequence[int]) -> tuple[int, ...]:
    """Of a plan for all the features that it names those that cannot be tested."""
    all_wanted = plan.features >= len(set(plan.among))
    return tuple(sorted(set(plan.among) - set(numbers))) if all_wanted else ()


def _quote(subject: Subject, plan: Plan, numbers: Sequence[int], writer: WriterRef) -> Quote:
    if writer.kind == OWN:
        texts = len(numbers) * len(_judgements(plan))
        asking = sum(map(label_steps.may_ask, plan.methods))
        count = len(numbers) * asking + (texts + WORDS) * 2 * EACH
        return _free(len(numbers), count)
    calibration = _Recorder()  # the judge's own test, which is made once
    tests = questions(subject.tokens, plan.window or SPAN, plan.seed)
    _note_judge([question for question, _ in tests], calibration)
    how = (
        f"From the prompts of {min(LOOKED_AT, len(numbers))} of the {len(numbers)} features, at "
        f"{costs.CHARACTERS} characters a token and replies at their limits. What was asked "
        "before is kept and costs nothing."
    )
    return _most(subject, plan, numbers, calibration, how)


def of_labels(study: Study, numbers: Sequence[int], method: str, who: str) -> Quote:
    """What labels of some features by one method ask for at most. Raises as `estimate_cost`."""
    if models_of(study, who).writer.kind == OWN:
        return _free(len(numbers), len(numbers))
    plan = Plan(methods=(method,), scorers=())
    how = f"From the prompts of {min(LOOKED_AT, len(numbers))} features, replies at their limits."
    return _most(features_of(study), plan, numbers, _Recorder(), how)


def _free(features: int, prompts: int) -> Quote:
    how = "Prompts to the study's own model: they cost nothing but time."
    return Quote(features, prompts, 0, 0, None, how)


def _most(
    subject: Subject, plan: Plan, numbers: Sequence[int], call_recorder: _Recorder, how: str
) -> Quote:
    """As many prompts as those of a few features come to, and those recorded already, which are
    asked once."""
    recorder = _Recorder()
    for number in numbers[:LOOKED_AT]:
        _note(subject, plan, number, recorder)
    scale = len(numbers) / max(1, min(LOOKED_AT, len(numbers)))
    calls, letters, replies = (
        round(scale * part + whole)
        for part, whole in zip(recorder.sums(), call_recorder.sums(), strict=True)
    )
    most = costs.usage(prices(), calls, round(letters / costs.CHARACTERS), replies)
    return Quote(len(numbers), **asdict(most), how=how)


def _note(subject: Subject, plan: Plan, number: int, recorder: _Recorder) -> None:
    """The prompts of one feature, by the plan's methods and scorers."""
    # hard negatives are looked for by the run; others are as long
    sampling = Sampling(plan.split, "other", plan.seed)
    evidence = subject.draw(number, sampling)
    context = explainers.Context(
        writer=recorder,
        verbalizations=lambda _: TEXT,
        direction=lambda: TEXT,
        promoted=subject.promoted(number),
    )
    for method in filter(label_steps.may_ask, plan.methods):
        explainers.EXPLAINERS[method].explain(evidence, context)
    asking = [
        subject.trial(number, LABEL, sampling, setting_of(plan, scorer)).question
        for scorer in _judgements(plan)
    ]
    _note_judge(asking, recorder)


def _judgements(plan: Plan) -> list[str]:
    """The scorer of each judgement of a feature: of its labels, shuffled ones and the empty one."""
    judged_scorers = [scorer for scorer in plan.scorers if SCORERS[scorer].is_judged]
    return judged_scorers * (2 * len(plan.methods) + 1)


def _note_judge(questions: Sequence[Question], recorder: _Recorder) -> None:
    """The prompts of a judge, each once: one that gets no answer asks each twice in a row."""
    before = len(recorder.prompts)
    with contextlib.suppress(LlmError):
        WriterJudge(recorder).judge(questions)
    del recorder.prompts[before + 1 :: 2]
