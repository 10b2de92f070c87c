"""What modules of a model are given and give back, call by call, while it runs as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from torch import Tensor, nn


class Call(NamedTuple):
    """One call of a module: its name, the module, its first argument and what it gave back."""

    name: str
    module: nn.Module
    given: Any
    out: Any


@contextlib.contextmanager
def recording(modules: Iterable[tuple[str, nn.Module]]) -> Iterator[list[Call]]:
    """A list that fills with the calls of these (name, module) in order, while the context lasts.

    Of a tensor that a module gives back, the model goes on with a copy: what comes after may work in place.  Unlike
    `trace` this changes nothing of how the model computes, fused attention included, so that numbers are those of any
    other run to the bit; and it sees modules, of which a trace keeps only the functions.
    """
    calls: list[Call] = []

    def hook(name: str, module: nn.Module, given: tuple, out: Any) -> Any:
        calls.append(Call(name, module, given[0] if given else None, out))
        return out.clone() if isinstance(out, Tensor) else None

    hooks = [
        module.register_forward_hook(lambda module, given, out, name=name: hook(name, module, given, out))
        for name, module in modules
    ]
    try:
        yield calls
    finally:
        for one in hooks:
            one.remove()
