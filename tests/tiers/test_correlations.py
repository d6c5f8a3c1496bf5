"""Correlation scores against pairs of texts embedded one by one, and the windows they stand on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.corpus.contexts import Tokens
from backend.features import examples, passes
from backend.features.codes import Column
from backend.models import embedder as embedders
from backend.schema import Study, Window
from backend.tiers import windows
from backend.tiers.windows import PeakSet
from tests.helpers.embedders import Words


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(2, 7), st.booleans())
def test_rho_is_the_mean_over_pairs(seed: int, features: int, n: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(features, n, 6))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    weights = rng.random((features, n)) if weighted else np.ones((features, n))
    weights[rng.random((features, n)) < 0.3] = 0
    result = windows.correlation(vectors, weights)
    for feature in range(features):
        there = [place for place in range(n) if weights[feature, place] > 0]
        total = below = 0.0
        for a in there:
            for b in there:
                if a < b:
                    both = weights[feature, a] * weights[feature, b]
                    total += both * float(vectors[feature, a] @ vectors[feature, b])
                    below += both
        if len(there) < 2:
            assert np.isnan(result[feature])
        else:
            assert result[feature] == pytest.approx(total / below, abs=1e-9)


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
        expected = sorted(best.values(), key=lambda one: (-one[0], one[1]))[: windows.MOST]
        result = peaks.array("rows")[feature]
        assert [row for _, row in expected] == result[result >= 0].tolist()
        top = examples.top(Column(feature, rows, values), tokens, len(expected))
        assert top.tokens.tolist() == [row for _, row in expected], "as the page of the feature"


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=30))
def test_the_highest_of_runs_with_ties(codes: list[tuple[int, int]]) -> None:
    labels = np.sort(np.array([label for label, _ in codes], dtype=np.int64))
    values = np.array([value for _, value in codes], dtype=np.float32)
    rows = np.arange(len(codes), dtype=np.int32)
    label_of = labels if len(labels) else np.zeros(1, np.int64)
    result, heights = passes.highest_of_runs(np.array([0, len(codes)]), rows, values, label_of, 3)
    best: dict[int, int] = {}
    for row in range(len(codes)):
        if labels[row] not in best or values[row] > values[best[labels[row]]]:
            best[int(labels[row])] = row
    expected = sorted(best.values(), key=lambda row: (-values[row], row))[:3]
    assert result[0][result[0] >= 0].tolist() == expected
    assert heights[0][: len(expected)].tolist() == [values[row] for row in expected]


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
        remaining = [place for place, text in enumerate(texts) if text.strip()]
        vectors = encoder.embed([texts[place] for place in remaining])
        cosines = vectors @ vectors.T
        above = np.triu_indices(len(remaining), 1)
        assert scores.array("examples")[feature] == len(remaining)
        assert scores.array("plain")[feature] == pytest.approx(cosines[above].mean(), abs=2e-3)
        weight = np.outer(values[remaining], values[remaining])[above]
        expected = (cosines[above] * weight).sum() / weight.sum()
        assert scores.array("weighted")[feature] == pytest.approx(expected, abs=2e-3)
        half = np.isin(np.array(remaining)[above[0]] % 2, 1) & np.isin(
            np.array(remaining)[above[1]] % 2, 1
        )
        if half.any():
            expected = cosines[above][half].mean()
            assert scores.array("even")[feature] == pytest.approx(expected, abs=2e-3)
    for null in ("random", "shuffled"):
        draws = np.asarray(scores.array(null))
        assert len(draws) == windows.DRAWS
        assert (np.diff(draws) >= 0).all()


def test_windows_are_embedded_in_one_order_whatever_the_run(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set of texts has another order in every process, and texts embedded side by side change
    each other's last digits."""
    embedded_texts: list[str] = []

    class Recorder(Words):
        def embed(self, texts: Sequence[str]) -> np.ndarray:
            embedded_texts.extend(texts)
            return super().embed(texts)

    monkeypatch.setattr(embedders, "load", lambda ref, device: Recorder())
    windows.pool.function(study.model, study.corpus, study.embedder, Window(-1, 1))
    *texts, empty = embedded_texts
    assert empty == "."
    assert texts == sorted(set(texts), key=lambda text: (len(text), text))
    assert len({len(text) for text in texts}) < len(texts)
