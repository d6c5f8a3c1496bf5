"""Why a feature fires at a token, put together from a memoized reading of variants of its text."""

from __future__ import annotations

import numpy as np
import polars as pl

from backend.corpus import passages
from backend.features import occlusion as variants
from backend.features.answers import FeatureIndex, feature_index
from backend.features.views import EFFECTS, RUNS, SHORTEST, Why
from backend.query import query
from backend.schema import NotFoundError, Study, check_number
from backend.store.memo import Entry

SHARES = (0.5, 0.8)  # of the activation, that the shortest runs give
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.03}  # of the activation, by which rounding may move it


@query("Variants of an example, read by the model", priority=50)
def why(study: Study, feature: int, token: int) -> Why:
    """Why a feature fires at a token: what each token before adds, and how little text suffices.

    Raises:
        NotFoundError: no such feature or token, or the feature is silent there.
    """
    index = feature_index(study)
    stored = _stored(index, feature, token)
    entry = variants.read(index.reading, index.sae, feature, token)
    return _view(index, entry, feature, token, stored, study.name)


def _stored(index: FeatureIndex, feature: int, token: int) -> float:
    """The activation as the corpus was read."""
    column = index.column(feature)
    check_number(token, len(index.tokens), "token", "The corpus")
    stored = float(column.dense(token, token + 1)[0])
    if stored <= 0:
        raise NotFoundError(
            f"Feature {feature} does not fire at token {token}.",
            "Ask about a token on which it fires, such as the peak of an example.",
        )
    return stored


def _view(
    index: FeatureIndex, entry: Entry, feature: int, token: int, stored: float, name: str
) -> Why:
    runs = entry.array("runs")
    full = float(runs[-1])
    if full <= 0:
        raise NotFoundError(
            f"Read again, feature {feature} is silent at token {token}: its activation there, "
            f"{stored:.3g}, is within rounding of its threshold.",
            "Ask about an example in which it fires more strongly.",
        )
    effects = variants.effects(entry.array("occluded"), full)
    used, counts = np.unique(entry.array("stand_ins"), return_counts=True)
    first = token + 1 - len(runs)
    passage = passages.passage(index.tokens, first, token + 1, token, effects.mean(axis=1))
    return Why(
        feature=feature,
        token=token,
        stored=stored,
        full=full,
        agrees=abs(full - stored) <= TOLERANCE[index.model.dtype] * stored,
        passage=passage,
        tokens=pl.DataFrame(
            {
                "before": np.arange(len(runs))[::-1],
                "text": passage.pieces,
                "effect": effects.mean(axis=1),
                "low": effects.min(axis=1),
                "high": effects.max(axis=1),
            },
            schema=EFFECTS,
        ),
        runs=pl.DataFrame(
            {
                "length": np.arange(1, len(runs) + 1),
                "first": passage.pieces[::-1],
                "activation": runs,
                "share": runs / full,
            },
            schema=RUNS,
        ),
        shortest=_shortest(passage.pieces, runs),
        stand_ins=tuple(passages.token_text(index.model, used[np.argsort(-counts, kind="stable")])),
        provenance=entry.provenance(f"why --study {name} --feature {feature} --token {token}"),
    )


def _shortest(pieces: tuple[str, ...], runs: np.ndarray) -> pl.DataFrame:
    lengths = [variants.shortest(runs, share) for share in SHARES]
    return pl.DataFrame(
        {
            "share": SHARES,
            "length": lengths,
            "steady": [variants.steady(runs, share) for share in SHARES],
            "text": ["".join(pieces[len(pieces) - length :]) for length in lengths],
        },
        schema=SHORTEST,
    )
