"""SAGE on the small world: patched runs against hooks by hand, a planted site, and the page's view
from prompts to charts. The random model solves nothing, so its gate is held open where needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from backend import run
from backend.evals.sage import TASKS, evaluate, sites
from backend.evals.sage import answers as sage_answers
from backend.evals.sage import tables as sage_parts
from backend.evals.sage import tasks as prompts
from backend.evals.sage.sites import Sizes
from backend.evals.sage.views import Sage
from backend.models import language_model
from backend.models.patching import KINDS, Patcher, Place
from backend.schema import Job, ModelError, ModelRef, NotFiniteError, NotFoundError, Progress, Study
from backend.store import jobs
from backend.study import loading as studies
from components.evals.sage import charts as sage_charts
from components.evals.sage import tab as shown
from components.evals.sage import tables as sage_tables
from components.shell import address, links
from tests.conftest import LAYER, WIDTH

SIZES = Sizes(train=40, test=24)
WORDS = {
    "keys": "boat captain anchor tide sailor pier rope lantern gull storm butter oven".split(),
    "words": "kettle onion pepper knife apron bread apple ladder basket branch wasp fence".split(),
}
TEMPLATES = (
    ("The {K1} {V1} the {K2} {V2} the {Q}", "The {K1} {V1} on the {K2} {V2} on the {Q}"),
    ("The {K1} {V1} finds the {K2} {V2} finds the {Q}",),
)


@pytest.fixture(scope="module")
def words(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Words and templates of which the small tokenizer makes one token each, in a cache of their
    own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSERA_STUDIES", str(world / "studies"))
        patch.setenv("TESSERA_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setitem(prompts.WORDS, "induction", WORDS)
        patch.setitem(prompts.TEMPLATES, "induction", TEMPLATES)
        patch.setattr(sage_answers, "SIZES", SIZES)
        yield


@pytest.fixture(scope="module")
def study(words: None) -> Study:
    return studies.load("small")


@pytest.fixture
def patcher(world: Path) -> Patcher:
    ref = ModelRef(f"folder:{world / 'model'}", "", "float32")
    return Patcher(language_model.LanguageModel(ref, "cpu"))


RNG = np.random.default_rng(0)
IDS = RNG.integers(5, 300, (6, 11))
END = np.array([10, 10, 7, 8, 10, 9])
PAIR = RNG.integers(5, 300, (6, 2))


@torch.inference_mode()
def by_hand(patcher: Patcher, module: Any, position: int, rows: np.ndarray) -> np.ndarray:
    """LD of whole runs, each prompt by itself, without padding, one position overwritten."""

    def put(_module: Any, _args: Any, output: Any) -> Any:
        whole = (output[0] if isinstance(output, tuple) else output).clone()
        whole[0, position] = torch.from_numpy(rows[at])
        return (whole, *output[1:]) if isinstance(output, tuple) else whole

    found = []
    for at in range(len(IDS)):
        ids, end, pair = IDS[at], END[at], PAIR[at]
        handle = module.register_forward_hook(put)
        logits = patcher.model.network(torch.from_numpy(ids[None, : end + 1])).logits[0, -1]
        handle.remove()
        found.append(float(logits[pair[0]] - logits[pair[1]]))
    return np.array(found)


# ---------------------------------------------------------------- patching


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", [0, 1, 3])
@pytest.mark.parametrize("position", [1, 5, 7])
def test_patched_runs_equal_hooks_by_hand(
    patcher: Patcher, kind: str, layer: int, position: int
) -> None:
    block = patcher.model.blocks[layer]
    names = {"attn": "post_attention_layernorm", "mlp": "post_feedforward_layernorm"}
    module = block if kind == "resid" else getattr(block, names[kind])
    rows = RNG.standard_normal((3, 6, WIDTH)).astype(np.float32)
    place = Place(layer, kind)
    clean = patcher.clean(IDS, END, [place.before])
    found = patcher.patched(clean, place, position, rows, np.repeat(PAIR[None], 3, axis=0))
    for at in range(3):
        assert np.allclose(found[at], by_hand(patcher, module, position, rows[at]), atol=1e-5)
    moved = np.ptp(found, axis=0) > 1e-5
    assert moved.all() if layer < 3 else np.array_equal(moved, position == END)


def test_nothing_stays_behind_in_the_model(patcher: Patcher) -> None:
    before = patcher.differences(IDS, END, PAIR)
    place = Place(2, "attn")
    rows = np.ones((1, 6, WIDTH), dtype=np.float32)
    patcher.patched(patcher.clean(IDS, END, [1]), place, 3, rows, PAIR[None])
    assert np.array_equal(patcher.differences(IDS, END, PAIR), before)
    own = patcher.read(IDS, np.full((6, 1), 3), [place])[:, 0, 0]
    same = patcher.patched(patcher.clean(IDS, END, [1]), place, 3, own[None], PAIR[None])
    assert np.allclose(same[0], before, atol=1e-5)


def test_a_gradient_is_the_slope_of_the_patched_run(patcher: Patcher) -> None:
    places = [Place(1, kind) for kind in KINDS]
    at = np.full((6, 1), 4)
    values, slopes, found = patcher.gradients(IDS, END, PAIR, at, places)
    assert np.allclose(found, patcher.differences(IDS, END, PAIR), atol=1e-6)
    for number, place in enumerate(places):
        step = RNG.standard_normal((6, WIDTH)).astype(np.float32) * 1e-2
        both = np.stack([values[:, 0, number] + step, values[:, 0, number] - step])
        clean = patcher.clean(IDS, END, [place.before])
        up, down = patcher.patched(clean, place, 4, both, np.repeat(PAIR[None], 2, axis=0))
        assert np.allclose(up - down, 2 * (slopes[:, 0, number] * step).sum(axis=1), atol=2e-5)


def test_gradients_that_are_not_finite_are_counted(patcher: Patcher) -> None:
    patcher.model.norm.weight.data[3] = torch.nan
    with pytest.raises(NotFiniteError, match=f"{6 * WIDTH} of {6 * WIDTH} gradients"):
        patcher.gradients(IDS, END, PAIR, np.full((6, 1), 4), [Place(1)])


def test_a_block_that_is_not_there_is_said(patcher: Patcher) -> None:
    with pytest.raises(ModelError, match="4 blocks, none of number 9"):
        patcher.read(IDS, np.full((6, 1), 3), [Place(9)])


def test_a_model_whose_logits_are_something_else_is_refused(patcher: Patcher) -> None:
    patcher.check(IDS[0], PAIR[0])
    head = patcher.model.network.get_output_embeddings()
    head.register_forward_hook(lambda _m, _a, out: out * 2)
    with pytest.raises(ModelError, match="makes more of its logits"):
        patcher.check(IDS[0], PAIR[0])


# ---------------------------------------------------------------- prompts and sites


def test_prompts_are_the_tokens_that_they_say(study: Study) -> None:
    entry = prompts.prompts(study.model, "induction", 40, 24, 0)
    found, texts = prompts.prompt_set(entry), entry.frame("texts")
    decode = language_model.tokenizer(study.model)
    for row in (0, 41, 60):
        ids = found.ids[0, row, : found.end[row] + 1]
        assert decode.decode(ids[1:]) == texts["text"][row]
        assert ids[0] == decode.bos_token_id
        said = dict(zip(found.roles, found.places[0, row], strict=True))
        assert said["end"] == found.end[row]
        values = dict(zip(found.attributes, found.codes[0, row], strict=True))
        word = "first word" if found.values[2][values["asked"]] == "first" else "second word"
        assert decode.decode([ids[said[word]]]).strip() == texts["answer"][row]
        assert decode.decode([found.pair[0, row, 0]]).strip() == texts["answer"][row]
    assert (found.test == texts["test"].to_numpy()).all()
    assert not set(found.template[found.test]) & set(found.template[~found.test])
    assert texts["text"].n_unique() == 64


def test_too_few_single_tokens_are_said(study: Study) -> None:
    entry = prompts.prompts(study.model, "capital", 40, 24, 0)
    assert "of 37 countries" in entry.value("problem")
    with pytest.raises(Exception, match="Choose another task"):
        prompts.prompt_set(entry)


def test_a_planted_site_is_found_first(
    study: Study, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model in which only attention of block 1 adds anything, so that only there the answer can
    come to the end."""
    ref = ModelRef(f"folder:{world / 'model'}", "", "float32")
    model = language_model.LanguageModel(ref, "cpu")
    for number, block in enumerate(model.blocks):
        block.post_feedforward_layernorm.weight.data[:] = -1  # the gain is one more
        if number != 1:
            block.post_attention_layernorm.weight.data[:] = -1
    monkeypatch.setattr(sites.language_model, "load", lambda _ref, _device: model)
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "planted"))
    # with the key at the end unchanged, what was seen before has to be carried there
    monkeypatch.setitem(prompts.EDITS, "induction", {"answer": ("answer",)})
    original = prompts.prompt_set
    monkeypatch.setattr(sites.tasks, "prompt_set", lambda entry: second_edit(original(entry)))
    found = sites.attribution(study.model, "induction", SIZES).array("estimate")
    parts = np.abs(found[:, 1:])  # what attention and MLP add
    assert np.unravel_index(parts.argmax(), parts.shape) == (1, 0, 4)
    assert np.count_nonzero(parts > 1e-9) == 1 + np.count_nonzero(parts[1, 0, :4] > 1e-9)
    entry = sites.verification(study.model, study.site, "induction", SIZES)
    checked = entry.frame("patched")
    real = checked.filter(layer=1, kind="attn", role="end")["effect"][0]
    whole = (entry.array("ld_counterfactual") - entry.array("ld")).mean()
    assert real == pytest.approx(whole, rel=1e-3)


