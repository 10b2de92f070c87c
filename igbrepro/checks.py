"""One clear error for each argument outside its range."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from igbrepro.errors import ParameterError

_LARGEST = np.finfo(float).max


def finite(name: str, value: ArrayLike, low: float, high: float = np.inf, *, open_low: bool = False) -> np.ndarray:
    """`value` as a float64 array.  Raises ParameterError unless it is finite and in [low, high] or (low, high]."""
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(f"{name}={value!r}: need a number or an array of numbers.") from None
    above = array > low if open_low else array >= max(low, -_LARGEST)
    good = above & (array <= min(high, _LARGEST))  # false for nan
    if not good.all():
        below = f"{'>' if open_low else '>='} {low:g}" if np.isfinite(low) else ""
        asked = f"in {'(' if open_low else '['}{low:g}, {high:g}]" if np.isfinite(high) else below
        raise ParameterError(f"{name}={float(array[~good].flat[0])!r}: need finite numbers {asked}".rstrip() + ".")
    return array


def whole(name: str, value: int, least: int) -> int:
    """`value` as an int.  Raises ParameterError unless it is a whole number >= least."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ParameterError(f"{name}={value!r}: need a whole number, {least} or more.")
    return int(value)
