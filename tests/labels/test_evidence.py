"""Evidence for labels: parts that never meet, drawn as they say."""

from __future__ import annotations

import numpy as np
import pytest

from backend.corpus import passages
from backend.corpus.contexts import Tokens
from backend.features import codes
from backend.features.examples import peaks
from backend.labels.contract import Evidence
from backend.labels.evidence import LEAST, POST_TRAIN, Sampling, draw, of_features, of_regions
from backend.regions import partitioning
from backend.schema import NotFoundError
from backend.store.memo import Entry
from backend.study import loading as studies


@pytest.fixture
def reading(ready: str) -> tuple[Entry, Tokens]:
    study = studies.load(ready)
    index = codes.index(study.reading, study.require_sae())
    return index, passages.tokens_of(study.model, study.corpus)


@pytest.fixture
def feature(reading: tuple[Entry, Tokens]) -> int:
    """One that fires in a good third of all contexts, so that there are silent ones."""
    index, tokens = reading
    counts = [len(peaks(codes.column(index, f), tokens)[0]) for f in range(64)]
    return int(np.argmin(np.abs(np.array(counts) - 0.4 * len(tokens.contexts))))


def contexts(tokens: Tokens, evidence: Evidence, part: str) -> list[int]:
    return [int(tokens.context_of[each.row]) for each in getattr(evidence, part)]


@pytest.mark.parametrize("split", ["range", "post"])
@pytest.mark.parametrize("kind", ["other", "silent"])
@pytest.mark.parametrize("seed", range(4))
def test_the_parts_never_meet(
    reading: tuple[Entry, Tokens], feature: int, split: str, kind: str, seed: int
) -> None:
    index, tokens = reading
    evidence = draw(of_features(index), tokens, feature, Sampling(split, kind, seed))
    parts = [contexts(tokens, evidence, part) for part in ("train", "test", "negatives")]
    everything = [number for part in parts for number in part]
    assert len(everything) == len(set(everything))
    assert len(evidence.test) == len(evidence.negatives) == len(evidence.foreign) > 0
    fires = set(tokens.context_of[codes.column(index, feature).rows].tolist())
    assert set(parts[0]) | set(parts[1]) <= fires
    assert not set(parts[2]) & fires
    repeated = draw(of_features(index), tokens, feature, Sampling(split, kind, seed))
    assert repeated == evidence


def test_excerpts_carry_text_activations_and_peak(
    reading: tuple[Entry, Tokens], feature: int
) -> None:
    index, tokens = reading
    evidence = draw(of_features(index), tokens, feature, Sampling())
    own = codes.column(index, feature)
    strongest = dict(zip(*(part.tolist() for part in peaks(own, tokens)), strict=True))
    for each in (*evidence.train, *evidence.test):
        assert each.strength == pytest.approx(strongest[each.row])
        assert each.strength == max(each.values)
        document = int(tokens.document_of[each.row])
        assert each.text in tokens.documents["text"][document]
    assert [e.strength for e in evidence.train] == sorted(
        (e.strength for e in evidence.train), reverse=True
    )
    for each, values in zip(evidence.negatives, evidence.foreign, strict=True):
        assert each.peak == -1
        assert not any(each.values)
        assert len(values) == len(each.pieces)
        assert max(values) > 0


def test_train_and_test_both_cover_the_range(reading: tuple[Entry, Tokens], feature: int) -> None:
    index, tokens = reading
    _, values = peaks(codes.column(index, feature), tokens)
    for seed in range(5):
        evidence = draw(of_features(index), tokens, feature, Sampling(seed=seed))
        for part in (evidence.train, evidence.test):
            ranks = [(values < each.strength).mean() for each in part]
            assert min(ranks) < 0.25
            assert max(ranks) > 0.75


def test_the_post_trains_on_the_strongest(reading: tuple[Entry, Tokens], feature: int) -> None:
    index, tokens = reading
    _, values = peaks(codes.column(index, feature), tokens)
    evidence = draw(of_features(index), tokens, feature, Sampling("post"))
    ordered = np.sort(values)[::-1]
    assert [e.strength for e in evidence.train] == pytest.approx(ordered[:POST_TRAIN].tolist())
    assert sorted(e.strength for e in evidence.test) == pytest.approx(
        sorted(ordered[POST_TRAIN : POST_TRAIN + len(evidence.test)].tolist())
    )


def test_a_feature_with_too_few_contexts_is_refused(reading: tuple[Entry, Tokens]) -> None:
    index, tokens = reading
    counts = {f: len(peaks(codes.column(index, f), tokens)[0]) for f in range(64)}
    rare = [f for f, count in counts.items() if count < LEAST]
    assert rare, "the small world has features that seldom fire"
    with pytest.raises(NotFoundError, match=str(LEAST)):
        draw(of_features(index), tokens, rare[0], Sampling())


def test_members_of_regions_are_evidence_too(ready: str) -> None:
    study = studies.load(ready)
    entry = partitioning.build_partition(study.cut())
    tokens, source = passages.tokens_of(study.model, study.corpus), of_regions(entry)
    owner, distance = entry.array("owner"), entry.array("distance")
    theta = entry.value("theta")
    for region in range(len(source.offsets) - 1):
        members = np.flatnonzero((owner == region) & (distance <= theta))
        column = source.column(region)
        assert column.rows.tolist() == members.tolist()
        assert column.values == pytest.approx(1 - distance[members] / theta, abs=1e-6)
    contexts_of = [len(peaks(source.column(r), tokens)[0]) for r in range(len(source.offsets) - 1)]
    middle = int(np.argmin(np.abs(np.array(contexts_of) - 0.5 * len(tokens.contexts))))
    sample = draw(source, tokens, middle, Sampling())
    for one in (*sample.train, *sample.test):
        assert owner[one.row] == middle
    with pytest.raises(NotFoundError, match="region"):
        source.column(len(source.offsets) - 1)
