"""ExpertLens: responses against hooks by hand, AP against scikit-learn, planted experts, sentences
that do not leak, Spearman against scipy, and the whole of it on the small world."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import average_precision_score
from streamlit.testing.v1 import AppTest
from torch import nn

from backend import run
from backend.corpus.activations import padded
from backend.corpus.contexts import encoded
from backend.evals.expert_lens import answers as expert_lens_answers
from backend.evals.expert_lens import (
    experts,
    inflections,
    ratings,
    sentences,
    similarity,
    summaries,
)
from backend.evals.expert_lens.experts import TAUS, ConceptSentences, Reader, Units
from backend.evals.expert_lens.frames import FILLERS, FRAMES
from backend.evals.expert_lens.views import ExpertLens
from backend.models import language_model, linear_maps
from backend.models import sae as sae_models
from backend.schema import (
    CorpusError,
    Job,
    ModelError,
    ModelRef,
    NotFiniteError,
    NotFoundError,
    Progress,
    Study,
    TesseraError,
)
from backend.statistics.agreement import cosines
from backend.store import jobs
from backend.study import loading as studies
from components.evals import benchmarks
from components.evals.expert_lens import concept as expert_concept
from components.evals.expert_lens import sets as expert_sets
from components.evals.expert_lens import tab as page

MODEL = ModelRef("folder:nowhere", "0", "float32")
OWN = "butter, spoon, kettle, apple, ladder, cider, zebra"
WHAT = ("maps", "corpus", OWN)
ASK = dict(zip(("units", "sentences", "concepts"), WHAT, strict=True))


@dataclass(frozen=True)
class Made(Reader):
    """A reader of responses made beforehand: row i is that of the text "i"."""

    rows: Any = None

    def read(self, texts: list[str]) -> torch.Tensor:
        return torch.from_numpy(self.rows[[int(text) for text in texts]])


def ranked(rows: np.ndarray, positives: int, seed: int = 0) -> dict[str, np.ndarray]:
    """`expertise` of responses [2 × sentences, units], positives first in each half."""
    half = len(rows) // 2
    pool = [str(row) for row in range(len(rows))]
    reader = Made(Units(MODEL), pool, rows)
    parts = [range(at * half, (at + 1) * half) for at in (0, 1)]
    texts = tuple([str(row) for row in part[:positives]] for part in parts)
    others = tuple(list(part[positives:]) for part in parts)
    sentences_ = ConceptSentences(reader, texts, others)  # type: ignore[arg-type]
    return experts.expertise.function(Units(MODEL), sentences_, seed)  # type: ignore[return-value]


# ---------------------------------------------------------------- units


@pytest.fixture
def network(small: str) -> Iterator[language_model.LanguageModel]:
    yield language_model.load(studies.load(small).model, "cpu")
    language_model.load.cache_clear()  # tests hurt it


def by_hand(network: language_model.LanguageModel, tokens: np.ndarray) -> torch.Tensor:
    """The maximum over tokens of every linear map's output, hooked one by one, BOS left out."""
    found: list[torch.Tensor] = []
    handles = [
        module.register_forward_hook(lambda _m, _a, out: found.append(out[0, 1:].max(dim=0).values))
        for name, module in network.network.named_modules()
        if isinstance(module, nn.Linear) and ".layers." in name
    ]
    with torch.no_grad():
        network.network(torch.tensor([[network.bos, *tokens.tolist()]]), use_cache=False)
    for handle in handles:
        handle.remove()
    return torch.cat(found)


def test_responses_are_those_of_hooks_written_by_hand(network: Any) -> None:
    texts = ["boat", "the captain finds an anchor", "butter and oven and spoon and flour"]
    encode = language_model.tokenizer(network.ref)
    tokens = [part[:, 0] for part in encoded(encode, texts)]
    found = linear_maps.responses(network, *padded(tokens, network.bos))
    table = linear_maps.table(network)
    assert found.shape == (3, table["width"].sum())
    order = [  # hooks fire in the order of the computation, `table` has that of the modules
        name for layer in range(4) for name in
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    ]  # fmt: skip
    assert [name.split(".")[-1] for name in table["module"]] == order
    for row, part in zip(found, tokens, strict=True):
        torch.testing.assert_close(row, by_hand(network, part), rtol=1e-4, atol=1e-4)


