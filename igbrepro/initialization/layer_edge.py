"""The edge of chaos of one layer: (sigma_w2, sigma_b2) from what feeds it, a `probes.Feed`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from igbrepro.errors import IgbreproError, ParameterError
from igbrepro.probes import Elementwise, Feed, Trace
from igbrepro.theory import LEAKY_RELU, Activation, critical_sigma_w2, edge_line

_STEP = 1e-3
_Z = torch.arange(-9 + _STEP / 2, 9, _STEP, dtype=torch.float64)  # midpoints, so that a kink at 0 lies between two
_WEIGHT = _STEP * torch.exp(-_Z.square() / 2) / np.sqrt(2 * np.pi)


class Moments(NamedTuple):
    """E[phi(z)^2] and E[phi'(z)^2] for z ~ N(0, 1)."""

    square: float
    slope: float


def unit_moments(function: Elementwise | None) -> Moments:
    """The moments of a torch function of one number, with kinks wherever it likes; of None, the identity."""
    if function is None:
        return Moments(1.0, 1.0)
    value, slope = _value_and_slope(function, _Z)
    return Moments(float((_WEIGHT * value.square()).sum()), float((_WEIGHT * slope.square()).sum()))


def edge_of_chaos(feeds: Sequence[Feed], sigma_b2: float | None = None) -> tuple[float, float]:
    """(sigma_w2, sigma_b2) at which a layer fed in this way keeps the size of gradients, chi = 1.

    sigma_b2 None: the point of the edge at which the variance 1 is kept too, sigma_w2 = 1 / E[phi'^2] and
        sigma_b2 = 1 - sigma_w2 E[phi^2] at variance 1: (2, 0) for ReLU, (2.15, 0.15) for tanh.
    Shares (of pools, gates, constants) divide sigma_w2: without biases the signal then keeps its variance.  Feeds of
    several kinds count by their weights; no feed at all is the identity.
    Raises ParameterError, which does not name the layer, where there is no such point.
    """
    if sigma_b2 is None:
        moments = [unit_moments(feed.function) for feed in feeds]
        slope = sum(feed.weight * feed.share * m.slope for feed, m in zip(feeds, moments, strict=True))
        square = sum(feed.weight * feed.share * m.square for feed, m in zip(feeds, moments, strict=True))
        bias = 1 - square / slope if slope > 0 else -1.0
        if bias < -1e-3:
            raise ParameterError("has no edge of chaos at variance 1")
        return 1 / slope, max(bias, 0.0)
    needed = sum(feed.weight * feed.share / _critical(feed, sigma_b2) for feed in feeds)
    if not np.isfinite(needed) or needed <= 0:
        raise ParameterError(f"has no edge of chaos at sigma_b2={sigma_b2:g}")
    return 1 / needed, sigma_b2


def _critical(feed: Feed, sigma_b2: float) -> float:
    if feed.function is None:
        return 1.0
    try:
        return float(critical_sigma_w2(as_activation(feed.function, " ".join(feed.activation)), sigma_b2))
    except IgbreproError as error:
        raise ParameterError(f"has no edge of chaos that can be computed at sigma_b2={sigma_b2:g} ({error})") from None


def relative_gain(unit: Activation | str, sigma_b2: float = 0.0) -> float:
    """By what to multiply a sigma_w2 meant in units of the edge of `unit`, for a layer that no activation feeds.

    Its own critical value is 1, that of the identity, so that the gain is 1 / critical_sigma_w2(unit, sigma_b2): 1/2
    for ReLU.  Where `unit` has no edge at this sigma_b2, there are no such units, and the gain is that without biases;
    1 where it has no edge at all.
    """
    critical, without_bias = (float(edge_line(unit, b2)[0]) for b2 in (sigma_b2, 0.0))
    return next((1 / line for line in (critical, without_bias) if np.isfinite(line)), 1.0)


def as_activation(function: Elementwise, name: str) -> Activation:
    """The theory's Activation of a torch function; piecewise-linear ones are found out by their values."""
    x = torch.tensor([-2.0, -1.0, 1.0, 2.0], dtype=torch.float64)
    low2, low, high, high2 = (float(value) for value in function(x))
    if high == 1 and high2 == 2 and low2 == 2 * low:
        return LEAKY_RELU(-low)

    def part(which: int) -> Callable[[ArrayLike], np.ndarray]:
        return lambda x: _value_and_slope(function, torch.as_tensor(np.asarray(x, dtype=float)))[which].numpy()

    return Activation(name, part(0), part(1))


def _value_and_slope(function: Elementwise, x: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        value = function(x)
        (slope,) = torch.autograd.grad(value.sum(), x) if value.requires_grad else (torch.zeros_like(x),)
    return value.detach(), slope


def residual_factors(found: Trace) -> dict[str, float]:
    """By what to multiply the variances of the last layer of each residual branch, where there is one without a norm.

    found: a measured trace.  A branch then adds 1/L of a variance of 1, L being the number of residual sums; one whose
    end is multiplied by a small number already is left alone.
    """
    sums, factors = found.residual_sums(), {}
    for _, branch in sums:
        for feed in branch.feeds:
            if feed.origin.kind == "layer":
                sent = feed.share * unit_moments(feed.function).square
                factors[feed.origin.name] = min(1.0, 1 / (len(sums) * sent)) if sent > 0 else 1.0
    return factors
