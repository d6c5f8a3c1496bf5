"""Studies, regions, features and texts."""

from __future__ import annotations

import polars as pl

from backend import study as studies_on_disk
from backend.answers import features as feature_answers
from backend.answers import (
    meaning,
)
from backend.answers import overview as overview_answers
from backend.answers import probe as probe_answers
from backend.answers import regions as region_answers
from backend.answers import why as why_answers
from backend.queries.asked import partition_of, sae_of, spec_of
from backend.schema import (
    Job,
)
from backend.views import (
    Draw,
    FeatureTable,
    FeatureView,
    Overview,
    Passage,
    Probe,
    RegionMap,
    RegionView,
    StudyCard,
    Why,
)

# ---------------------------------------------------------------- studies


def studies() -> list[StudyCard]:
    """All studies, with what each looks at; a bad study file comes with its problem."""
    return [overview_answers.card(name) for name in studies_on_disk.names()]


def study(study: str) -> StudyCard:
    """What one study looks at: model, site, corpus, SAE, embedder, their revisions."""
    studies_on_disk.load(study)
    return overview_answers.card(study)


def overview(study: str) -> Overview | Job:
    """What a study holds: texts, topics, regions, features, and K at every stop."""
    return overview_answers.overview(studies_on_disk.load(study))


# ---------------------------------------------------------------- regions


def regions(study: str, p: float | None = None, k: float | None = None) -> RegionMap | Job:
    """The map of all regions at a stop of p and k (default: the study's)."""
    loaded = studies_on_disk.load(study)
    return region_answers.region_map(loaded, spec_of(loaded, p, k))


def region(
    study: str, region: int, p: float | None = None, k: float | None = None
) -> RegionView | Job:
    """One region: exemplar, tokens, topics, what explains it, competitors, logits, features."""
    loaded = studies_on_disk.load(study)
    return region_answers.region_view(loaded, region, spec_of(loaded, p, k))


def members(
    study: str,
    region: int,
    p: float | None = None,
    k: float | None = None,
    draw: str = "closest",
    count: int = 8,
    seed: int = 0,
) -> Draw:
    """Members of a region: closest, farthest, random, or of one distance band ("band 1")."""
    loaded = studies_on_disk.load(study)
    return region_answers.draw(loaded, region, spec_of(loaded, p, k), draw, count, seed)


def search_regions(
    study: str, text: str, p: float | None = None, k: float | None = None
) -> pl.DataFrame:
    """Regions whose members spell a text: region, hits, share. Whole words; `*` for parts."""
    loaded = studies_on_disk.load(study)
    return region_answers.search(loaded, text, spec_of(loaded, p, k))


def region_of(study: str, token: int, p: float | None = None, k: float | None = None) -> int:
    """The region that a token of the corpus lies in: its nearest exemplar's."""
    loaded = studies_on_disk.load(study)
    return region_answers.region_of(loaded, token, spec_of(loaded, p, k))


def stops(study: str) -> pl.DataFrame:
    """θ, K, gray share, mean L0 and ambiguous share at every stop of p and k."""
    return region_answers.stops(studies_on_disk.load(study))


# ---------------------------------------------------------------- features


def features(study: str) -> FeatureTable | Job:
    """All features of the study's SAE, with density, tokens and topics."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    return feature_answers.table(loaded)


def feature(study: str, feature: int) -> FeatureView | Job:
    """One feature: logits, histogram, tokens, topics, nearest and co-firing features, regions."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    return feature_answers.view(loaded, feature)


def examples(
    study: str,
    feature: int,
    draw: str = "top",
    count: int = 8,
    seed: int = 0,
    topic: str = "",
) -> Draw:
    """Contexts of a feature: top, random, silent, or one of ten quantiles ("quantile 1")."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    return feature_answers.draw(loaded, feature, draw, count, seed, topic)


def why(study: str, feature: int, token: int) -> Why | Job:
    """Why a feature fires at a token: what each token before adds, and how little text suffices."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    return why_answers.why(loaded, feature, token)


def search_features(study: str, text: str) -> pl.DataFrame:
    """Features that fire on a text: feature, hits, share. Whole words; `*` for parts."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    return feature_answers.search(loaded, text)


def search_labels(
    study: str, text: str, of: str = "feature", p: float | None = None, k: float | None = None
) -> pl.DataFrame | Job:
    """Features or regions whose labels mean something like a text: label, method, cosine."""
    loaded = studies_on_disk.load(study)
    return meaning.search(loaded, text, partition_of(loaded, of, p, k))


# ---------------------------------------------------------------- texts


def document(
    study: str,
    document: int,
    feature: int | None = None,
    p: float | None = None,
    k: float | None = None,
) -> Passage:
    """A whole document, every token valued by a feature, or by its region and distance."""
    loaded = studies_on_disk.load(study)
    if feature is not None:
        sae_of(loaded)
        return feature_answers.document(loaded, document, feature)
    return region_answers.document(loaded, document, spec_of(loaded, p, k))


def probe(study: str, text: str, feature: int | None = None) -> Probe | Job:
    """One's own text, read by the model: each token's regions and strongest features."""
    return probe_answers.probe(studies_on_disk.load(study), text, feature)
