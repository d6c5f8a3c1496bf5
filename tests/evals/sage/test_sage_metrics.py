"""SAGE where the truth is known: metrics on a linear model, dictionaries, features that read, and
prompts by hand."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.evals.sage import TASKS, dictionaries, drafts, metrics, tasks
from backend.evals.sage import answers as sage_answers
from backend.evals.sage import tables as sage_tables
from backend.evals.sage.dictionaries import Coded, Supervised
from backend.evals.sage.vocabulary import TEMPLATES, WORDS
from backend.statistics.agreement import constant_f1
from backend.statistics.bootstrap import ratio_of_means, weight_rows
from backend.statistics.intervals import NOTHING

RNG = np.random.default_rng(0)
CODES = np.array(list(product(range(3), range(2), range(4))) * 2)  # every combination, twice
SIZES = [3, 2, 4]


def centred(count: int, width: int) -> np.ndarray:
    rows = RNG.standard_normal((count, width))
    return rows - rows.mean(axis=0)


# x = mean + Σ u exactly, and LD is linear in x
TRUTH = Supervised(RNG.standard_normal(12), tuple(centred(size, 12) for size in SIZES))
X = TRUTH.rebuild(CODES)
READ = RNG.standard_normal(12)
EDITED = CODES.copy()
EDITED[:, 0] = (CODES[:, 0] + 1) % 3


def ld(rows: np.ndarray) -> np.ndarray:
    """Logit differences of a linear model."""
    return (rows - X.mean(axis=0)) @ READ + 2


WEIGHTS = weight_rows(len(X))


@pytest.fixture(scope="module")
def shifted() -> np.ndarray:
    """Prompts of which mean ablation takes something away."""
    return (X - X.mean(axis=0)) @ READ > 0


# ---------------------------------------------------------------- exact


@pytest.mark.parametrize("fit", [dictionaries.means, dictionaries.squares])
def test_a_perfect_dictionary_is_worth_exactly_one(fit: Any, shifted: np.ndarray) -> None:
    fitted = fit(X, CODES, SIZES)
    assert np.allclose(fitted.rebuild(CODES), X)
    for mine, true in zip(fitted.parts, TRUTH.parts, strict=True):
        assert np.allclose(mine, true)
    base = ld(np.broadcast_to(fitted.mean, X.shape))
    parts = [part[shifted] for part in (ld(fitted.rebuild(CODES)), ld(X), base)]
    removed = ld(X - fitted.rebuild(CODES) + fitted.mean)[shifted]
    weights = weight_rows(int(shifted.sum()))
    ones = [
        ratio_of_means(parts[0], parts[1], weights),
        metrics.share_of_change(parts[0], parts[2], parts[1], weights),
        metrics.share_of_change(removed, parts[2], parts[1], weights, folded=True),
    ]
    true = ld(TRUTH.rebuild(EDITED))
    change = fitted.change(CODES, EDITED, [0])
    turned = true - ld(X) > 0.5
    some = weight_rows(int(turned.sum()))
    ones.append(metrics.share_of_change(ld(X + change)[turned], ld(X)[turned], true[turned], some))
    assert np.allclose(ones, 1)


def test_a_useless_dictionary_is_worth_exactly_nothing(shifted: np.ndarray) -> None:
    mean = X.mean(axis=0)
    useless = Supervised(mean, tuple(np.zeros((size, 12)) for size in SIZES))
    rebuilt = useless.rebuild(CODES)
    base = ld(np.broadcast_to(mean, X.shape))
    clean, rebuilt_ld, removed = (
        part[shifted] for part in (ld(X), ld(rebuilt), ld(X - rebuilt + mean))
    )
    weights = weight_rows(int(shifted.sum()))
    true = ld(TRUTH.rebuild(EDITED))
    turned = true - ld(X) > 0.5
    edited = ld(X + useless.change(CODES, EDITED, [0]))
    some = weight_rows(int(turned.sum()))
    zeros = [
        metrics.share_of_change(rebuilt_ld, base[shifted], clean, weights),
        metrics.share_of_change(removed, base[shifted], clean, weights, folded=True),
        metrics.share_of_change(edited[turned], ld(X)[turned], true[turned], some),
    ]
    assert np.allclose(zeros, 0)


def test_where_nothing_is_taken_away_nothing_is_said() -> None:
    clean = np.array([1.0, -1.0, 1.0, -1.0] * 10)
    assert metrics.share_of_change(clean, np.zeros(40), clean, weight_rows(40)) == NOTHING
    assert ratio_of_means(clean + 9, clean, weight_rows(40)) == NOTHING


@pytest.mark.parametrize(("lost", "is_defined"), [(0.01, False), (0.5, True)])
def test_where_mean_ablation_hardly_changes_anything_nothing_is_said(
    lost: float, is_defined: bool
) -> None:
    clean = 4 + 0.1 * RNG.standard_normal(50)
    runs = [("clean", ""), ("kept", "mean"), ("removed", "mean"), ("kept", "sae")]
    runs += [("removed", "sae")]
    ld_ = np.array([clean, *(clean * (1 - share * lost) for share in (1, 0, 0.5, 0.5))])
    names = {"what": pl.String, "dictionary": pl.String}
    table = pl.DataFrame(runs, schema=names, orient="row")
    frame = table.with_columns(edit=pl.lit(""), explained=pl.lit(0.5))
    part: Any = SimpleNamespace(frame=lambda _: frame, array=lambda _: ld_)
    values = {
        row[3]: row[4]
        for row in sage_tables.reconstruction_scores("end", "attn", part)
        if row[2] == "sae"
    }
    assert values["sufficiency"] == pytest.approx(1 - lost / 2)
    assert (values["relative"] is not None, values["necessity"] is not None) == (
        is_defined,
        is_defined,
    )


def test_agreement_counts_turned_prompts_apart() -> None:
    clean, true = np.array([1.0, 1, 1, -1]), np.array([-1.0, -1, 1, -1])
    assert metrics.agreement(clean, clean, true) == (2, 4, 0, 2)
    assert metrics.agreement(true, clean, true) == (4, 4, 2, 2)
    assert metrics.agreement(np.array([-1.0, 1, -1, -1]), clean, true) == (2, 4, 1, 2)


# ---------------------------------------------------------------- dictionaries


def test_means_of_what_depends_are_confounded_and_least_squares_is_not() -> None:
    codes = np.array([[0, 0]] * 6 + [[1, 1]] * 6 + [[0, 1]] * 2 + [[1, 0]] * 2)
    parts = (np.array([[1.0], [-1.0]]), np.array([[0.0], [0.0]]))
    x = Supervised(np.zeros(1), parts).rebuild(codes)
    apart = dictionaries.squares(x, codes, [2, 2])
    assert np.allclose(np.ptp(apart.parts[0]), 2)
    assert np.allclose(apart.parts[1], 0)
    assert np.abs(dictionaries.means(x, codes, [2, 2]).parts[1]).max() > 0.4


def test_attributes_that_say_the_same_leave_the_reconstruction_as_it_is() -> None:
    codes = np.array([[0, 0], [1, 1], [2, 2]] * 5)
    x = np.eye(3)[codes[:, 0]] * 3
    fitted = dictionaries.squares(x, codes, [3, 3])
    assert np.allclose(fitted.rebuild(codes), x)
    assert np.allclose(fitted.parts[0], fitted.parts[1])


def test_a_value_nobody_has_seen_is_not_known() -> None:
    codes = np.array([[0], [1], [0]])
    for fit in (dictionaries.means, dictionaries.squares):
        fitted = fit(RNG.standard_normal((3, 4)), codes, [3])
        assert np.isnan(fitted.parts[0][2]).all()
        assert np.isfinite(fitted.rebuild(codes)).all()


def test_the_nearest_mean_reads_an_attribute() -> None:
    fitted = dictionaries.means(X, CODES, SIZES)
    far = Supervised(fitted.mean, (fitted.parts[0] * 50, *fitted.parts[1:]))
    assert (dictionaries.nearest(far, far.rebuild(CODES), 0) == CODES[:, 0]).all()


def coded(rows: np.ndarray, features: list[list[int]], values: list[list[float]]) -> Coded:
    return Coded(rows, np.zeros(rows.shape[1]), np.array(features), np.array(values))


def test_codes_are_rebuilt_from_active_rows_alone() -> None:
    rows = np.eye(4)
    codes = coded(rows, [[0, 3], [2, -1]], [[2.0, 1.0], [5.0, 0.0]])
    assert codes.rebuild().tolist() == [[2, 0, 0, 1], [0, 0, 5, 0]]
    assert codes.active().tolist() == [[True, False, False, True], [False, False, True, False]]
    assert codes.value_of(np.array([3, 0])).tolist() == [1, 0]


def test_our_projection_is_the_least_squares_fit() -> None:
    rows, x = dictionaries.random_rows(9, 6, 0), RNG.standard_normal((5, 6))
    features = np.array([[0, 4, 7], [1, 2, -1], [8, -1, -1], [3, 5, 6], [-1, -1, -1]])
    rebuilt = dictionaries.project(x, np.ones(6), rows, features).rebuild()
    for row, active in enumerate(features):
        used = rows[active[active >= 0]]
        if len(used):
            by_hand = used.T @ np.linalg.lstsq(used.T, x[row] - 1, rcond=None)[0]
            assert np.allclose(rebuilt[row], 1 + by_hand)
        else:
            assert np.allclose(rebuilt[row], 1)


def test_a_random_dictionary_is_as_sparse_and_its_rows_are_units() -> None:
    rows, x = dictionaries.random_rows(50, 6, 0), RNG.standard_normal((2, 6))
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)
    like = np.array([[4, 9, 2], [7, -1, -1]])
    codes_of_x = dictionaries.pursue(x, np.zeros(6), rows, like)
    assert ((codes_of_x.features >= 0).sum(axis=1) == [3, 1]).all()
    assert codes_of_x.features[1, 0] == np.abs(rows @ x[1]).argmax()


def test_edits_are_greedy_towards_the_counterfactual() -> None:
    rows = np.eye(4)
    old = coded(rows, [[0, 1]], [[3.0, 1.0]])
    new = coded(rows, [[1, 2]], [[1.0, 2.0]])
    target = new.rebuild() - old.rebuild()
    changes = dictionaries.edits(old, new, target, (1, 2, 8))[:, 0]
    assert changes.tolist() == [[-3, 0, 0, 0], [-3, 0, 2, 0], [-3, 0, 2, 0]]
    away = dictionaries.edits(old, new, -target, (1, 8))
    assert not away.any()  # every change would take it farther


@given(st.integers(0, 1000))
def test_more_features_bring_an_edit_no_farther(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = dictionaries.random_rows(20, 5, seed)
    x, y = rng.standard_normal((2, 3, 5))
    like = np.tile(np.arange(4), (3, 1))
    old, new = (dictionaries.pursue(part, np.zeros(5), rows, like) for part in (x, y))
    changes = dictionaries.edits(old, new, y - x, (1, 2, 4, 8))
    apart = np.linalg.norm(changes - (y - x), axis=2)
    assert (np.diff(apart, axis=0) <= 1e-9).all()


# ---------------------------------------------------------------- what is read


def test_f1_of_every_feature_is_that_by_hand() -> None:
    active, codes = RNG.random((30, 7)) < 0.4, RNG.integers(3, size=30)
    scores = metrics.table(active, codes, 3)
    for value, feature in product(range(3), range(7)):
        fires, right = active[:, feature], codes == value
        precision, recall = (fires & right).sum() / fires.sum(), (fires & right).sum() / right.sum()
        by_hand = 2 * precision * recall / (precision + recall) if precision else 0
        assert scores[value, feature] == pytest.approx(by_hand)


def test_a_union_takes_what_helps_and_stops() -> None:
    truth = np.array([1, 1, 1, 1, 0, 0], dtype=bool)
    active = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [1, 1, 1, 0, 1, 1]], dtype=bool).T
    assert sorted(metrics.union(active[:, :2], truth)) == [0, 1]
    assert metrics.union(~truth[:, None], truth) == []
    assert len(metrics.union(np.eye(20, dtype=bool), np.ones(20, dtype=bool))) == metrics.UNION


def test_one_feature_for_several_values_beats_always_yes() -> None:
    codes = np.repeat(np.arange(4), 10)
    active = np.column_stack([np.ones(40), np.isin(codes, [1, 3])]).astype(bool)
    feature, values, f1 = metrics.best_value_union(active, codes, 4)
    assert (feature, sorted(values), f1) == (1, [1, 3], 1.0)


def test_shuffled_values_read_no_better_than_chance() -> None:
    codes = np.repeat(np.arange(4), 50)
    active = np.column_stack([codes == value for value in range(4)])
    assert (metrics.table(active, codes, 4).max(axis=1) == 1).all()
    null = metrics.shuffled_f1(active, codes, active, codes, 4, seed=0)
    assert (null < 0.5).all()
    assert constant_f1(float((codes == 0).mean())) == pytest.approx(0.4)


# ---------------------------------------------------------------- the gate


def gate(ld: np.ndarray) -> dict[str, Any]:
    return sage_answers.gate_row("ioi", "24 of 24 names", "", ld)


def test_a_task_is_solved_only_where_both_conditions_hold() -> None:
    good = np.array([np.linspace(1, 3, 40), np.linspace(-3, -1, 40)])
    assert gate(good)["solved"]
    assert gate(good)["kept"] == 0
    assert not gate(-good)["solved"]
    unsure = gate(np.array([[9.0, -8.0] * 20, [0.0] * 40]))
    assert not unsure["solved"]
    assert "reaches 0" in unsure["problem"]
    lucky = gate(np.array([[20.0] * 24 + [-1.0] * 16, [0.0] * 40]))
    assert lucky["low"] > 0
    assert "accuracy" in lucky["problem"]
    assert not sage_answers.gate_row("ioi", "", "too few words", None)["solved"]


# ---------------------------------------------------------------- prompts


@pytest.mark.parametrize("task", TASKS)
def test_counterfactuals_change_what_they_say_and_nothing_else(task: str) -> None:
    words = {kind: list(listed) for kind, listed in WORDS[task].items()}
    rows = drafts.draw_prompts(task, np.random.default_rng(0), words, TEMPLATES[task][0])
    for _ in range(50):
        clean, *others = next(rows)
        assert set(clean.roles) | {"end"} == set(tasks.ROLES[task])
        for other, (_, changed) in zip(others, tasks.EDITS[task].items(), strict=True):
            differ = {
                name
                for name, one, two in zip(
                    tasks.ATTRIBUTES[task], clean.attributes, other.attributes, strict=True
                )
                if one != two
            }
            assert differ == set(changed)
            assert other.template == clean.template
            assert drafts.write_prompt(other)[0] != drafts.write_prompt(clean)[0]
        text, spans = drafts.write_prompt(clean)
        assert all(text[a:b] == clean.fills[name] for name, (a, b) in spans.items())
        assert clean.pair[0] != clean.pair[1]


def test_the_answer_of_each_task_is_the_right_one() -> None:
    def some(task: str, seed: int) -> list[Any]:
        words = {kind: list(listed) for kind, listed in WORDS[task].items()}
        rng = np.random.default_rng(seed)
        return next(drafts.draw_prompts(task, rng, words, TEMPLATES[task][1]))

    capitals = dict(pair.split("/") for pair in WORDS["capital"]["countries"])
    for seed in range(20):
        clean = some("ioi", seed)[0]
        assert clean.fills["S"] != clean.pair[0]
        assert {clean.fills["A"], clean.fills["B"]} == set(clean.pair)
        clean = some("induction", seed)[0]
        number = "1" if clean.fills["Q"] == clean.fills["K1"] else "2"
        assert clean.fills[f"V{number}"] == clean.pair[0]
        clean = some("agreement", seed)[0]
        plural = any(clean.fills["N"] == noun.split("/")[1] for noun in WORDS["agreement"]["nouns"])
        assert clean.pair[0] == ("are" if plural else "is")
        clean = some("capital", seed)[0]
        assert clean.pair[0] == capitals[clean.fills["C"]]


def test_no_test_template_is_a_train_template() -> None:
    for train, test in TEMPLATES.values():
        assert not set(train) & set(test)
        assert len(set(train)) == len(train)


def test_guess_and_truth_are_compared_by_rank_and_sign() -> None:
    frame = pl.DataFrame(
        {"drawn": ["first"] * 6 + ["random"] * 6 + ["site"],
         "estimate": [*range(1, 7), *range(1, 7), 9], "effect": [*range(2, 8), *range(-7, -1), -9]}
    )  # fmt: skip
    wide = pl.when(pl.col("effect") == 2).then(3).otherwise(0.5)  # one that may as well be 0
    frame = frame.with_columns(low=pl.col("effect") - wide, high=pl.col("effect") + wide)
    rows = {row["drawn"]: row for row in sage_tables.agreement_table(frame).to_dicts()}
    assert rows["first"]["spearman"] == pytest.approx(1)
    assert (rows["first"]["same"], rows["random"]["same"]) == (1, 0)
    assert (rows["all"]["n"], rows["all"]["signed"], rows["first"]["signed"]) == (12, 11, 5)
    assert rows["all"]["low"] < rows["all"]["spearman"] < rows["all"]["high"]
