"""Experiment folders of the baez post: any, a small one, and one as its scripts write it."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import polars as pl
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from backend.labels.contract import Evidence, Excerpt
from backend.labels.interchange.baez import Experiment
from backend.labels.interchange.baez_reader import Imported, read_folder
from backend.labels.tables import DISTANCES, LABELS, SCORES, VERBALIZATIONS, farthest
from tests.helpers import interchange as given_by

MODEL, LAYER = "org/gemma-3", "12-res-4k"
TABLES = ("verbalizations", "labels", "scores", "distances")

# ---------------------------------------------------------------- anything at all

values = st.floats(0, 1e6)


@st.composite
def excerpts(draw: st.DrawFn, fires: bool) -> Excerpt:
    """Tokens and values; where it fires, the peak is the first strongest."""
    pieces = draw(st.lists(given_by.texts, min_size=1, max_size=4))
    if not fires:
        return Excerpt(draw(given_by.features), tuple(pieces), (0.0,) * len(pieces), -1)
    own = draw(st.lists(values, min_size=len(pieces), max_size=len(pieces)))
    own[draw(st.integers(0, len(own) - 1))] = 1e6 + draw(values)
    return Excerpt(draw(given_by.features), tuple(pieces), tuple(own), own.index(max(own)))


@st.composite
def evidences(draw: st.DrawFn, feature: int) -> Evidence:
    negatives = draw(st.lists(excerpts(fires=False), max_size=2))
    foreign = [
        tuple(draw(st.lists(values, min_size=len(one.pieces), max_size=len(one.pieces))))
        for one in negatives
    ]
    train = draw(st.lists(excerpts(fires=True), min_size=1, max_size=3))
    test = draw(st.lists(excerpts(fires=True), max_size=2))
    split, kind = (
        draw(st.sampled_from(["range", "post"])),
        draw(st.sampled_from(["other", "silent"])),
    )
    parts = tuple(train), tuple(test), tuple(negatives), tuple(foreign)
    seed, how = draw(st.integers(0, 2**32)), draw(given_by.texts)
    return Evidence(feature, draw(values), *parts, split, kind, seed, how)


said = st.fixed_dictionaries(
    {
        "feature": given_by.features,
        "rank": st.integers(1, 9),
        "text": st.just("") | given_by.texts,
        "strength": st.integers(1, 10),
    }
)
apart = st.fixed_dictionaries(
    {
        "feature": given_by.features,
        "method": st.sampled_from(["", "..", "a/b"]),
        "other": st.sampled_from(["baez", "é ü", "x/y"]),
        "text": given_by.texts,
        "other_text": given_by.texts,
        "distance": st.floats(0, 2),
    }
)


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    numbers = draw(st.lists(given_by.features, min_size=1, max_size=3, unique=True))
    return Experiment(
        MODEL,
        LAYER,
        tuple(draw(evidences(feature)) for feature in numbers),
        pl.DataFrame(draw(st.lists(said, max_size=5)), schema=VERBALIZATIONS),
        draw(given_by.labels),
        draw(given_by.scores),
        farthest(pl.DataFrame(draw(st.lists(apart, max_size=5)), schema=DISTANCES)),
        draw(st.sampled_from(["", "2025-06-01T12:00:00+00:00"])),
    )


def same(one: Experiment, other: Experiment) -> None:
    assert one.evidence == other.evidence
    assert (one.model, one.layer, one.made) == (other.model, other.layer, other.made)
    for name in TABLES:
        left, right = getattr(one, name), getattr(other, name)
        assert_frame_equal(left, right, check_exact=True, check_row_order=False)


# ---------------------------------------------------------------- one experiment


def excerpt(row: int, *pieces: str, strength: float = 1.0) -> Excerpt:
    return Excerpt(row, pieces, (strength, *([0.0] * (len(pieces) - 1))), 0)


def label(feature: int, method: str, text: str, writer: str = "org/model") -> dict[str, Any]:
    row = {"feature": feature, "method": method, "writer": writer, "text": text}
    return {**row, "detail": "", "failed": "" if text else "no reply", "n": 5, "seconds": 0.5}


def score(
    feature: int, method: str, scorer: str, value: float, kind: str = "label"
) -> dict[str, Any]:
    counts = {"tp": 6, "fp": 2, "tn": 8, "fn": 4} if scorer in ("detection", "fuzzing") else {}
    return {
        **{"of": kind, "label": "birds", "feature": feature, "method": method, "scorer": scorer},
        **{"judge": "org/judge", "n": 20, "value": value, "interval": "Wilson", **counts},
        **{"split": "range", "kind": "other", "setting": "window 12", "seed": 3},
    }


def small_experiment() -> Experiment:
    one = Evidence(
        7,
        3.5,
        (excerpt(0, "a", " b", strength=3.5), excerpt(10, "c", " d")),
        (excerpt(20, "e", " f"),),
        (Excerpt(30, ("g", " h"), (0.0, 0.0), -1),),
        ((0.0, 2.0),),
        "range",
        "other",
        3,
        "by hand",
    )
    scorers = (("detection", 0.7), ("fuzzing", 0.7), ("embedding", 0.02))
    scores = [score(7, "baez", name, value) for name, value in scorers]
    scores += [score(7, "baez", name, value, kind="shuffled") for name, value in scorers]
    distance = {"feature": 7, "method": "baez", "other": "eleuther_acts_top5"}
    distance |= {"text": "birds", "other_text": "wings", "distance": 0.4}
    return Experiment(
        "gemma-3",
        LAYER,
        (one, replace(one, feature=8)),
        pl.DataFrame(
            [(7, 1, "a bird", 10), (7, 3, "wings", 4)], schema=VERBALIZATIONS, orient="row"
        ),
        pl.DataFrame(
            [
                label(7, "baez", "birds"),
                label(7, "eleuther_acts_top5", "wings"),
                label(8, "baez", ""),
            ],
            schema=LABELS,
        ),
        pl.DataFrame(scores, schema=SCORES),
        pl.DataFrame([distance], schema=DISTANCES),
        "2025-06-01T12:00:00+00:00",
    )


# ---------------------------------------------------------------- the post's own folder

KEY = {"layer": LAYER, "model_id": "gemma-3"}


def activation(strength: float, position: int = 1) -> dict[str, Any]:
    tokens = ["▁the", "▁bird", "s", f"{strength}"]
    peaked = [strength if place == position else 0 for place in range(4)]
    return {
        "tokens": tokens,
        "values": peaked,
        "maxValue": strength,
        "maxValueTokenIndex": position,
    }


def of_the_post() -> dict[str, bytes]:
    """What its scripts write, of one feature with 17 activations above 0."""
    strengths = [4, 0, *range(30, 14, -1)]
    raw = {"index": "3", "modelId": "gemma-3", "activations": [activation(s) for s in strengths]}
    key = {"feature_key": f"gemma-3/{LAYER}/3", "index": 3, **KEY}
    summed = {
        "detection": {"accuracy": 0.55, "n": 20},
        "fuzz": {"accuracy": 0.5, "n": 20},
        "embedding": {"mean_pos": 0.2, "mean_neg": 0.19, "gap": 0.01},
    }
    created = {"explanation_model": "org/x", "generated_at": "2025"}
    texts = {"delphi": "Birds", "baez": "Explanation could not be parsed."}
    labels = [
        {**key, "method": method, **created, "result": {"explanation": text}}
        for method, text in texts.items()
    ]
    examples = [{"text": f"bird {i}", "activation": 10 - i} for i in range(5)]
    scores = {**key, "method": "delphi", **created, "scorer_model": "org/y", "scores": summed}
    head = "feature_key,label__baez,label__delphi,cosine_similarity,cosine_distance"
    distance = f"{head}\n{key['feature_key']},wings,Birds,0.75,0.25\n"
    return {
        "features.jsonl": _jsonl({**key, "raw_path": "raw/feature_3.json", "source": "random"}),
        "raw/feature_3.json": json.dumps(raw, indent=2).encode(),
        "nla_examples.jsonl": _jsonl({**key, "examples": examples, "fetched_at": "2025"}),
        "labels.jsonl": _jsonl(*labels),
        "scores.jsonl": _jsonl(scores),
        "label_distance__baez__vs__delphi.csv": distance.encode(),
    }


def _jsonl(*records: dict[str, Any]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def read_files(files: dict[str, bytes]) -> Imported:
    return read_folder(baez_pack(files))


def baez_pack(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()
