"""A scorer is one object: registered, it can be planned, asked by, and is named on screen."""

from __future__ import annotations

import pytest

from backend.answers import experiments
from backend.labels import judges, trials, words
from backend.labels.judges import Question
from backend.labels.kinds import SCORERS
from backend.labels.kinds.base import Scorer
from backend.labels.scorers import scored
from backend.schema import NotFoundError, Plan
from tests.test_label_scorers import planted

TOY = Scorer(
    name="toy",
    measure="share of smiles",
    duty="Say 1 where the text smiles.",
    cue="It smiles:",
    shots=(("Ha!", "laughter"),),
)


def test_a_scorer_of_one_object_is_known_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(scorers=("toy",))
    with pytest.raises(NotFoundError, match="a scorer 'toy'"):
        experiments.check(plan)
    monkeypatch.setitem(SCORERS, "toy", TOY)
    experiments.check(plan)
    assert words.scorer_names()[-1] == words.judged_names()[-1] == "toy"
    assert [words.title(name) for name in ("toy", "toy_auroc")] == [
        "toy share of smiles",
        "toy AUROC",
    ]
    told, _ = judges.conversation(Question("toy", "joy", ("Ha!",)), ("Ha!",))
    assert told.content.startswith(TOY.duty)
    assert judges.completion("toy", "Oh").endswith("It smiles:")
    trial = trials.trial("toy", "joy", planted(1), "method")
    verdicts = judges.Verdicts(trial.truth, tuple(map(float, trial.truth)))
    scores = scored(trial, verdicts, "judge")
    assert [(score.scorer, score.value) for score in scores] == [("toy", 1.0), ("toy_auroc", 1.0)]


def test_the_plan_begins_with_every_scorer_there_is() -> None:
    assert list(Plan().scorers) == words.scorer_names()
