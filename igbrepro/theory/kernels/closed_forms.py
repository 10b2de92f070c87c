"""Kernels in closed form: Cho & Saul 2009 (piecewise linear), Williams 1998 (erf), integration by parts (GELU)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erf, ndtr

from igbrepro.theory.kernels.base import Array, Kernel, correlation_gap, variance_slope


def _angle(s: Array) -> Array:
    """The angle whose cosine is 1 - s."""
    return 2 * np.arcsin(np.sqrt(s / 2))


def _sine_minus_arc(s: Array) -> Array:
    """sin(theta) - theta cos(theta) for the angle of s, to full relative accuracy (theta^3/3 near zero)."""
    theta = _angle(s)
    t2 = theta * theta
    series = theta * t2 * (1 / 3 - t2 * (1 / 30 - t2 * (1 / 840 - t2 * (1 / 45360 - t2 * (1 / 3991680)))))
    return np.where(theta < 0.3, series, np.sqrt(s * (2 - s)) - theta * (1 - s))


@dataclass(frozen=True)
class Bent:
    """phi(x) = x for x > 0 and slope * x below."""

    slope: float

    def __call__(self, x: Array) -> Array:
        return np.where(x > 0, x, self.slope * x)


@dataclass(frozen=True)
class BentDerivative:
    """Its derivative: 1 for x > 0 and slope elsewhere."""

    slope: float

    def __call__(self, x: Array) -> Array:
        return np.where(x > 0, 1.0, self.slope)


def erf_derivative(x: Array) -> Array:
    return 2 / np.sqrt(np.pi) * np.exp(-(x**2))


def gelu(x: Array) -> Array:
    return x * ndtr(x)


def gelu_derivative(x: Array) -> Array:
    return ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


@dataclass(frozen=True)
class PiecewiseLinear(Kernel):
    """phi(x) = x for x > 0 and slope * x below: linear (slope 1), ReLU (0), leaky ReLU."""

    slope: float = 0.0

    def mean(self, q: Array) -> Array:
        return (1 - self.slope) * np.sqrt(q / (2 * np.pi))

    def second_moment(self, q: Array) -> Array:
        return (1 + self.slope**2) / 2 * q

    def square_slope(self, q: Array) -> Array:
        return np.full_like(q, (1 + self.slope**2) / 2)

    def variance_slope(self, q: Array) -> Array:
        return variance_slope(Bent(self.slope), BentDerivative(self.slope), q)

    def covariance(self, q_a: Array, q_b: Array, cov: Array) -> Array:
        s = correlation_gap(q_a, q_b, cov)
        kink = (1 - self.slope) ** 2 / (2 * np.pi) * np.sqrt(q_a) * np.sqrt(q_b)
        positive = (1 + self.slope**2) / 2 * cov + kink * _sine_minus_arc(s)
        return np.where(s <= 1, positive, self.slope * cov + kink * _sine_minus_arc(2 - s))

    def deviation(self, q: Array, s: Array) -> Array:
        kink = (1 - self.slope) ** 2 / (2 * np.pi)
        return q * ((1 + self.slope**2) / 2 * s - kink * _sine_minus_arc(s))

    def slope_covariance(self, q: Array, s: Array) -> Array:
        return (1 + self.slope**2) / 2 - (1 - self.slope) ** 2 / (2 * np.pi) * _angle(s) + np.zeros_like(q)


@dataclass(frozen=True)
class Erf(Kernel):
    """phi(x) = erf(x)."""

    def mean(self, q: Array) -> Array:
        return np.zeros_like(q)

    def second_moment(self, q: Array) -> Array:
        return 2 / np.pi * np.arctan2(2 * q, np.sqrt(1 + 4 * q))

    def square_slope(self, q: Array) -> Array:
        return 4 / np.pi / np.sqrt(1 + 4 * q)

    def variance_slope(self, q: Array) -> Array:
        return variance_slope(erf, erf_derivative, q)

    def covariance(self, q_a: Array, q_b: Array, cov: Array) -> Array:
        s = correlation_gap(q_a, q_b, cov)
        return 2 / np.pi * np.arctan2(2 * cov, np.sqrt(1 + 2 * q_a + 2 * q_b + 4 * q_a * q_b * s * (2 - s)))

    def deviation(self, q: Array, s: Array) -> Array:
        # arctan a - arctan b = arctan((a - b) / (1 + a b)); the difference of the two tangents is taken exactly
        one, other = np.sqrt(1 + 4 * q), np.sqrt(1 + 4 * q + 4 * q**2 * s * (2 - s))
        cross = 2 * q * (s * one + 4 * q**2 * s * (2 - s) / (one + other))
        return 2 / np.pi * np.arctan2(cross, one * other + 4 * q**2 * (1 - s))

    def slope_covariance(self, q: Array, s: Array) -> Array:
        return 4 / np.pi / np.sqrt(1 + 4 * q + 4 * q**2 * s * (2 - s))


@dataclass(frozen=True)
class Gelu(Kernel):
    """phi(x) = x Phi(x), Phi the standard normal distribution function (the exact GELU)."""

    def mean(self, q: Array) -> Array:
        return q / np.sqrt(2 * np.pi * (1 + q))

    def second_moment(self, q: Array) -> Array:
        return self.covariance(q, q, q)

    def square_slope(self, q: Array) -> Array:
        return self.slope_covariance(q, np.zeros_like(q))

    def variance_slope(self, q: Array) -> Array:
        return variance_slope(gelu, gelu_derivative, q)

    def covariance(self, q_a: Array, q_b: Array, cov: Array) -> Array:
        s = correlation_gap(q_a, q_b, cov)
        rest = q_a * q_b * s * (2 - s)  # q_a q_b - cov^2
        delta = np.sqrt(1 + q_a + q_b + rest)
        density = 1 / (2 * np.pi * delta)
        half = 0.25 + np.arctan2(cov, delta) / (2 * np.pi)
        return density * (q_a * (q_b + rest) / (1 + q_a) + cov**2 / (1 + q_b)) + cov * half

    def deviation(self, q: Array, s: Array) -> Array:
        gap = s * (2 - s)  # 1 - c^2
        one, other = np.sqrt(1 + 2 * q), np.sqrt(1 + 2 * q + q**2 * gap)
        density = q**2 * gap / (2 * np.pi * one * other * (one + other))  # P(1) - P(c)
        cross = q * (s * one + q**2 * gap / (one + other))
        angle = np.arctan2(cross, one * other + q**2 * (1 - s)) / (2 * np.pi)
        half = 0.25 + np.arctan2(q, one) / (2 * np.pi)
        smooth = q**2 / (1 + q) * (2 * density + (1 - q) * gap / (2 * np.pi * other))
        return smooth + q * (s * half + (1 - s) * angle)

    def slope_covariance(self, q: Array, s: Array) -> Array:
        cov, delta2 = q * (1 - s), 1 + 2 * q + q**2 * s * (2 - s)
        density = 1 / (2 * np.pi * np.sqrt(delta2))
        half = 0.25 + np.arctan2(cov, np.sqrt(delta2)) / (2 * np.pi)
        return half + density * cov * (2 / (1 + q) + 1 / delta2)
