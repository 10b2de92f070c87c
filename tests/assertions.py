"""Assertions that several test files share."""

from scipy import stats
from torch import Tensor


def assert_normal(values: Tensor, variance: float) -> None:
    """Sum of squares within the 1e-6 tails of the chi-square law, and a Gaussian shape."""
    values = values.detach().double().flatten()
    chance = stats.chi2.cdf(float((values**2).sum() / variance), len(values))
    assert 1e-6 < chance < 1 - 1e-6
    assert stats.kstest(values.numpy() / variance**0.5, "norm").pvalue > 1e-4
