"""Brent's method, with a number for an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from scipy.optimize import brentq


def brent_root(f: Callable[[float], Any], low: Any, high: Any, **tolerances: Any) -> float:
    """A root of f between low and high, where f has different signs; tolerances of scipy.optimize.brentq."""
    return float(cast("float", brentq(f, low, high, **tolerances)))