def test_maps_are_found_whatever_the_architecture() -> None:
    from transformers import GPT2Config, GPT2Model, GPTNeoXConfig, GPTNeoXModel

    gpt2 = GPT2Model(GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=50, n_positions=16))
    found = linear_maps.table(SimpleNamespace(blocks=gpt2.h))  # type: ignore[arg-type]
    assert found.filter(layer=1)["module"].to_list() == [
        "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"
    ]  # fmt: skip
    assert found["width"].to_list() == [48, 16, 64, 16] * 2
    assert found["first"].to_list() == [0, 48, 64, 128, 144, 192, 208, 272]
    neox = GPTNeoXModel(
        GPTNeoXConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
            vocab_size=50,
        )
    )  # fmt: skip
    widths = linear_maps.table(SimpleNamespace(blocks=neox.layers))  # type: ignore[arg-type]
    assert dict(widths.select("module", "width").iter_rows()) == {
        "attention.query_key_value": 48, "attention.dense": 16,
        "mlp.dense_h_to_4h": 24, "mlp.dense_4h_to_h": 16,
    }  # fmt: skip


def test_a_map_that_does_not_run_is_refused(network: Any) -> None:
    network.blocks[1].spare = nn.Linear(2, 2)
    ids, mask = padded([np.array([5, 6])], network.bos)
    with pytest.raises(ModelError, match=r"1 linear maps .* do not run"):
        linear_maps.responses(network, ids, mask)


def test_features_respond_with_their_strongest_token(small: str) -> None:
    study = studies.load(small)
    units, texts = Units(study.model, study.site, study.sae), ["a boat", "the oven keeps an apple"]
    found = Reader(units, []).read(texts)
    network = language_model.load(study.model, "cpu")
    sae = sae_models.load(study.sae, "cpu")
    for row, part in zip(found, encoded(language_model.tokenizer(study.model), texts), strict=True):
        ids = torch.tensor([[network.bos, *part[:, 0].tolist()]])
        codes = sae.encode(network.residual(ids, None, study.site.layer)[0, 1:])
        torch.testing.assert_close(row, codes.max(dim=0).values, rtol=1e-4, atol=1e-5)


def test_a_response_that_is_not_finite_is_an_error(network: Any) -> None:
    network.blocks[2].mlp.up_proj.weight.data[3] = torch.nan
    with pytest.raises(NotFiniteError, match=r"1 of 1 sentences .* NaN"):
        Reader(Units(network.ref), []).read(["a boat"])


# ---------------------------------------------------------------- expertise


def test_ap_is_scikit_learns_for_every_unit_ties_included() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 90)).astype(np.float32)
    rows[:, 30:60] = np.maximum(rows[:, 30:60] - 1, 0)  # sparse, as features are
    rows[:, 60:] = np.round(rows[:, 60:])
    found = ranked(rows, positives=10)
    labels = np.arange(30) < 10
    for half, name in enumerate(("train", "test")):
        part = rows[30 * half : 30 * half + 30]
        expected = [average_precision_score(labels, part[:, unit]) for unit in range(90)]
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)


def test_a_planted_expert_is_first_and_one_of_train_alone_is_found_out() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(180, 2000)).astype(np.float32)
    rows[:30, [7, 11]] = rows[90:120, 7, None] = 9
    rows[:30, 7] = rows[90:120, 7] = 9
    found = ranked(rows, positives=30)
    assert found["train"][7] == found["test"][7] == 1
    maps = pl.DataFrame([(0, "all", 0, 2000)], schema=linear_maps.MAPS, orient="row")
    top = summaries.top(found["train"], found["test"], maps)
    assert set(top["unit"][:2]) == {7, 11}
    assert top["rank"][:3].to_list() == [1, 1, 3]
    assert found["test"][11] < 0.6
    assert found["null_best"].max() < 0.7  # the planted are not experts of shuffled labels


def test_noise_passes_half_at_one_half_positives_and_not_at_a_third() -> None:
    rows = np.random.default_rng(2).normal(size=(400, 3000)).astype(np.float32)
    at = TAUS.index(0.5)
    assert ranked(rows, positives=100)["null_above"][at] > 0.5
    few = ranked(rows[:240], positives=40)
    assert few["null_above"][at] < 0.01
    assert few["null_bins"].sum() == pytest.approx(1)
    assert (few["train"] >= 0.5).mean() < 0.01


