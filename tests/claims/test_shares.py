"""Predicted shares: a wrong γ that a tolerance does not see, and shares near 1 that say nothing."""

import math

import numpy as np
import pytest

from igbrepro.claims import (
    Claim,
    Measurement,
    Outcome,
    all_of,
    between,
    common_factor,
    judge,
    share_gaps,
    share_rivals,
    worst,
)
from igbrepro.claims.shares import share_at
from igbrepro.errors import ParameterError
from igbrepro.theory import ClassFraction

GAP, FACTOR = "worst gap", "common factor in γ, ln"
TOLERANCE = between(GAP, -0.05, 0.05)
LOOSE = Claim("shares", "Shares", "Shares are predicted.", "Section 1", TOLERANCE)
STRICT = Claim(
    "shares", "Shares", "Shares are predicted.", "Section 1", all_of(TOLERANCE, between(FACTOR, -0.22, 0.22))
)


def shares(gammas, factor=1.0, error=0.003, seed=0):
    """Two classes: measured at `factor` times the γ that theory has."""
    rng = np.random.default_rng(seed)
    return [
        Measurement(
            f"γ = {g:g}",
            0.5 + math.atan(math.sqrt(factor * g)) / math.pi + error * rng.normal(),
            error,
            0.5 + math.atan(math.sqrt(g)) / math.pi,
            n=40,
        )
        for g in gammas
    ]


def verdict(claim, rows):
    found = [worst(claim, GAP, share_gaps(rows)), common_factor(FACTOR, rows)]
    return judge(claim, found, rivals=share_rivals(claim, GAP, FACTOR, rows) if claim is STRICT else ())


def test_a_wrong_gamma_within_the_tolerance_is_found_by_the_common_factor():
    rows = shares([0.1, 0.5, 1.0, 2.0, 10.0], factor=1.5)
    assert verdict(LOOSE, rows).outcome is Outcome.REPRODUCED
    assert verdict(STRICT, rows).outcome is Outcome.NOT_REPRODUCED
    assert common_factor(FACTOR, rows).value == pytest.approx(math.log(1.5), abs=0.08)


def test_right_predictions_refute_both_rivals():
    found = verdict(STRICT, shares([0.1, 0.5, 1.0, 2.0, 10.0]))
    assert found.outcome is Outcome.REPRODUCED and all(rival.refuted for rival in found.rivals)


def test_deep_prejudice_alone_does_not_tell_theory_from_every_share_is_1():
    found = verdict(STRICT, shares([2_000.0, 5_000.0]))
    assert found.outcome is not Outcome.REPRODUCED
    assert [rival.refuted for rival in found.rivals] == [False, False]


def test_the_error_of_the_common_factor_is_its_spread():
    found = [common_factor(FACTOR, shares([0.3, 1.0, 4.0], seed=seed)) for seed in range(300)]
    spread = np.std([m.value for m in found])
    assert spread == pytest.approx(found[0].std_error, rel=0.15) and found[0].n == 40
    assert abs(np.mean([m.value for m in found])) < 4 * spread / math.sqrt(300)


@pytest.mark.parametrize("n_classes", [2, 10])
def test_shares_move_as_the_law_of_the_class_fraction_says(n_classes):
    law = [ClassFraction(gamma, n_classes).mean_max() for gamma in (0.7, 1.4)]
    assert share_at(2.0, law[0], n_classes) == pytest.approx(law[1], rel=1e-6)
    assert share_at(2.0, 1.0, n_classes) == 1.0
    with pytest.raises(ParameterError, match="whatever γ is"):
        common_factor(FACTOR, [Measurement("a", 1.0, 0.1, 1.0)])
