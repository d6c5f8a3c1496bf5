"""Experiments on features that a person chose."""

from __future__ import annotations

import pytest

from backend import queries
from backend.experiments import experiment as experiments
from backend.labels.subjects import features_of
from backend.schema import NotFoundError, Plan, Study
from components.experiments import form
from tests.helpers.pages import opened, text_of


def test_a_list_is_read_and_what_is_odd_about_it_said() -> None:
    assert form.chosen("17, 3 17;#5") == ((3, 5, 17), "3 features; 1 named again")
    assert form.chosen("8")[0] == (8,)
    many = ",".join(map(str, range(700)))
    assert form.chosen(many)[1] == "700 features; at random 500 of them"
    for wrong in (",", "a,3", "3.5", "1" * 30):
        with pytest.raises(NotFoundError, match="no feature's number"):
            form.chosen(wrong)


def test_named_features_are_those_of_the_experiment(study: Study) -> None:
    subject = features_of(study)
    frequent = [int(n) for n in subject.testable(subject.source.frequent().tolist())][:3]
    seldom = next(n for n in range(200) if n not in set(subject.source.frequent().tolist()))
    plan = Plan(features=4, among=(*frequent, seldom))
    assert experiments.sample(subject, plan) == sorted(frequent)
    quote = queries.estimate_cost(study.name, plan)
    assert (quote.features, quote.left_out) == (3, (seldom,))
    app = opened("experiment", only=",".join(map(str, plan.among)))
    words = text_of(app)
    assert "1 of the named features fire in too few contexts" in words
    app.button(key="start").click().run()
    (first, *_) = queries.experiments(study.name)
    assert first.plan.among == tuple(sorted(plan.among))


@pytest.mark.parametrize(
    ("only", "problem"),
    [
        ("99999,3", "There is no feature 99999"),
        ("-1,3", "There is no feature -1"),
        ("4", "cannot be on 1 feature."),
        (",", "no feature's number"),
        ("a", "no feature's number"),
    ],
)
def test_a_list_that_cannot_be_is_told_and_nothing_starts(
    study: Study, only: str, problem: str
) -> None:
    app = opened("experiment", fine=False, only=only)
    assert problem in text_of(app).replace("&#x27;", "'")
    assert not [button for button in app.button if button.key == "start"]