def test_a_reader_of_other_units_is_refused() -> None:
    nothing = ConceptSentences(Reader(Units(MODEL), []), ([], []), ([], []))
    other = Units(replace(MODEL, revision="1"))
    with pytest.raises(ValueError, match="other units"):
        experts.expertise.function(other, nothing, 0)


def test_what_is_read_decides_the_key() -> None:
    reader = Reader(Units(MODEL), ["a boat", "a tide"])
    one = ConceptSentences(reader, (["butter"], ["oven"]), ([0], [1]))
    same = ConceptSentences(reader, (["butter"], ["oven"]), ([0], [1]))
    others = (
        ConceptSentences(reader, (["butter"], ["spoon"]), ([0], [1])),
        ConceptSentences(reader, (["oven"], ["butter"]), ([0], [1])),
        ConceptSentences(reader, (["butter"], ["oven"]), ([1], [0])),
        ConceptSentences(Reader(Units(MODEL), ["a boat", "a rope"]), one.positives, one.negatives),
    )
    key = experts.expertise.digest(Units(MODEL), one, 0)
    assert key == experts.expertise.digest(Units(MODEL), same, 0)
    keys = {experts.expertise.digest(Units(MODEL), other, 0) for other in others}
    assert len(keys | {key}) == 5


# ---------------------------------------------------------------- sentences


def test_words_are_whole_and_forms_are_known() -> None:
    table = pl.DataFrame({"text": ["A Cat sat there.", "The category, cat's", "New York is big"]})
    assert sentences.occurrences(table, ["cat", "new york"]) == {"cat": [0], "new york": [2]}
    is_form = inflections.inflections("carry")
    assert all(map(is_form, ["carry", "carries", "carried", "carrying"]))
    assert not any(map(is_form, ["car", "carrot", "care"]))
    assert inflections.inflections("stop")("stopped")
    assert inflections.inflections("believe")("believing")
    assert inflections.inflections("go")("went")
    assert not inflections.inflections("go")("gold")
    said = list(
        inflections.sentences(
            "Mr. Hill went to the old harbour today. Too short.\nA second one that is long enough."
        )
    )
    assert said == ["Mr. Hill went to the old harbour today.", "A second one that is long enough."]


@pytest.fixture
def selected(small: str) -> Any:
    study = studies.load(small)
    asked = "butter", "spoon", "apple", "cider", "boat", "no such thing"
    return sentences.select(study.model, study.corpus, "corpus", asked, (), 0)


def test_halves_share_no_document_and_no_sentence(small: str, selected: Any) -> None:
    study = studies.load(small)
    table = sentences.split(study.model, study.corpus, 0).frame("sentences")
    assert table.group_by("document").agg(pl.col("half").n_unique())["half"].max() == 1
    assert table["text"].str.to_lowercase().is_unique().all()
    said, pool = selected.frame("positives"), selected.frame("pool")
    halves = dict(table.select("text", "half").iter_rows())
    assert all(halves[text] == half for text, half in said.select("text", "half").iter_rows())
    rows = selected.frame("negatives")
    assert (pool["half"].gather(rows["row"]) == rows["half"]).all()


def test_negatives_have_no_form_of_the_word_and_its_length(selected: Any) -> None:
    table = selected.frame("concepts")
    assert table["concept"].to_list() == ["butter", "spoon", "apple", "cider"]
    pool = selected.frame("pool")["text"]
    for word, positives, negatives in table.select("concept", "positives", "negatives").iter_rows():
        assert positives >= sentences.LEAST
        assert negatives == 2 * positives  # positives are a third
        rows = selected.frame("negatives").filter(pl.col("concept") == word)
        assert (
            rows.group_by("half").agg(pl.col("row").n_unique())["row"].to_list() == [negatives] * 2
        )
        is_form = inflections.inflections(word)
        assert not any(
            is_form(each) for row in rows["row"] for each in inflections.spoken(pool[row])
        )
        said = selected.frame("positives").filter(pl.col("concept") == word)["text"]
        assert all(word in inflections.spoken(text) for text in said)
    assert table["length"].is_between(0.35, 0.65).all()


def test_an_absent_or_rare_word_is_listed_with_its_count(selected: Any) -> None:
    assert selected.frame("refused").rows() == [("boat", 28, 6), ("no such thing", 0, 0)]


