"""Keys of memoized results: what is in them, what cannot be."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.corpus.activations import Contexts, extract
from backend.schema import ModelRef, PartitionSpec, Site
from backend.store import memo
from backend.store.memo import Entry, Memoized, canonical, memoize
from tests.helpers.toy_memo import squares

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner)
    | st.dictionaries(st.text().filter(lambda key: key not in memo.MARKS), inner),
    max_leaves=8,
)  # fmt: skip


def test_every_argument_counts_and_defaults_are_arguments() -> None:
    key = squares.digest(3)
    assert squares.digest(3, 0.0) == squares.digest(count=3, shift=0.0) == key
    assert len({key, squares.digest(4), squares.digest(3, 0.5)}) == 3
    assert squares.recipe(3) == {
        "function": "toy.squares",
        "version": 1,
        "arguments": {"count": 3, "shift": 0.0},
    }


def test_another_version_is_another_key() -> None:
    assert Memoized(squares.function, "toy.squares", 2).digest(3) != squares.digest(3)


@dataclass(frozen=True)
class Setting:
    size: int
    share: float
    names: tuple[str, ...] = ("é",)


def test_a_key_does_not_change_between_releases() -> None:
    @memoize("toy.stable", version=3)
    def stable(setting: Setting, entry: Entry, limits: dict[str, int | None]) -> dict[str, Any]:
        return {"never": [setting, entry, limits]}

    stable.name = "stable"
    entry = Entry(Path("anywhere"), "0123")
    digest = stable.digest(Setting(1, 0.1), entry, {"b": None, "a": 1})
    assert digest == "c4de9afa08967feb4fba329e8f6e3f14", "everything ever computed would be lost"


def test_a_missing_or_unknown_argument_is_an_error_not_another_key() -> None:
    with pytest.raises(TypeError, match=r"missing.*'count'"):
        squares.find()
    with pytest.raises(TypeError, match="colour"):
        squares.find(3, colour="red")


def test_the_folder_is_not_keyed() -> None:
    @memoize("toy.work", version=1)
    def work(count: int, *, folder: Path = Path()) -> Any:
        return {"all": [count, str(folder)]}

    assert work.recipe(3)["arguments"] == {"count": 3}


def test_two_functions_of_one_name_are_refused_and_both_are_named() -> None:
    with pytest.raises(ValueError, match=r"toy_memo\.squares and .*another are both"):

        @memoize("toy.squares", version=1)
        def another(count: int) -> dict[str, Any]:
            return {"count": count}


def test_nothing_else_is_left_out_of_a_key() -> None:
    @memoize("toy.work_on", version=1)
    def work_on(digest: str, *, inputs: int) -> Any:
        return {"all": [digest, inputs]}

    assert work_on.digest("d", inputs=1) != work_on.digest("d", inputs=2)


@dataclass
class Mutable:
    size: int


@dataclass(frozen=True)
class Typed:
    type: str


@dataclass(frozen=True, eq=False)
class Measured:
    """Data with a digest of its own."""

    values: np.ndarray

    @functools.cached_property
    def content_digest(self) -> str:
        return hashlib.sha256(self.values.tobytes()).hexdigest()


@dataclass
class Changing:
    """A digest that does not follow what it is of."""

    values: list[int]

    @functools.cached_property
    def content_digest(self) -> str:
        return str(self.values)


@dataclass(frozen=True)
class Declared:
    """Says its own digest: that is a field as any other."""

    content_digest: str
    size: int


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        object(),
        float("nan"),
        float("inf"),
        np.float64(1.0),
        np.int64(1),
        np.arange(3),
        torch.zeros(1),
        b"bytes",
        Path("a"),
        {1: "a"},
        {"type": "ModelRef"},
        {"entry": "0123"},
        Mutable(1),
        Typed("a"),
        Changing([1]),
        PartitionSpec,
        [1, {"deep": {3}}],
    ],
    ids=repr,
)
def test_what_has_no_canonical_text_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="cache key"):
        canonical(value)


def test_dataclasses_are_told_apart_by_type_and_entries_by_digest() -> None:
    spec = PartitionSpec(p=2.0)
    assert canonical(spec) == {"type": "PartitionSpec", "p": 2.0, "k": 1.0, "seed": 0}
    assert canonical(Entry(Path("anywhere"), "0123")) == {"entry": "0123"}


def test_data_is_keyed_by_the_digest_that_it_computes_from_itself() -> None:
    one, same, other = (Measured(np.array(values)) for values in ([1, 2], [1, 2], [1, 3]))
    assert canonical(one) == canonical(same) != canonical(other)
    assert canonical(one) == {"type": "Measured", "content_digest": one.content_digest}
    assert canonical(Declared("d", 1)) != canonical(Declared("d", 2))


def test_activations_are_keyed_by_the_ids_that_are_read() -> None:
    model, site = ModelRef("folder:nowhere", "0", "float32"), Site(0)

    def key(*ids: list[int], site: Site = site, kind: str = "int32") -> str:
        return extract.digest(model, site, Contexts(tuple(np.array(row, kind) for row in ids)))

    assert key([5, 6, 7]) == key([5, 6, 7], kind="int64")
    keys = [key([5, 6, 7]), key([5, 6, 8]), key([5, 6], [7]), key([5], [6, 7])]
    assert len({*keys, key([5, 6, 7], site=Site(1))}) == 5


@settings(deadline=None)
@given(value=JSON)
def test_keys_do_not_depend_on_the_order_of_dicts(value: Any) -> None:
    def turned(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: turned(item[key]) for key in reversed(item)}
        return tuple(turned(inner) for inner in item) if isinstance(item, list) else item

    assert json.dumps(canonical(value)) == json.dumps(canonical(turned(value)))
