"""Pairs of words that people rated for likeness, and which words to take so that many pairs count.

SimLex-999 (Hill, Reichart, Korhonen 2015: similarity proper) and WordSim-353 (Finkelstein et al.
2002: relatedness too) come with gensim. A file of one's own, such as MEN, lies in `ratings/` of the
annotations: `word word score` a line.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from backend.corpus import sources
from backend.schema import CorpusError

PACKAGED = {"SimLex-999": "simlex999.txt", "WordSim-353": "wordsim353.tsv"}
KIND = re.compile(r"-[nvjar]$")  # MEN marks parts of speech in one of its files
RATINGS = pl.Schema({"word": pl.String, "other": pl.String, "human": pl.Float64})


@dataclass(frozen=True)
class RatingsRef:
    """A file of rated pairs; `path` is empty for one that gensim carries."""

    name: str
    path: str
    digest: str


def available(folder: Path) -> tuple[RatingsRef, ...]:
    """The packaged files, then those of a folder, which need not exist."""
    own = sorted(path for path in folder.glob("*") if path.suffix in (".txt", ".tsv", ".csv"))
    files = [(name, _packaged(name), "") for name in PACKAGED]
    files += [(path.stem, path, str(path)) for path in own]
    return tuple(RatingsRef(name, place, _digest(path)) for name, path, place in files)


def read_ratings(ref: RatingsRef) -> pl.DataFrame:
    """`RATINGS`, a row a pair of different words; of a pair rated twice, the mean.

    Raises:
        CorpusError: a line is not two words and a number; it is named.
    """
    path = Path(ref.path) if ref.path else _packaged(ref.name)
    rows = []
    for number, line in enumerate(sources.decoded(sources.contents(path), path).splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            rows.append(_pair(line, f"{path.name}, line {number},"))
    table = pl.DataFrame(rows, schema=RATINGS, orient="row").filter(
        pl.col("word") != pl.col("other")
    )
    return table.group_by("word", "other", maintain_order=True).agg(pl.col("human").mean())


def _pair(line: str, where: str) -> tuple[str, str, float]:
    parts = re.split(r"[\t,;]|\s+", line.strip())
    try:
        one, other, score = parts[0], parts[1], float(parts[2])
    except (IndexError, ValueError) as error:
        raise CorpusError(
            f"{where} is not two words and a score.", "Write `word word score`, a pair a line."
        ) from error
    first, second = sorted(KIND.sub("", word.casefold()) for word in (one, other))
    return first, second, score


def _packaged(name: str) -> Path:
    place = importlib.metadata.distribution("gensim").locate_file("gensim/test/test_data")
    return Path(str(place)) / PACKAGED[name]


def _digest(path: Path) -> str:
    return hashlib.sha256(sources.contents(path)).hexdigest()[:16]


def words(rated: Mapping[str, pl.DataFrame]) -> list[str]:
    """Every word that is rated, sorted."""
    return sorted({word for table in rated.values() for word in (*table["word"], *table["other"])})


def choose(rated: Mapping[str, pl.DataFrame], among: Collection[str], most: int) -> list[str]:
    """At most `most` words of `among` that keep many rated pairs whole: the word in the fewest is
    left out until so few remain. Each file weighs alike; ties go by the alphabet. Nothing that
    was measured is looked at."""
    alive, weights = set(among), {}
    for table in rated.values():
        pairs = [pair for pair in table.select("word", "other").iter_rows() if set(pair) <= alive]
        for pair in pairs:
            weights[pair] = weights.get(pair, 0.0) + 1 / len(pairs)
    while True:
        degree: Counter[str] = Counter()
        for pair, weight in weights.items():
            degree.update(dict.fromkeys(pair, weight))
        alive &= degree.keys()
        if len(alive) <= most:
            return sorted(alive)
        alive.remove(min(alive, key=lambda word: (round(degree[word], 9), word)))
        weights = {pair: weight for pair, weight in weights.items() if alive.issuperset(pair)}
