"""Many measurements in one or two: the one that a rule judges worst, and the least precise one (no torch).

A claim about dozens of numbers is judged by these two, with `agrees(..., max_z, resolution)`: the first says whether
any of them contradicts theory, the second whether all of them are sharp enough for that to mean something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from igbrepro.claims.measurement import Measurement
from igbrepro.claims.rules import Claim
from igbrepro.errors import ParameterError
from igbrepro.statistics import t_limit


def compare(
    label: str,
    values: ArrayLike,
    errors: ArrayLike,
    expected: ArrayLike,
    at: ArrayLike | None = None,
    *,
    repeats: int | None = None,
) -> list[Measurement]:
    """One measurement for each layer, named "label 3"; values, errors, expected: (n,).

    at: the n layers, by default 0, 1, ...  repeats: how many networks the errors come from.
    """
    values, errors, expected = (np.asarray(v, dtype=float) for v in (values, errors, expected))
    layers = range(len(values)) if at is None else np.asarray(at)
    rows = zip(layers, values, errors, expected, strict=True)
    return [Measurement(f"{label} {layer}", *row, n=repeats) for layer, *row in rows]


def normal_error(std_error: float, freedom: float) -> float:
    """The error of a normal law that is as sure as a standard error with these degrees of freedom, at two of them.

    For errors of which no number of repeats can be told; all others give theirs to the measurement.
    """
    return std_error * t_limit(2.0, freedom) / 2


def over_seeds(
    name: str,
    values: ArrayLike,
    *,
    expected: float | None = None,
    rounding: float = 0.0,
    note: str = "",
    at_least: bool = False,
) -> Measurement:
    """The mean over a few seeds with its standard error; rules allow for their number, by Student's t.

    values: (n,), n >= 2, one a seed; for a difference between two runs, the differences seed by seed.
    rounding: spacing of the values, where they are known on a grid only, as learning times are on that of the
        evaluations; it adds the error of a difference of two rounded numbers, spacing / sqrt(6), in quadrature.
    at_least: whether some of the values are lower bounds.
    Raises ParameterError for fewer than two values.
    """
    values = np.asarray(values, dtype=float)
    n = values.size
    if n < 2:
        raise ParameterError(f"values={values.tolist()} of {name!r}: an error over seeds needs two or more.")
    floor = rounding / np.sqrt(6)
    error = np.hypot(values.std(ddof=1) / np.sqrt(n), floor)
    told = ", ".join(filter(None, [note, f"{n} seeds"]))
    mean = float(values.mean())
    return Measurement(name, mean, float(error), expected, told, n=n, floor=float(floor), at_least=at_least)


def closest_rival(name: str, leads: Sequence[Measurement], z: float = 2.0) -> list[Measurement]:
    """The lead that is least sure under the name that a rule at `z` standard errors looks for, before all leads.

    One that is surely behind comes first of all: it alone decides.
    """
    behind = [m for m in leads if m.value + m.margin(z) < 0]
    rival = min(behind or leads, key=lambda m: m.value - m.margin(z))
    told = "; ".join(filter(None, [rival.name, rival.note]))
    return [replace(rival, name=name, expected=None, note=told), *leads]


def farthest(label: str = "") -> str:
    """The name of the first measurement that `extremes` gives."""
    return f"farthest from theory: {label}" if label else "farthest from theory"


def least_precise(label: str = "") -> str:
    """The name of the second measurement that `extremes` gives."""
    return f"least precise: {label}" if label else "least precise"


def worst(claim: Claim, name: str, measurements: Sequence[Measurement]) -> Measurement:
    """Of many measurements the one that the rule of the claim judges worst, under the `name` that it looks for.

    None is hidden behind it: what the rule says of this one is the worst that it says of any.
    Raises ParameterError where there is none.
    """
    if not measurements:
        raise ParameterError(f"measurements=() of {name!r}: nothing was measured.")
    found = max(measurements, key=lambda m: claim.rule.severity(replace(m, name=name)))
    return replace(found, name=name, note="; ".join(filter(None, [found.name, found.note])))


def extremes(claim: Claim, measurements: Sequence[Measurement], label: str = "") -> list[Measurement]:
    """The farthest from theory and the least precise of `measurements`, each as measured / predicted (expected: 1).

    The farthest is the one that the rule of the claim judges worst, with its slack and the number of repeats.
    label: what is compared, put after "farthest from theory" and "least precise" to tell several such pairs apart.
    Raises ParameterError where there is none, or one lacks its standard error or a nonzero expected value.
    """
    if not measurements:
        raise ParameterError(f"measurements=() of {label or 'the comparison'}: nothing was measured.")
    ratios, many = [_ratio(m) for m in measurements], f"of {len(measurements)}"
    far = worst(claim, farthest(label), ratios)
    vague = max(ratios, key=lambda m: m.margin(2))
    return [
        replace(far, note=f"measured / predicted; {far.note.split('; ')[0]}; farthest {many}"),
        replace(vague, name=least_precise(label), note=f"measured / predicted; {vague.name}; least precise {many}"),
    ]


def times(factor: float, measurements: Sequence[Measurement]) -> list[Measurement]:
    """The same measurements as a rival sees them that expects `factor` times as much."""
    return [replace(m, expected=factor * m.expected) for m in measurements if m.expected is not None]


def _ratio(m: Measurement) -> Measurement:
    """Measured / predicted."""
    if not m.std_error or not m.expected:
        raise ParameterError(f"measurement {m.name!r}: a comparison needs a standard error > 0 and expected != 0.")
    size = abs(m.expected)
    return replace(m, value=m.value / m.expected, std_error=m.std_error / size, expected=1.0, floor=m.floor / size)
