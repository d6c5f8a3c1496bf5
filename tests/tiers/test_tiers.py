"""Correlation scores, tiers and their second opinion, against brute force and by hand."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from backend import queries, run
from backend.corpus.contexts import Tokens, tokenize
from backend.experiments import experiment
from backend.experiments.views import Run
from backend.features import examples, logits, passes
from backend.features.codes import Column
from backend.labels.subjects import features_of, models_of
from backend.labels.words import LabelRequest
from backend.models import embedder as embedders
from backend.models import language_model
from backend.models import sae as sae_models
from backend.schema import (
    Job,
    NotFoundError,
    Plan,
    Progress,
    Study,
    Thresholds,
    Tier,
    TierSpec,
    Window,
)
from backend.study import loading as studies
from backend.tiers import answers as tier_answers
from backend.tiers import assignment, routing, second_opinion, windows
from backend.tiers import check as tier_check
from backend.tiers.windows import PeakSet
from backend.tiers.words import RoutePlan
from components.shell import address
from components.tiers import charts as tier_charts
from components.tiers import inspector as tier_inspector
from components.tiers import table as shown_tiers
from components.tiers.check import latest
from tests.helpers.caches import use_copy_without
from tests.helpers.decisions import decision
from tests.helpers.pages import opened, text_of

WINDOWS = ("input", "output", "cross")
SPEC = TierSpec(count=5, input=1, output=1, cross=5)


@pytest.fixture
def study(ready: str) -> Study:
    return studies.load(ready)


@pytest.fixture
def tokens(study: Study) -> Tokens:
    return Tokens(tokenize(study.model, study.corpus))


@pytest.fixture
def sorted_study(study: Study) -> Study:
    """With tiers computed."""
    compute_tiers(study, SPEC)
    return study


@pytest.fixture
def unlabelled_study(sorted_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """With tiers computed and, in a cache of its own, no label: one that was written for another
    test would be a label of its feature like any other."""
    use_copy_without("labels.*", tmp_path, monkeypatch)
    return sorted_study


def compute_tiers(study: Study, spec: TierSpec) -> None:
    with run.computing("cpu", Progress()):
        queries.tiers(study.name, spec)


# ---------------------------------------------------------------- ρ


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(2, 7), st.booleans())
def test_rho_is_the_mean_over_pairs(seed: int, features: int, n: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(features, n, 6))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    weights = rng.random((features, n)) if weighted else np.ones((features, n))
    weights[rng.random((features, n)) < 0.3] = 0
    found = windows.correlation(vectors, weights)
    for feature in range(features):
        there = [at for at in range(n) if weights[feature, at] > 0]
        total = below = 0.0
        for a in there:
            for b in there:
                if a < b:
                    both = weights[feature, a] * weights[feature, b]
                    total += both * float(vectors[feature, a] @ vectors[feature, b])
                    below += both
        if len(there) < 2:
            assert np.isnan(found[feature])
        else:
            assert found[feature] == pytest.approx(total / below, abs=1e-9)


def test_peaks_are_the_strongest_of_each_document(study: Study, tokens: Tokens) -> None:
    peaks = windows.peaks(study.reading, study.require_sae())
    index = examples.codes_index(study.reading, study.require_sae())
    for feature in range(0, 64, 7):
        low, high = index.array("offsets")[feature : feature + 2]
        rows, values = index.array("rows")[low:high], index.array("values")[low:high]
        best: dict[int, tuple[float, int]] = {}
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):
            document = int(tokens.document_of[row])
            if document not in best or value > best[document][0]:
                best[document] = (value, row)
        wanted = sorted(best.values(), key=lambda one: (-one[0], one[1]))[: windows.MOST]
        found = peaks.array("rows")[feature]
        assert [row for _, row in wanted] == found[found >= 0].tolist()
        top = examples.top(Column(feature, rows, values), tokens, len(wanted))
        assert top.tokens.tolist() == [row for _, row in wanted], "as the page of the feature"


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=30))
def test_the_highest_of_runs_with_ties(codes: list[tuple[int, int]]) -> None:
    labels = np.sort(np.array([label for label, _ in codes], dtype=np.int64))
    values = np.array([value for _, value in codes], dtype=np.float32)
    rows = np.arange(len(codes), dtype=np.int32)
    label_of = labels if len(labels) else np.zeros(1, np.int64)
    found, heights = passes.highest_of_runs(np.array([0, len(codes)]), rows, values, label_of, 3)
    best: dict[int, int] = {}
    for row in range(len(codes)):
        if labels[row] not in best or values[row] > values[best[labels[row]]]:
            best[int(labels[row])] = row
    wanted = sorted(best.values(), key=lambda row: (-values[row], row))[:3]
    assert found[0][found[0] >= 0].tolist() == wanted
    assert heights[0][: len(wanted)].tolist() == [values[row] for row in wanted]


def test_windows_stay_in_their_context_and_say_where_they_are_cut(tokens: Tokens) -> None:
    first = int(tokens.contexts["first_token"][1])
    last = first + int(tokens.contexts["length"][1]) - 1
    rows = np.array([first, first + 3, last])
    low, high = windows.span(tokens, rows, Window(-2, 0))
    assert low.tolist() == [first, first + 1, last - 2]
    assert high.tolist() == [first + 1, first + 4, last + 1]
    assert windows.is_cut(tokens, rows, Window(-2, 0)).tolist() == [True, False, False]
    after = windows.texts(tokens, rows, Window(1, 2))
    assert after[2] == ""
    assert after[0] == "".join(tokens.pieces(first + 1, first + 3))
    whole = windows.texts(tokens, rows, Window(whole=True))
    assert whole[0] == whole[1] == whole[2] == "".join(tokens.pieces(first, last + 1))
    assert not windows.is_cut(tokens, rows, Window(whole=True)).any()


@pytest.mark.parametrize("window", [Window(-1, 0), Window(1, 2), Window(-5, 5), Window(whole=True)])
def test_scores_are_those_of_texts_embedded_one_by_one(
    study: Study, tokens: Tokens, window: Window
) -> None:
    peaks = windows.peaks(study.reading, study.require_sae())
    peak_set = PeakSet(peaks, study.model, study.corpus, study.embedder)
    scores = windows.scores(peak_set, window, 10)
    encoder = embedders.load(study.embedder, "cpu")
    for feature in (3, 20, 50):
        rows = np.asarray(peaks.array("rows"))[feature, :10]
        values = np.asarray(peaks.array("values"))[feature, :10]
        texts = windows.texts(tokens, rows[rows >= 0], window)
        kept = [at for at, text in enumerate(texts) if text.strip()]
        vectors = encoder.embed([texts[at] for at in kept])
        cosines = vectors @ vectors.T
        above = np.triu_indices(len(kept), 1)
        assert scores.array("examples")[feature] == len(kept)
        assert scores.array("plain")[feature] == pytest.approx(cosines[above].mean(), abs=2e-3)
        weight = np.outer(values[kept], values[kept])[above]
        wanted = (cosines[above] * weight).sum() / weight.sum()
        assert scores.array("weighted")[feature] == pytest.approx(wanted, abs=2e-3)
        half = np.isin(np.array(kept)[above[0]] % 2, 1) & np.isin(np.array(kept)[above[1]] % 2, 1)
        if half.any():
            wanted = cosines[above][half].mean()
            assert scores.array("even")[feature] == pytest.approx(wanted, abs=2e-3)
    for null in ("random", "shuffled"):
        drawn = np.asarray(scores.array(null))
        assert len(drawn) == windows.DRAWS
        assert (np.diff(drawn) >= 0).all()


# ---------------------------------------------------------------- tiers


def test_tiers_follow_the_protocol() -> None:
    nan = float("nan")
    cases = [
        ((0.5, 0.1, 0.9), Tier.INPUT),
        ((0.1, 0.5, 0.9), Tier.OUTPUT),
        ((0.5, 0.6, 0.0), Tier.OUTPUT),  # .6 exceeds .4 by more than .5 exceeds .4
        ((0.4, 0.0, 0.0), Tier.INPUT),  # at τ
        ((0.39, 0.39, 0.4), Tier.CROSS),
        ((0.39, 0.39, 0.39), Tier.OBSCURE),
        ((nan, 0.5, 0.0), Tier.OUTPUT),
        ((0.5, nan, nan), Tier.INPUT),
        ((0.1, nan, nan), Tier.OBSCURE),
        ((nan, nan, nan), Tier.UNSCORED),
    ]
    rho = np.array([values for values, _ in cases])
    inward, outward, cross = rho.T
    found = assignment.assign(inward, outward, cross, Thresholds(0.4, 0.4, 0.4))
    assert found.tolist() == [tier for _, tier in cases]
    far = assignment.margin(inward, outward, cross, Thresholds(0.4, 0.4, 0.4))
    wanted = [0.1, 0.1, 0.2, 0, 0, 0.01, 0.1, 0.1, 0.3]
    assert far[:-1].tolist() == pytest.approx(wanted)
    assert np.isnan(far[-1])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_agreement_is_less_what_chance_gives(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs).T
    same, kappa = assignment.agreement(one, other)
    both = (one > 0) & (other > 0)
    if not both.any():
        assert np.isnan(same)
        return
    assert same == pytest.approx((one[both] == other[both]).mean())
    if len(set(one[both]) | set(other[both])) > 1:
        chance = sum((one[both] == tier).mean() * (other[both] == tier).mean() for tier in Tier)
        assert kappa == pytest.approx((same - chance) / (1 - chance), abs=1e-12)


def test_a_study_is_sorted_and_another_threshold_needs_no_job(sorted_study: Study) -> None:
    name = sorted_study.name
    found = queries.tiers(name, SPEC, Thresholds(0.3, 0.3, 0.3))
    assert not isinstance(found, Job)
    one, other, cross = (found.table[window].to_numpy() for window in WINDOWS)
    wanted = assignment.assign(one, other, cross, Thresholds(0.3, 0.3, 0.3))
    assert found.table["tier"].to_list() == wanted.tolist()
    assert found.counts == np.bincount(wanted, minlength=5).tolist()
    strict = queries.tiers(name, SPEC, Thresholds(2.0, 2.0, 2.0))
    assert not isinstance(strict, Job)
    assert strict.counts[Tier.OBSCURE] == sum(strict.counts) - strict.counts[Tier.UNSCORED]
    obscure = tier_answers.of_tier(sorted_study, Tier.OBSCURE, SPEC, Thresholds(0.3, 0.3, 0.3))
    assert sorted(obscure.tolist()) == np.flatnonzero(wanted == Tier.OBSCURE).tolist()
    margin = found.table["margin"].to_numpy()[obscure]
    assert (np.diff(margin) >= 0).all()


def test_evidence_holds_the_windows_that_were_scored(sorted_study: Study) -> None:
    evidence = queries.tier_evidence(sorted_study.name, 20, SPEC)
    assert not isinstance(evidence, Job)
    table = queries.tiers(sorted_study.name, SPEC)
    assert not isinstance(table, Job)
    for row in evidence.rho.iter_rows(named=True):
        assert row["rho"] == pytest.approx(table.table[row["window"]][20])
        assert 0 <= row["below"] <= 1
    assert list(evidence.strengths) == sorted(evidence.strengths, reverse=True)
    for example in evidence.examples:
        up_to, _, around = example
        assert up_to.text.endswith(up_to.peak)
        assert up_to.text in around.text


def test_wrong_questions_are_told(study: Study) -> None:
    for spec, word in ((TierSpec(count=7), "examples"), (TierSpec(input=3), "input")):
        with pytest.raises(NotFoundError, match=word):
            queries.tiers(study.name, spec)
    with pytest.raises(NotFoundError, match="output"):
        queries.tiers(study.name, TierSpec(output=0))


# ---------------------------------------------------------------- second opinion


def test_input_scores_count_peaks_at_promoted_tokens() -> None:
    ids = np.array([5, 6, 7, 8])
    rows = np.array([[0, 1, -1], [2, 3, 0], [-1, -1, -1]])
    promoted = np.array([[5, 9], [8, 7], [5, 6]])
    found = second_opinion.input_scores(ids, rows, promoted)
    assert found[:2].tolist() == pytest.approx([1 / 2, 2 / 3])
    assert np.isnan(found[2])


def test_output_scores_are_rank_and_probability_by_hand() -> None:
    logit = torch.tensor([[0.0, 3.0, 1.0, 2.0], [4.0, 1.0, 0.0, 2.0]])
    found = second_opinion.output_scores(logit, torch.tensor([[2, 3], [1, 2]]))
    chance = logit.softmax(dim=1)
    wanted = [(1 - 1 / 4) * chance[0, 3], (1 - 2 / 4) * chance[1, 1]]
    assert found.tolist() == pytest.approx([float(one) for one in wanted])


def test_a_feature_is_amplified_at_the_last_token_alone(study: Study) -> None:
    """Against all hidden states of transformers, with the blocks after the site run by hand."""
    network = language_model.load(study.model, "cpu")
    dictionary = sae_models.load(study.sae, "cpu")
    ids = torch.tensor([[network.bos, 40, 41, 42]])
    added = dictionary.decoder[[3, 9]] * 2.5
    found = second_opinion._amplified(network, ids, study.site.layer, added)
    plain = network.network(ids).logits[0, -1]
    still = second_opinion._amplified(network, ids, study.site.layer, torch.zeros_like(added))
    assert torch.allclose(still[0], plain, atol=1e-5)
    assert not torch.allclose(found[0], plain, atol=1e-2)
    seen = []
    handle = network.blocks[study.site.layer + 1].register_forward_pre_hook(
        lambda _module, given: seen.append(given[0].clone())
    )
    try:
        second_opinion._amplified(network, ids, study.site.layer, added)
        network.network(ids)
    finally:
        handle.remove()
    pushed, usual = seen
    assert torch.allclose(pushed[:, :-1], usual[:, :-1].expand(2, -1, -1))
    assert torch.allclose(pushed[:, -1] - usual[:, -1], added, atol=1e-5)


def test_both_opinions_of_a_study(study: Study, tokens: Tokens) -> None:
    sae = study.require_sae()
    read = second_opinion.reads(study.reading, sae)
    effects = logits.effects(study.model, sae, 0)
    peaks = windows.peaks(study.reading, sae)
    rows = np.asarray(peaks.array("rows"))[20]
    own = set(effects.array("promoted")[20].tolist())
    wanted = np.mean([int(tokens.ids[row]) in own for row in rows if row >= 0])
    assert read.array("score")[20] == pytest.approx(wanted)
    written = second_opinion.writes(study.model, study.site, sae, 0).array("score")
    assert written.shape == (64,)
    assert ((written >= 0) & (written <= 1)).all()


# ---------------------------------------------------------------- routes and checks


def test_tiers_are_labelled_by_their_route(
    unlabelled_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, low = unlabelled_study.name, Thresholds(2.0, 2.0, -1.0)  # all that is scored is cross
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    plan = RoutePlan(most=2)
    quote = queries.estimate_route_cost(name, SPEC, low, plan)
    assert (quote.features, quote.calls) == (2, 2)
    job = queries.route(name, SPEC, low, plan)
    assert isinstance(job, Job)
    numbers = routing.numbers(unlabelled_study, SPEC, low, 2)
    with run.computing("cpu", Progress()):
        queries.route(name, SPEC, low, plan)
    found = queries.tier_labels(name, SPEC, low)
    assert not isinstance(found, Job)
    assert set(found["method"]) <= {"eleuther_acts_top5"}
    routed = queries.route(name, SPEC, low, plan)
    assert not isinstance(routed, Job)
    assert routed.filter(method="eleuther_acts_top5").equals(found)
    for number in numbers:  # asked, whether or not such a small model had a label
        answer = queries.labels(name, LabelRequest(number))
        assert not isinstance(answer, Job)
        assert answer.labels.filter(method="eleuther_acts_top5")["known"].item()
    first = queries.tier_labels(name, SPEC, Thresholds(-1.0, 2.0, 2.0))
    assert not isinstance(first, Job)
    assert set(first["method"]) == {"token_frequency"}
    assert len(first) > 20
    queries.cancel(job.id)


def test_the_profile_has_every_study_of_the_model(
    sorted_study: Study, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    text = (world / "studies" / "small.toml").read_text()
    (folder / "small.toml").write_text(text)
    (folder / "broken.toml").write_text("title = 1")
    (folder / "later.toml").write_text(text.replace("layer = 2", "layer = 3"))
    monkeypatch.setenv("TESSERA_STUDIES", str(folder))
    found = queries.tier_profile("small", SPEC)
    assert found["study"].unique(maintain_order=True).to_list() == ["small", "later"]
    assert found["layer"].unique(maintain_order=True).to_list() == [2, 3]
    here = found.filter(pl.col("study") == "small")
    assert here["count"].sum() == 64
    assert here["share"].sum() == pytest.approx(1)
    assert found.filter(pl.col("study") == "later")["count"].null_count() == 5


def test_an_experiment_has_as_many_features_of_each_tier(
    sorted_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = queries.tiers(sorted_study.name, SPEC)
    assert not isinstance(table, Job)
    parts = (table.table[window].to_numpy() for window in ("input", "output", "cross"))
    middle = Thresholds(*(float(np.nanquantile(rho, 0.7)) for rho in parts))
    plan = tier_check.plan_by_tier(sorted_study, SPEC, middle, each=2)
    scores = tier_answers.correlations(sorted_study, SPEC)
    counts = np.bincount(scores.assign(middle)[list(plan.among)], minlength=5)
    assert counts[0] == 0
    assert counts.max() == 2
    assert experiment.sample(features_of(sorted_study), plan) == list(plan.among)


def test_scores_by_tier_are_means_over_its_features(sorted_study: Study) -> None:
    subject, models = features_of(sorted_study), models_of(sorted_study, "own")
    plan = Plan(methods=("token_frequency",), scorers=("embedding",), features=6)
    entry = experiment.run(subject, plan, models)
    found = queries.labels_by_tier(sorted_study.name, entry.digest, SPEC)
    table = queries.tiers(sorted_study.name, SPEC)
    assert not isinstance(found, Job)
    assert not isinstance(table, Job)
    whole = entry.frame("scores").filter(pl.col("scorer") == "embedding_auroc")
    for row in found.iter_rows(named=True):
        part = whole.filter(
            (pl.col("method") == row["method"])
            & (pl.col("of") == row["of"])
            & pl.col("feature").map_elements(
                lambda n, row=row: table.table["tier"][n] == row["tier"], return_dtype=pl.Boolean
            )
        )
        assert row["mean"] == pytest.approx(part["value"].mean())
        assert row["features"] == part["feature"].n_unique()


# ---------------------------------------------------------------- the page

LINK = {"study": "small", "count": 5, "input": 1, "output": 1, "cross": 5}


def test_a_cold_page_says_what_is_computed(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    app = opened("tiers")
    assert "Statistics of features" in text_of(app)


def test_the_page_sorts_and_shows_the_windows_of_a_feature(sorted_study: Study) -> None:
    app = opened("tiers", **LINK, feature=20, tau_in="0.5")
    said = text_of(app)
    table = queries.tiers(sorted_study.name, SPEC, Thresholds(input=0.5))
    assert not isinstance(table, Job)
    for tier, count in zip(("input", "output", "cross", "obscure"), table.counts[1:], strict=True):
        assert f"{tier} {count}" in said
    assert "strongest examples, one a document" in said
    assert "Label tiers 1 and 2" in [button.label for button in app.button]
    assert "Check the protocol" in [button.label for button in app.button]
    app.slider(key="tiers:tau_in").set_value(1.0).run()
    app.slider(key="tiers:tau_out").set_value(1.0).run()
    app.slider(key="tiers:tau_cross").set_value(1.0).run()
    assert f"obscure {64 - table.counts[Tier.UNSCORED]}" in text_of(app)


def test_wrong_links_are_told(sorted_study: Study) -> None:
    app = opened("tiers", fine=False, study="small", count=7)
    assert "Tiers cannot stand on 7 examples" in text_of(app)
    app = opened("tiers", fine=False, **LINK, feature=10**6)
    assert "There is no feature 1000000" in text_of(app)
    for name, value in (("tau_in", "much"), ("tau_out", "inf"), ("tau_cross", "nan")):
        app = opened("tiers", fine=False, **LINK, **{name: value})
        assert f"The link says {name} = '{value}', not a correlation" in told(app)
        assert app.slider(key=f"tiers:{name}").value == address.SORTED[name].default
    assert "not a correlation" in told(opened("queue", fine=False, study="small", tau_in="1.5"))


def told(app: AppTest) -> str:
    return html.unescape(text_of(app))


def test_a_label_by_hand_stands_in_the_list_and_the_inspector(
    sorted_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path))
    queries.decide(sorted_study.name, "Ada", [decision(20, "a made-up name")])
    queries.decide(sorted_study.name, "Bob", [decision(20, "another name")])
    app = opened("tiers", **LINK, feature=20)
    listed = next(frame.value for frame in app.dataframe if "margin" in list(frame.value))
    assert len(set(listed["feature"])) == len(listed)
    shown = listed.set_index("feature")["label"]
    assert str(shown[20]) == "a made-up name · by Ada"
    said = text_of(app)
    assert "human a made-up name Ada" in said
    assert "human another name Bob" in said


def test_without_a_server_none_can_be_asked(
    sorted_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TESSERA_LLM_URL", raising=False)
    app = opened("tiers", **LINK, who="server")
    (start,) = (button for button in app.button if button.label == "Label tiers 1 and 2")
    assert start.disabled
    assert "No server is configured" in text_of(app)
    assert (app.number_input(key="tiers:calls").value or 0) > 0  # a cap, before anybody sets one
    app = opened("tiers", **LINK)
    assert not next(b for b in app.button if b.label == "Label tiers 1 and 2").disabled


def test_thresholds_go_back_to_what_was_calibrated(sorted_study: Study) -> None:
    app = opened("tiers", **LINK, tau_in=0.5, tau_cross=0.4)
    app.button(key="defaults").click().run()
    usual = Thresholds()
    values = {str(slider.key).split(":")[1]: slider.value for slider in app.slider}
    shown = [values[name] for name in ("tau_in", "tau_out", "tau_cross")]
    assert shown == [usual.input, usual.output, usual.cross]
    assert app.button(key="defaults").disabled


def test_steps_leave_out_what_has_no_score(
    sorted_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "get", {"tier": "all"}.get)
    table = queries.tiers(sorted_study.name, SPEC)
    assert not isinstance(table, Job)
    lost = pl.col("feature").is_in([3, 20])
    tier = pl.when(lost).then(int(Tier.UNSCORED)).otherwise(int(Tier.INPUT))
    view = replace(table, table=table.table.with_columns(tier=tier))
    assert {3, 20} <= set(shown_tiers.listed(view)["feature"])
    assert sorted(shown_tiers.steps(view)) == sorted(set(range(64)) - {3, 20})


@pytest.mark.parametrize(
    ("rho", "tau", "said"),
    [
        (0.4, 0.29, (".40", ".29", "yes")),
        (0.2854, 0.29, (".285", ".290", "no")),
        (0.05997, 0.06, (".05997", ".06000", "no")),
        (None, 0.29, ("–", ".29", "no")),
    ],
)
def test_digits_tell_on_which_side_it_is(
    rho: float | None, tau: float, said: tuple[str, str, str]
) -> None:
    assert tier_inspector.against(rho, tau) == said


def test_whole_contexts_are_shown_and_open_where_they_decided(sorted_study: Study) -> None:
    name, whole = sorted_study.name, TierSpec(count=5, input=1, output=1, cross=0)
    compute_tiers(sorted_study, whole)
    evidence = queries.tier_evidence(name, 20, whole)
    assert not isinstance(evidence, Job)
    for cross, opened_ in ((-1.0, "<details open>"), (2.0, "<details>")):
        table = queries.tiers(name, whole, Thresholds(2.0, 2.0, cross))
        assert not isinstance(table, Job)
        shown = tier_inspector.contexts_html(evidence, table)
        assert opened_ in shown
        assert shown.count('class="passage"') == len(evidence.examples)


def test_an_opened_feature_moves_no_axis(sorted_study: Study) -> None:
    table = queries.tiers(sorted_study.name, SPEC)
    assert not isinstance(table, Job)
    ranges = []
    for feature in (None, 20):
        layout = tier_charts.plane(table, feature).layout
        ranges.append((layout.xaxis.range, layout.yaxis.range))
    assert ranges[0] == ranges[1]
    assert all(low < high for low, high in ranges[0])


def test_the_experiment_that_ended_last_is_shown_first() -> None:
    runs = [
        Run(name, Plan(), "writer", "judge", created, done)
        for name, created, done in (("failed", 9, False), ("old", 1, True), ("new", 5, True))
    ]
    assert latest(runs) == "new"
    assert latest(runs[:1]) == "failed"
