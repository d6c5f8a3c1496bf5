"""Scores of planted labels: what a judge that knows gets, one that guesses, one that fails."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from backend.experiments import experiment as experiments
from backend.labels import judges, scorers, trials, words
from backend.labels.contract import GREEDY, Draw, Evidence, Excerpt, Message
from backend.labels.judges import Judge, LikelihoodJudge, Question, WriterJudge
from backend.labels.kinds import SCORERS, fuzzing
from backend.labels.kinds.base import Scorer
from backend.labels.trials import Trial
from backend.schema import LlmError, LlmUnavailableError, NotFoundError, Plan
from backend.statistics import estimates

COLOURS = "amber blue crimson green indigo".split()
WORDS = [f"{a}{b}" for a in "mo ta ri ske lun".split() for b in "na bel dor vik sum pa".split()]
LENGTH = 40  # words a context, one a token


# ---------------------------------------------------------------- planted evidence


def context(row: int, fires: Sequence[int], rng: np.random.Generator) -> Excerpt:
    """Words without sense, with a colour wherever the feature fires; unlike lengths."""
    length = LENGTH - int(rng.integers(7))
    words = [str(rng.choice(COLOURS if at in fires else WORDS)) for at in range(length)]
    values = [float(rng.uniform(2, 5)) if at in fires else 0.0 for at in range(length)]
    peak = int(np.argmax(values)) if fires else -1
    pieces = tuple(f" {word}" for word in words)
    return Excerpt(row + max(peak, 0), pieces, tuple(values), peak)


def planted(feature: int, count: int = 10) -> Evidence:
    """A feature that fires on runs of colours late in a context; what fires in the negatives does
    so once and early."""
    rng = np.random.default_rng([7, feature])
    rows = iter(range(0, LENGTH * 4 * count, LENGTH))

    def positive() -> Excerpt:
        first = int(rng.integers(20, 28))
        return context(next(rows), range(first, first + int(rng.integers(1, 5))), rng)

    train, test = (tuple(positive() for _ in range(count)) for _ in range(2))
    negatives = tuple(context(next(rows), (), rng) for _ in range(count))
    foreign = tuple(
        tuple(float(at == place) for at in range(len(each.pieces)))
        for each, place in zip(negatives, rng.integers(0, 15, size=count), strict=True)
    )
    return Evidence(feature, 5.0, train, test, negatives, foreign, "range", "other", 3, "planted")


# ---------------------------------------------------------------- judges of known skill


def fits(text: str) -> bool:
    """What an oracle says: a colour among the marked words, or anywhere where none is marked."""
    marked = " ".join(re.findall(r"<<(.*?)>>", text)) or text
    return any(colour in marked for colour in COLOURS)


def coin(text: str) -> bool:
    return bool(zlib.crc32(text.encode()) >> 7 & 1)


class ScriptedWriter:
    """Answers by a rule for each excerpt; `garbles` says on which prompts it talks instead."""

    name = "scripted"

    def __init__(
        self, rule: Callable[[str], bool], garbles: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.rule, self.garbles = rule, garbles
        self.asked: list[Sequence[Message]] = []

    def write(self, messages: Sequence[Message], draw: Draw = GREEDY) -> str:
        assert draw.temperature == 0
        self.asked.append(messages)
        if self.garbles(messages[1].content):
            return "Hard to say: [1, 2]"
        return f"Sure: {[int(self.rule(text)) for text in shown(messages)]}"


def shown(messages: Sequence[Message]) -> list[str]:
    return [json.loads(line) for line in re.findall(r"(?m)^\d+\. (.*)$", messages[1].content)]


class ScriptedPredictor:
    """Finds a label as likely after a text as a rule says, whatever the label."""

    name = "leaning"

    def __init__(self, likely: Callable[[str], float]) -> None:
        self.likely = likely
        self.asked: list[str] = []  # answers

    def likelihoods(self, prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
        self.asked += answers
        texts = [json.loads(re.findall(r"(?m)^Text: (.*)$", prompt)[-1]) for prompt in prompts]
        pairs = zip(texts, answers, strict=True)
        return np.log([self.likely(text) if answer else 1.0 for text, answer in pairs])


class WordEmbedder:
    """Bags of words as unit vectors, of the first `reads` words of a text."""

    name = "bags"

    def __init__(self, reads: int = 1000) -> None:
        self.reads = reads

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        known = {word: at for at, word in enumerate([*COLOURS, *WORDS])}
        bags = np.full((len(texts), len(known)), 1e-3)
        for bag, text in zip(bags, texts, strict=True):
            for word in text.split()[: self.reads]:
                bag[known[word]] += 1
        return (bags / np.linalg.norm(bags, axis=1, keepdims=True)).astype(np.float32)


def value(found: scorers.Score | estimates.Estimate) -> float:
    assert found.value is not None
    return found.value


def judged(trials: Sequence[Trial], judge: Judge) -> list[scorers.Score]:
    """Scores of trials that a judge is asked together."""
    verdicts = judge.judge([each.question for each in trials])
    pairs = zip(trials, verdicts, strict=True)
    return [score for each, one in pairs for score in scorers.scored(each, one, judge.name)]


def detection(
    label: str, evidence: Evidence, judge: Judge, method: str, scorer: str = "detection", **how: Any
) -> list[scorers.Score]:
    return judged([trials.trial(scorer, label, evidence, method, **how)], judge)


TASKS = (detection, partial(detection, scorer="fuzzing"))


# ---------------------------------------------------------------- skill and chance


@pytest.mark.parametrize("task", TASKS)
def test_a_judge_that_knows_scores_high(task: Callable[..., list[scorers.Score]]) -> None:
    judge = WriterJudge(ScriptedWriter(fits))
    found = [score for f in range(20) for score in task("colours", planted(f), judge, "oracle")]
    assert all(value(score) >= 0.95 and score.n == 20 for score in found)
    assert all(score.low < value(score) <= score.high for score in found)
    assert {(score.split, score.kind, score.chance, score.seed) for score in found} == {
        ("range", "other", 0.5, 3)
    }


@pytest.mark.parametrize("task", TASKS)
def test_a_judge_that_guesses_is_at_chance(task: Callable[..., list[scorers.Score]]) -> None:
    judge = WriterJudge(ScriptedWriter(coin))
    found = [score for f in range(200) for score in task("colours", planted(f), judge, "coin")]
    row = scorers.summary(found).row(0, named=True)
    assert row["low"] < 0.5 < row["high"]
    assert row["high"] - row["low"] < 0.05
    assert row["features"] == 200
    assert np.mean([score.low <= 0.5 <= score.high for score in found]) >= 0.93


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
    task: Callable[..., list[scorers.Score]],
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
    for row in scorers.summary(guesses).iter_rows(named=True):
        assert row["low"] < 0.5 < row["high"]


def test_a_labels_own_likelihood_moves_no_verdict() -> None:
    """Texts are compared under one label; questions asked together do not mix."""
    texts = [trials.trial("detection", "x", planted(f), "m").question.texts for f in (1, 2)]
    asked = [judges.Question("detection", "colours", each) for each in texts]

    class Partial(ScriptedPredictor):
        def likelihoods(self, prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
            return super().likelihoods(prompts, answers) + np.repeat([0.0, -9.0], [20, 20])

    rare = Partial(lambda text: 0.1 + 0.8 * fits(text))
    for each, verdicts in zip(texts, LikelihoodJudge(rare).judge(asked), strict=True):
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
    trial_of = [trials.trial("detection", "colours", planted(f), "m") for f in range(60)]
    found = judged(trial_of, WriterJudge(writer))
    failed = 0
    for each, score in zip(trial_of, found, strict=True):
        texts = each.question.texts
        kept = [
            at + inner
            for at in range(0, 20, 5)
            for inner in range(5)
            if not garbles(judges.conversation(each.question, texts[at : at + 5])[1].content)
        ]
        assert (score.n, score.failures) == (len(kept), 20 - len(kept))
        failed += score.failures
        truth = [each.truth[at] for at in kept]
        if len(set(truth)) == 2:
            said = [poor(texts[at]) for at in kept]
            assert score.value == pytest.approx(balanced_accuracy_score(truth, said), abs=1e-12)
        else:
            assert (score.value, score.low, score.high) == (None, 0, 1)
    assert 0.4 < failed / 1200 < 0.6
    assert len(writer.asked) == 240 + failed // 5  # one more try for each that failed
    row = scorers.summary(found).row(0, named=True)
    assert (row["failures"], row["n"]) == (failed, 1200 - failed)
    assert row["unscored"] == sum(score.value is None for score in found)


def test_a_bad_reply_is_asked_for_once_more_in_other_words() -> None:
    writer = ScriptedWriter(fits)
    first: set[str] = set()

    def once(prompt: str) -> bool:
        new = prompt not in first
        first.add(prompt)
        return new

    writer.garbles = once
    (score,) = detection("colours", planted(2), WriterJudge(writer), "m")
    assert (score.value, score.failures, len(writer.asked)) == (1.0, 0, 8)
    roles = sorted(tuple(turn.role for turn in asked) for asked in writer.asked)
    assert roles == [("system", "user")] * 4 + [("system", "user", "assistant", "user")] * 4


def test_an_error_fails_its_prompt_and_is_raised_where_nothing_is_answered() -> None:
    evidence = planted(2)
    texts = trials.trial("detection", "colours", evidence, "m").question.texts

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
    lost = trials.trial("detection", "colours", evidence, "m").question.texts[4]
    likely = ScriptedPredictor(lambda t: np.nan if t == lost else 0.5 + 0.1 * fits(t))
    judge = LikelihoodJudge(likely)
    plain, ranked = detection("colours", evidence, judge, "m")
    assert (plain.n, plain.failures, ranked.n, ranked.value) == (19, 1, 19, 1.0)


@pytest.mark.parametrize(
    ("reply", "read"),
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
    reply: str, read: tuple[int, ...] | None
) -> None:
    assert judges.parse(reply, 3) == read


# ---------------------------------------------------------------- what judges are shown


@pytest.mark.parametrize("part", ["test", "negatives"])
@pytest.mark.parametrize("window", [None, 4])
def test_no_score_on_what_a_label_was_made_from(part: str, window: int | None) -> None:
    evidence = planted(0)
    leaky = replace(evidence, **{part: (*getattr(evidence, part)[1:], evidence.train[3])})
    judge = WriterJudge(ScriptedWriter(fits))
    for task in TASKS:
        with pytest.raises(ValueError, match=f"train and {part} share a context"):
            task("colours", leaky, judge, "m", window=window)
    with pytest.raises(ValueError, match="share a context"):
        scorers.embedding("blue", leaky, WordEmbedder(), "m", window=window)


def test_judges_see_held_out_excerpts_alone_as_many_of_both_in_one_order() -> None:
    evidence = planted(4)
    uneven = replace(evidence, negatives=evidence.negatives[:6], foreign=evidence.foreign[:6])
    one = trials.trial("detection", "colours", uneven, "one")
    assert sum(one.truth) == 6
    assert len(one.truth) == 12
    held = {each.text: 1 for each in evidence.test} | {each.text: 0 for each in evidence.negatives}
    assert [held[text] for text in one.question.texts] == list(one.truth)
    assert sorted(one.truth) != list(one.truth) != sorted(one.truth, reverse=True)
    assert trials.trial("detection", "rivers", uneven, "other").question.texts == one.question.texts
    moved = trials.trial("detection", "colours", replace(uneven, seed=4), "one")
    assert moved.question.texts != one.question.texts


def marked_words(text: str) -> list[int]:
    """Indices of the words inside << >>."""
    found, inside = [], False
    for at, word in enumerate(text.split()):
        inside = inside or word.startswith("<<")
        found += [at] if inside else []
        inside = inside and not word.endswith(">>")
    return found


def separation(marks: trials.Marks, window: int | None) -> list[estimates.Estimate]:
    """AUROC of the number of marks and of their mean place, of positives against negatives."""
    rows = []
    for feature in range(120):
        asked = trials.trial("fuzzing", "", planted(feature), "m", marks=marks, window=window)
        for text, true in zip(asked.question.texts, asked.truth, strict=True):
            at = marked_words(text)
            rows.append((true, len(at), np.mean(at)))
    true, *features = map(np.array, zip(*rows, strict=True))
    return [estimates.auroc(each[true == 1], each[true == 0]) for each in features]


@pytest.mark.parametrize("window", [None, 8])
def test_matched_marks_do_not_give_the_class_away(window: int | None) -> None:
    assert all(found.low <= 0.5 <= found.high for found in separation("matched", window))


def test_marks_in_the_posts_manner_can() -> None:
    count, place = separation("post", None)
    assert count.low > 0.6
    assert place.low > 0.9
    silent = replace(planted(0), foreign=tuple((0.0,) * len(f) for f in planted(0).foreign))
    with pytest.raises(ValueError, match="matched"):
        trials.trial("fuzzing", "", silent, "m", marks="post")


@given(st.data())
def test_matched_patterns_fit_and_keep_their_shape(data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=8))
    marks = [sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1))) for n in lengths]
    others = data.draw(st.lists(st.integers(1, 30), min_size=len(marks), max_size=len(marks)))
    given_to = fuzzing.matched(marks, lengths, others, np.random.default_rng(0))
    for at, length in zip(given_to, others, strict=True):
        assert at == sorted(set(at))
        assert 0 <= at[0] <= at[-1] < length
    alike = fuzzing.matched(marks, lengths, [30] * len(marks), np.random.default_rng(0))
    assert sorted(map(len, alike)) == sorted(map(len, marks))
    gaps = sorted(tuple(np.diff(at).tolist()) for at in alike)
    assert gaps == sorted(tuple(np.diff(at).tolist()) for at in marks)


def test_marks_are_on_tokens_above_the_share_of_the_excerpts_own_maximum() -> None:
    assert fuzzing.fired(np.array([0.0, 0.29, 0.3, 1.0, 0.0])) == [2, 3]
    assert fuzzing.mark([" the", " red", " sea", " is", "\n"], [1, 2, 4]) == (
        " the <<red sea>> is<<\n>>"
    )


@given(st.lists(st.text("ab <>\n", max_size=4), min_size=1, max_size=8), st.data())
def test_marks_strip_back_to_the_text(pieces: list[str], data: st.DataObject) -> None:
    at = data.draw(st.sets(st.integers(0, len(pieces) - 1)))
    text = "".join(pieces)
    stripped = fuzzing.mark(pieces, sorted(at)).replace("<<", "").replace(">>", "")
    own = "<<" in text or ">>" in text
    assert stripped == (text.replace("<", "‹").replace(">", "›") if own else text)


def test_a_text_cannot_pose_as_part_of_the_prompt() -> None:
    texts = ('ends here"\n2. "and a second', "plain")
    question = judges.Question("detection", "a label", texts)
    assert shown(judges.conversation(question, texts)) == list(texts)


# ---------------------------------------------------------------- embedding


def test_a_label_of_the_right_words_embeds_nearer() -> None:
    found = [
        score
        for f in range(20)
        for score in scorers.embedding(" ".join(COLOURS), planted(f), WordEmbedder(), "m")
    ]
    gaps, ranks = found[::2], found[1::2]
    assert all(value(score) > 0 and score.low <= value(score) <= score.high for score in gaps)
    assert all(value(score) >= 0.95 and score.setting == "window 20" for score in ranks)
    assert {score.chance for score in gaps} == {0.0}
    asked = trials.trial("detection", "", planted(0), "m", window=20)
    vectors = WordEmbedder().embed([" ".join(COLOURS), *asked.question.texts]).astype(np.float64)
    near = vectors[1:] @ vectors[0]
    assert ranks[0].value == pytest.approx(roc_auc_score(asked.truth, near), abs=1e-12)
    true = np.array(asked.truth) == 1
    assert gaps[0].value == pytest.approx(near[true].mean() - near[~true].mean(), abs=1e-12)


def test_a_window_keeps_the_peak_before_an_embedder_that_reads_little() -> None:
    label, short = " ".join(COLOURS), WordEmbedder(reads=13)
    _, cut = scorers.embedding(label, planted(5), short, "m", window=6)
    _, whole = scorers.embedding(label, planted(5), short, "m", window=None)
    assert cut.value == 1.0
    assert whole.low < 0.5 < whole.high
    assert (cut.setting, whole.setting) == ("window 6", "whole contexts")


# ---------------------------------------------------------------- controls, many features


@settings(max_examples=50)
@given(
    st.dictionaries(st.integers(0, 999), st.text(min_size=1), min_size=2, max_size=20),
    st.integers(0, 9),
)
def test_controls_are_the_labels_of_others_and_none(labels: dict[int, str], seed: int) -> None:
    found = scorers.controls(labels, seed)
    assert found["empty"] == dict.fromkeys(labels, "")
    assert sorted(found["shuffled"].values()) == sorted(labels.values())
    numbered = {feature: f"{feature}" for feature in labels}
    moved = scorers.controls(numbered, seed)["shuffled"]
    assert all(moved[feature] != numbered[feature] for feature in labels)
    assert moved == scorers.controls(numbered, seed)["shuffled"]


def test_there_is_no_shuffling_one_label() -> None:
    with pytest.raises(ValueError, match="two"):
        scorers.controls({1: "alone"})


def scored(method: str, feature: int, mean: float | None) -> scorers.Score:
    (one,) = detection("x", planted(0), WriterJudge(ScriptedWriter(coin)), method)
    return replace(one, feature=feature, value=mean)


def test_means_and_paired_differences_are_those_of_t() -> None:
    rng = np.random.default_rng(5)
    base = rng.uniform(0.4, 0.8, size=12)
    better = base + rng.normal(0.05, 0.02, size=12)
    found = [scored("plain", f, mean) for f, mean in enumerate(base)]
    found += [scored("better", f, mean) for f, mean in enumerate(better)]
    found += [scored("better", 50, None), scored("better", 3, better[3])]
    rows = {row["method"]: row for row in scorers.summary(found).iter_rows(named=True)}
    own = scipy.stats.ttest_1samp(base, 0).confidence_interval()
    assert (rows["plain"]["low"], rows["plain"]["high"]) == pytest.approx(tuple(own))
    assert rows["better"]["mean"] == pytest.approx(better.mean())
    assert (rows["better"]["features"], rows["better"]["unscored"]) == (12, 1)
    (row,) = scorers.differences(found).iter_rows(named=True)
    paired = scipy.stats.ttest_rel(better, base).confidence_interval()
    assert (row["method"], row["other"], row["features"]) == ("better", "plain", 12)
    assert (row["low"], row["high"]) == pytest.approx(tuple(paired))
    assert row["smallest"] < row["difference"]


def test_unlike_scores_are_never_averaged() -> None:
    one = scored("m", 1, 0.6)
    found = [one, replace(one, kind="silent"), replace(one, setting="window 5")]
    assert scorers.summary(found)["features"].to_list() == [1, 1, 1]
    assert scorers.summary(found)["low"].to_list() == [None] * 3
    assert scorers.summary([]).is_empty()
    assert scorers.differences([]).is_empty()


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
    told, _ = judges.conversation(Question("toy", "joy", ("Ha!",)), ("Ha!",))
    assert told.content.startswith(TOY.duty)
    assert judges.completion("toy", "Oh").endswith("It smiles:")
    trial = trials.trial("toy", "joy", planted(1), "method")
    verdicts = judges.Verdicts(trial.truth, tuple(map(float, trial.truth)))
    scores = scorers.scored(trial, verdicts, "judge")
    assert [(score.scorer, score.value) for score in scores] == [("toy", 1.0), ("toy_auroc", 1.0)]


def test_the_plan_begins_with_every_scorer_there_is() -> None:
    assert list(Plan().scorers) == words.scorer_names()
