"""The topics of a study's own corpus as concepts."""

from __future__ import annotations

import re

from backend.corpus.concept_tables import (
    LEAST,
    Classes,
    ConceptSource,
    Documents,
    Labelled,
    draw_classes,
)
from backend.schema import ConceptRef, CorpusError

LONGEST = 500  # characters of a document of the corpus
HEAD = re.compile(rf".{{{LONGEST // 2},{LONGEST}}}(?=\s)", re.DOTALL)  # up to a white space


def _read(ref: ConceptRef, documents: Documents) -> Labelled:
    """The beginnings of documents, one concept a topic.

    Raises:
        CorpusError: there are not two topics with texts enough.
    """
    classes: Classes = {}
    columns = documents().select("topic", "title", "text")
    for topic, title, text in columns.sort("topic", maintain_order=True).iter_rows():
        classes.setdefault(topic, []).append((title, head(text)))
    texts = draw_classes(classes, {}, ref.seed)
    if len(texts.concepts) < 2:
        count = ("none", "one")[len(texts.concepts)]
        raise CorpusError(
            f"Concepts need two topics of {2 * LEAST} or more documents; this corpus has {count}.",
            "Name a `topic_field` of its sources, or give each topic a folder.",
        )
    return texts


def head(text: str) -> str:
    """The first `LONGEST` characters, up to a white space where their second half has one."""
    if len(text) <= LONGEST:
        return text
    match = HEAD.match(text)
    return match.group() if match else text[:LONGEST]


# without files: the corpus has a digest of its own
SOURCE = ConceptSource("topics", "topics of the corpus", "built in", lambda _ref: [], _read)
