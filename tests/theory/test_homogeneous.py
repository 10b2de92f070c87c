"""Pooled ReLU in closed form against integrals over the angle and against networks drawn and differentiated by hand."""

import math

import numpy as np
import pytest

from igbrepro.errors import ParameterError
from igbrepro.theory import RELU, AveragePool, MaxPool, Pool, mean_gradient_profile, relu_window_gains

# g of a window (n, 2) and its gradient, written out.
WINDOWS = {
    AveragePool: (lambda h: np.maximum(h, 0).mean(-1), lambda h: (h > 0) / 2),
    MaxPool: (lambda h: np.maximum(h, 0).max(-1), lambda h: (h > 0) & (h == h.max(-1, keepdims=True))),
}


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.5, 0.95])
@pytest.mark.parametrize("kind", WINDOWS)
def test_gains_are_integrals_over_the_angle(kind, rho):
    """g is homogeneous: of x = r L u, u a unit vector, only the angle of u matters, and E[r^2] = 2."""
    g, gradient = WINDOWS[kind]
    corr = np.array([[1, rho], [rho, 1]])
    angle = (np.arange(400_000) + 0.5) / 400_000 * 2 * math.pi
    x = np.stack([np.cos(angle), np.sin(angle)], -1) @ np.linalg.cholesky(corr).T
    slopes = gradient(x).astype(float)
    square, slope = (2 * g(x) ** 2).mean(), np.einsum("ni,ij,nj->n", slopes, corr, slopes).mean()
    assert relu_window_gains(kind(2, rho)) == pytest.approx((square, slope), abs=1e-5)


def test_published_and_limiting_values():
    pi = math.pi
    assert relu_window_gains(AveragePool(2)) == pytest.approx(((pi + 1) / (4 * pi), 1 / 4))
    assert relu_window_gains(MaxPool(2)) == pytest.approx(((3 * pi + 2) / (4 * pi), 3 / 4))
    for kind in WINDOWS:
        assert relu_window_gains(kind(2, 1.0)) == pytest.approx((1 / 2, 1 / 2))


def test_maximum_of_three_by_its_kinks():
    by_kinks = 7 / 8 + (3 + math.sqrt(3)) / (4 * math.pi)
    assert float(MaxPool(3).kernel(RELU).second_moment(np.ones(()))) == pytest.approx(by_kinks, rel=1e-10)


def drawn_profile(kind, sigma_w2, depth, fan_in, n, above_floor, rng):
    """|delta_l|^2 of n networks, (n, depth + 1); kind None: no pool."""
    k = 1 if kind is None else 2
    g, gradient = (lambda h: np.maximum(h[..., 0], 0), lambda h: h > 0) if kind is None else WINDOWS[kind]
    h = rng.standard_normal((n, fan_in, k))
    slopes, weights = [gradient(h)], []
    for _ in range(depth - 1):
        weights.append(rng.standard_normal((n, fan_in * k, fan_in)) * math.sqrt(sigma_w2 / fan_in))
        h = (weights[-1] @ g(h)[..., None]).reshape(n, fan_in, k)
        slopes.append(gradient(h))
    back = rng.standard_normal((n, fan_in)) * math.sqrt(sigma_w2 / fan_in)
    if above_floor:
        last = g(h)
        back -= last * ((back * last).sum(1) / np.maximum((last**2).sum(1), 1e-9))[:, None]  # 0 where all are closed
    squares = np.ones((n, depth + 1))
    for layer in reversed(range(depth)):
        delta = (slopes[layer] * back[..., None]).reshape(n, -1)
        squares[:, layer] = (delta**2).sum(1)
        if layer:
            back = (delta[:, None, :] @ weights[layer - 1])[:, 0]
    return squares


@pytest.mark.parametrize("above_floor", [False, True])
@pytest.mark.parametrize("kind", [None, *WINDOWS], ids=["plain", "average", "max"])
def test_mean_profile_of_narrow_networks(kind, above_floor):
    """At fan-in 12 the floor is a third of everything; the average has 1/fan_in^2 terms of its own."""
    sigma_w2, depth, fan_in, n = {None: 1.7, AveragePool: 3.2, MaxPool: 1.1}[kind], 7, 12, 12_000
    pool = kind and kind(2)
    squares = drawn_profile(kind, sigma_w2, depth, fan_in, n, above_floor, np.random.default_rng(1))
    expected = mean_gradient_profile(pool, sigma_w2=sigma_w2, depth=depth, fan_in=fan_in, above_floor=above_floor)
    mean, error = squares.mean(0)[:depth], squares.std(0)[:depth] / math.sqrt(n)
    slack = 0.03 if kind is AveragePool else 0.0
    assert (error < 0.06 * expected[:depth]).all()
    assert (np.abs(mean - expected[:depth]) < 4.5 * error + slack * expected[:depth]).all()
    assert expected[depth] == 1  # df/df, as drawn_profile and ensembles.gradient_profile have it


class Half(Pool):
    """A pool that the closed forms do not know."""

    def _kernel(self, activation):
        return activation.kernel


def test_errors():
    with pytest.raises(ParameterError, match="k=2"):
        relu_window_gains(MaxPool(3))
    with pytest.raises(ParameterError, match="MaxPool and AveragePool"):
        relu_window_gains(Half(2))
    with pytest.raises(ParameterError, match="independent"):
        mean_gradient_profile(MaxPool(2, 0.5), sigma_w2=1.0, depth=3, fan_in=10)
    with pytest.raises(ParameterError, match="fan_in"):
        mean_gradient_profile(None, sigma_w2=1.0, depth=3, fan_in=1)
