"""What measured numbers would have refuted: how wrong an expected value, which value, which other theory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from igbrepro.claims.measurement import Measurement, plain

MOST = 1e6


@dataclass(frozen=True)
class Refuted:
    """What a rule on the measurement `name` would have refuted, in words.

    factor: the smallest one in the expected value, up or down, that it would have noticed (inf: none); None where the
    rule compares with no expected value, or with 0.
    """

    name: str
    words: str
    factor: float | None = None


@dataclass(frozen=True)
class Rival:
    """Another theory, in words, with the measurements as a claim's rule reads them if that theory is the right one.

    measurements: of those that the rule reads the ones that change, by the same names: the measured values against what
    the rival expects.  refuted: what judging found, None before.
    """

    words: str
    measurements: tuple[Measurement, ...]
    refuted: bool | None = None

    def __post_init__(self) -> None:
        plain("words", self.words)
        object.__setattr__(self, "measurements", tuple(self.measurements))


def smallest_factor(refuted: Callable[[float], bool], most: float = MOST) -> float:
    """The smallest factor above 1 for which `refuted` is true and stays so; inf where it is false up to `most`."""
    low, high = 0.0, 1e-12
    while not refuted(1 + high):
        low, high = high, 2 * high
        if high > most:
            return math.inf
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if refuted(1 + middle) else (middle, high)
    return 1 + high


def off_by(factor: float) -> str:
    """ "an expected value 12 % larger or smaller": a wrong expected value in words."""
    if math.isinf(factor):
        return "no other expected value"
    if factor >= 2:
        return f"an expected value {factor:.2g} times as large or as small"
    if factor - 1 > 1e-4:
        return f"an expected value {100 * (factor - 1):.2g} % larger or smaller"
    return f"an expected value off by a relative {factor - 1:.0e}" if factor - 1 > 2e-12 else "any other expected value"


def in_words(found: Iterable[Refuted]) -> str:
    """What several rules together would have refuted: the weakest of the factors, by name, and every bound."""
    found = list(found)
    factors = [one for one in found if one.factor is not None]
    texts = [one.words for one in found if one.factor is None]
    if factors:
        weakest = max(factors, key=lambda one: one.factor or 0.0)
        texts.insert(0, weakest.words + (f" (least of all in: {weakest.name})" if len(found) > 1 else ""))
    return "; ".join(dict.fromkeys(texts))
