"""Pairs of contrastive stories: where they are, what is marked in them, and their tokens.

A row has `story1`, `story2` and `subject` (or `subject_title`), and may have `aspect1` and
`aspect2`. Where a story speaks of its subject it says `<subject>…</subject>`.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from backend import run, settings
from backend.corpus import sources
from backend.corpus.contexts import Tokens, encoded, packed
from backend.models import language_model
from backend.schema import CorpusError, ModelRef, PairsRef, SourceRef
from backend.store.memo import Entry, memoize

OWN = Path(__file__).with_name("pairs.jsonl")
LONGEST = 1024  # tokens of a story; what is beyond is cut
MOST = 2000  # pairs read of a set
MARK = re.compile(r"<(/?)subject>", re.IGNORECASE)
SUBJECTS = ("subject", "subject_title")
COLUMNS = pl.Schema(
    {"pair": pl.Int32, "subject": pl.String, "aspect1": pl.String, "aspect2": pl.String}
)


@dataclass(frozen=True)
class Pair:
    """Two stories as they are written, with their marks."""

    subject: str
    aspects: tuple[str, str]
    stories: tuple[str, str]


# ---------------------------------------------------------------- which set


@functools.lru_cache(maxsize=16)
def _commit(path: str) -> str:
    return sources.resolve(SourceRef("hub", path)).digest


def choose(name: str, seed: int = 0) -> PairsRef:
    """The set of that name, resolved: "" is Tessera's own, else the path of a table or
    `<owner>/<name>[:<config>]` on the hub.

    Raises:
        CorpusError: there is no such file, or the hub cannot be reached.
    """
    if not name.strip():
        return PairsRef("own", digest=_digest(OWN), seed=seed)
    path = settings.ROOT / Path(name.strip()).expanduser()
    if path.suffix.lower() in sources.TABLES or path.exists():
        return PairsRef("file", str(path), digest=_digest(path), seed=seed)
    if re.fullmatch(r"[\w.-]+/[\w.-]+(:[\w.-]+)?", name.strip()):
        return PairsRef("hub", name.strip(), revision=_commit(name.strip()), seed=seed)
    raise CorpusError(
        f"There are no stories called {name!r}.",
        f"Name a {', '.join(sources.TABLES)} file or a dataset, such as "
        "GulkoA/contrastive-stories-v4; leave it empty for Tessera's own.",
    )


def _digest(path: Path) -> str:
    if not path.exists():
        raise CorpusError(f"{path} does not exist.", "Correct the path of the stories.")
    if path.suffix.lower() not in sources.TABLES or not path.is_file():
        kinds = ", ".join(sources.TABLES)
        raise CorpusError(f"{path} is no table of stories.", f"Name a {kinds} file.")
    return hashlib.sha256(sources.contents(path)).hexdigest()[:16]


def load(ref: PairsRef) -> list[Pair]:
    """The pairs of a resolved set, up to `MOST`.

    Raises:
        CorpusError: a row lacks a story or a subject, or nothing is there; it is named.
    """
    if ref.kind == "hub":
        rows = sources.hub_rows(SourceRef("hub", ref.path, digest=ref.revision))
        return _pairs(rows, ref.path)
    path = OWN if ref.kind == "own" else Path(ref.path)
    return _pairs(sources.TABLES[path.suffix.lower()](path), path.name)


def _pairs(rows: Iterator[Any], name: str) -> list[Pair]:
    pairs = [
        _pair(row, f"{name}, row {number},") for number, row in enumerate(islice(rows, MOST), 1)
    ]
    if not pairs:
        raise CorpusError(f"{name} holds no pair of stories.", "Give it some.")
    return pairs


def _pair(row: Any, where: str) -> Pair:
    if not isinstance(row, Mapping):
        raise CorpusError(f"{where} is no object.", "Give it story1, story2 and subject.")
    subject = next((str(row[name]) for name in SUBJECTS if row.get(name)), "").strip()
    for column, value in (*((c, row.get(c)) for c in ("story1", "story2")), ("subject", subject)):
        if not isinstance(value, str) or not parse_marks(value)[0].strip():
            fields = ", ".join(map(str, row))
            raise CorpusError(
                f"{where} has no text in {column}.",
                f"Its fields are {fields}: write story1, story2 and subject, or remove the row.",
            )
    texts = sources.mended(row["story1"]), sources.mended(row["story2"])
    aspects = str(row.get("aspect1") or ""), str(row.get("aspect2") or "")
    return Pair(sources.mended(subject), aspects, texts)


def parse_marks(story: str) -> tuple[str, list[tuple[int, int]], bool]:
    """The story without its marks, the characters [first, last) that they were around, and
    whether the marks are whole: each opened is closed, none within another. Spans of broken marks
    are not guessed: there are none."""
    parts, spans, begin, done, length, whole = [], [], -1, 0, 0, True
    for mark in MARK.finditer(story):
        parts.append(story[done : mark.start()])
        length += len(parts[-1])
        done = mark.end()
        closes = bool(mark[1])
        whole &= closes == (begin >= 0)
        if closes and begin >= 0:
            spans.append((begin, length))
        begin = -1 if closes else length
    whole &= begin < 0
    return "".join([*parts, story[done:]]), spans if whole else [], whole


# ---------------------------------------------------------------- tokens


@memoize("ce_bench.stories", version=1)
def read_stories(model: ModelRef, ref: PairsRef) -> dict[str, Any]:
    """Tokens of all stories, as `contexts.tokenize` gives those of a corpus: story i of pair p is
    document 2p + i and a context of its own. Beside them `marked` [tokens] bool (a token is marked
    where it overlaps a mark), table `pairs` (COLUMNS), and `counts`: `unmarked` pairs without a
    marked token, stories with `broken` marks, stories that were `cut`, `limit` in tokens.

    Raises:
        CorpusError: as `load`; or a story has no token.
    """
    run.report(0, 1, "Reading stories")
    pairs = load(ref)
    positions = getattr(language_model.config(model), "max_position_embeddings", 0) or 1 << 30
    limit = min(LONGEST, int(positions) - 1)
    parsed = [parse_marks(story) for pair in pairs for story in pair.stories]
    parts = list(encoded(language_model.tokenizer(model), [text for text, _, _ in parsed]))
    empty = next((index for index, part in enumerate(parts) if not len(part)), None)
    if empty is not None:
        where = f"Story {empty % 2 + 1} of row {empty // 2 + 1} has no token for this model."
        raise CorpusError(where, "Remove the row.")
    masks = [_mask(part[:limit], spans) for part, (_, spans, _) in zip(parts, parsed, strict=True)]
    bare = [not (masks[index].any() or masks[index + 1].any()) for index in range(0, len(masks), 2)]
    counts = {
        "unmarked": sum(bare),
        "broken": sum(not whole for _, _, whole in parsed),
        "cut": sum(len(part) > limit for part in parts),
        "limit": limit,
    }
    sides = [(pair.subject, aspect) for pair in pairs for aspect in pair.aspects]
    documents = [
        ("stories", subject, " · ".join(filter(None, (subject, aspect))), text)
        for (subject, aspect), (text, _, _) in zip(sides, parsed, strict=True)
    ]
    rows = [(index, pair.subject, *pair.aspects) for index, pair in enumerate(pairs)]
    return {
        **packed(documents, [part[:limit] for part in parts], limit + 1),
        "marked": np.concatenate(masks),
        "pairs": pl.DataFrame(rows, schema=COLUMNS, orient="row"),
        "counts": counts,
    }


def _mask(tokens: np.ndarray, spans: list[tuple[int, int]]) -> np.ndarray:
    """[n] bool: which of [n, 3] id, first and last character overlap a span."""
    overlaps = np.zeros(len(tokens), dtype=bool)
    for first, last in spans:
        overlaps |= (tokens[:, 1] < last) & (tokens[:, 2] > first)
    return overlaps


@dataclass(frozen=True)
class Stories:
    """A set of pairs, read from its memo entry; story i of pair p has number 2p + i."""

    entry: Entry

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self.entry)

    @cached_property
    def marked(self) -> np.ndarray:
        return self.entry.array("marked")

    @cached_property
    def pairs(self) -> pl.DataFrame:
        return self.entry.frame("pairs")

    @cached_property
    def subjects(self) -> list[str]:
        """In the order of their first pairs."""
        return self.pairs["subject"].unique(maintain_order=True).to_list()

    @cached_property
    def subject_of(self) -> np.ndarray:
        """[pairs] int64: index into `subjects`."""
        number = {name: index for index, name in enumerate(self.subjects)}
        return np.array([number[name] for name in self.pairs["subject"]], dtype=np.int64)

    @property
    def counts(self) -> dict[str, int]:
        return self.entry.value("counts")

    @property
    def offsets(self) -> np.ndarray:
        """[stories + 1] token rows at which stories begin."""
        return self.tokens.document_starts
