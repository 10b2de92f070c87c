"""What would decide a claim that a run left undecided: how many seeds or networks, from the errors seen (no torch)."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
from scipy.special import ndtr
from scipy.stats import nct, norm

from igbrepro.claims.measurement import Measurement, format_number, margin
from igbrepro.statistics import t_limit

POWER = 0.9
MOST = 10_000  # repeats, or MOST / 10 times as many as now: beyond that no number is feasible
REPEATS = "seeds or networks"


def repeats_needed(distance: float, spread: float, z: float = 2.0) -> int | None:
    """The least number n of repeats at which a true `distance` between mean and bound shows with a power of 90 %.

    spread: standard deviation of one repeat.  The test is that of `over_seeds` and a rule at `z` standard errors, a t
    test (paired, where a repeat is a difference seed by seed), at 5 % for z = 2.  None where n would be above 10,000.
    """
    if not spread:
        return 2
    effect = abs(distance) / spread

    def enough(n: int) -> bool:
        return bool(nct.sf(t_limit(z, n - 1), n - 1, effect * math.sqrt(n)) >= POWER)

    counts = range(2, MOST + 1)
    return counts[bisect_left(counts, True, key=enough)] if enough(MOST) else None


def _times(factor: float) -> str:
    """ "about 3.4 times as many seeds or networks as now", rounded up to two digits."""
    step = 10.0 ** (math.floor(math.log10(factor)) - 1)
    rounded = math.ceil(round(factor / step, 6)) * step
    return f"about {f'{rounded:.2g}' if rounded < 10 else f'{rounded:,.0f}'} times as many {REPEATS} as now"


def decides_distance(distance: float, z: float, *measurements: Measurement, hopeless: str, against: bool) -> str:
    """What would tell a mean that lies `distance` from a bound apart from it at `z` standard errors, in words.

    measurements: whose errors, independent of each other, blur the distance.  hopeless: said where no feasible number
    of repeats would.  against: whether the mean is on the side that refutes the claim.
    """
    noisy = [m for m in measurements if m.std_error]
    floor = math.hypot(*(m.floor for m in noisy))
    noise = math.hypot(*(m.noise for m in noisy))
    if distance == 0 and noise == 0:
        return (
            "no two runs that are compared differ, as where none of them arrives before the end; longer runs or an "
            "equivalence margin would decide"
        )
    if math.isinf(margin(z, *measurements)):
        return same_number(z)
    clear = distance**2 - (z * floor) ** 2
    if clear <= 0 and floor:
        return f"the spacing of the evaluations alone leaves ± {format_number(floor)}; finer ones have to come first"
    verb = "would decide against the claim" if against else "would decide"
    if len(noisy) == 1 and noisy[0].n:
        n = noisy[0].n
        found = repeats_needed(math.sqrt(clear), noise * math.sqrt(n), z)
        if found is None:
            return hopeless
        return f"if it stays so, about {max(found, n + 1):,} {REPEATS} {verb} (here: {n})"
    factor = (z + float(norm.ppf(POWER))) ** 2 * float(np.divide(noise**2, clear)) if clear else math.inf
    return hopeless if factor > MOST / 10 else f"if it stays so, {_times(factor)} {verb}"


def same_number(z: float) -> str:
    """What would decide where all repeats gave the same number, in words."""
    return f"all gave the same number, which tells no spread: {math.ceil(-math.log2(ndtr(-z)))} {REPEATS} would"


def decides_error(m: Measurement, allowed: float, z: float) -> str:
    """What would bring the error of `m`, as sure as `z` normal ones, down to `allowed`, in words."""
    if math.isinf(m.margin(z)):
        return same_number(z)
    if m.n:
        spread = m.noise * math.sqrt(m.n)
        counts = range(2, 100 * MOST)
        at = bisect_left(counts, True, key=lambda n: t_limit(z, n - 1) * spread <= z * allowed * math.sqrt(n))
        return f"about {2 + at:,} {REPEATS} would decide (here: {m.n})"
    return f"{_times(((m.std_error or 0.0) / allowed) ** 2)} would decide"
