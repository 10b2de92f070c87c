"""What a run costs: multiply-adds of a network, and seconds as runs of its kind have taken them (no torch)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from statistics import median
from typing import TYPE_CHECKING, Any

from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, Spec, TorchvisionSpec, ViTSpec
from igbrepro.runs.declared import Measured, Run
from igbrepro.runs.keys import NotStorable, checksum

if TYPE_CHECKING:
    from igbrepro.runs.store import StoredRun

_NEAREST = 5
_RATE = 1e10  # multiply-adds a second of one core, where no run tells better
_BACKWARD = 3  # an update costs about three times the forward pass
GPU_RATE = 5e12
"""Multiply-adds a second that we count a GPU with: what a data-centre one gives small networks in batches."""

_LAYER = 2e5  # multiply-adds that starting one layer's kernels costs as much as


def multiply_adds(spec: Spec) -> float:
    """Multiplications with weights, or between tokens, that one input takes from input to logits.

    Of a description that is not of this package, 1e6 a layer.
    """
    known = _KNOWN.get(type(spec))
    return 1e6 * spec.depth if known is None else float(known(spec))


def _mlp(spec: MLPSpec) -> int:
    return spec.input_size * spec.width + spec.fan_in * ((spec.depth - 1) * spec.width + spec.n_classes)


def _cnn(spec: CNNSpec) -> int:
    total, fan_in, (height, width) = 0, spec.input_shape[0], spec.input_shape[1:]
    sizes = spec.sizes
    for layer in range(1, spec.depth + 1):
        stride = spec.stride(layer)
        height, width = -(-height // stride), -(-width // stride)
        total += height * width * spec.kernel**2 * fan_in * spec.channels
        fan_in = spec.channels
        if spec.has_pool(layer):
            height, width = height // spec.pool_stride, width // spec.pool_stride
    return total + sizes[-1][0] * sizes[-1][1] * spec.channels * spec.n_classes


def _resnet(spec: ResNetSpec) -> int:
    (fan_in, height, width), channels = spec.input_shape, spec.width
    total = height * width * 9 * fan_in * channels
    fan_in = channels
    for stage, blocks in enumerate(spec.stages):
        channels = spec.width * 2**stage
        for block in range(blocks):
            if stage and not block:
                height, width = -(-height // 2), -(-width // 2)
                total += height * width * fan_in * channels
            total += height * width * 9 * channels * (fan_in + channels)
            fan_in = channels
    return total + fan_in * spec.n_classes


def _vit(spec: ViTSpec) -> int:
    channels, height, width = spec.input_shape
    patches = (height // spec.patch) * (width // spec.patch)
    tokens, hidden = patches + 1, round(spec.width * spec.mlp_ratio)
    block = tokens * spec.width * (4 * spec.width + 2 * hidden) + 2 * tokens**2 * spec.width
    return patches * channels * spec.patch**2 * spec.width + spec.depth * block + spec.width * spec.n_classes


def _torchvision(spec: TorchvisionSpec) -> float:
    return spec.facts.operations * (spec.input_shape[1] / spec.facts.side) ** 2


_KNOWN: dict[type, Callable[[Any], float]] = {
    MLPSpec: _mlp,
    CNNSpec: _cnn,
    ResNetSpec: _resnet,
    ViTSpec: _vit,
    TorchvisionSpec: _torchvision,
}


def work(run: Run) -> float:
    """The multiply-adds of a whole run, its evaluations included, with something for the number of its layers."""
    settings = run.settings
    if isinstance(settings, Measured):
        return max(settings.inputs * multiply_adds(run.spec), 1.0)
    inputs = _BACKWARD * settings.steps * settings.batch_size
    evaluated = settings.n_eval + settings.n_eval_train
    inputs += len(settings.points) * evaluated * (_BACKWARD + 1 if settings.gradients else 1)
    passes = _BACKWARD * settings.steps + len(settings.points)
    return inputs * multiply_adds(run.spec) + passes * run.spec.depth * _LAYER


class Pace:
    """How fast runs go, as stored ones tell: the seconds of one core that a run takes.

    As long as stored runs like it but for start and seed; else as its work says, at the rate of the runs of its kind
    of network whose work is nearest.
    """

    def __init__(self, stored: Iterable[StoredRun] = ()) -> None:
        self._taken: dict[str, list[float]] = {}
        # Work and seconds, by kind of run and network.
        self._known: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for run in stored:
            if run.diverged_at is None and run.seconds > 0 and run.provenance.get("device", "cpu") == "cpu":
                self._taken.setdefault(_alike(run.task), []).append(run.seconds)
                if done := run.provenance.get("work"):
                    self._known.setdefault(_kinds(run.task), []).append((done, run.seconds))

    def seconds(self, run: Run) -> float:
        """Of one core."""
        try:
            task = run.task
        except NotStorable:
            return work(run) / _RATE
        if taken := self._taken.get(_alike(task)):
            return median(taken)
        due = work(run)
        known = sorted(self._known.get(_kinds(task), []), key=lambda one: abs(math.log(one[0] / due)))
        return due / median([done / seconds for done, seconds in known[:_NEAREST]] or [_RATE])


def _kinds(task: dict[str, Any]) -> tuple[str, str]:
    return task["kind"], task["network"]["kind"]


def _alike(task: dict[str, Any]) -> str:
    settings = {name: value for name, value in task["settings"].items() if name != "lr"}
    return checksum({"network": task["network"], "settings": settings})


def in_words(seconds: float) -> str:
    """A time in the unit that suits it: "20 seconds", "4 minutes", "1.5 hours"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} second{'s' if round(seconds) > 1 else ''}"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