def test_the_sentences_of_a_concept_do_not_depend_on_the_others(small: str, selected: Any) -> None:
    study = studies.load(small)
    fewer = sentences.select(study.model, study.corpus, "corpus", ("apple", "spoon"), (), 0)
    digests = [
        dict(e.frame("concepts").select("concept", "digest").iter_rows()) for e in (selected, fewer)
    ]
    assert digests[1] == {word: digests[0][word] for word in ("apple", "spoon")}


def test_too_few_concepts_are_an_error_with_their_number(small: str) -> None:
    study = studies.load(small)
    with pytest.raises(CorpusError, match="Only 1 of 2 concepts") as caught:
        sentences.select(study.model, study.corpus, "corpus", ("apple", "zebra"), (), 0)
    assert "zebra has 0 in train and 0 in test" in caught.value.problem
    assert "“from frames”" in caught.value.remedy


def test_concepts_are_chosen_by_what_the_corpus_holds_and_nothing_else() -> None:
    table = pl.DataFrame({"half": [0, 1] * 30})
    every, few = list(range(60)), list(range(20))
    pairs = [("cat", "dog", 9.0), ("dog", "pony", 5.0), ("cat", "yak", 4.0)]
    rated = {"one": pl.DataFrame(pairs, schema=ratings.RATINGS, orient="row")}
    rows = {"cat": every, "dog": every, "pony": few, "yak": []}
    assert sentences.default(table, rows, rated, "corpus") == ["cat", "dog"]
    assert sentences.default(table, rows, rated, "templates") == ["cat", "dog", "pony", "yak"]


def test_lengths_are_matched_without_replacement() -> None:
    lengths = np.array([5, 6, 20, 21, 22, 40, 41, 9])
    rows = np.arange(8)
    chosen = sentences.alike(np.array([21, 41]), lengths, rows)
    assert sorted(lengths[chosen]) == [20, 21, 40, 41]
    assert len(set(sentences.alike(np.array([21, 21, 21, 21]), lengths, rows))) == 8


def test_of_frames_nothing_but_the_word_is_different(small: str) -> None:
    study = studies.load(small)
    source = sentences.Frames(study.model)
    halves = source.halves("pillow")  # which is a filler itself
    frames = [set(half.positives["document"]) for half in halves]
    assert not frames[0] & frames[1]
    assert len(frames[0] | frames[1]) == len(FRAMES)
    used = []
    for number, half in enumerate(halves):
        assert (source.pool["half"].gather(half.negatives) == number).all()
        fillers = [source.fillers[row] for row in half.negatives]
        assert "pillow" not in fillers
        used.append(set(fillers))
        for row, filler in zip(half.negatives, fillers, strict=True):
            frame = FRAMES[source.pool["document"][int(row)]]
            assert source.pool["text"][int(row)] == sentences.fill(frame, filler)
            assert sentences.fill(frame, "pillow") in half.positives["text"]
    assert not used[0] & used[1]
    assert used[0] | used[1] <= set(FILLERS)


# ---------------------------------------------------------------- ratings


def test_words_are_chosen_so_that_many_pairs_stay() -> None:
    star = [("hub", f"leaf{number}") for number in range(6)]
    clique = [("a", "b"), ("a", "c"), ("b", "c")]
    table = pl.DataFrame(
        [(*pair, 1.0) for pair in star + clique], schema=ratings.RATINGS, orient="row"
    )
    held = {"one": table}
    every = ratings.words(held)
    assert ratings.choose(held, every, 4) == ["a", "b", "c"]
    assert ratings.choose(held, every, 5) == ["a", "b", "c", "hub", "leaf5"]
    assert ratings.choose(held, ["a", "b", "c", "leaf1"], 9) == ["a", "b", "c"]


def test_packaged_ratings_and_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "MEN.txt").write_text("Sun-n sunlight-n 50\nsunlight sun 40.0\ncar car 50\n")
    found = {ref.name: ratings.read(ref) for ref in ratings.available(tmp_path)}
    assert {name: len(table) for name, table in found.items()} == {
        "SimLex-999": 998, "WordSim-353": 350, "MEN": 1
    }  # fmt: skip
    assert found["MEN"].rows() == [("sun", "sunlight", 45.0)]
    (tmp_path / "MEN.txt").write_text("sun light 50\nsun light\n")
    with pytest.raises(CorpusError, match=r"MEN\.txt, line 2,"):
        ratings.read(ratings.available(tmp_path)[-1])


