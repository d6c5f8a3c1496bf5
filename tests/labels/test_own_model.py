"""The study's own model as writer and predictor, against its network asked by hand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.corpus import passages
from backend.labels import own_model as module
from backend.labels import prefixes
from backend.labels.contract import Draw, Message, Predictor, Writer
from backend.labels.judges import LikelihoodJudge, Question
from backend.labels.own_model import OwnModel, layout
from backend.models import language_model
from backend.schema import LlmError
from backend.study import loading as studies
from tests.conftest import sentences

PROMPTS = [
    "The captain finds the rope.",
    "The oven",
    sentences("orchard", 1, 8),
    "",
    "The gull keeps the tide. " * 3 + "Is it so:",
    sentences("kitchen", 2, 4),
    "The oven ",
    "The captain finds the rope.",
]
ANSWERS = [
    " boat",
    " knife sells",
    "7",
    " The oven",
    sentences("harbour", 5, 6),
    "",
    "boat",
    " boat",
]
QUESTION = (Message("user", "The captain finds the rope on day"),)

Twin = Callable[[Sequence[str], Sequence[str]], np.ndarray]


@pytest.fixture
def own(small: str) -> OwnModel:
    return OwnModel(studies.load(small).model, "cpu")


@pytest.fixture(scope="module")
def alone(world: Path) -> Twin:
    """Likelihoods from the network fed with each text alone; an answer's tokens are those that
    hold any of its characters."""
    network = AutoModelForCausalLM.from_pretrained(world / "model", dtype=torch.float32).eval()
    tokens = AutoTokenizer.from_pretrained(world / "model")

    def likelihood(prompt: str, answer: str) -> float:
        spec = tokens(prompt + answer, add_special_tokens=False, return_offsets_mapping=True)
        ids = torch.tensor([tokens.bos_token_id, *spec["input_ids"]])
        with torch.inference_mode():
            logged = network(ids[None]).logits[0, :-1].float().log_softmax(dim=-1)
        own = torch.tensor([end > len(prompt) for _, end in spec["offset_mapping"]])
        return float(logged.gather(1, ids[1:, None])[:, 0][own].mean()) if answer else 0.0

    return lambda prompts, answers: np.array(list(map(likelihood, prompts, answers)))


# ---------------------------------------------------------------- likelihoods


def test_likelihoods_equal_those_of_the_network_fed_with_each_text_alone(
    own: OwnModel, alone: Twin
) -> None:
    result = own.likelihoods(PROMPTS, ANSWERS)
    np.testing.assert_allclose(result, alone(PROMPTS, ANSWERS), atol=1e-4)
    assert result.shape == (len(PROMPTS),)
    assert result[ANSWERS.index("")] == 0
    assert (result <= 0).all()
    same = own.likelihoods(PROMPTS, [" boat"] * len(PROMPTS))
    assert same.std() > 1e-3  # prompts matter, or the comparison shows nothing


@pytest.mark.parametrize(
    ("tokens", "rows", "answers"), [(4096, 32, 256), (60, 32, 256), (4096, 2, 256), (4096, 32, 3)]
)
def test_batches_change_nothing(
    own: OwnModel, monkeypatch: pytest.MonkeyPatch, tokens: int, rows: int, answers: int
) -> None:
    pairs = zip(PROMPTS, ANSWERS, strict=True)
    single = np.concatenate([own.likelihoods([prompt], [answer]) for prompt, answer in pairs])
    monkeypatch.setattr(prefixes, "BATCH_TOKENS", tokens)
    monkeypatch.setattr(prefixes, "BATCH_ROWS", rows)
    monkeypatch.setattr(prefixes, "BATCH_ANSWERS", answers)
    np.testing.assert_allclose(own.likelihoods(PROMPTS, ANSWERS), single, atol=1e-4)


def test_batches_hold_every_prompt_once_and_stay_small() -> None:
    rng = np.random.default_rng(0)
    lengths = dict(enumerate(rng.integers(1, 900, size=200).tolist()))
    counts = dict(enumerate(rng.integers(1, 60, size=200).tolist()))
    batches = list(prefixes.batches(lengths, counts))
    assert sorted(row for batch in batches for row in batch) == list(range(200))
    for batch in batches:
        assert len(batch) <= prefixes.BATCH_ROWS
        assert len(batch) * max(lengths[row] for row in batch) <= prefixes.BATCH_TOKENS
        assert sum(counts[row] for row in batch) <= prefixes.BATCH_ANSWERS
    assert list(prefixes.batches({7: 9999, 5: 3}, {7: 1, 5: 1})) == [[5], [7]]
    assert list(prefixes.batches({7: 900, 5: 900}, {7: 200, 5: 60})) == [[7], [5]]
    assert list(prefixes.batches({7: 900, 5: 900}, {7: 200, 5: 56})) == [[7, 5]]


def test_no_more_places_are_unembedded_at_once_than_a_batch_may_hold(
    own: OwnModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefixes, "BATCH_ANSWERS", 12)
    ran = counted(monkeypatch)
    own.likelihoods(PROMPTS * 3, [" boat knife oven gull"] * len(PROMPTS) * 3)
    assert sum(places for _, places in ran) == 3 * len(PROMPTS) * 4
    assert max(places for _, places in ran) == 12


def questions(cases: int) -> tuple[list[str], list[str]]:
    """Prompts that share cases, and five at a time what follows, of unlike lengths, in no order;
    one begins another, and one is asked twice. Their answers, of 1 to 3 tokens or more."""
    shared = sentences("harbour", 1, cases)
    result = [
        f"{shared} The {word} keeps the tide. {sentences('kitchen', number, 1 + number % 3)}"
        for number in range(5)
        for word in ("gull", "oven", "rope")
    ]
    prompts = [*result, result[0], result[0][:-9], shared]
    answers = [" boat", " knife sells the onion", "7"]
    return prompts, [
        *(answers[place % 3] for place in range(15)),
        answers[0],
        answers[1],
        " The pier",
    ]


# tokens of the cases: fewer than the sliding window of 32, more, several times as many
@pytest.mark.parametrize("cases", [1, 4, 12])
@pytest.mark.parametrize("worth", [1, 40, 10**9])
def test_what_prompts_share_is_run_once_and_changes_nothing(
    own: OwnModel, alone: Twin, monkeypatch: pytest.MonkeyPatch, cases: int, worth: int
) -> None:
    monkeypatch.setattr(prefixes, "WORTH", worth)
    ran = counted(monkeypatch)
    prompts, answers = questions(cases)
    result = own.likelihoods(prompts, answers)
    np.testing.assert_allclose(result, alone(prompts, answers), atol=1e-4)
    assert result[0] == pytest.approx(result[15], abs=1e-5)
    tokens = language_model.tokenizer(own.ref)
    whole = sum(len(tokens.encode(p + a)) for p, a in zip(prompts, answers, strict=True))
    if worth > 100:
        assert sum(size for size, _ in ran) >= whole
    elif cases == 12:
        assert sum(size for size, _ in ran) < whole / 2


@pytest.mark.parametrize("worth", [1, 40, 10**9])
def test_an_answer_that_other_prompts_hold_is_still_asked_about(
    own: OwnModel, alone: Twin, monkeypatch: pytest.MonkeyPatch, worth: int
) -> None:
    """The prompt ends before what its neighbours in order share, which is its answer."""
    monkeypatch.setattr(prefixes, "WORTH", worth)
    base, passage = sentences("harbour", 1, 6), " The gull keeps the tide. The oven"
    prompts = [f"{base}{passage} {end}" for end in ("counts", "finds", "sells", "watches")] + [base]
    answers = [" boat"] * 4 + [f"{passage} hides"]
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]):
        requests, text = [prompts[place] for place in order], [answers[place] for place in order]
        result = own.likelihoods(requests, text)
        np.testing.assert_allclose(result, alone(requests, text), atol=1e-4)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Of every pass of the model from now on its tokens, padding included, and its places."""
    ran: list[tuple[int, int]] = []
    run = prefixes.forward

    def counting(
        network: Any, ids: torch.Tensor, places: Sequence[tuple[int, int]], *more: Any
    ) -> Any:
        ran.append((ids.numel(), len(places)))
        return run(network, ids, places, *more)

    monkeypatch.setattr(prefixes, "forward", counting)
    return ran


