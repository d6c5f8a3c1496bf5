"""Outputs of modules read and changed, whether they come alone or in a tuple."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backend.models import edit


class Block(nn.Module):
    """Adds one; gives a tuple where `wraps`."""

    def __init__(self, wraps: bool) -> None:
        super().__init__()
        self.wraps = wraps

    def forward(self, hidden: Any) -> Any:
        hidden = edit.hidden_states(hidden) + 1
        return (hidden, "cache") if self.wraps else hidden


@pytest.fixture(params=[False, True], ids=["tensor", "tuple"])
def network(request: pytest.FixtureRequest) -> nn.Sequential:
    return nn.Sequential(Block(request.param), Block(request.param))


X = torch.zeros(2, 3, 4)


def test_a_change_reaches_what_follows_and_ends_with_the_block(network: nn.Sequential) -> None:
    with edit.edited(network[0], lambda hidden: hidden * 10):
        assert (edit.hidden_states(network(X)) == 11).all()
    assert (edit.hidden_states(network(X)) == 2).all()


def test_what_stands_behind_hidden_states_stays() -> None:
    block = Block(wraps=True)
    with edit.edited(block, lambda hidden: hidden * 0):
        hidden, cache = block(X)
    assert cache == "cache"
    assert not hidden.any()


def test_no_change_leaves_the_output(network: nn.Sequential) -> None:
    with edit.edited(network[1], lambda hidden: None):
        assert (edit.hidden_states(network(X)) == 2).all()


def test_one_position_is_overwritten_in_a_copy() -> None:
    rows = torch.ones(2, 4, dtype=torch.float64)
    changed = edit.overwritten(X, -1, rows)
    assert changed.dtype == X.dtype
    assert changed[:, -1].eq(1).all()
    assert not changed[:, :-1].any()
    assert not X.any()


def test_outputs_are_captured_by_key(network: nn.Sequential) -> None:
    with edit.captured({"first": network[0], "last": network[1]}) as outputs:
        network(X)
    means = {key: float(edit.hidden_states(output).mean()) for key, output in outputs.items()}
    assert means == {"first": 1.0, "last": 2.0}
    assert isinstance(outputs["first"], tuple) == network[0].wraps
    outputs.clear()
    network(X)
    assert outputs == {}


def test_a_pass_ends_at_the_module(network: nn.Sequential) -> None:
    reached: list[Tensor] = []
    handle = network[1].register_forward_hook(lambda *_: reached.append(X))
    hidden = edit.output_of(network[0], lambda: network(X))
    assert hidden is not None
    assert (hidden == 1).all()
    assert reached == []
    assert edit.output_of(nn.Identity(), lambda: network(X)) is None
    assert len(reached) == 1
    handle.remove()


def test_hooks_go_where_the_pass_fails(network: nn.Sequential) -> None:
    def fail(hidden: Tensor) -> Tensor:
        raise ArithmeticError

    with pytest.raises(ArithmeticError), edit.edited(network[0], fail):
        network(X)
    assert (edit.hidden_states(network(X)) == 2).all()