def second_edit(found: prompts.PromptSet) -> prompts.PromptSet:
    """The prompts with their second counterfactual alone."""
    keep = [0, 2]
    names = ("ids", "places", "codes", "pair")
    pair = found.pair[2]
    given = {name: getattr(found, name)[keep] for name in names}
    return replace(found, **given | {"pair": np.stack([pair, pair])})


# ---------------------------------------------------------------- all of it


@pytest.fixture(scope="module")
def view(study: Study) -> Sage:
    """The whole view of the small study, its gate held open."""
    with pytest.MonkeyPatch.context() as patch:
        gate = sage_answers.gate_row
        open_ = lambda *given: gate(*given) | {"solved": not given[2], "problem": given[2]}  # noqa: E731
        patch.setattr(sage_answers, "gate_row", open_)
        patch.setattr(sage_answers, "NEGLIGIBLE", 0.0)
        with run.computing("cpu", Progress()):
            sage_answers.sage("small")
        view = sage_answers.sage.look("small")
    assert view is not None
    return view


def test_runs_put_in_place_what_they_say(study: Study, view: Sage, patcher: Patcher) -> None:
    given = sites.prompts_of(study.model, "induction", SIZES)
    train, test = given.part(~given.test), given.part(given.test)
    kept = evaluate.known(train.codes[0], test.main().codes)
    test = test.part(kept)
    where = study.model, study.site, study.sae, "induction", "end", "mlp", SIZES
    entry = evaluate.evaluate.get(*where)
    read = sage_parts.PlacedRuns(entry)
    stored = evaluate.activations.get(study.model, study.site, "induction", SIZES)
    module = patcher.model.blocks[LAYER].post_feedforward_layernorm
    mean = np.asarray(stored.array("train"))[:, 4, 2].mean(axis=0)
    other = np.asarray(stored.array("test"))[1, kept, 4, 2]
    for at in (0, 13):
        ids = torch.from_numpy(test.ids[0, at : at + 1, : test.end[at] + 1])
        asked = {"kept": mean, "true": other[at]}
        for what, row in asked.items():

            def put(_m: Any, _a: Any, out: torch.Tensor, row: np.ndarray = row) -> torch.Tensor:
                whole = out.clone()
                whole[0, -1] = torch.tensor(row)
                return whole

            handle = module.register_forward_hook(put)
            logits = patcher.model.network(ids).logits[0, -1].detach()
            handle.remove()
            pair = test.pair[1 if what == "true" else 0, at]
            named = {"dictionary": "mean"} if what == "kept" else {"edit": "key"}
            found = read.ld_of(what=what, **named)[at]
            assert found == pytest.approx(float(logits[pair[0]] - logits[pair[1]]), abs=1e-5)


