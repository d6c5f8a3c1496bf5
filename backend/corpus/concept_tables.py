"""What a source of labelled texts is, and the table of texts that it gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from backend import settings
from backend.corpus import sources
from backend.schema import ConceptRef, CorpusError

MOST = 100  # texts that are drawn of a class
LEAST = 2  # texts of a class that a concept needs in either split
ROWS = pl.Schema(
    {
        "row": pl.Int32,  # of the source; one row may label several concepts
        "title": pl.String,
        "text": pl.String,
        "concept": pl.String,  # key of `Labelled.concepts`
        "kind": pl.String,
        "split": pl.String,  # "" where the source has none
    }
)
KINDS = {
    **dict.fromkeys(("positive", "pos", "1", "1.0", "true"), "positive"),
    **dict.fromkeys(("negative", "neg", "0", "0.0", "false"), "negative"),
    "hard negative": "hard",
}
Row = tuple[int, str, str, str, str, str]
Classes = dict[str, list[tuple[str, str]]]  # texts that a class is known of: (title, text)


@dataclass(frozen=True)
class Labelled:
    """What a source gives: `rows` (ROWS) and of each concept its name and genre by its key.

    `rest`: all rows are positive, and a concept's negatives are to be drawn from the others.
    `too_few`: rows of topics or domains with too few texts to be a concept.
    """

    rows: pl.DataFrame
    concepts: dict[str, tuple[str, str]]
    rest: bool = False
    too_few: int = 0


Documents = Callable[[], pl.DataFrame]  # those of the study's corpus (schema DOCUMENTS)


@dataclass(frozen=True)
class ConceptSource:
    """A kind of concept set: its name in a `ConceptRef`, and what the screen calls it.

    `form` says what its path is; what is built in needs none. `files` names the files of a set,
    all of which exist, or raises `CorpusError`; without files a set is made of the study's corpus.
    `read` gives the labelled texts of a resolved set, or raises `CorpusError` with what is missing
    or not understood.
    """

    kind: str
    title: str
    form: Literal["file", "folder", "built in"]
    files: Callable[[ConceptRef], list[Path]]
    read: Callable[[ConceptRef, Documents], Labelled]


def place_of(ref: ConceptRef) -> Path:
    """Where a set is; a relative path counts from the project.

    Raises:
        CorpusError: it has no path.
    """
    if not ref.path:
        raise CorpusError(f"A concept set of kind {ref.kind} needs a path.", "Name one.")
    return settings.ROOT / Path(ref.path).expanduser()


def existing(paths: list[Path], remedy: str) -> list[Path]:
    """The same paths.

    Raises:
        CorpusError: one is no file.
    """
    missing = next((path for path in paths if not path.is_file()), None)
    if missing:
        raise CorpusError(f"{missing} does not exist.", remedy)
    return paths


def labelled(number: int, text: str, concept: str, kind: str, split: str, title: str = "") -> Row:
    """A row of `ROWS`; without a title, the first words of the text are it."""
    text = sources.mended(text)
    return number, title or " ".join(text[:200].split()[:8])[:60], text, concept, kind, split


def frame(rows: list[Row]) -> pl.DataFrame:
    """A table of `ROWS`."""
    return pl.DataFrame(rows, schema=ROWS, orient="row")


def kind_of(label: str) -> str | None:
    """positive, negative or hard; None where the label says none of these."""
    return KINDS.get(re.sub(r"[\s_-]+", " ", label).strip().casefold())


def draw_classes(classes: Classes, genres: dict[str, str], seed: int) -> Labelled:
    """Classes as concepts: every text of another class may be a negative of one. Of each class up
    to `MOST` texts are drawn at random; classes of too few are left out."""
    rows: list[Row] = []
    few = {name for name, texts in classes.items() if len(texts) < 2 * LEAST}
    for number, (name, texts) in enumerate(classes.items()):
        if name not in few:
            order = np.random.default_rng([seed, number]).permutation(len(texts))
            for at in sorted(order[:MOST].tolist()):
                title, text = texts[at]
                rows.append(labelled(len(rows), text, name, "positive", "", title))
    left_out = sum(len(classes[name]) for name in few)
    concepts = {name: (name, genres.get(name, "")) for name in classes if name not in few}
    return Labelled(frame(rows), concepts, True, left_out)
