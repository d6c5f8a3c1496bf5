"""What modules of a model give, read and changed while the model runs: capture, patch, steer.

A block returns its hidden states [batch, positions, width] alone or, in some architectures, in a
tuple with more behind them; what stands here does not tell which.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:  # a page that only reads the cache is spared torch
    from torch import Tensor, nn

Key = TypeVar("Key", bound=Hashable)


def hidden_states(output: Any) -> Tensor:
    """The hidden states in the output of a module."""
    return output[0] if isinstance(output, tuple) else output


@contextlib.contextmanager
def edited(module: nn.Module, change: Callable[[Tensor], Tensor | None]) -> Generator[None]:
    """While it is open, the hidden states that `module` gives go through `change`, which must not
    write into them; None leaves them as they are."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        hidden = change(hidden_states(output))
        if hidden is None:
            return None
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    with module.register_forward_hook(hook):
        yield


def overwritten(hidden: Tensor, position: int, rows: Tensor) -> Tensor:
    """A copy of `hidden` [n, positions, width] with `rows` [n, width] at one position."""
    copy = hidden.clone()
    copy[:, position] = rows.to(copy)
    return copy


@contextlib.contextmanager
def captured(modules: Mapping[Key, nn.Module]) -> Generator[dict[Key, Any]]:
    """What modules give, by the key of each, filled by the run inside."""
    outputs: dict[Key, Any] = {}

    def keep(key: Key, _module: nn.Module, _inputs: Any, output: Any) -> None:
        outputs[key] = output

    with contextlib.ExitStack() as hooks:
        for key, module in modules.items():
            hooks.enter_context(module.register_forward_hook(functools.partial(keep, key)))
        yield outputs


class _Stop(Exception):
    """Ends a forward pass once what is wanted has been read."""


def output_of(module: nn.Module, run: Callable[[], Any]) -> Tensor | None:
    """The hidden states that `module` gives in `run`, a forward pass that ends there; None where
    the pass does not come to it."""
    outputs: list[Tensor] = []

    def stop(_module: nn.Module, _inputs: Any, output: Any) -> None:
        outputs.append(hidden_states(output))
        raise _Stop

    with module.register_forward_hook(stop), contextlib.suppress(_Stop):
        run()
    return outputs[0] if outputs else None