def test_mean_ablation_is_the_zero_of_everything(view: Sage) -> None:
    found = view.results
    assert found is not None
    for measure in ("relative", "necessity", "explained"):
        values = found.scores.filter(measure=measure, dictionary="mean")["value"].drop_nulls()
        assert np.allclose(values, 0, atol=1e-6)
    none = found.control.filter(dictionary="none")
    assert np.allclose(none["value"].drop_nulls(), 0)
    assert none["turned_same"].sum() == 0
    true = found.control.filter(dictionary="true")
    assert np.allclose(true["value"].drop_nulls(), 1)
    assert (true["same"] == true["of"]).all()


def test_the_sae_explains_more_than_random_rows_of_its_own_activations(view: Sage) -> None:
    found = view.results
    assert found is not None
    assert set(found.scores["dictionary"]) == set(sage_charts.NAMES) - {"true", "none"}
    assert found.evaluated[0] == view.role
    assert len(found.evaluated) == 3
    assert found.read["attribute"].unique(maintain_order=True).to_list() == list(
        prompts.ATTRIBUTES["induction"]
    )
    assert found.train == 40
    assert found.test == 24


def test_roles_that_carry_the_answer_come_before_those_that_do_more() -> None:
    class Checked:
        def array(self, name: str) -> np.ndarray:
            return np.array([5.0, 5.0]) if name == "ld" else np.array([-5.0, -5.0])

        def frame(self, _name: str) -> pl.DataFrame:
            effects = {"away": 6.0, "some": -2.0, "most": -5.0, "little": -0.4, "none": 0.0}
            return pl.DataFrame(
                {"drawn": "site", "role": list(effects), "effect": list(effects.values())}
            )

    assert sage_answers._roles(Checked()) == ["most", "some", "away"]


