"""Scores of planted labels: what a judge that knows gets, one that guesses, one that fails."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from backend.experiments import experiment as experiments
from backend.labels import judges, kinds, scorers, trials, words
from backend.labels.judges import LikelihoodJudge, Question, WriterJudge
from backend.labels.kinds import SCORERS
from backend.labels.kinds.base import Scorer
from backend.labels.kinds.detection import DETECTION
from backend.labels.subjects import setting_of
from backend.labels.tables import Score
from backend.schema import LlmError, LlmUnavailableError, NotFoundError, Plan
from tests.helpers.judging import (
    COLOURS,
    TASKS,
    ScriptedPredictor,
    ScriptedWriter,
    WordEmbedder,
    coin,
    detection,
    fits,
    judge_all,
    planted,
    value,
)

# ---------------------------------------------------------------- skill and chance


@pytest.mark.parametrize("task", TASKS)
def test_a_judge_that_knows_scores_high(task: Callable[..., list[Score]]) -> None:
    judge = WriterJudge(ScriptedWriter(fits))
    result = [score for f in range(20) for score in task("colours", planted(f), judge, "oracle")]
    assert all(value(score) >= 0.95 and score.n == 20 for score in result)
    assert all(score.low < value(score) <= score.high for score in result)
    assert {(score.split, score.kind, score.chance, score.seed) for score in result} == {
        ("range", "other", 0.5, 3)
    }


@pytest.mark.parametrize("task", TASKS)
def test_a_judge_that_guesses_is_at_chance(task: Callable[..., list[Score]]) -> None:
    judge = WriterJudge(ScriptedWriter(coin))
    result = [score for f in range(200) for score in task("colours", planted(f), judge, "coin")]
    row = scorers.summary(scorers.table(result)).row(0, named=True)
    assert row["low"] < 0.5 < row["high"]
    assert row["high"] - row["low"] < 0.05
    assert row["features"] == 200
    assert np.mean([score.low <= 0.5 <= score.high for score in result]) >= 0.93


def test_likelihoods_are_read_by_their_ranks() -> None:
    def noisy(text: str) -> float:
        return 0.9 + 0.03 * fits(text) + 0.02 * (zlib.crc32(text.encode()) % 97) / 97

    for task in TASKS:
        knows = ScriptedPredictor(noisy)
        both = task("colours", planted(1), LikelihoodJudge(knows), "m")
        assert [score.scorer for score in both] == [both[0].scorer, f"{both[0].scorer}_auroc"]
        assert [score.value for score in both] == [1.0, 1.0]
        assert "median" in both[0].judge
        assert (both[0].tp, both[0].tn) == (10, 10)
        assert (both[1].tp, both[1].n) == (None, 20)
        assert knows.asked == [" colours"] * 20


@pytest.mark.parametrize("task", TASKS)
def test_likelihoods_that_do_not_depend_on_the_text_are_at_chance(
    task: Callable[..., list[Score]],
) -> None:
    same = LikelihoodJudge(ScriptedPredictor(lambda _: 0.97))
    assert [score.value for score in task("x", planted(1), same, "m")] == [0.5, 0.5]
    # an empty label is as likely after every text, even to a judge that knows
    knows = LikelihoodJudge(ScriptedPredictor(lambda text: 0.1 + 0.8 * fits(text)))
    assert [score.value for score in task("", planted(1), knows, "m")] == [0.5, 0.5]


def test_likelihoods_without_sense_are_at_chance() -> None:
    likely = ScriptedPredictor(lambda text: 0.9 + zlib.crc32(text.encode()) / 2**36)
    judge = LikelihoodJudge(likely)
    guesses = [each for f in range(200) for each in detection("x", planted(f), judge, "m")]
    for row in scorers.summary(scorers.table(guesses)).iter_rows(named=True):
        assert row["low"] < 0.5 < row["high"]


def test_a_labels_own_likelihood_moves_no_verdict() -> None:
    """Texts are compared under one label; questions asked together do not mix."""
    texts = [trials.trial("detection", "x", planted(f)).question.texts for f in (1, 2)]
    requests = [judges.Question("detection", "colours", each) for each in texts]

    class Partial(ScriptedPredictor):
        def likelihoods(self, prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
            return super().likelihoods(prompts, answers) + np.repeat([0.0, -9.0], [20, 20])

    rare = Partial(lambda text: 0.1 + 0.8 * fits(text))
    for each, verdicts in zip(texts, LikelihoodJudge(rare).judge(requests), strict=True):
        assert list(verdicts.answers) == [int(fits(text)) for text in each]
    assert LikelihoodJudge(ScriptedPredictor(fits)).judge([]) == []


def test_prompts_of_a_task_begin_alike_and_do_not_hold_the_label() -> None:
    """So the cases are run once, and only what is likely after the text counts."""
    first, second = (judges.completion("fuzzing", text) for text in ("a <<b>>", 'c\n"d"'))
    cut = first.rindex("Text: ")
    assert first[:cut] == second[:cut]
    assert first[cut:] == 'Text: "a <<b>>"\nThe marked words are:'
    assert second[cut:] == 'Text: "c\\n\\"d\\""\nThe marked words are:'
    for task in ("detection", "fuzzing"):
        assert len(judges.completion(task, "a").split("\n\n")) == len(SCORERS[task].shots) + 1


# ---------------------------------------------------------------- failures


def test_failed_replies_are_counted_and_move_nothing() -> None:
    def garbles(prompt: str) -> bool:
        return coin(prompt.partition("\n")[2])

    def poor(text: str) -> bool:
        return fits(text) if zlib.crc32(text.encode()) % 5 else coin(text)

    writer = ScriptedWriter(poor, garbles)
    trial_of = [trials.trial("detection", "colours", planted(f)) for f in range(60)]
    result = judge_all(trial_of, WriterJudge(writer))
    failed = 0
    for each, score in zip(trial_of, result, strict=True):
        texts = each.question.texts
        saved = [
            place + inner
            for place in range(0, 20, 5)
            for inner in range(5)
            if not garbles(judges.conversation(each.question, texts[place : place + 5])[1].content)
        ]
        assert (score.n, score.failures) == (len(saved), 20 - len(saved))
        failed += score.failures
        truth = [each.truth[place] for place in saved]
        if len(set(truth)) == 2:
            answers = [poor(texts[place]) for place in saved]
            assert score.value == pytest.approx(balanced_accuracy_score(truth, answers), abs=1e-12)
        else:
            assert (score.value, score.low, score.high) == (None, 0, 1)
    assert 0.4 < failed / 1200 < 0.6
    assert len(writer.asked) == 240 + failed // 5  # one more try for each that failed
    row = scorers.summary(scorers.table(result)).row(0, named=True)
    assert (row["failures"], row["n"]) == (failed, 1200 - failed)
    assert row["unscored"] == sum(score.value is None for score in result)


def test_a_bad_reply_is_asked_for_once_more_in_other_words() -> None:
    writer = ScriptedWriter(fits)
    first: set[str] = set()

    def fails_once(prompt: str) -> bool:
        new = prompt not in first
        first.add(prompt)
        return new

    writer.garbles = fails_once
    (score,) = detection("colours", planted(2), WriterJudge(writer), "m")
    assert (score.value, score.failures, len(writer.asked)) == (1.0, 0, 8)
    roles = sorted(tuple(turn.role for turn in requests) for requests in writer.asked)
    assert roles == [("system", "user")] * 4 + [("system", "user", "assistant", "user")] * 4


def test_an_error_fails_its_prompt_and_is_raised_where_nothing_is_answered() -> None:
    evidence = planted(2)
    texts = trials.trial("detection", "colours", evidence).question.texts

    def refuse(prompt: str) -> bool:
        raise LlmError("No answer.", "Ask later.")

    def refuse_first(prompt: str) -> bool:
        return texts[0] in prompt and refuse(prompt)

    some = WriterJudge(ScriptedWriter(fits, refuse_first))
    (score,) = detection("colours", evidence, some, "m")
    assert (score.n, score.failures, score.value) == (15, 5, 1.0)
    with pytest.raises(LlmError, match="Ask later"):
        detection("colours", evidence, WriterJudge(ScriptedWriter(fits, refuse)), "m")


@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_a_writer_that_cannot_be_asked_now_fails_no_excerpt(before: int) -> None:
    """Neither at first nor where it is asked once more."""
    down = LlmUnavailableError("The cap is reached.", "Raise it.")
    prompts: list[str] = []

    def garbles(prompt: str) -> bool:
        prompts.append(prompt)
        if len(prompts) > before:
            raise down
        return True

    judge = WriterJudge(ScriptedWriter(fits, garbles))
    with pytest.raises(LlmUnavailableError, match="cap is reached"):
        judge.judge([judges.Question("detection", "colours", ("a",) * 10)])
    assert len(prompts) == before + 1


def test_a_probability_that_is_no_number_is_a_failure() -> None:
    evidence = planted(3)
    lost = trials.trial("detection", "colours", evidence).question.texts[4]
    likely = ScriptedPredictor(lambda t: np.nan if t == lost else 0.5 + 0.1 * fits(t))
    judge = LikelihoodJudge(likely)
    plain, ranked = detection("colours", evidence, judge, "m")
    assert (plain.n, plain.failures, ranked.n, ranked.value) == (19, 1, 19, 1.0)


@pytest.mark.parametrize(
    ("reply", "answers"),
    [
        ("[1, 0, 1]", (1, 0, 1)),
        ("```json\n[0,0,1]\n```", (0, 0, 1)),
        ("Of [3] excerpts: [1, 1, 1].", (1, 1, 1)),
        ("[1, 0]", None),
        ("[1, 0, 1, 0]", None),
        ("[1, 0, 2]", None),
        ("[1, 0, true]", None),
        ("[1.0, 0, 1]", None),
        ('["1", "0", "1"]', None),
        ("1, 0, 1", None),
        ("[1, 0,", None),
        ("", None),
    ],
)
def test_only_a_list_of_as_many_zeros_and_ones_is_an_answer(
    reply: str, answers: tuple[int, ...] | None
) -> None:
    assert judges.parse(reply, 3) == answers


# ---------------------------------------------------------------- embedding


def test_a_label_of_the_right_words_embeds_nearer() -> None:
    result = [
        score
        for f in range(20)
        for score in scorers.embedding(" ".join(COLOURS), planted(f), WordEmbedder())
    ]
    gaps, ranks = result[::2], result[1::2]
    assert all(value(score) > 0 and score.low <= value(score) <= score.high for score in gaps)
    assert all(value(score) >= 0.95 and score.setting == "window 20" for score in ranks)
    assert {score.chance for score in gaps} == {0.0}
    requests = trials.trial("detection", "", planted(0), window=20)
    vectors = WordEmbedder().embed([" ".join(COLOURS), *requests.question.texts]).astype(np.float64)
    near = vectors[1:] @ vectors[0]
    assert ranks[0].value == pytest.approx(roc_auc_score(requests.truth, near), abs=1e-12)
    true = np.array(requests.truth) == 1
    assert gaps[0].value == pytest.approx(near[true].mean() - near[~true].mean(), abs=1e-12)


def test_a_window_keeps_the_peak_before_an_embedder_that_reads_little() -> None:
    label, short = " ".join(COLOURS), WordEmbedder(reads=13)
    _, cut = scorers.embedding(label, planted(5), short, window=6)
    _, whole = scorers.embedding(label, planted(5), short, window=None)
    assert cut.value == 1.0
    assert whole.low < 0.5 < whole.high
    assert (cut.setting, whole.setting) == ("window 6", "whole contexts")


# ---------------------------------------------------------------- controls, many features


@settings(max_examples=50)
@given(
    st.dictionaries(st.integers(0, 999), st.text(min_size=1), min_size=2, max_size=20),
    st.integers(0, 9),
)
def test_controls_are_the_labels_of_others(labels: dict[int, str], seed: int) -> None:
    assert sorted(scorers.shuffled(labels, seed).values()) == sorted(labels.values())
    numbered = {feature: f"{feature}" for feature in labels}
    moved = scorers.shuffled(numbered, seed)
    assert all(moved[feature] != numbered[feature] for feature in labels)
    assert moved == scorers.shuffled(numbered, seed)


def test_there_is_no_shuffling_one_label() -> None:
    with pytest.raises(ValueError, match="two"):
        scorers.shuffled({1: "alone"})


def scored(method: str, feature: int, mean: float | None) -> Score:
    (one,) = detection("x", planted(0), WriterJudge(ScriptedWriter(coin)), method)
    return replace(one, feature=feature, value=mean)


def test_means_and_paired_differences_are_those_of_t() -> None:
    rng = np.random.default_rng(5)
    base = rng.uniform(0.4, 0.8, size=12)
    better = base + rng.normal(0.05, 0.02, size=12)
    result = [scored("plain", f, mean) for f, mean in enumerate(base)]
    result += [scored("better", f, mean) for f, mean in enumerate(better)]
    result += [scored("better", 50, None), scored("better", 3, better[3])]
    rows = {
        row["method"]: row for row in scorers.summary(scorers.table(result)).iter_rows(named=True)
    }
    own = scipy.stats.ttest_1samp(base, 0).confidence_interval()
    assert (rows["plain"]["low"], rows["plain"]["high"]) == pytest.approx(tuple(own))
    assert rows["better"]["mean"] == pytest.approx(better.mean())
    assert (rows["better"]["features"], rows["better"]["unscored"]) == (12, 1)
    (row,) = scorers.differences(scorers.table(result)).iter_rows(named=True)
    paired = scipy.stats.ttest_rel(better, base).confidence_interval()
    assert (row["method"], row["other"], row["features"]) == ("better", "plain", 12)
    assert (row["low"], row["high"]) == pytest.approx(tuple(paired))
    assert row["smallest"] < row["difference"]


def test_unlike_scores_are_never_averaged() -> None:
    one = scored("m", 1, 0.6)
    result = [one, replace(one, kind="silent"), replace(one, setting="window 5")]
    assert scorers.summary(scorers.table(result))["features"].to_list() == [1, 1, 1]
    assert scorers.summary(scorers.table(result))["low"].to_list() == [None] * 3
    assert scorers.summary(scorers.table([])).is_empty()
    assert scorers.differences(scorers.table([])).is_empty()


# ---------------------------------------------------------------- the registry

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
    error, _ = judges.conversation(Question("toy", "joy", ("Ha!",)), ("Ha!",))
    assert error.content.startswith(TOY.duty)
    assert judges.completion("toy", "Oh").endswith("It smiles:")
    trial = trials.trial("toy", "joy", planted(1))
    verdicts = judges.Verdicts(trial.truth, tuple(map(float, trial.truth)))
    scores = scorers.scored(trial, verdicts, "judge")
    assert [(score.scorer, score.value) for score in scores] == [("toy", 1.0), ("toy_auroc", 1.0)]


def test_the_plan_begins_with_scorers_that_there_are() -> None:
    assert set(Plan().scorers) <= set(words.scorer_names())


def test_other_words_for_the_judge_make_other_judgements() -> None:
    wordings = {
        each.wording
        for each in (
            DETECTION,
            replace(DETECTION, duty="Say yes."),
            replace(DETECTION, cue="So:"),
            replace(DETECTION, shots=()),
            replace(DETECTION, version=2),
        )
    }
    assert len(wordings) == 5
    assert setting_of(Plan(), "detection").wording == DETECTION.wording


def test_a_scorer_that_tells_the_judge_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="overlap has no `duty`"):
        kinds.by_name(DETECTION, Scorer("overlap", "shared words"))
    with pytest.raises(ValueError, match="two scorers are named detection"):
        kinds.by_name(DETECTION, DETECTION)
