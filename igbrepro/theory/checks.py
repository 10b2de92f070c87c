"""One clear error for each argument outside its range."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from igbrepro.errors import ParameterError


def finite(name: str, value: ArrayLike, low: float, high: float = np.inf, *, open_low: bool = False) -> np.ndarray:
    """`value` as a float64 array.  Raises ParameterError unless it is finite and in [low, high] or (low, high]."""
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(f"{name}={value!r}: need a number or an array of numbers.") from None
    bad = ~np.isfinite(array) | (array < low) | (array > high) | (open_low & (array == low))
    if np.any(bad):
        asked = f"{'>' if open_low else '>='} {low:g}" if np.isinf(high) else f"in [{low:g}, {high:g}]"
        raise ParameterError(f"{name}={array[bad].flat[0]:g}: need finite numbers {asked}.")
    return array


def whole(name: str, value: int, least: int) -> int:
    """`value` as an int.  Raises ParameterError unless it is a whole number >= least."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ParameterError(f"{name}={value!r}: need a whole number, {least} or more.")
    return int(value)


def no_pool(pool: object) -> None:
    """Raises ParameterError for anything but pool=None, the only case these maps cover so far."""
    if pool is not None:
        raise ParameterError(f"pool={pool!r}: only single-node activations are supported; pass pool=None.")
