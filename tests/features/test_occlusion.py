"""Why a feature fires: against a loop over single texts, where it is planted, and on its page."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from backend import queries, query
from backend.corpus.contexts import Tokens, tokenize
from backend.features import occlusion
from backend.features import occlusion_answers as answers
from backend.features.views import Example, FeatureTable, Why
from backend.models import language_model, sae
from backend.schema import Job, ModelRef, NotFoundError, Progress, Reading, SaeRef, Site
from backend.study import loading as studies
from components.features import occlusion as page
from tests.conftest import LAYER, WIDTH
from tests.helpers.pages import html_of, opened, param, text_of


def answered(study: str, feature: int, token: int) -> Why:
    query.compute("why", study, {"feature": feature, "token": token}, "cpu", Progress())
    answer = queries.why(study, feature, token)
    assert isinstance(answer, Why)
    return answer


@pytest.fixture
def example(ready: str) -> tuple[int, Example]:
    """A feature, and one of its examples that has some text before its peak."""
    table = queries.features(ready)
    assert isinstance(table, FeatureTable)
    for feature in table.table.sort("active", descending=True)["feature"]:
        for item in queries.feature_examples(ready, feature, count=10).items:
            if isinstance(item, Example) and 12 <= item.passage.focus <= 24:
                return feature, item
    raise AssertionError("no example has its peak in the middle of a context")


# ---------------------------------------------------------------- exact


def test_equals_reading_every_variant_by_itself(
    ready: str, world: Path, example: tuple[int, Example]
) -> None:
    feature, item = example
    answer = answered(ready, feature, item.token)
    study = studies.load(ready)
    tokens = Tokens(tokenize(study.model, study.corpus))
    ids = tokens.ids[item.passage.first : item.token + 1].tolist()
    alone = Alone(world, feature)
    full = alone.read(ids)
    assert answer.full == pytest.approx(full, rel=1e-4)
    assert answer.stored == pytest.approx(full, rel=1e-4)
    assert answer.agrees
    common = [int(i) for i in np.argsort(-np.bincount(tokens.ids), kind="stable")[:3]]
    for i, row in enumerate(answer.tokens.iter_rows(named=True)):
        others = [each for each in common if each != ids[i]][:2]
        lost = [1 - alone.read([*ids[:i], each, *ids[i + 1 :]]) / full for each in others]
        assert row["effect"] == pytest.approx(np.mean(lost), abs=1e-4)
        assert (row["low"], row["high"]) == pytest.approx((min(lost), max(lost)), abs=1e-4)
        assert row["before"] == len(ids) - 1 - i
    curve = [alone.read(ids[len(ids) - n :]) for n in range(1, len(ids) + 1)]
    assert answer.runs["activation"].to_list() == pytest.approx(curve, abs=1e-4)
    for row in answer.shortest.iter_rows(named=True):
        expected = next(n for n, value in enumerate(curve, 1) if value >= row["share"] * curve[-1])
        assert row["length"] == expected
        assert all(value >= row["share"] * curve[-1] for value in curve[row["steady"] - 1 :])
        assert row["text"] == "".join(item.passage.pieces[: item.passage.focus + 1][-expected:])


class Alone:
    """One text at a time: transformers with a hook of its own, and the SAE's formula by hand."""

    def __init__(self, world: Path, feature: int) -> None:
        self.network = AutoModelForCausalLM.from_pretrained(world / "model", dtype=torch.float32)
        weights = load_file(world / "sae" / "sae_weights.safetensors")
        self.encoder, self.feature, self.seen = weights["W_enc"], feature, torch.empty(0)
        self.network.model.layers[LAYER].register_forward_hook(self.take)

    def take(self, _module: Any, _inputs: Any, output: Any) -> None:
        self.seen = output[0] if isinstance(output, tuple) else output

    @torch.inference_mode()
    def read(self, ids: list[int]) -> float:
        self.network(torch.tensor([[2, *ids]]))  # <bos> is the third of the special tokens
        codes = self.seen.reshape(-1, WIDTH)[-1] @ self.encoder
        sixth = codes.topk(6).values[-1]
        return float(codes[self.feature].clamp_min(0)) if codes[self.feature] >= sixth else 0.0


def test_the_token_asked_about_may_begin_its_context(ready: str) -> None:
    table = queries.features(ready)
    assert isinstance(table, FeatureTable)
    for feature in table.table.sort("active", descending=True)["feature"]:
        values = queries.document(ready, 0, feature).values
        if values[0] > 0:
            answer = answered(ready, feature, 0)
            assert len(answer.tokens) == len(answer.runs) == 1
            assert answer.shortest["length"].to_list() == [1, 1]
            return
    raise AssertionError("no feature fires on the first token")


# ---------------------------------------------------------------- planted


PLANTED, TEXT = Site(0), "The gull watches the pier"


@pytest.fixture
def bare(small: str, world: Path, tmp_path: Path) -> tuple[ModelRef, torch.nn.Module]:
    """The small model with blocks that add nothing: what is read is a token's embedding."""
    network = AutoModelForCausalLM.from_pretrained(world / "model", dtype=torch.float32)
    for block in network.model.layers:
        block.self_attn.o_proj.weight.data.zero_()
        block.mlp.down_proj.weight.data.zero_()
    return saved(network, world, tmp_path / "bare"), network


