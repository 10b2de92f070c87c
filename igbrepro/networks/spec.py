"""What every description of a network has, and the checks that they share (no torch here)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from igbrepro.checks import whole
from igbrepro.errors import ParameterError
from igbrepro.theory import Activation, get_activation

if TYPE_CHECKING:
    from torch import nn


@runtime_checkable
class Spec(Protocol):
    """The description of a network, which `build` and `train` take.

    MLPSpec, CNNSpec, ResNetSpec, ViTSpec, TorchvisionSpec are such.  Any hashable object with these members is one.
    activation: an Activation or its name.  n_classes: logits.  input_shape: of one input.
    depth: layers, as the description counts them.
    """

    @property
    def activation(self) -> Activation | str: ...
    @property
    def n_classes(self) -> int: ...
    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def depth(self) -> int: ...
    def module(self) -> nn.Module:
        """A torch module that maps (n, *input_shape) to logits (n, n_classes), as torch draws its parameters."""
        ...


def check_spec(spec: Any, **least: int) -> None:
    """Set activation, shape and the whole numbers of a description to checked ones."""
    object.__setattr__(spec, "activation", get_activation(spec.activation))
    for name, smallest in {"n_classes": 2, **least}.items():
        object.__setattr__(spec, name, whole(name, getattr(spec, name), smallest))
    shape = tuple(whole("input_shape", size, 1) for size in sequence("input_shape", spec.input_shape))
    if len(shape) != 3:
        raise ParameterError(f"input_shape={shape}: need (channels, height, width).")
    object.__setattr__(spec, "input_shape", shape)


def sequence(name: str, value: Sequence) -> Sequence:
    """`value` if it is a tuple or list; raises ParameterError for anything else."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ParameterError(f"{name}={value!r}: need a tuple of whole numbers.")
    return value
