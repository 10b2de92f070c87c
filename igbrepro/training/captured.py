"""A step captured once as a CUDA graph and played back, so that it costs its arithmetic and not its launches."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

Step = Callable[..., Tensor]

_WARM_UP = 3  # calls before the capture: what a library sets up at its first use cannot be captured


class CapturedStep:
    """Calls one function of tensors on a CUDA device, captured at its fourth call and played back from then on.

    function: the same at every call, of tensors of the same shapes; it may change other tensors in place (weights, the
        state of an optimiser with capturable=True), and gives one tensor. It must not wait for the device, nor depend
        on a value of the host that changes.
    Each call has its effect once.  The result is overwritten by the next call.
    A function that cannot be captured is called as it is ever after, with one warning.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.calls, self.refused = device, 0, False
        self.replay: Callable[[], object] | None = None
        self.inputs: list[Tensor] = []  # that the graph reads
        self.output = torch.empty(0)  # that it writes

    def __call__(self, function: Step, *inputs: Tensor) -> Tensor:
        self.calls += 1
        if self.calls <= _WARM_UP:
            return _aside(function, inputs, self.device)
        if self.replay is None and not self.refused:
            self._capture(function, inputs)
        if self.replay is None:
            return function(*inputs)
        for kept, given in zip(self.inputs, inputs, strict=True):
            kept.copy_(given)
        self.replay()
        return self.output

    def _capture(self, function: Step, inputs: tuple[Tensor, ...]) -> None:
        self.inputs = [given.clone() for given in inputs]
        try:
            self.replay, self.output = _graph(function, self.inputs, self.device)
        except RuntimeError as error:
            self.refused = True
            what = f"the step could not be captured as a CUDA graph, and is launched anew every time: {error}"
            warnings.warn(what, stacklevel=2)


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def _aside(function: Step, inputs: tuple[Tensor, ...], device: torch.device) -> Tensor:
    """Call it on another stream than the usual one, as what is to be captured must first be."""
    usual, other = torch.cuda.current_stream(device), _side_stream(device)
    other.wait_stream(usual)
    with torch.cuda.stream(other):
        result = function(*inputs)
    usual.wait_stream(other)
    return result


def _graph(function: Step, inputs: list[Tensor], device: torch.device) -> tuple[Callable[[], object], Tensor]:
    """Capture a call without making it: what plays it back, and the tensor its result then stands in."""
    graph = torch.cuda.CUDAGraph()
    usual = torch.cuda.stream(torch.cuda.current_stream(device))  # given back even where the capture fails
    with usual, torch.cuda.graph(graph):
        output = function(*inputs)
    return graph.replay, output