def test_one_prompt_or_equal_ones_are_answered_alike(own: OwnModel) -> None:
    one = own.likelihoods(PROMPTS[2:3], ANSWERS[3:4])
    many = own.likelihoods([PROMPTS[2]] * 40, [ANSWERS[3]] * 40)
    np.testing.assert_allclose(many, one.repeat(40), atol=1e-5)


def test_the_order_of_prompts_is_that_of_the_likelihoods(own: OwnModel) -> None:
    prompts, answers = questions(4)
    there, back = own.likelihoods(prompts, answers), own.likelihoods(prompts[::-1], answers[::-1])
    np.testing.assert_allclose(there, back[::-1], atol=1e-5)


def test_a_space_that_merges_with_the_answer_is_no_condition(own: OwnModel) -> None:
    apart = own.likelihoods(["The oven"] * 2, [" boat", " knife sells"])
    merged = own.likelihoods(["The oven "] * 2, ["boat", "knife sells"])
    np.testing.assert_allclose(merged, apart, atol=1e-6)


def test_coarse_numbers_do_not_make_likelihoods_tie(world: Path, small: str) -> None:
    """In bfloat16 a logit of what is asked about is that of the last hidden state in float32."""
    ref = replace(studies.load(small).model, dtype="bfloat16")
    prompts = [sentences("harbour", number, 2) for number in range(12)]
    result = OwnModel(ref, "cpu").likelihoods(prompts, [" boat"] * 12)
    network = AutoModelForCausalLM.from_pretrained(world / "model", dtype=torch.bfloat16).eval()
    tokens = AutoTokenizer.from_pretrained(world / "model")
    expected = []
    for prompt in prompts:
        ids = [tokens.bos_token_id, *tokens.encode(prompt, add_special_tokens=False)]
        with torch.inference_mode():
            last = network.model(torch.tensor([ids])).last_hidden_state[0, -1].float()
            logits = network.lm_head.weight.float() @ last
        answer = tokens.encode(" boat", add_special_tokens=False)[0]
        expected.append(float(logits.log_softmax(dim=0)[answer]))
    np.testing.assert_allclose(result, expected, atol=5e-5)


