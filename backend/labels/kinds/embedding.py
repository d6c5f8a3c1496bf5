"""Embedding: how much nearer a label lies to the excerpts than to others. It asks no judge;
`scorers.embedding` computes it."""

from __future__ import annotations

from backend.labels.kinds.base import Scorer

EMBEDDING = Scorer(name="embedding", measure="gap of mean cosines")