def test_gates_of_all_tasks_stand_before_anything_else(view: Sage) -> None:
    assert view.gates["task"].to_list() == list(TASKS)
    assert view.gates["solved"].to_list() == [False, True, False, False]
    html = sage_tables.gates_html(view)
    assert "of 37 countries" in html
    assert html.count("not solved") == 3


def test_charts_hold_what_was_measured(view: Sage) -> None:
    found = view.results
    assert found is not None
    heat = sage_charts.attribution_chart(found)
    assert np.array_equal(np.array(heat.data[0].z), found.attribution[:, 0])
    assert sum(len(trace.x) for trace in sage_charts.patched_chart(found).data[1:]) == len(
        found.patched
    )
    scores = sage_charts.scores_chart(found, view.role)
    assert {trace.name for trace in scores.data if trace.name} == set(sage_charts.KINDS.values())
    control = sage_charts.control_chart(found)
    sae = [trace for trace in control.data if trace.name == "SAE"]
    assert all(list(trace.x) == [1, 2, 4, 8, 16] for trace in sae)
    read = sage_charts.read_chart(found)
    assert len(read.data[0].y) == len(found.read.filter(pl.col("value") != ""))


def test_tables_link_features_and_mark_roles(view: Sage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links.address, "get", lambda name: address.SHARED[name].default)
    found = view.results
    assert found is not None
    feature = found.read.filter(pl.col("feature") > 0)["feature"][0]
    assert f'features?feature={feature}"' in sage_tables.read_html(found)
    prompt = sage_tables.prompt_html(found.prompts[0])
    assert all(role in prompt for role in prompts.ROLES["induction"])
    assert found.prompts[0].answer in prompt
    assert "our projection" in sage_tables.scores_html(found, view.role)
    assert "induction prompts" in shown.answer(view)
    measured = sage_answers.measures(view)
    assert measured["measure"][0] == "accuracy on induction"
    assert measured.schema["n"] == pl.Int64
    assert set(shown.tables(view)) == {"gates", "patched", "scores", "control", "read"}


def test_a_task_that_the_model_fails_is_stated_and_not_scored(
    study: Study, view: Sage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sage_answers, "ACCURACY", 1.1)
    found = sage_answers.sage.look("small", "induction")
    assert found is not None
    assert found.results is None
    monkeypatch.setattr(links.address, "get", lambda name: address.SHARED[name].default)
    assert "does not solve induction" in shown.answer(found)
    easier = replace(found, easier="capital")
    assert "which=sage&amp;task=capital" in shown.answer(easier)
    assert len(sage_answers.measures(found)) == 1


def test_without_an_sae_the_supervised_part_stands(
    study: Study, view: Sage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = sage_answers.gate_row
    open_ = lambda *given: gate(*given) | {"solved": not given[2]}  # noqa: E731
    monkeypatch.setattr(sage_answers, "gate_row", open_)
    bare = replace(study, sae=None)
    answer = sage_answers.sage.entry.function
    with run.looking(), pytest.raises(run.Missing):
        answer(bare)
    with run.computing("cpu", Progress()):
        found = answer(bare)
    assert found.results is not None
    assert found.sae == "none"
    assert set(found.results.scores["dictionary"]) == {"means", "squares", "shuffled", "mean"}
    assert len(found.results.read) == 0
    control = sage_charts.control_chart(found.results)
    assert not any(trace.name == "SAE" for trace in control.data)


def test_what_is_missing_becomes_a_job(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    assert sage_answers.sage.look(small) is None
    with pytest.raises(NotFoundError, match="no task 'chess'"):
        sage_answers.sage(small, "chess")
    assert jobs.recent() == []
    job = sage_answers.sage(small, "ioi")
    assert isinstance(job, Job)
    assert (job.query, json.loads(job.arguments)) == ("sage", {"task": "ioi", "role": ""})