def test_no_prompts_give_none_and_empty_answers_are_certain(own: OwnModel) -> None:
    assert own.likelihoods([], []).shape == (0,)
    assert own.likelihoods(["The oven", ""], ["", ""]).tolist() == [0, 0]


def test_a_prompt_longer_than_the_model_reads_with_its_answer_is_refused(own: OwnModel) -> None:
    long, half = sentences("harbour", 3, 400), sentences("harbour", 3, 160)
    with pytest.raises(LlmError, match="reads 2048 tokens"):
        own.likelihoods(["The oven", long], [" boat"] * 2)
    assert own.likelihoods([half], [" boat"])[0] < 0
    with pytest.raises(LlmError, match="reads 2048 tokens") as error:
        own.likelihoods([half], [f" {half}"])
    assert error.value.remedy
    with pytest.raises(LlmError, match="replies of 2040"):
        own.write(QUESTION, Draw(limit=2_040))


# ---------------------------------------------------------------- judging


@pytest.mark.real
@pytest.mark.slow
def test_the_demos_model_knows_which_texts_hold_a_word(demo: str) -> None:
    """The judge's positive control: labels of which nothing but the judge can be wrong."""
    study = studies.load(demo)
    texts = passages.tokens_of(study.model, study.corpus).documents["text"].to_list()
    cases = known(texts, words=8, each=10)
    requests = [Question("detection", f'the word "{word}"', prompt) for word, prompt, _ in cases]
    result = LikelihoodJudge(OwnModel(study.model, "cpu")).judge(requests)
    scores = [
        roc_auc_score(truth, verdicts.probabilities)
        for (_, _, truth), verdicts in zip(cases, result, strict=True)
    ]
    assert np.mean(scores) >= 0.8, list(zip([word for word, *_ in cases], scores, strict=True))


def known(
    texts: Sequence[str], words: int, each: int
) -> list[tuple[str, tuple[str, ...], list[int]]]:
    """Of some words that many passages hold: the word, twice `each` passages of 12 words in random
    order, and which of them hold it. Drawn by chance, as the very commonest words fit any text."""
    rng = np.random.default_rng(0)
    split = [text.split() for text in texts]
    parts = [
        " ".join(row[place : place + 12]) for row in split for place in range(0, len(row) - 11, 12)
    ]
    vocabularies = [set(re.findall(r"[^\W\d_]{4,}", part.casefold())) for part in parts]
    counts = Counter(word for words in vocabularies for word in words)
    result = []
    for word in rng.choice(sorted(w for w, n in counts.items() if n >= each), words, replace=False):
        has = np.array([word in words for words in vocabularies])
        sample = [rng.choice(np.flatnonzero(has == side), each, replace=False) for side in (1, 0)]
        order = rng.permutation(np.concatenate(sample))
        result.append(
            (str(word), tuple(parts[place] for place in order), has[order].astype(int).tolist())
        )
    return result