def saved(network: Any, world: Path, folder: Path) -> ModelRef:
    network.save_pretrained(folder)
    for file in (world / "model").glob("*token*.json"):
        shutil.copy(file, folder)
    source = f"folder:{folder}"
    return ModelRef(source, language_model.resolve(source), "float32")


def planted_sae(folder: Path, direction: torch.Tensor) -> SaeRef:
    """An SAE whose feature 0 reads a direction, and the others nothing."""
    from sae_lens import StandardSAE, StandardSAEConfig

    network = StandardSAE(StandardSAEConfig(d_in=WIDTH, d_sae=2, dtype="float32", device="cpu"))
    for name, value in network.named_parameters():
        value.data.zero_()
        if name == "W_enc":
            value.data[:, 0] = direction
    network.W_dec.data[0] = direction
    network.save_model(folder)
    source = f"folder:{folder}"
    return SaeRef(source, sae.resolve(source))


def planted(small: str, model: ModelRef, ref: SaeRef, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Effects of each token, and the activations of the runs."""
    corpus = studies.load(small).corpus
    read = occlusion.read.function
    result = read(Reading(model, PLANTED, corpus), ref, 0, row)
    return occlusion.effects(result["occluded"], result["runs"][-1]), result["runs"]


def text_of_eight(small: str, model: ModelRef) -> tuple[np.ndarray, int, np.ndarray]:
    """Eight different tokens at the beginning of a context, the row of the last, and what stands
    in for others."""
    corpus = studies.load(small).corpus
    tokens = Tokens(tokenize(model, corpus))
    ids = np.asarray(tokens.ids)
    common = np.argsort(-np.bincount(ids), kind="stable")[:3]
    for first in tokens.contexts["first_token"]:
        some = ids[first : first + 8]
        if len(set(some)) == 8 and not set(some[[-1, 3]]) & set(common):
            return some, int(first) + 7, common
    raise AssertionError("no context begins with eight different tokens")


def test_a_feature_of_the_token_itself_needs_nothing_else(
    small: str, bare: tuple[ModelRef, Any], tmp_path: Path
) -> None:
    model, network = bare
    ids, row, common = text_of_eight(small, model)
    vectors = network.model.embed_tokens(torch.tensor([ids[-1], *common]))
    direction = torch.linalg.pinv(vectors) @ torch.tensor([1.0, 0, 0, 0])
    effects, curve = planted(small, model, planted_sae(tmp_path / "own", direction), row)
    assert effects[-1] == pytest.approx(1, abs=1e-4)
    assert effects[:-1] == pytest.approx(0, abs=1e-4)
    assert curve == pytest.approx(1, abs=1e-4)
    assert occlusion.shortest(curve, 0.8) == 1


def test_a_feature_of_an_earlier_token_is_traced_to_it(
    small: str, world: Path, bare: tuple[ModelRef, Any], tmp_path: Path
) -> None:
    """Block 0 copies the mean of all tokens; the feature reads the share of the fourth of eight."""
    _, network = bare
    attention = network.model.layers[0].self_attn
    attention.q_proj.weight.data.zero_()  # so that it attends to all tokens alike
    torch.manual_seed(3)
    attention.o_proj.weight.data.normal_()
    model = saved(network, world, tmp_path / "copying")
    ids, row, common = text_of_eight(small, model)
    direction = reads_only(network, ids, common)
    effects, curve = planted(small, model, planted_sae(tmp_path / "other", direction), row)
    assert effects[3] == pytest.approx(1, abs=1e-4)
    assert np.delete(effects, 3, axis=0).max() < 0.3
    assert curve[:4] == pytest.approx(0, abs=1e-4)
    assert (curve[4:] > 0.5 * curve[-1]).all()
    assert occlusion.shortest(curve, 0.5) == occlusion.shortest(curve, 0.8) == 5


def reads_only(network: Any, ids: np.ndarray, common: np.ndarray) -> torch.Tensor:
    """A direction along which attention writes for the fourth token alone, and no embedding of
    what may stand last lies."""
    block, embed = network.model.layers[0], network.model.embed_tokens
    all_ids = torch.tensor(list(dict.fromkeys([ids[3], 2, *ids, *common])))
    normed = block.input_layernorm(embed(all_ids))
    value = block.self_attn.v_proj(normed)
    written = block.self_attn.o_proj(torch.cat([value, value], dim=1))  # two heads share one value
    rows = torch.cat([written, embed(torch.tensor([ids[-1], *common]))]).detach()
    expected = torch.zeros(len(rows))
    expected[0] = 1.0
    direction = torch.linalg.pinv(rows) @ expected
    assert torch.allclose(rows @ direction, expected, atol=1e-4)
    return direction


# ---------------------------------------------------------------- parts


@given(st.lists(st.floats(0, 1e4, width=32), min_size=1, max_size=40), st.sampled_from([0.5, 0.8]))
def test_the_shortest_run_is_the_first_to_reach_its_share(curve: list[float], share: float) -> None:
    values = np.array([*curve, max(curve) + 1], dtype=np.float32)
    length = occlusion.shortest(values, share)
    assert values[length - 1] >= share * values[-1]
    assert (values[: length - 1] < share * values[-1]).all()
    steady = occlusion.steady(values, share)
    assert steady >= length
    assert (values[steady - 1 :] >= share * values[-1]).all()
    assert steady == 1 or values[steady - 2] < share * values[-1]


def test_a_stand_in_is_another_token_and_a_common_one() -> None:
    corpus = np.repeat([7, 3, 9, 4, 5], [1, 9, 5, 7, 3])
    assert occlusion.stand_ins(corpus, np.array([3, 8, 5])).tolist() == [[4, 9], [3, 4], [3, 4]]
    assert occlusion.stand_ins(np.array([1, 1, 2]), np.array([1, 2, 2])).tolist() == [[2], [1], [1]]


# ---------------------------------------------------------------- asking


def test_what_is_not_read_yet_is_a_job_asked_for_once(
    ready: str, example: tuple[int, Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    feature, _ = example
    item = queries.feature_examples(ready, feature, "quantile 1").items[
        -1
    ]  # no other test asks about it
    assert isinstance(item, Example)
    first, repeated = (queries.why(ready, feature, item.token) for _ in range(2))
    assert isinstance(first, Job)
    assert isinstance(repeated, Job)
    assert (first.query, first.id) == ("why", repeated.id)
    app = opened("features", feature=feature, why=item.token)
    assert "Why it fires here" in text_of(app)  # a worker of another test may have read it by now
    queries.cancel(first.id)


@pytest.mark.parametrize(
    ("feature", "token", "message"),
    [
        (10**6, 0, "There is no feature"),
        (0, 10**9, "There is no token"),
        (0, -1, "There is no token"),
    ],
)
def test_what_does_not_exist_is_named(ready: str, feature: int, token: int, message: str) -> None:
    with pytest.raises(NotFoundError, match=message):
        queries.why(ready, feature, token)


def test_a_silent_token_has_no_reasons(ready: str, example: tuple[int, Example]) -> None:
    feature, item = example
    silent = item.passage.values.index(0.0)
    with pytest.raises(NotFoundError, match="does not fire"):
        queries.why(ready, feature, item.passage.first + silent)


def test_an_activation_that_was_stored_otherwise_is_told(
    ready: str, example: tuple[int, Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    feature, item = example
    answered(ready, feature, item.token)
    stored = answers._stored
    monkeypatch.setattr(answers, "_stored", lambda *arguments: 1.25 * stored(*arguments))
    answer = queries.why(ready, feature, item.token)
    assert isinstance(answer, Why)
    assert not answer.agrees
    assert "−20.0%" in text_of(opened("features", feature=feature, why=item.token))


def test_what_rounding_moves_is_said_beside_the_stored_activation(
    ready: str, example: tuple[int, Example]
) -> None:
    feature, item = example
    answer = answered(ready, feature, item.token)
    moved = dataclasses.replace(answer, stored=692.0, full=700.2, agrees=True)
    head = page.head_html(moved)
    assert "<i>activation</i> 692" in head
    assert "700 instead of 692 (+1.2%)" in head
    assert "number format rounds" in head
    assert "read again" not in page.head_html(dataclasses.replace(moved, full=692.3))


# ---------------------------------------------------------------- the page


def test_the_page_shows_why_under_its_example(ready: str, example: tuple[int, Example]) -> None:
    feature, item = example
    answer = answered(ready, feature, item.token)
    closed = opened("features", feature=feature)
    assert "keeps it firing" not in text_of(closed)
    assert f"why={item.token}" in html_of(closed)
    app = opened("features", feature=feature, why=item.token)
    text = text_of(app)
    assert "keeps it firing" in text
    assert "the model reads from left to right" in text
    shown = html_of(app)
    marked = shown.count('class="t half') + shown.count('class="t most')
    assert marked - 2 == answer.shortest["length"].max()  # the legend has one of each
    for piece in answer.stand_ins:
        assert piece.strip() in text
    app.button(key="why-close").click().run()
    assert "keeps it firing" not in text_of(app)
    assert "why" not in app.query_params


def test_reasons_outlast_their_draw_and_leave_with_their_feature(
    ready: str, example: tuple[int, Example]
) -> None:
    feature, item = example
    answered(ready, feature, item.token)
    app = opened("features", feature=feature, why=item.token, draw="silent")
    assert "keeps it firing" in text_of(app)
    app.button(key="step-N").click().run()
    assert param(app, "feature") != str(feature)
    assert "why" not in app.query_params
    assert "keeps it firing" not in text_of(app)


def test_a_wrong_link_says_so_and_the_examples_stay(
    ready: str, example: tuple[int, Example]
) -> None:
    feature, item = example
    silent = item.passage.first + item.passage.values.index(0.0)
    app = opened("features", False, feature=feature, why=silent)
    assert "does not fire" in text_of(app)
    assert 'class="sample"' in html_of(app)
