"""Studies, regions, features and texts."""

from backend.answers.documents import document
from backend.answers.features import feature, feature_examples, features, search_features
from backend.answers.overview import overview, studies, study
from backend.answers.probe import probe
from backend.answers.regions import (
    region,
    region_members,
    region_of,
    regions,
    search_regions,
    stops,
)
from backend.answers.why import why

__all__ = [
    "document",
    "feature",
    "feature_examples",
    "features",
    "overview",
    "probe",
    "region",
    "region_members",
    "region_of",
    "regions",
    "search_features",
    "search_regions",
    "stops",
    "studies",
    "study",
    "why",
]
