"""Whether predicted shares of the favourite class are right, and not merely all large: a test of γ, and its rivals.

Near a share of 1 any γ predicts the same to within a tolerance. A factor in γ common to all networks is what such
claims can get wrong unnoticed, so it is estimated beside them, where the shares depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import root_scalar

from igbrepro.claims.comparisons import worst
from igbrepro.claims.measurement import Measurement
from igbrepro.claims.refuting import Rival
from igbrepro.claims.rules import Claim
from igbrepro.errors import ParameterError
from igbrepro.theory import ClassFraction

_STEP = 1.05


def share_at(factor: float, share: float, n_classes: int = 2) -> float:
    """The mean share of the favourite where γ is `factor` times the one that gives `share`."""
    if not 1 / n_classes < share < 1:
        return share

    def gap(log_gamma: float) -> float:
        return ClassFraction(math.exp(log_gamma), n_classes).mean_max() - share

    low, high = -30.0, 30.0
    if gap(low) > 0 or gap(high) < 0:
        return share
    log_gamma = root_scalar(gap, bracket=(low, high), xtol=1e-9).root
    return ClassFraction(factor * math.exp(log_gamma), n_classes).mean_max()


def common_factor(name: str, shares: Sequence[Measurement], n_classes: int = 2) -> Measurement:
    """ln of the factor in γ, common to all networks, that their shares ask for; 0 where the prediction is right.

    shares: measured, with the predicted one expected.  Linear in them, each weighted by how steeply it depends on ln γ
    where theory puts it (and not by its error), so that shares near 1, which hardly depend on it, hardly count.
    Raises ParameterError where none depends on γ.
    """
    rows = [(m, m.expected) for m in shares if m.expected is not None]
    up_down = [[share_at(factor, share, n_classes) for factor in (_STEP, 1 / _STEP)] for _, share in rows]
    slope = np.array([(up - down) / (2 * math.log(_STEP)) for up, down in up_down])
    if not slope.any():
        raise ParameterError(f"shares of {name!r}: all are predicted as 1/{n_classes} or 1, whatever γ is.")
    gaps, errors = np.array([(m.value - share, m.std_error or 0.0) for m, share in rows]).T
    total = (slope**2).sum()
    few = min((m.n for m, _ in rows if m.n), default=None)
    note = f"ln of the factor in γ that {len(rows)} kinds of networks have in common"
    return Measurement(
        name, float(slope @ gaps / total), float(np.sqrt((slope * errors) @ (slope * errors)) / total), 0.0, note, few
    )


def share_gaps(shares: Sequence[Measurement]) -> list[Measurement]:
    """Measured minus predicted share, a row each."""
    return [replace(m, value=m.value - m.expected, expected=None) for m in shares if m.expected is not None]


def share_rivals(claim: Claim, gap: str, factor: str, shares: Sequence[Measurement], n_classes: int = 2) -> list[Rival]:
    """What a claim on predicted shares should refute: "every share is 1", and γ 1.5 times as large.

    gap, factor: names of the measurements that its rule reads, the worst of share_gaps and common_factor.
    """
    larger = [replace(m, expected=share_at(1.5, m.expected, n_classes)) for m in shares if m.expected is not None]
    ones = worst(claim, gap, share_gaps([replace(m, expected=1.0) for m in shares]))
    moved = worst(claim, gap, share_gaps(larger)), common_factor(factor, larger, n_classes)
    return [Rival("every share is 1", (ones,)), Rival("γ 1.5 times as large", moved)]
