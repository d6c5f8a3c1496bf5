"""The study's own model as writer and chooser, against its network asked by hand."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend import study as studies
from backend.labels import own_model as module
from backend.labels import prefixes
from backend.labels.contract import Chooser, Message, Writer
from backend.labels.own_model import OwnModel, layout
from backend.models import language_model
from backend.schema import LlmError
from tests.conftest import sentences

PROMPTS = [
    "The captain finds the rope.",
    "The oven",
    sentences("orchard", 1, 8),
    "",
    "The gull keeps the tide. " * 3 + "Is it so:",
    sentences("kitchen", 2, 4),
]
ANSWERS = [" boat", " knife", "7"]
QUESTION = (Message("user", "The captain finds the rope on day"),)


@pytest.fixture
def own(small: str) -> OwnModel:
    return OwnModel(studies.load(small).model, "cpu")


@pytest.fixture(scope="module")
def alone(world: Path) -> Callable[[str], np.ndarray]:
    """Logits [vocabulary] of what comes after a text, from the network fed with it alone."""
    network = AutoModelForCausalLM.from_pretrained(world / "model", dtype=torch.float32).eval()
    tokens = AutoTokenizer.from_pretrained(world / "model")

    def logits(text: str) -> np.ndarray:
        ids = [tokens.bos_token_id, *tokens.encode(text, add_special_tokens=False)]
        with torch.inference_mode():
            return network(torch.tensor([ids])).logits[0, -1].double().numpy()

    return logits


def first_token(own: OwnModel, answer: str) -> int:
    return language_model.tokenizer(own.ref).encode(answer, add_special_tokens=False)[0]


# ---------------------------------------------------------------- choosing


def test_probabilities_equal_a_softmax_of_the_networks_logits(
    own: OwnModel, alone: Callable[[str], np.ndarray]
) -> None:
    found = own.choose(PROMPTS, ANSWERS)
    firsts = [first_token(own, answer) for answer in ANSWERS]
    for prompt, row in zip(PROMPTS, found, strict=True):
        logits = alone(prompt)[firsts]
        wanted = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(row, wanted, atol=1e-4)
    assert found.std(axis=0).max() > 1e-3  # prompts matter, or the comparison shows nothing


@pytest.mark.parametrize(("tokens", "rows"), [(4096, 32), (60, 32), (4096, 2)])
def test_batches_change_nothing(
    own: OwnModel, monkeypatch: pytest.MonkeyPatch, tokens: int, rows: int
) -> None:
    single = np.concatenate([own.choose([prompt], ANSWERS) for prompt in PROMPTS])
    monkeypatch.setattr(prefixes, "BATCH_TOKENS", tokens)
    monkeypatch.setattr(prefixes, "BATCH_ROWS", rows)
    np.testing.assert_allclose(own.choose(PROMPTS, ANSWERS), single, atol=1e-4)
    np.testing.assert_allclose(single.sum(axis=1), 1)


def test_batches_hold_every_prompt_once_and_stay_small() -> None:
    lengths = dict(enumerate(np.random.default_rng(0).integers(1, 900, size=200).tolist()))
    batches = list(prefixes.batches(lengths))
    assert sorted(row for batch in batches for row in batch) == list(range(200))
    for batch in batches:
        assert len(batch) <= prefixes.BATCH_ROWS
        assert len(batch) * max(lengths[row] for row in batch) <= prefixes.BATCH_TOKENS
    assert list(prefixes.batches({7: 9999, 5: 3})) == [[5], [7]]


def questions(cases: int) -> list[str]:
    """Prompts that share cases, and five at a time a description: of unlike lengths, in no order;
    one begins another, and one is asked twice."""
    shared = sentences("harbour", 1, cases)
    found = [
        f"{shared} The {word} keeps the tide. {sentences('kitchen', number, 1 + number % 3)}"
        for number in range(5)
        for word in ("gull", "oven", "rope")
    ]
    return [*found, found[0], found[0][:-9], shared]


# tokens of the cases: fewer than the sliding window of 32, more, several times as many
@pytest.mark.parametrize("cases", [1, 4, 12])
@pytest.mark.parametrize("worth", [1, 40, 10**9])
def test_what_prompts_share_is_run_once_and_changes_nothing(
    own: OwnModel,
    alone: Callable[[str], np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    cases: int,
    worth: int,
) -> None:
    monkeypatch.setattr(prefixes, "WORTH", worth)
    ran = counted(monkeypatch)
    prompts = questions(cases)
    found = own.choose(prompts, ANSWERS)
    logits = np.stack([alone(prompt) for prompt in prompts])
    wanted = np.exp(logits[:, [first_token(own, answer) for answer in ANSWERS]])
    np.testing.assert_allclose(found, wanted / wanted.sum(axis=1, keepdims=True), atol=1e-4)
    assert found.std(axis=0).max() > 1e-3
    whole = sum(len(language_model.tokenizer(own.ref).encode(prompt)) for prompt in prompts)
    if worth > 100:
        assert sum(ran) >= whole
    elif cases == 12:
        assert sum(ran) < whole / 2


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of every pass of the model from now on, padding included."""
    ran: list[int] = []
    run = prefixes.forward

    def counting(network: Any, ids: torch.Tensor, *more: Any, **named: Any) -> Any:
        ran.append(ids.numel())
        return run(network, ids, *more, **named)

    monkeypatch.setattr(prefixes, "forward", counting)
    return ran


