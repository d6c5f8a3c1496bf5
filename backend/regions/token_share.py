"""How much of a region is just a token: the largest share of its members with one value of an
attribute, against what a random draw of as many tokens would show.

Attributes are the current token, the next token, the position, the kind of token and the
document. Spellings of one word, with a capital or a space before it or without, are counted
together: vice, Vice and ·vice are one. Where a region's share is far above the draw's, the
attribute accounts for the region without any meaning that its members might have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.corpus.contexts import Tokens

PUNCTUATION = ("word", "punctuation", "number", "space")  # codes of that attribute
DRAWS = 200  # random draws behind a null
LARGEST = 2**17  # size of a draw at most; larger ones show the same share


def attributes(tokens: Tokens) -> dict[str, np.ndarray]:
    """[N] int64 codes of every token of the corpus.

    `token` and `next` are words, by the smallest id of their spellings (-1: the document ends);
    `position` b stands for places
    2^b to 2^(b+1) - 1 of a context, counted from 1 after the BOS; `punctuation` is an index into
    `PUNCTUATION`; `document` is the document's number.
    """
    ids = np.asarray(tokens.ids, dtype=np.int64)
    unique, pieces, inverse = _pieces(tokens, ids)
    words = words_of(unique, pieces)[inverse]
    first = tokens.contexts["first_token"].to_numpy()
    place = np.arange(len(ids)) - first[tokens.context_of] + 1
    return {
        "token": words,
        "next": _following(tokens, words),
        "position": np.floor(np.log2(place)).astype(np.int64),
        "punctuation": np.array([kind_of(piece) for piece in pieces], dtype=np.int64)[inverse],
        "document": tokens.document_of.astype(np.int64),
    }


def spellings(tokens: Tokens) -> dict[str, np.ndarray]:
    """[N] int64 token ids behind the attributes that are words."""
    ids = np.asarray(tokens.ids, dtype=np.int64)
    return {"token": ids, "next": _following(tokens, ids)}


def _following(tokens: Tokens, codes: np.ndarray) -> np.ndarray:
    """The code of the token after each, -1 where the document ends."""
    following = np.append(codes[1:], -1)
    document = tokens.document_of
    following[np.append(document[1:] != document[:-1], True)] = -1
    return following


def _pieces(tokens: Tokens, ids: np.ndarray) -> tuple[np.ndarray, list[str], np.ndarray]:
    """The ids of the corpus, how each is first spelled there, and which one each token has."""
    unique, firsts, inverse = np.unique(ids, return_index=True, return_inverse=True)
    texts = tokens.documents["text"].to_list()
    spans = zip(tokens.document_of[firsts], tokens.starts[firsts], tokens.ends[firsts], strict=True)
    return unique, [texts[document][start:end] for document, start, end in spans], inverse


def words_of(ids: np.ndarray, pieces: Sequence[str]) -> np.ndarray:
    """The smallest of the ids that spell the same word as each, of ids in rising order. White
    space, and what has no text of its own, is no word: each id stands for itself."""
    smallest: dict[str, int] = {}
    words = zip(ids.tolist(), (piece.strip().casefold() for piece in pieces), strict=True)
    codes = [smallest.setdefault(word, number) if word else number for number, word in words]
    return np.array(codes, dtype=np.int64)


def kind_of(piece: str) -> int:
    """Index into `PUNCTUATION` of a token's text; letters decide before digits."""
    if not piece.strip():
        return PUNCTUATION.index("space")
    if any(character.isalpha() for character in piece):
        return PUNCTUATION.index("word")
    if any(character.isnumeric() for character in piece):
        return PUNCTUATION.index("number")
    return PUNCTUATION.index("punctuation")


def modes(group: np.ndarray, value: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """[groups] the commonest value, from -1 up, of each group (of several, the smallest) and its
    count; -1 and 0 for an empty group."""
    span = int(value.max(initial=0)) + 2
    keys, counts = np.unique(group.astype(np.int64) * span + (value + 1), return_counts=True)
    order = np.lexsort((keys, -counts, keys // span))
    present, first = np.unique(keys[order] // span, return_index=True)
    mode, count = np.full(groups, -1, dtype=np.int64), np.zeros(groups, dtype=np.int64)
    mode[present], count[present] = keys[order][first] % span - 1, counts[order][first]
    return mode, count


@dataclass(frozen=True)
class Null:
    """The largest share of one value in random draws, for a grid of sizes: mean and 99th
    percentile, read in between on a log scale."""

    sizes: np.ndarray
    mean: np.ndarray
    high: np.ndarray

    def shares_at(self, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and 99th percentile for draws of these sizes."""
        grid, logs = np.log(self.sizes), np.log(np.maximum(sizes, 1))
        return np.interp(logs, grid, self.mean), np.interp(logs, grid, self.high)


def nulls(values: dict[str, np.ndarray], largest: int, seed: int) -> dict[str, Null]:
    """The null of every attribute for draws without replacement of up to `largest` tokens.

    The draws of one repetition are beginnings of one random order of the tokens, so that
    neighbouring sizes differ by little but their size.
    """
    total = len(next(iter(values.values())))
    sizes = _grid(min(largest, LARGEST, total))
    codes = {name: np.unique(each, return_inverse=True)[1] for name, each in values.items()}
    shares = {name: np.empty((DRAWS, len(sizes))) for name in values}
    rng = np.random.default_rng(seed)
    for draw in range(DRAWS):
        rows = rng.choice(total, int(sizes[-1]), replace=False)
        for name, code in codes.items():
            shares[name][draw] = _largest_counts(code[rows], int(code.max()) + 1, sizes) / sizes
    return {
        name: Null(sizes, each.mean(axis=0), np.percentile(each, 99, axis=0))
        for name, each in shares.items()
    }


def _grid(largest: int) -> np.ndarray:
    """Sizes 1 to `largest`, about half an octave apart."""
    steps = int(np.ceil(2 * np.log2(max(largest, 1)))) + 1
    return np.unique(np.round(np.geomspace(1, largest, steps)).astype(np.int64))


def _largest_counts(codes: np.ndarray, kinds: int, sizes: np.ndarray) -> np.ndarray:
    """[sizes] the largest count of one code among the first so many."""
    counts, result, start = np.zeros(kinds, dtype=np.int64), np.empty(len(sizes)), 0
    for index, size in enumerate(sizes):
        counts += np.bincount(codes[start:size], minlength=kinds)
        result[index], start = counts.max(), size
    return result


def explained(share: np.ndarray, null: np.ndarray) -> np.ndarray:
    """What part of the way from chance to all members a share goes; 0 where chance is all."""
    room = 1 - null
    return np.where(room > 0, np.maximum(0, share - null) / np.where(room > 0, room, 1), 0.0)
