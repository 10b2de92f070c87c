"""Checks that the descriptions of networks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from igbrepro.checks import whole
from igbrepro.errors import ParameterError
from igbrepro.theory import get_activation


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
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ParameterError(f"{name}={value!r}: need a tuple of whole numbers.")
    return value
