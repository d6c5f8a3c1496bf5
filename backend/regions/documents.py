"""A whole document with the value of every token."""

from __future__ import annotations

from dataclasses import replace

from backend.corpus import passages
from backend.corpus.views import Passage
from backend.features import answers as feature_answers
from backend.query import query
from backend.regions import answers as region_answers
from backend.regions.partitioned import spec_key
from backend.schema import Study
from backend.store import queue


@query("A document", priority=queue.SHORT, key=spec_key)
def document(
    study: Study,
    document: int,
    feature: int | None = None,
    p: float | None = None,
    k: float | None = None,
) -> Passage:
    """A whole document, every token valued by a feature, or by its region and its distance to the
    exemplar."""
    if feature is None:
        mapped = region_answers.available(study, p, k)
        first, last = mapped.tokens.document_span(document)
        passage = passages.passage(mapped.tokens, first, last, -1, mapped.distance[first:last])
        return replace(passage, regions=tuple(mapped.owner[first:last].tolist()))
    index = feature_answers.feature_index(study)
    column = index.column(feature)
    first, last = index.tokens.document_span(document)
    return passages.passage(index.tokens, first, last, -1, index.values(column, first, last))
