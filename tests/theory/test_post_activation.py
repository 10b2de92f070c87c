"""Residual layers with the activation after the sum: closed forms, limits, and wide networks of torch."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import eigh_tridiagonal
from scipy.special import gamma

from igbrepro.ensembles import Measure, gaussian_inputs, gradient_profile, simulate
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec, build, preactivations
from igbrepro.theory import LINEAR, RELU, TANH, MaxPool, MeanField, post_activation_trajectory


def trajectory(activation, sigma_w2, sigma_b2, depth, residual=None, **start):
    field = MeanField(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    return post_activation_trajectory(field, depth, residual=residual or depth**-0.5, **start)


@pytest.mark.parametrize("c0", [-0.7, 0.3, 0.95])
def test_linear_nodes_stay_normal(c0):
    """phi(x) = x: q and q_ab both go to (1 + r^2 sigma_w2) of themselves + r^2 sigma_b2, and gradients grow alike."""
    w2, b2, r2, depth = 1.3, 0.2, 0.09, 12
    found = trajectory(LINEAR, w2, b2, depth, 0.3, q0=1.7, c0=c0)
    q, product = [1.7], [1.7 * c0]
    for _ in range(depth - 1):
        q, product = ([*one, (1 + r2 * w2) * one[-1] + r2 * b2] for one in (q, product))
    q, product = ([*one, w2 * one[-1] + b2] for one in (q, product))
    np.testing.assert_allclose(found.q, q, rtol=1e-7)
    np.testing.assert_allclose(found.c, np.divide(product, q), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.chi, [1 + r2 * w2] * (depth - 1) + [w2] * 2, rtol=1e-7)


def spitzer(n, variance):
    """E[M_n^2] of M' = max(M + xi, 0) from 0, exact at every n.

    Spitzer's identity makes the generating function of exp(-s M_n) that of exp(-s S_k^+)/k, whose second order in s is
    sum_k E[(S_k^+)^2]/k + sum_(j + k <= n) E[S_j^+] E[S_k^+]/(j k), with S_k normal of variance k variance.
    """
    j, k = np.meshgrid(np.arange(1, n), np.arange(1, n))
    return variance * (n / 2 + (1 / np.sqrt(j * k))[j + k <= n].sum() / (2 * math.pi))


def test_relu_driven_by_biases_alone_is_a_reflected_random_walk():
    """With next to no weights all inputs get one kick, of variance r^2 sigma_b2, and nodes start next to 0."""
    n, variance = 40, 0.25
    found = trajectory(RELU, 1e-12, variance * 1e-6, n + 1, 1e3, q0=1e-6)
    want = [spitzer(one, variance) for one in range(1, n + 1)]
    np.testing.assert_allclose(found.q[1:-1], want, rtol=5e-4)
    np.testing.assert_allclose(found.c[1:-1], 1, atol=1e-4)


def test_deep_relu_layers_are_reflected_brownian_motion():
    """dq/dt = sigma_w2 q + sigma_b2 from q0/2, as reflection does no work; the error is of order depth^-1/2."""
    w2, b2, q0 = 1.5, 0.4, 0.8
    shallow, deep = (trajectory(RELU, w2, b2, depth, q0=q0).q[-2] for depth in (64, 256))
    limit = (q0 / 2 + b2 / w2) * math.exp(w2) - b2 / w2
    assert abs(shallow / limit - 1) > 0.03, "nothing to extrapolate"
    assert (deep - limit) / (shallow - limit) == pytest.approx(0.5, abs=0.05)
    assert 2 * deep - shallow == pytest.approx(limit, rel=0.01)


def test_deep_tanh_layers_forget_at_the_rate_of_a_quartic_well():
    """dy = -y^3/3 ds + dB in s = sqrt(sigma_b2 / depth) l: q is that of exp(-y^4/6).

    Gradients die at the lowest level of -1/2 d^2/dy^2 + y^6/18 + 3 y^2/2, of the generator with 2 y^2 taken off; in the
    last layer, where nodes have not yet been told apart by it, at 2 E[y^2].
    """
    depth, b2 = 200, 1.0
    found = trajectory(TANH, 0.01, b2, depth, q0=1.0, c0=0.3)
    unit = math.sqrt(b2 / depth)
    square = math.sqrt(6) * gamma(0.75) / gamma(0.25)
    assert found.q[-2] / unit == pytest.approx(square, rel=0.08)
    assert -np.log(found.chi[depth - 2]) / unit == pytest.approx(2 * square, rel=0.08)
    y, h = np.linspace(-6, 6, 2401, retstep=True)
    rate = eigh_tridiagonal(
        1 / h**2 + y**6 / 18 + 1.5 * y**2, np.full(2400, -0.5 / h**2), select="i", select_range=(0, 0)
    )
    assert -np.log(found.chi[depth // 2]) / unit == pytest.approx(rate[0][0], rel=0.01)


@pytest.mark.parametrize(("activation", "gap"), [(TANH, 3e-3), (RELU, 3e-3)], ids=["tanh", "relu"])
def test_what_is_almost_alike_parts_as_gradients_grow(activation, gap):
    """Perturbations of a pair and of one input are different quantities here, computed on two and on one axis."""
    found = trajectory(activation, 1.9, 0.1, 20, q0=2.0, c0=1 - gap)
    apart = found.q * found.one_minus_c
    assert apart[19] / apart[0] == pytest.approx(np.prod(found.chi[:19]), rel=0.05)


@pytest.mark.parametrize(("activation", "sigma_w2"), [("relu", 2.0), ("tanh", 2.5)])
def test_wide_networks_of_torch(activation, sigma_w2):
    """q, c and squared gradients of networks that `build` makes, layer by layer."""
    depth, n_networks = 10, 160
    spec = MLPSpec(activation, depth, 700, 2, (50,), residual=0.5, residual_unit="post-activation")
    init, x = InitSpec(sigma_w2, 0.1), gaussian_inputs(2, 50, 1, 0.4, 1.0, exact=True)
    q0 = sigma_w2 + 0.1
    want = spec.trajectory(init, q0=q0, c0=(0.4 * sigma_w2 + 0.1) / q0)
    squares, products = np.empty((2, n_networks, depth + 1))
    for network in range(n_networks):
        model = build(spec, init, torch.Generator().manual_seed(network))
        h = preactivations(model, torch.as_tensor(x, dtype=torch.float32))[:-1]
        squares[network, :-1] = [float(one.detach().double().square().mean()) for one in h]
        products[network, :-1] = [float((one[0] * one[1]).detach().double().mean()) for one in h]
    for values, expected in ((squares, want.q), (products, want.q * want.c)):
        mean, error = values[:, :-1].mean(0), values[:, :-1].std(0, ddof=1) / math.sqrt(n_networks)
        assert (error < 0.02 * expected[:-1]).all(), "too noisy to decide"
        assert (np.abs(mean - expected[:-1]) < 4.5 * error + 0.01 * expected[:-1]).all()
    grown = gradient_profile(spec, init, x, n_networks=n_networks, seed=5)
    grown = grown[:, : depth - 1] / grown[:, [depth - 1]]
    expected = np.cumprod(want.chi[: depth - 1][::-1])[::-1]
    error = grown.std(0, ddof=1) / math.sqrt(n_networks)
    assert (error < 0.03 * expected).all(), "too noisy to decide"
    assert (np.abs(grown.mean(0) - expected) < 4.5 * error + 0.015 * expected).all()


@pytest.mark.parametrize(("activation", "sigma_w2"), [("relu", 2.5), ("tanh", 1.6)])
def test_the_exact_sampler_of_very_wide_networks(activation, sigma_w2):
    depth = 60
    spec = MLPSpec(activation, depth, 20_000, 2, (50,), residual=depth**-0.5, residual_unit="post-activation")
    init, x = InitSpec(sigma_w2, 0.1), gaussian_inputs(2, 50, 1, 0.2, 1.0, exact=True)
    q0 = sigma_w2 + 0.1
    want = spec.trajectory(init, q0=q0, c0=(0.2 * sigma_w2 + 0.1) / q0)
    found = simulate(spec, init, x, n_networks=12, seed=3, measure=Measure(n_heads=1))
    for values, expected in ((found.q, want.q), (found.one_minus_c, want.one_minus_c)):
        error = values.std(0, ddof=1) / math.sqrt(len(values))
        assert (error < 0.02 * expected).all(), "too noisy to decide"
        assert (np.abs(values.mean(0) - expected) < 4.5 * error + 2e-3 * expected).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depth": 0}, "depth=0: need a whole number, 1 or more"),
        ({"residual": 0.0}, "residual=0.0: need finite numbers > 0"),
        ({"residual": 1e-6}, "residual=1e-06: layers that change so little.*take a larger residual"),
        ({"q0": -1.0}, "q0=-1.0"),
        ({"c0": 1.5}, r"c0=1.5: need finite numbers in \[-1, 1\]"),
        ({"mean_field": MeanField(RELU, sigma_w2=[1.0, 2.0])}, "need one plain layer"),
        ({"mean_field": MeanField(RELU, sigma_w2=1.0, pool=MaxPool(2))}, "need one plain layer"),
        ({"mean_field": MeanField(RELU, sigma_w2=1.0, residual=0.1)}, "need one plain layer"),
    ],
    ids=str,
)
def test_bad_values_are_named(change, words):
    given = {"mean_field": MeanField(RELU, sigma_w2=2.0), "depth": 3, "residual": 0.5} | change
    with pytest.raises(ParameterError, match=words):
        post_activation_trajectory(given.pop("mean_field"), given.pop("depth"), **given)


def test_one_hidden_layer_is_a_linear_network():
    found = trajectory(TANH, 1.5, 0.2, 1, q0=2.0, c0=0.5)
    np.testing.assert_allclose(found.q, [2.0, 3.2])
    np.testing.assert_allclose(found.c, [0.5, 1.7 / 3.2])