def test_one_prompt_or_equal_ones_are_answered_alike(own: OwnModel) -> None:
    one = own.choose(PROMPTS[2:3], ANSWERS)
    np.testing.assert_allclose(own.choose([PROMPTS[2]] * 40, ANSWERS), one.repeat(40, 0), atol=1e-5)


def test_the_order_of_answers_is_that_of_the_columns(own: OwnModel) -> None:
    there, back = own.choose(PROMPTS, ANSWERS), own.choose(PROMPTS, ANSWERS[::-1])
    np.testing.assert_allclose(there, back[:, ::-1], atol=1e-6)


def test_a_space_that_merges_with_the_answer_is_no_condition(own: OwnModel) -> None:
    apart = own.choose(["The oven"], [" boat", " knife"])
    merged = own.choose(["The oven "], ["boat", "knife"])
    np.testing.assert_allclose(merged, apart, atol=1e-6)


@pytest.mark.parametrize("answers", [[" boat", " boat 7"], ["7", "7"], [" boat", ""]])
def test_answers_that_begin_alike_are_refused(own: OwnModel, answers: list[str]) -> None:
    with pytest.raises(LlmError, match="same token") as told:
        own.choose(PROMPTS, answers)
    assert "begin differently" in told.value.remedy


def test_no_prompts_give_no_rows(own: OwnModel) -> None:
    assert own.choose([], ANSWERS).shape == (0, 3)


def test_a_prompt_longer_than_the_model_reads_is_refused(own: OwnModel) -> None:
    long = sentences("harbour", 3, 400)
    with pytest.raises(LlmError, match="reads 2048 tokens"):
        own.choose([long], ANSWERS)
    with pytest.raises(LlmError, match="replies of 2040"):
        own.write(QUESTION, limit=2_040)


# ---------------------------------------------------------------- writing


def test_at_temperature_0_it_writes_what_generate_writes(own: OwnModel, world: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(world / "model", dtype=torch.float32).eval()
    tokens = AutoTokenizer.from_pretrained(world / "model")
    ids = [tokens.bos_token_id, *tokens.encode(layout(QUESTION), add_special_tokens=False)]
    # longer than the sliding window of 32
    made = network.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=40)[0, len(ids) :]
    wanted = tokens.decode(made, skip_special_tokens=True).strip()
    assert len(made) == 40
    assert "\n\n" not in wanted
    assert own.write(QUESTION, limit=40) == wanted


def test_samples_repeat_and_differ_by_messages_attempt_and_temperature(own: OwnModel) -> None:
    one = own.write(QUESTION, temperature=1.0, limit=12)
    torch.manual_seed(99)
    assert own.write(QUESTION, temperature=1.0, limit=12) == one
    others = [
        own.write(QUESTION, limit=12),
        own.write(QUESTION, temperature=1.0, limit=12, attempt=1),
        own.write((Message("user", "The oven"),), temperature=1.0, limit=12),
    ]
    assert one not in others
    assert len(set(others)) == 3


def test_threads_get_what_one_thread_gets(own: OwnModel) -> None:
    asked = [(Message("user", f"The gull on day {day}"),) for day in range(6)]
    wanted = [own.write(messages, temperature=0.8, limit=6) for messages in asked]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda m: own.write(m, temperature=0.8, limit=6), asked))
    assert found == wanted


def written(own: OwnModel, text: str, monkeypatch: pytest.MonkeyPatch, limit: int = 300) -> str:
    """What becomes of a text that the model would write, token by token."""
    ids = language_model.tokenizer(own.ref).encode(text, add_special_tokens=False)
    monkeypatch.setattr(module, "_continuation", lambda *_: iter(ids))
    return own.write(QUESTION, limit=min(limit, 100))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (" rope and anchor\n\nThe oven", "rope and anchor"),
        (" rope\nanchor\n \nThe oven", "rope\nanchor"),
        ("\n\n rope 🙂 café\n", "rope 🙂 café"),
    ],
)
def test_it_stops_at_a_blank_line(
    own: OwnModel, monkeypatch: pytest.MonkeyPatch, text: str, wanted: str
) -> None:
    assert written(own, text, monkeypatch) == wanted


def test_it_stops_at_the_limit(own: OwnModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(own, "777777", monkeypatch, limit=4) == "7777"


def test_it_ends_where_the_model_ends_the_text(
    own: OwnModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = language_model.load(own.ref, "cpu")
    end = language_model.tokenizer(own.ref).eos_token_id
    drawn = iter([70, 71, end, 72])
    monkeypatch.setattr(module, "_pick", lambda *_: next(drawn))
    assert list(module._continuation(network, [network.bos, 80], 0.0, 0)) == [70, 71]


def test_an_empty_reply_is_an_error_with_a_remedy(
    own: OwnModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LlmError, match="before it said anything") as told:
        written(own, " \n\n ", monkeypatch)
    assert told.value.remedy


def test_messages_become_a_text_to_continue() -> None:
    shown = [
        Message("system", "Say what the words share."),
        Message("user", "Words: gull, tide"),
        Message("assistant", "the sea"),
        Message("user", "Words: oven, spoon\nLabel:"),
    ]
    assert layout(shown) == (
        "Say what the words share.\n\n"
        "Words: gull, tide\nAnswer: the sea\n\n"
        "Words: oven, spoon\nLabel:"
    )


def test_the_name_says_which_model_at_which_revision(own: OwnModel) -> None:
    writer: Writer = own
    chooser: Chooser = own
    assert own.ref.source in writer.name
    assert own.ref.revision in chooser.name
    assert not writer.obeys
