"""What an experiment would ask a language model for, from the prompts of a few features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from backend.answers import experiments, labelling
from backend.answers.known import EACH, SPAN, WORDS, questions
from backend.answers.subjects import Sampling, Subject, features_of, setting_of, tools_of
from backend.labels import costs, explainers, prompts
from backend.labels.contract import Excerpt, Message
from backend.labels.judges import PER_PROMPT, Conversation, WriterJudge, conversation
from backend.labels.server import configured
from backend.schema import LlmError, Plan, Study
from backend.views import Quote

LOOKED_AT = 3  # features that an estimate is made from
SAID = "word " * 60  # a verbalizer's text, for an estimate
LABEL = "word " * prompts.WORDS
JUDGE_LIMIT = 300  # tokens of a judge's reply, at most


@dataclass
class _Recorder:
    """A writer and an `Ask` that answer nothing and keep what they are asked."""

    name: str = "nobody"
    obeys: bool = True
    asked: list[tuple[Conversation, int]] = field(default_factory=list)

    def write(
        self,
        messages: Sequence[Message],
        *,
        temperature: float = 0.0,
        limit: int = 300,
        attempt: int = 0,
    ) -> str:
        self.asked.append((messages, limit))
        raise LlmError("Only noted.", "Nothing to do.")

    def ask(self, _: Any, conversations: Sequence[Conversation]) -> list[str | LlmError]:
        self.asked += [(each, JUDGE_LIMIT) for each in conversations]
        return ["[]"] * len(conversations)

    def sums(self) -> tuple[int, int, int]:
        """Calls, characters of their prompts, tokens of their replies at most."""
        letters = sum(costs.characters(turns) for turns, _ in self.asked)
        return len(self.asked), letters, sum(limit for _, limit in self.asked)


def quote(study: Study, plan: Plan, who: str) -> Quote:
    """What a run asks for at most. Raises as `experiments.check` and `tools_of`."""
    experiments.check(plan)
    tools_of(study, who, "cpu")
    of = features_of(study)
    numbers = experiments.sample(of, plan)
    asking = [method for method in plan.methods if labelling.may_ask(method)]
    judged = [scorer for scorer in plan.scorers if scorer != "embedding"]
    texts = len(numbers) * (2 * len(plan.methods) + 1) * len(judged)  # labels, shuffled, empty
    if who == "own":
        count = len(numbers) * len(asking) + (texts + WORDS) * 2 * EACH
        how = "Prompts to the study's own model: they cost nothing but time."
        return Quote(len(numbers), count, 0, 0, None, how)
    recorder, once = _Recorder(), _Recorder()
    for number in numbers[:LOOKED_AT]:
        _note(of, plan, number, asking, judged, recorder)
    test = questions(of.tokens, plan.window or SPAN, plan.seed)
    cut = range(0, 2 * EACH, PER_PROMPT)
    once.ask(None, [conversation(q, q.texts[at : at + PER_PROMPT]) for q, _ in test for at in cut])
    scale = len(numbers) / min(LOOKED_AT, len(numbers))
    calls, letters, replies = (
        round(scale * part + whole)
        for part, whole in zip(recorder.sums(), once.sums(), strict=True)
    )
    prices = configured().prices
    how = (
        f"From the prompts of {min(LOOKED_AT, len(numbers))} of the {len(numbers)} features, at "
        f"{costs.CHARACTERS} characters a token and replies at their limits. What was asked "
        "before is kept and costs nothing."
    )
    most = costs.usage(prices, calls, round(letters / costs.CHARACTERS), replies)
    return Quote(len(numbers), **asdict(most), how=how)


def of_labels(study: Study, numbers: Sequence[int], method: str, who: str) -> Quote:
    """What labels of some features by one method ask for at most. Raises as `tools_of`."""
    tools_of(study, who, "cpu")
    if who == "own":
        how = "Prompts to the study's own model: they cost nothing but time."
        return Quote(len(numbers), len(numbers), 0, 0, None, how)
    recorder, of = _Recorder(), features_of(study)
    for number in numbers[:LOOKED_AT]:
        _note(of, Plan(methods=(method,)), number, [method], [], recorder)
    scale = len(numbers) / max(1, min(LOOKED_AT, len(numbers)))
    calls, letters, replies = (round(scale * part) for part in recorder.sums())
    most = costs.usage(configured().prices, calls, round(letters / costs.CHARACTERS), replies)
    how = f"From the prompts of {min(LOOKED_AT, len(numbers))} features, replies at their limits."
    return Quote(len(numbers), **asdict(most), how=how)


def _note(
    of: Subject,
    plan: Plan,
    number: int,
    asking: Sequence[str],
    judged: Sequence[str],
    recorder: _Recorder,
) -> None:
    # hard negatives are looked for by the run; others are as long
    sampling = Sampling(plan.split, "other", plan.seed)
    drawn = of.draw(number, sampling)

    def said(_: Excerpt) -> str:
        return SAID

    context = explainers.Context(
        writer=recorder,
        verbalizations=said,
        direction=lambda: SAID,
        promoted=of.promoted(number),
    )
    for method in asking:
        explainers.EXPLAINERS[method].explain(drawn, context)
    questions = [
        of.trial(number, LABEL, sampling, setting_of(plan, scorer)).question
        for scorer in judged
        for _ in range(2 * len(plan.methods) + 1)
    ]
    first = recorder.asked.copy()
    WriterJudge(recorder, recorder.ask).judge(questions)
    # a judge that understands nothing is asked everything twice
    again = (len(recorder.asked) - len(first)) // 2
    del recorder.asked[len(first) + again :]
