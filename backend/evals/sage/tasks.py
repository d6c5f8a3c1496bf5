"""Prompts of four tasks whose answer and attributes are known, each beside counterfactuals.

- `ioi`: two names, one of which acts; the other is to follow (Wang et al. 2022).
- `induction`: two pairs of words and a key again; what stood after it is to follow.
- `agreement`: a subject, another noun after it; "is" or "are" is to follow.
- `capital`: a country; its capital is to follow.

Test prompts have templates (and for agreement nouns) that no train prompt has; words that are
values of attributes have to be shared. A word is used only where the tokenizer makes one token of
it. A *role* is a position named by what stands there, in a prompt and in its counterfactuals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.evals.sage.drafts import Draft, Words, draw_prompts, write_prompt
from backend.evals.sage.vocabulary import TEMPLATES, WORDS
from backend.models import language_model
from backend.schema import ModelRef, TesseraError
from backend.store.memo import Entry, memoize

LEAST = 12  # words of a kind that a task needs
TRIES = 40  # draws for every prompt asked for
ATTRIBUTES = {
    "ioi": ("IO", "S", "position"),
    "induction": ("answer", "other", "asked"),
    "agreement": ("subject", "attractor"),
    "capital": ("country",),
}
ROLES = {
    "ioi": ("IO", "S1", "S2", "end"),
    "induction": ("first key", "first word", "second key", "second word", "end"),
    "agreement": ("subject", "attractor", "end"),
    "capital": ("country", "end"),
}
# counterfactuals and the attributes that each changes; the first is the one that sites are found by
EDITS: dict[str, dict[str, tuple[str, ...]]] = {
    "ioi": {"IO and S": ("IO", "S"), "IO": ("IO",), "S": ("S",), "position": ("position",)},
    "induction": {"key": ("answer", "other", "asked"), "answer": ("answer",)},
    "agreement": {"subject": ("subject",), "attractor": ("attractor",)},
    "capital": {"country": ("country",)},
}


@dataclass(frozen=True)
class PromptSet:
    """n prompts as tokens with E counterfactuals each, R roles, A attributes.

    `ids` [1 + E, n, positions], `places` [1 + E, n, R], `codes` [1 + E, n, A] and `pair`
    [1 + E, n, 2] int64: row 0 is the prompt itself. The pair of a counterfactual is the prompt's
    answer and the counterfactual's, or the rival where these are the same. `end` [n] is the last
    position; padding follows it, where a causal model cannot see it.
    """

    task: str
    ids: np.ndarray
    places: np.ndarray
    codes: np.ndarray
    pair: np.ndarray
    end: np.ndarray
    test: np.ndarray  # [n] bool
    template: np.ndarray  # [n] int64
    roles: tuple[str, ...]
    attributes: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]  # of each attribute
    edits: dict[str, tuple[str, ...]]

    def part(self, rows: np.ndarray) -> PromptSet:
        """Some of the prompts."""
        whole = {name: getattr(self, name)[:, rows] for name in ("ids", "places", "codes", "pair")}
        each = {name: getattr(self, name)[rows] for name in ("end", "test", "template")}
        return replace(self, **whole, **each)

    def main(self) -> PromptSet:
        """The prompts with their main counterfactual alone."""
        whole = {name: getattr(self, name)[:2] for name in ("ids", "places", "codes", "pair")}
        return replace(self, **whole, edits=dict(list(self.edits.items())[:1]))


def prompt_set(entry: Entry) -> PromptSet:
    """The prompts of an entry of `prompts`.

    Raises:
        TesseraError: there are none.
    """
    task = entry.value("task")
    if problem := entry.value("problem"):
        raise TesseraError(problem, "Choose another task.")
    names = ("ids", "places", "codes", "pair", "end", "test", "template")
    return PromptSet(
        task=task,
        **{name: np.asarray(entry.array(name)) for name in names},
        roles=ROLES[task],
        attributes=ATTRIBUTES[task],
        values=tuple(tuple(values) for values in entry.value("values")),
        edits=EDITS[task],
    )


@memoize("sage.prompts", version=1)
def prompts(model: ModelRef, task: str, train: int, test: int, seed: int) -> dict[str, Any]:
    """The arrays of a `PromptSet` with up to `train` and `test` prompts, all different; its
    `values`; `words`, how many of how many words of each kind are one token; `texts` (prompt, test,
    text, answer, rival, counterfactual), the last being the main one. Where the tokenizer leaves
    too few words there is nothing but `problem`, which says so."""
    run.report(0, 1, f"Writing prompts of {task}")
    tokens = language_model.tokenizer(model)
    left = {kind: single_tokens(tokens, words) for kind, words in WORDS[task].items()}
    counts = {kind: [len(left[kind]), len(words)] for kind, words in WORDS[task].items()}
    few = [f"{some} of {count} {kind}" for kind, (some, count) in counts.items() if some < LEAST]
    if few:
        problem = f"The tokenizer makes one token of only {', '.join(few)}; {LEAST} are needed."
        return {"task": task, "words": counts, "problem": problem}
    rng = np.random.default_rng(seed)
    splits = [
        list(_different(draw_prompts(task, rng, _of_split(left, split), templates), count))
        for split, (count, templates) in enumerate(zip((train, test), TEMPLATES[task], strict=True))
    ]
    bos = tokens.bos_token_id if tokens.bos_token_id is not None else tokens.eos_token_id
    rows = [row for part in splits for row in part]
    is_test = np.repeat([False, True], [len(part) for part in splits])
    arrays = encode(tokens, bos, rows, ROLES[task]) | {"task": task, "words": counts, "problem": ""}
    return arrays | {"test": is_test, "texts": _texts(rows, is_test)}


def _of_split(words: Words, split: int) -> Words:
    """Nouns, which are no values of attributes, are of one split."""
    return words | {kind: words[kind][split::2] for kind in ("nouns",) if kind in words}


def single_tokens(tokens: Any, words: Sequence[str]) -> list[str]:
    """The words of which every part (singular/plural) is one token after a space."""

    def one(word: str) -> bool:
        whole = tokens(f"the {word}", add_special_tokens=False)["input_ids"]
        return len(whole) == 1 + len(tokens("the", add_special_tokens=False)["input_ids"])

    return [word for word in words if all(one(part) for part in word.split("/"))]


def _different(drafts: Iterator[list[Draft]], count: int) -> Iterator[list[Draft]]:
    """Up to `count` prompts whose text nobody has had."""
    prompts_so_far: set[str] = set()
    for row in islice(drafts, TRIES * count):
        text = write_prompt(row[0])[0]
        if text not in prompts_so_far:
            prompts_so_far.add(text)
            yield row
        if len(prompts_so_far) == count:
            return


# ---------------------------------------------------------------- from words to tokens


def encode(
    tokens: Any, bos: int, rows: list[list[Draft]], roles: tuple[str, ...]
) -> dict[str, Any]:
    """The arrays of a `PromptSet`; `values` of each attribute. A prompt of which a counterfactual
    has another length, or a role more than one token, cannot be, since words are single tokens.

    Raises:
        TesseraError: it can be, with this tokenizer.
    """
    by_edit = list(zip(*rows, strict=True))  # the prompts, then their counterfactuals, edit by edit
    encoded = [[_encoded(tokens, bos, draft, roles) for draft in drafts] for drafts in by_edit]
    lengths = np.array([[len(ids) for ids, _, _ in part] for part in encoded])
    if (lengths != lengths[0]).any() or any(p is None for part in encoded for _, p, _ in part):
        raise TesseraError(
            "The tokenizer splits prompts of one template in different ways.",
            "Choose another task.",
        )
    ids = np.full((*lengths.shape, int(lengths.max())), bos, dtype=np.int64)
    for edit, part in enumerate(encoded):
        for row, (own, _, _) in enumerate(part):
            ids[edit, row, : len(own)] = own
    attributes = [draft.attributes for row in rows for draft in row]
    values = [sorted(set(column)) for column in zip(*attributes, strict=True)]
    codes = [
        [[listed.index(v) for listed, v in zip(values, d.attributes, strict=True)] for d in drafts]
        for drafts in by_edit
    ]
    templates = list(dict.fromkeys(draft.template for draft in by_edit[0]))
    return {
        "ids": ids,
        "places": np.array([[places for _, places, _ in part] for part in encoded]),
        "pair": np.array([[pair for _, _, pair in part] for part in encoded]),
        "codes": np.array(codes),
        "end": lengths[0] - 1,
        "template": np.array([templates.index(draft.template) for draft in by_edit[0]]),
        "values": values,
    }


def _encoded(
    tokens: Any, bos: int, draft: Draft, roles: tuple[str, ...]
) -> tuple[list[int], list[int] | None, list[int]]:
    """Ids, the position of each role (None where one is not a token), ids of the pair."""
    text, spans = write_prompt(draft)
    encoding = tokens(text, add_special_tokens=False, return_offsets_mapping=True)
    ends = {end: token for token, (_, end) in enumerate(encoding["offset_mapping"])}
    places: list[int] = []
    for role in roles:
        if role == "end":
            places.append(len(encoding["input_ids"]))
            continue
        start, end = spans[draft.roles[role]]
        token = ends.get(end)
        if token is None or encoding["offset_mapping"][token][0] > start:
            return [bos, *encoding["input_ids"]], None, [0, 0]
        places.append(token + 1)
    pair = [tokens(f"{text} {word}", add_special_tokens=False)["input_ids"] for word in draft.pair]
    return [bos, *encoding["input_ids"]], places, [ids[-1] for ids in pair]


def _texts(rows: list[list[Draft]], test: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "prompt": np.arange(len(rows)),
            "test": test,
            "text": [write_prompt(row[0])[0] for row in rows],
            "answer": [row[0].pair[0] for row in rows],
            "rival": [row[0].pair[1] for row in rows],
            "counterfactual": [write_prompt(row[1])[0] for row in rows],
        }
    )
