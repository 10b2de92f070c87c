"""Covariances of given inputs: against the maps for one pair, and against finite networks."""

import numpy as np
import pytest

from igbrepro.ensembles import Measure, gaussian_inputs, simulate
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.theory import MeanField, data_kernel, get_activation

POINTS = [("relu", 2.0, 0.0), ("gelu", 1.8, 0.1), ("tanh", 1.7, 0.1), ("tanh", 9.0, 0.2), ("erf", 3.0, 0.05)]


@pytest.mark.parametrize(("name", "w2", "b2"), POINTS)
def test_each_pair_follows_the_covariance_map_of_two_inputs(name, w2, b2):
    x = gaussian_inputs(4, 30, seed=3, correlation=0.2, norm2=[0.3, 1.0, 1.0, 2.5])
    mf = MeanField(name, sigma_w2=w2, sigma_b2=b2)
    k = data_kernel(mf, x, 3).covariance
    np.testing.assert_allclose(k[0], w2 * x @ x.T / 30 + b2, rtol=1e-14)
    for layer in range(3):
        q = np.diagonal(k[layer])
        want = mf.cov_map(q[:, None], q[None, :], np.clip(k[layer], -np.sqrt(np.outer(q, q)), np.sqrt(np.outer(q, q))))
        np.testing.assert_allclose(k[layer + 1], want, rtol=3e-9, atol=1e-12)


def test_equal_norms_and_correlations_give_back_the_trajectory_and_the_theorem():
    mf = MeanField("tanh", sigma_w2=2.2, sigma_b2=0.1)
    x = gaussian_inputs(6, 40, seed=0, correlation=0.3, norm2=1.5, exact=True)
    found, want = data_kernel(mf, x, 8), mf.trajectory(8, q0=2.2 * 1.5 + 0.1, c0=(2.2 * 1.5 * 0.3 + 0.1) / 3.4)
    np.testing.assert_allclose(found.q, want.q, rtol=1e-9)
    np.testing.assert_allclose(found.c, want.c, rtol=1e-9)
    np.testing.assert_allclose(found.gamma, want.gamma, rtol=1e-8)
    np.testing.assert_allclose(found.pair_c, np.repeat(want.c[:, None], 15, axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.effective_dimension, 5, rtol=1e-6)
    np.testing.assert_allclose(found.var_fraction, np.arcsin(want.c) / (2 * np.pi), rtol=1e-9)


def test_data_averages_of_finite_networks_with_unequal_inputs():
    x = gaussian_inputs(30, 60, seed=1, correlation=0.4, norm2=np.linspace(0.3, 2.0, 30))
    spec, init = MLPSpec("relu", 3, 400, input_shape=(60,)), InitSpec(2.0)
    measure = Measure(n_heads=200, heads_at_every_layer=True, keep_layers=[1])
    found = simulate(spec, init, x, n_networks=60, seed=2, measure=measure)
    want = data_kernel(spec.mean_field(init), x, 3)
    for name in ("q", "sigma_mu2", "sigma_y2"):
        table = found.summary(name)
        assert (table.std_error < 0.03 * getattr(want, name)).all(), "too noisy to decide"
        z = (table["mean"] - getattr(want, name)) / table.std_error
        assert np.abs(z).max() < 4.5, f"{name}: {z}"
    pair_fraction = ((found.layer_class_fractions[..., 0] - 0.5) ** 2).mean(2)
    var = (30 * pair_fraction - 0.25) / 29
    z = (var.mean(0) - want.var_fraction) / (var.std(0, ddof=1) / np.sqrt(60))
    assert np.abs(z).max() < 4.5
    snapshot = found.snapshots[1]
    spread = (snapshot.node_variance.var(1) / snapshot.node_variance.mean(1) ** 2).mean()
    assert spread == pytest.approx(2 / want.effective_dimension[1], rel=0.1)


def test_effective_dimension_counts_directions():
    mf = MeanField(get_activation("linear"), sigma_w2=1.0)
    assert data_kernel(mf, np.eye(10), 1).effective_dimension == pytest.approx(9)
    line = np.outer(np.linspace(-1, 1, 10), np.ones(4))
    assert data_kernel(mf, line, 1).effective_dimension == pytest.approx(1)


def test_refuses_what_it_cannot_average():
    mf = MeanField("relu", sigma_w2=2.0)
    for inputs in (np.ones((1, 3)), np.ones(5), [[1.0, np.nan], [0.0, 1.0]]):
        with pytest.raises(ParameterError, match="inputs"):
            data_kernel(mf, inputs, 2)
    with pytest.raises(ParameterError, match="depth"):
        data_kernel(mf, np.eye(3), 0)
    with pytest.raises(ParameterError, match="mean_field"):
        data_kernel(MeanField("relu", sigma_w2=[1.0, 2.0]), np.eye(3), 2)


def test_inputs_that_sum_to_zero_have_no_bias_in_the_first_layer():
    x = np.random.default_rng(0).standard_normal((20, 50))
    kernel = data_kernel(MeanField("tanh", sigma_w2=1.0), x - x.mean(0), 3)
    assert kernel.sigma_mu2[0] < 0 and kernel.gamma[0] == 0