# ---------------------------------------------------------------- writing


def test_at_temperature_0_it_writes_what_generate_writes(own: OwnModel, world: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(world / "model", dtype=torch.float32).eval()
    tokens = AutoTokenizer.from_pretrained(world / "model")
    ids = [tokens.bos_token_id, *tokens.encode(layout(QUESTION), add_special_tokens=False)]
    # longer than the sliding window of 32
    created = network.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=40)[
        0, len(ids) :
    ]
    expected = tokens.decode(created, skip_special_tokens=True).strip()
    assert len(created) == 40
    assert "\n\n" not in expected
    assert own.write(QUESTION, Draw(limit=40)) == expected


def test_samples_repeat_and_differ_by_messages_attempt_and_temperature(own: OwnModel) -> None:
    one = own.write(QUESTION, Draw(temperature=1.0, limit=12))
    torch.manual_seed(99)
    assert own.write(QUESTION, Draw(temperature=1.0, limit=12)) == one
    others = [
        own.write(QUESTION, Draw(limit=12)),
        own.write(QUESTION, Draw(temperature=1.0, limit=12, attempt=1)),
        own.write((Message("user", "The oven"),), Draw(temperature=1.0, limit=12)),
    ]
    assert one not in others
    assert len(set(others)) == 3


def test_threads_get_what_one_thread_gets(own: OwnModel) -> None:
    requests = [(Message("user", f"The gull on day {day}"),) for day in range(6)]
    expected = [own.write(messages, Draw(temperature=0.8, limit=6)) for messages in requests]
    with ThreadPoolExecutor(4) as pool:
        result = list(pool.map(lambda m: own.write(m, Draw(temperature=0.8, limit=6)), requests))
    assert result == expected


def written(own: OwnModel, text: str, monkeypatch: pytest.MonkeyPatch, limit: int = 300) -> str:
    """What becomes of a text that the model would write, token by token."""
    ids = language_model.tokenizer(own.ref).encode(text, add_special_tokens=False)
    monkeypatch.setattr(module, "_continuation", lambda *_: iter(ids))
    return own.write(QUESTION, Draw(limit=min(limit, 100)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" rope and anchor\n\nThe oven", "rope and anchor"),
        (" rope\nanchor\n \nThe oven", "rope\nanchor"),
        ("\n\n rope 🙂 café\n", "rope 🙂 café"),
    ],
)
def test_it_stops_at_a_blank_line(
    own: OwnModel, monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    assert written(own, text, monkeypatch) == expected


def test_it_stops_at_the_limit(own: OwnModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(own, "777777", monkeypatch, limit=4) == "7777"


def test_it_ends_where_the_model_ends_the_text(
    own: OwnModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = language_model.load(own.ref, "cpu")
    end = language_model.tokenizer(own.ref).eos_token_id
    sample = iter([70, 71, end, 72])
    monkeypatch.setattr(module, "_pick", lambda *_: next(sample))
    assert list(module._continuation(network, [network.bos, 80], 0.0, 0)) == [70, 71]


def test_an_empty_reply_is_an_error_with_a_remedy(
    own: OwnModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LlmError, match="before it said anything") as error:
        written(own, " \n\n ", monkeypatch)
    assert error.value.remedy


def test_messages_become_a_text_to_continue() -> None:
    prompt = [
        Message("system", "Say what the words share."),
        Message("user", "Words: gull, tide"),
        Message("assistant", "the sea"),
        Message("user", "Words: oven, spoon\nLabel:"),
    ]
    assert layout(prompt) == (
        "Say what the words share.\n\n"
        "Words: gull, tide\nAnswer: the sea\n\n"
        "Words: oven, spoon\nLabel:"
    )


def test_the_name_says_which_model_at_which_revision(own: OwnModel) -> None:
    writer: Writer = own
    predictor: Predictor = own
    assert own.ref.source in writer.name
    assert own.ref.revision in predictor.name
    assert not writer.obeys
