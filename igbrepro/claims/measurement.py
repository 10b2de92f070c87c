"""One measured number with its error, and how numbers are written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from igbrepro.errors import ParameterError
from igbrepro.statistics import Estimate, t_limit


def plain(name: str, text: str) -> str:
    """`text` unchanged, or ParameterError where it is empty or holds TeX, which verdict boxes do not render."""
    if not isinstance(text, str) or not text.strip():
        raise ParameterError(f"{name}={text!r}: need a non-empty text.")
    if "$" in text or "\\" in text:
        raise ParameterError(f"{name}={text!r}: verdict boxes render no TeX; write words or Unicode: γ, σ_w², c₁₀.")
    return text


def _finite(name: str, value: float | None, measurement: str) -> float | None:
    if value is None:
        return None
    if not math.isfinite(value):
        raise ParameterError(
            f"{name}={value!r} of measurement {measurement!r}: need a finite number; "
            "record a divergence as a measurement of its own, such as the count of diverged runs."
        )
    return float(value)


@dataclass(frozen=True)
class Measurement:
    """One measured number: value, its standard error (None: deterministic) and what theory expects (None: nothing).

    name: unique within a claim, plain text.  note: a few words on how it was measured, plain text.
    n: how many independent repeats (seeds, networks) std_error comes from (None: so many that it is known).
    floor: the part of std_error, in quadrature, that more repeats would not make smaller.
    at_least: whether the truth may lie above all of this, as where a run that never arrives counts with the horizon.
    Raises ParameterError for non-finite numbers, a negative standard error or floor, n below 2, or TeX in the texts.
    """

    name: str
    value: float
    std_error: float | None = None
    expected: float | None = None
    note: str = ""
    n: int | None = None
    floor: float = 0.0
    at_least: bool = False

    def __post_init__(self) -> None:
        plain("name", self.name)
        if self.note:
            plain("note", self.note)
        if self.value is None:
            raise ParameterError(f"value=None of measurement {self.name!r}: need a finite number.")
        for key in ("value", "std_error", "expected"):
            object.__setattr__(self, key, _finite(key, getattr(self, key), self.name))
        if self.std_error is not None and self.std_error < 0:
            raise ParameterError(f"std_error={self.std_error!r} of measurement {self.name!r}: need a number >= 0.")
        if not 0 <= self.floor < math.inf:
            raise ParameterError(f"floor={self.floor!r} of measurement {self.name!r}: need a finite number >= 0.")
        if self.n is not None and self.n < 2:
            raise ParameterError(f"n={self.n!r} of measurement {self.name!r}: an error needs two or more repeats.")

    @classmethod
    def of(
        cls, name: str, estimate: Estimate, expected: float | None = None, note: str = "", n: int | None = None
    ) -> Measurement:
        """The measurement that an Estimate of one number makes; raises ParameterError also for one of arrays."""
        if np.ndim(estimate.value) or np.ndim(estimate.error):
            raise ParameterError(
                f"estimate of shape {np.shape(estimate.value)} of measurement {name!r}: need one number; "
                "make one Measurement for each."
            )
        return cls(name, float(estimate.value), float(estimate.error), expected, note, n)

    @property
    def z(self) -> float | None:
        """Distance from the expected value in standard errors; None without both."""
        if self.expected is None or not self.std_error:
            return None
        return (self.value - self.expected) / self.std_error

    @property
    def noise(self) -> float:
        """The part of std_error that more repeats would make smaller; 0 where they differ by rounding at most."""
        noise = math.sqrt(max(0.0, (self.std_error or 0.0) ** 2 - self.floor**2))
        return 0.0 if noise <= max(1e-12 * abs(self.value), 1e-7 * self.floor) else noise

    def margin(self, z: float = 2.0) -> float:
        """Half of the interval around the value that is as sure as that of `z` standard errors of a normal law."""
        return margin(z, self)

    def __str__(self) -> str:
        text = f"{self.name} = {format_number(self.value, self.std_error)}"
        return text if self.expected is None else f"{text} (expected {format_number(self.expected)})"


def margin(z: float, *measurements: Measurement) -> float:
    """Half of the interval around the difference of independent measurements that is as sure as ± z of a normal law.

    By Student's t, with Welch's degrees of freedom for several; floors count as normal.  Repeats that all gave the same
    number tell no spread: of n of them only a sign test is left, so inf where chance puts them all on one side of the
    truth too often (2^-n; for z = 2 below six of them).
    """
    equal = [m.n for m in measurements if m.n and not m.noise and not m.floor]
    if any(0.5**n > ndtr(-z) for n in equal):
        return math.inf
    variance = sum(m.noise**2 for m in measurements)
    blur = sum(m.noise**4 / (m.n - 1) for m in measurements if m.n)
    limit = t_limit(z, variance**2 / blur) if blur else z
    return math.hypot(limit * math.sqrt(variance), *(z * m.floor for m in measurements))


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _scaled(number: float, power: int, digits: int) -> str:
    return f"{number / 10.0**power:.{digits}f}".replace("-", "−")


def format_number(value: float, std_error: float | None = None) -> str:
    """`0.7613 ± 0.0012`: to two digits of the standard error; without one, to six significant digits.

    Numbers outside [1e-3, 1e5) are written as m × 10ⁿ.
    """
    if not math.isfinite(value):
        return "∞" if value == math.inf else "−∞" if value == -math.inf else "not a number"
    size = max(abs(value), std_error or 0.0)
    if size == 0:
        return "0"
    exponent = math.floor(math.log10(size))
    power = 0 if -3 <= exponent < 5 else exponent
    tail = f" × 10{str(power).translate(_SUPERSCRIPTS)}" if power else ""
    if std_error is None or std_error == 0:
        text = f"{value / 10.0**power:.6g}".replace("-", "−")
        return text + tail
    digits = min(max(0, power + 1 - math.floor(math.log10(std_error))), 15)
    text = f"{_scaled(value, power, digits)} ± {_scaled(std_error, power, digits)}"
    return f"({text}){tail}" if tail else text


def _plain_number(value: Any) -> Any:
    """NumPy scalars as Python numbers, paths as text."""
    return value.item() if hasattr(value, "item") else str(value)


def describe_data(provenance: Mapping[str, Any]) -> str:
    """One line on a data set: name, where it came from, sizes, and whether it is the fall-back."""
    sizes = [f"{provenance[f'n_{split}']:,} {split}" for split in ("train", "test") if provenance.get(f"n_{split}")]
    parts = [str(provenance.get("name", "unnamed data")), str(provenance.get("source", "")), " + ".join(sizes)]
    text = ", ".join(part for part in parts if part)
    return f"{text} (fall-back, not the full data)" if provenance.get("fallback") else text