# ---------------------------------------------------------------- likeness and agreement


def test_agreement_with_people_beside_its_null_and_the_embedder() -> None:
    rng = np.random.default_rng(5)
    places = rng.normal(size=(30, 3))
    near = cosines(places)
    noise = cosines(rng.normal(size=(30, 3)))
    one, other = (part[:80] for part in np.triu_indices(30, 1))
    every: list[similarity.Measure] = [("cosine", None, near), ("embedder", None, noise)]
    ours, base = similarity.agreements(near[one, other] * 10, one, other, every, 0)
    names = list(similarity.AGREEMENT)[1:]
    ours, base = (dict(zip(names, row, strict=True)) for row in (ours, base))
    assert ours["rho"] == pytest.approx(1)
    assert ours["low"] == pytest.approx(1)
    assert ours["over"] == pytest.approx(1 - base["rho"])
    assert ours["over_low"] > 0
    assert ours["null_low"] < 0 < ours["null_high"] < 0.7
    assert base["low"] < 0.3
    assert base["high"] > -0.3
    assert base["over_low"] is None
    assert (ours["n"], ours["words"]) == (80, len(np.union1d(one, other)))


# ---------------------------------------------------------------- sets over τ


class Kept:
    """What a memo entry gives of arrays at hand."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = arrays

    def array(self, name: str) -> np.ndarray:
        return self.arrays[name]


def planted(seed: int = 0) -> list[Any]:
    """Six concepts in two groups over 400 units, read in two halves; the first 20 units know all of
    the first group."""
    rng = np.random.default_rng(seed)
    entries = []
    for concept in range(6):
        train, test = (rng.normal(0.33, 0.03, 400).astype(np.float32) for _ in range(2))
        own = slice(100 + 20 * concept, 110 + 20 * concept)
        shared = slice(0, 20) if concept < 3 else slice(20, 40)
        for half in (train, test):
            half[own] = half[shared] = 0.9
        entries.append(Kept(train=train, test=test, null_above=np.zeros(len(TAUS))))
    return entries


def test_planted_groups_stand_together_and_are_found_again() -> None:
    entries = planted()
    found = Kept(**similarity.compared.function(entries, entries))  # type: ignore[arg-type]
    tree = summaries.tree(found.array("centred"))
    assert {frozenset(tree.order[:3]), frozenset(tree.order[3:])} == {
        frozenset(range(3)), frozenset(range(3, 6))
    }  # fmt: skip
    at = TAUS.index(0.5)
    assert found.array("sizes")[at].tolist() == [[30] * 6] * 2
    assert found.array("experts")[at][0, 1] == pytest.approx(20 / 40)
    rows = {
        row["of"]: row["value"]
        for row in summaries.stability(found).filter(tau=0.5).iter_rows(named=True)
    }  # type: ignore[arg-type]
    assert rows["same"] == 1
    assert rows["other"] == pytest.approx((2 * 0.5 + 3 * 0) / 5)
    assert rows["random"] == pytest.approx((900 / 400) / (60 - 900 / 400))
    row = summaries.chosen(found, entries).row(at, named=True)  # type: ignore[arg-type]
    assert (row["experts"], row["kept"], row["n"]) == (30, 1, 6)
    again = {
        row["measure"]: row["value"]
        for row in summaries.again.function(found, 0)["again"].iter_rows(named=True)
    }  # type: ignore[arg-type]
    assert again["known"] == 1


def test_concepts_without_experts_are_not_known_again() -> None:
    rng = np.random.default_rng(0)
    noise = [
        Kept(**{half: rng.normal(0.33, 0.03, 400).astype(np.float32) for half in ("train", "test")})
        for _ in range(5)
    ]
    found = Kept(**similarity.compared.function(noise, noise))  # type: ignore[arg-type]
    again = {
        row["measure"]: row
        for row in summaries.again.function(found, 0)["again"].iter_rows(named=True)
    }  # type: ignore[arg-type]
    assert again["known"]["value"] == 0
    assert not len(summaries.stability(found).filter((pl.col("tau") == 0.95) & (pl.col("n") > 0)))  # type: ignore[arg-type]


def test_heat_is_the_share_of_each_map() -> None:
    maps = pl.DataFrame(
        [(0, "q", 0, 4), (0, "v", 4, 2), (1, "q", 6, 4)], schema=linear_maps.MAPS, orient="row"
    )
    train = np.array([1, 1, 0, 0, 0, 1, 0, 0, 0, 1], dtype=np.float32)
    layers, modules, heat = summaries.heat_of(train, maps)
    assert (layers, modules) == ((0, 1), ("q", "v"))
    assert heat[0, 0].tolist() == [0.5, 0.5]
    assert heat[0, 1, 0] == 0.25
    assert np.isnan(heat[0, 1, 1])


# ---------------------------------------------------------------- the whole of it


def compute(study: str, **choice: str) -> None:
    """What the job of ExpertLens does."""
    with run.computing("cpu", Progress()):
        expert_lens_answers.expert_lens(study, **ASK | choice)


def look(study: str, units: str, source: str, concepts: str) -> ExpertLens:
    """ExpertLens as it is computed."""
    view = expert_lens_answers.expert_lens.look(study, units, source, concepts)
    assert view is not None
    return view


@pytest.fixture
def view(small: str) -> ExpertLens:
    compute(small)
    return look(small, *WHAT)


def loaded(small: str) -> Study:
    return studies.load(small)


def test_nothing_is_computed_unasked_and_a_job_knows_what_was_asked(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    assert expert_lens_answers.expert_lens.look(small, *WHAT) is None
    assert jobs.recent() == []
    asked = [
        expert_lens_answers.expert_lens(small, units, "corpus", concepts)
        for units, concepts in (
            ("maps", " Butter;spoon,,butter"),
            ("features", "butter, spoon"),
            ("maps", "butter, spoon"),
        )
    ]
    assert all(isinstance(job, Job) for job in asked)
    assert asked[0].id == asked[2].id != asked[1].id
    assert json.loads(asked[1].arguments) == ASK | {
        "units": "features",
        "concepts": "butter, spoon",
    }


def test_a_run_from_the_page_to_the_numbers(small: str, view: ExpertLens) -> None:
    assert view.refused.rows() == [("zebra", 0, 0)]
    assert view.concepts["concept"].to_list() == OWN.split(", ")[:-1]
    assert view.width == linear_maps.maps.get(loaded(small).model).frame("maps")["width"].sum()
    assert set(view.tree.order) == set(range(6))
    assert len(view.agreement) == 0  # none of these pairs is rated
    frame = expert_lens_answers.measures(view)
    assert frame["measure"].is_unique().all()
    assert frame.filter(pl.col("measure").str.contains("known again"))["null"][0] == 1 / 6
    said = page.answer(view, 3)
    assert f"{view.width:,} units" in said
    for name, table in page.tables(view, 3).items():
        assert len(table), name


def test_what_was_ranked_is_not_ranked_again(
    small: str, view: ExpertLens, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = Reader.read

    def counting(self: Reader, texts: list[str]) -> Any:
        read.append(len(texts))
        return original(self, texts)

    monkeypatch.setattr(Reader, "read", counting)
    compute(small)
    assert not read
    compute(small, concepts=f"{OWN}, pepper")  # one more concept: the pool and two halves
    assert len(read) == 3


def test_one_concept_and_its_units(small: str, view: ExpertLens) -> None:
    found = expert_lens_answers.expert_concept(small, "butter", *WHAT)
    assert not isinstance(found, Job)
    best = view.concepts.row(by_predicate=pl.col("concept") == "butter", named=True)
    top = found.top.row(0, named=True)
    assert (top["unit"], top["train"], top["test"]) == pytest.approx(
        (best["best"], best["train"], best["test"])
    )
    assert found.bins.sum(axis=1) == pytest.approx([1, 1])
    assert found.heat.shape == (len(TAUS), 4, 7)
    counts = found.texts.group_by("half", "positive").len()["len"].to_list()
    assert counts == [4] * 4
    with pytest.raises(NotFoundError, match="none of the concepts"):
        expert_lens_answers.expert_concept(small, "buttr", *WHAT)
    assert "butter" in expert_concept.answer(found, 3)


def test_features_and_frames_and_what_they_share(small: str, view: ExpertLens) -> None:
    for asked in ({"sentences": "templates"}, {"units": "features"}):
        compute(small, **asked)
    features = look(small, "features", "corpus", OWN)
    framed = look(small, "maps", "templates", OWN)
    assert features.width == 64
    assert "zebra" in framed.concepts["concept"]  # frames hold any word
    again = look(small, *WHAT)  # the frames came after it
    for each in (framed, again):
        assert len(each.elsewhere)
        assert each.again.filter(measure="elsewhere")["n"].to_list() == [6]
    assert not len(view.elsewhere)
    found = expert_lens_answers.expert_concept(small, "", "features", "corpus", OWN)
    assert not isinstance(found, Job)
    assert found.heat.shape == (len(TAUS), 1, 1)
    with run.computing("cpu", Progress()):
        same = expert_lens_answers.experts_between(small, small, "maps", "corpus", OWN)
        few = expert_lens_answers.experts_between(
            small, small, "maps", "corpus", "apple, spoon, pepper"
        )
    assert isinstance(same, pl.DataFrame)
    assert same["value"][0] == pytest.approx(1)
    assert few is None
    assert "concepts permuted" in benchmarks.beside_html({"both together": same})


def test_bad_choices_are_named(small: str) -> None:
    with pytest.raises(TesseraError, match="no units 'neurons'"):
        expert_lens_answers.expert_lens(small, "neurons", "corpus", "")
    many = ", ".join(f"word{number}" for number in range(201))
    with pytest.raises(TesseraError, match="201 concepts are too many"):
        expert_lens_answers.expert_lens(small, "maps", "corpus", many)
    bare = replace(loaded(small), sae=None)
    with pytest.raises(ModelError, match="no SAE"):
        expert_lens_answers.expert_lens.entry.function(bare, "features", "templates", OWN)


# ---------------------------------------------------------------- on the page


def rated(view: ExpertLens) -> ExpertLens:
    """The same with two files of ratings."""
    rng = np.random.default_rng(0)
    names = view.concepts["concept"].to_list()
    one, other = np.triu_indices(6, 1)
    rows, pairs = [], []
    for name in ("A", "B"):
        human = rng.random(len(one))
        every = [
            (m, None, cosines(rng.normal(size=(6, 3)))) for m in page.MEASURES if m != "experts"
        ]
        every += [("experts", tau, view.centred) for tau in TAUS]
        rows += [(name, *row) for row in similarity.agreements(human, one, other, every, 0)]
        table = {
            "ratings": name,
            "word": [names[i] for i in one],
            "other": [names[i] for i in other],
        }
        pairs.append(pl.DataFrame({**table, "human": human, "centred": view.centred[one, other]}))
    agreement = pl.DataFrame(rows, schema=similarity.AGREEMENT, orient="row")
    return replace(view, agreement=agreement, pairs=pl.concat(pairs))


def test_charts_show_what_they_are_given(view: ExpertLens) -> None:
    whole = rated(view)
    at = TAUS.index(0.5)
    chart = page.agreement_chart(whole, at)
    assert [trace.name.split(" ·")[0] for trace in chart.data] == ["A", "B"]
    shown = dict(zip(chart.layout.yaxis.ticktext, chart.data[0].x, strict=True))
    rows = page.at_tau(whole, at).filter(ratings="A")
    assert shown["experts at τ .50 (Jaccard)"] == rows.filter(measure="experts")["rho"][0]
    assert len(chart.layout.shapes) == 13  # a null a row, and the line at 0
    assert len(page.human_chart(whole).data[0].x) == 15
    heat = expert_sets.likeness_chart(view).data[1]
    order = list(view.tree.order)
    assert heat.z[0][1] == view.centred[order[0], order[1]]
    assert np.isnan(heat.z[2][2])
    assert len(expert_sets.map_chart(view).data[0].x) == 6
    names = {
        trace.name
        for trace in expert_sets.stability_chart(view, at).data
        if trace.showlegend is None
    }
    assert names <= set(expert_sets.OF.values())
    for made in (expert_sets.again_html(view), expert_sets.chosen_html(view, at)):
        assert "<table" in made
    assert "zebra" in expert_sets.concepts_html(view)
    assert page.agreement_html(whole, at).count("AP of all units (cosine)</span></b>") == 2


def test_words_left_out_are_said_with_their_counts(view: ExpertLens) -> None:
    assert (
        expert_sets.left_out(view)
        == f"Left out: zebra (0 in train, 0 in test). {expert_sets.NEEDS}"
    )
    whole = expert_sets.concepts_html(view)
    assert whole.count("needs 10 sentences with it") == 2
    assert "20 sentences in each half" not in whole  # the threshold of words nobody named
    assert "20 sentences in each half" in expert_sets.taken(replace(view, named=False))


def test_of_few_concepts_nothing_is_said_of_likeness(small: str, view: ExpertLens) -> None:
    compute(small, concepts="butter, spoon, apple")
    few = look(small, "maps", "corpus", "butter, spoon, apple")
    assert few.again["measure"].to_list() == ["known"]
    assert not page.comparable(few)
    assert not expert_lens_answers.measures(few)["measure"].str.contains("likeness").any()
    assert page.comparable(view)
    assert view.again["measure"].to_list() == ["likeness", "known"]
    drawn = AppTest.from_function(shown, args=(few,), default_timeout=30).run()
    assert not drawn.exception
    assert "takes five concepts" in said_by(drawn)
    assert len(drawn.get("plotly_chart")) == 1  # stability alone


def shown(view: object) -> None:
    from components.evals.expert_lens import tab as expert_lens
    from components.shell import address

    address.begin("benchmarks")
    expert_lens.render_expert_lens(view)  # type: ignore[arg-type]


def said_by(drawn: AppTest) -> str:
    return " ".join(part.proto.body for part in drawn.get("html"))


def test_without_experts_nothing_is_said_of_them(view: ExpertLens) -> None:
    at = len(TAUS) - 1
    whole, last = rated(view), pl.col("tau") == TAUS[at]
    none = pl.when(last).then(float("nan")).otherwise(pl.col("rho")).alias("rho")
    empty = replace(
        whole,
        agreement=whole.agreement.with_columns(none),
        chosen=whole.chosen.with_columns(n=pl.when(last).then(0).otherwise("n")),
    )
    said = page.answer(empty, at)
    assert said.count("by experts undefined: too few experts") == 2
    assert "permuted" not in said
    assert "–" not in said
    assert "none of the 6 concepts has one" in said
    assert page.agreement_html(empty, at).count("undefined: too few experts") == 2
    assert len(page.agreement_chart(empty, at).layout.shapes) == 11
    half = TAUS.index(0.5)
    assert "by experts" in page.answer(empty, half)
    n = empty.chosen["n"][half]
    assert f"({n} of 6 concepts have any)" in page.answer(empty, half)


def test_the_rho_that_is_said_can_be_had_from_the_download(view: ExpertLens) -> None:
    whole, at = rated(view), TAUS.index(0.4)
    pairs = page.tables(whole, at)["pairs"]
    names = view.concepts["concept"].to_list()
    first = pairs.row(0, named=True)
    ends = names.index(first["word"]), names.index(first["other"])
    assert first["experts at 0.4"] == np.nan_to_num(view.experts[at])[ends]


def test_an_address_says_what_is_shown(view: ExpertLens) -> None:
    drawn = AppTest.from_function(shown, args=(view,), default_timeout=30)
    drawn.query_params["tau"] = "0.52"
    drawn.run()
    assert not drawn.exception
    assert "tau" not in drawn.query_params  # .5, the default
    drawn.query_params["tau"] = "0.62"
    drawn.run()
    assert drawn.query_params["tau"] in ("0.6", ["0.6"])

    def picked(concepts: list[str]) -> None:
        from components.evals.expert_lens import concept as expert_concept
        from components.shell import address

        address.begin("benchmarks")
        expert_concept.render_pick(concepts)

    one = AppTest.from_function(picked, args=(["cat", "dog"],), default_timeout=30)
    one.query_params["concept"] = "zzz"
    one.run()
    assert "none of the concepts" in said_by(one)
    assert one.query_params["concept"] in ("cat", ["cat"])


def test_the_charts_of_a_concept(small: str, view: ExpertLens) -> None:
    found = expert_lens_answers.expert_concept(small, "apple", *WHAT)
    assert not isinstance(found, Job)
    chart = expert_concept.ap_chart(found, 3)
    assert [trace.name for trace in chart.data] == ["train", "test", "shuffled labels"]
    assert np.nansum(chart.data[0].y) == pytest.approx(found.width)
    heat = expert_concept.heat_chart(found, 3).data[0]
    assert np.array_equal(heat.z, found.heat[3].T)
    assert expert_concept.sizes_chart(found, 3).data[0].y[0] == found.sizes["experts"][0]
    assert "down_proj" in expert_concept.top_html(found) or "_proj" in expert_concept.top_html(
        found
    )
    assert expert_concept.texts_html(found).count("<tr>") == 17
