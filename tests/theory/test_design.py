"""Designs on the edge of chaos: closed forms, a recursion written out by hand, and simulated networks."""

import numpy as np
import pytest

from igbrepro.ensembles import Measure, gaussian_inputs, simulate
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.statistics import mean_max_of_counts
from igbrepro.theory import (
    GELU,
    LARGEST_SIGMA_B2,
    LEAKY_RELU,
    RELU_KAPPA,
    AveragePool,
    ClassFraction,
    MaxPool,
    MeanField,
    Phase,
    classify,
    critical_sigma_w2,
    design,
    from_independent_inputs,
    from_inputs,
    reachable_gamma,
    trajectory_from,
    width_gap,
)

GRID = np.append(0.0, np.geomspace(1e-7, 1e2, 46))


def gammas_on_edge(activation, depth, sigma_b2, pool=None, norm2=1.0, correlation=0.0):
    w2 = critical_sigma_w2(activation, sigma_b2, pool=pool, criterion="gradient")
    q0 = w2 * norm2 + sigma_b2
    field = MeanField(activation, sigma_w2=w2, sigma_b2=sigma_b2, pool=pool)
    return field.trajectory(depth, q0=q0, c0=(w2 * norm2 * correlation + sigma_b2) / q0).gamma[-1]


@pytest.mark.parametrize(
    ("depth", "norm2", "rho", "gamma"), [(1, 1.0, 0.0, 0.3), (9, 2.5, 0.4, 3.0), (40, 0.2, 0.6, 50)]
)
def test_linear_edge_in_closed_form(depth, norm2, rho, gamma):
    """q - q_ab stays (1 - rho) norm2, and every layer, the first included, adds sigma_b2 to q_ab."""
    made = design("linear", depth, gamma, norm2=norm2, input_correlation=rho)
    sigma_b2 = (gamma * (1 - rho) - rho) * norm2 / (depth + 1)
    assert made.sigma_w2 == pytest.approx(1) and made.sigma_b2 == pytest.approx(sigma_b2, rel=1e-9)
    assert made.q == pytest.approx(norm2 + (depth + 1) * sigma_b2, rel=1e-9)
    low, high = reachable_gamma("linear", depth, norm2=norm2, input_correlation=rho)
    assert low == pytest.approx(rho / (1 - rho))
    assert high == pytest.approx((rho * norm2 + (depth + 1) * LARGEST_SIGMA_B2) / ((1 - rho) * norm2), rel=1e-6)


def relu_covariance(q, c):
    return 2 * q * (np.sqrt(1 - c * c) + c * (np.pi - np.arccos(c))) / (2 * np.pi)


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_one_layer_of_relu_by_hand(rho):
    """At sigma_w2 = 2 the covariance of the logits is 2 E[relu relu'] + sigma_b2, the variance q + sigma_b2."""
    made = design("relu", 1, 3.0, norm2=1.7, input_correlation=rho)
    q0 = 2 * 1.7 + made.sigma_b2
    cov, q = relu_covariance(q0, (2 * 1.7 * rho + made.sigma_b2) / q0) + made.sigma_b2, q0 + made.sigma_b2
    assert made.sigma_w2 == 2 and made.q == pytest.approx(q, rel=1e-12)
    assert cov / (q - cov) == pytest.approx(3.0, rel=1e-8)
    bare = relu_covariance(1.0, rho)
    assert reachable_gamma("relu", 1, input_correlation=rho)[0] == pytest.approx(bare / (1 - bare), rel=1e-9)


@pytest.mark.parametrize(("depth", "rho"), [(1, 0.0), (6, 0.3)])
def test_layers_of_erf_by_hand(depth, rho):
    """E[erf erf'] = (2/pi) arcsin(2 cov / (1 + 2 q)); at the edge (4 sigma_w2 / pi) / sqrt(1 + 4 q*) = 1."""
    made = design("erf", depth, 2.0, norm2=0.8, input_correlation=rho)

    def q_map(q):
        return made.sigma_w2 * 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)) + made.sigma_b2

    fixed = 1.0
    for _ in range(5000):
        fixed = q_map(fixed)
    assert 4 * made.sigma_w2 / np.pi / np.sqrt(1 + 4 * fixed) == pytest.approx(1, abs=1e-8)
    q, cov = made.sigma_w2 * 0.8 + made.sigma_b2, made.sigma_w2 * 0.8 * rho + made.sigma_b2
    for _ in range(depth):
        cov = made.sigma_w2 * 2 / np.pi * np.arcsin(2 * cov / (1 + 2 * q)) + made.sigma_b2
        q = q_map(q)
    assert cov / (q - cov) == pytest.approx(2.0, rel=1e-8) and made.q == pytest.approx(q, rel=1e-12)


@pytest.mark.parametrize("pool", [AveragePool(2), MaxPool(2)], ids=["average", "max"])
def test_pooled_relu_stands_where_the_gradient_is_kept(pool):
    low, _ = reachable_gamma("relu", 6, pool=pool)
    made = design("relu", 6, 3 * low, pool=pool)
    assert made.sigma_w2 == pytest.approx(4.0 if isinstance(pool, AveragePool) else 4 / 3)
    assert gammas_on_edge("relu", 6, made.sigma_b2, pool) == pytest.approx(3 * low, rel=1e-8)
    signal = design("relu", 6, 3 * low, pool=pool, criterion="signal")
    kept = 4 * np.pi / (np.pi + 1) if isinstance(pool, AveragePool) else 4 * np.pi / (3 * np.pi + 2)
    assert signal.sigma_w2 == pytest.approx(kept, rel=1e-6) and signal.sigma_b2 != pytest.approx(made.sigma_b2)


def test_floor_of_deep_relu_grows_as_the_square_of_depth():
    """gamma ~ l^2 / kappa with (3/2) log l added to l: ratios of large depths tend to the square."""
    floors = {depth: reachable_gamma("relu", depth)[0] for depth in (500, 4000)}
    for depth, floor in floors.items():
        assert np.sqrt(floor * RELU_KAPPA) == pytest.approx(depth + 1.5 * np.log(depth), rel=0.02)
    assert floors[500] < reachable_gamma("relu", 500, input_correlation=0.5)[0]


@pytest.mark.parametrize("activation", ["tanh", "erf"])
def test_odd_activations_start_as_neutral_as_one_likes(activation):
    assert reachable_gamma(activation, 20)[0] == 0
    assert design(activation, 20, 0.0).sigma_b2 == 0
    tiny = design(activation, 20, 1e-4)
    assert tiny.gamma == pytest.approx(1e-4, rel=1e-6) and 0 < tiny.sigma_b2 < 1e-5


@pytest.mark.parametrize(
    ("activation", "depth", "rho"), [("relu", 20, 0.0), ("relu", 3, 0.7), (LEAKY_RELU(0.2), 10, 0.2), ("tanh", 15, 0.0)]
)
def test_gamma_rises_along_the_edge(activation, depth, rho):
    gammas = gammas_on_edge(activation, depth, GRID, correlation=rho)
    assert np.all(np.diff(gammas) > 0)


def test_where_it_dips_first_the_floor_is_inside_and_the_larger_bias_is_taken():
    gammas = gammas_on_edge("tanh", 20, GRID, correlation=0.6)
    least = int(np.argmin(gammas))
    assert 0 < least < 20 and np.all(np.diff(gammas[least:]) > 0)
    low, _ = reachable_gamma("tanh", 20, input_correlation=0.6)
    fine = np.geomspace(GRID[least - 1], GRID[least + 1], 400)
    assert low == pytest.approx(gammas_on_edge("tanh", 20, fine, correlation=0.6).min(), rel=1e-6)
    between = (low + gammas[0]) / 2
    made = design("tanh", 20, between, input_correlation=0.6)
    assert made.gamma == pytest.approx(between, rel=1e-9) and made.sigma_b2 > GRID[least]
    assert design("tanh", 20, low, input_correlation=0.6).gamma == pytest.approx(low, rel=1e-6)


def test_gelu_is_designed_only_where_networks_stay_on_its_edge():
    low, _ = reachable_gamma("gelu", 20)
    made = design("gelu", 20, 2 * low)
    at = MeanField(GELU, sigma_w2=made.sigma_w2, sigma_b2=made.sigma_b2).fixed_point(made.sigma_w2 + made.sigma_b2)
    assert at.chi == pytest.approx(1, abs=1e-6)
    assert low > 1.5 * gammas_on_edge("gelu", 20, np.array(0.1))  # an edge that they leave
    with pytest.raises(ParameterError, match="target_gamma"):
        design("gelu", 20, low / 1.2)


@pytest.mark.parametrize("activation", ["tanh", "relu", "erf"])
@pytest.mark.parametrize("gamma", [25.0, 400.0])
def test_designs_are_on_the_edge_and_have_what_was_asked_for(activation, gamma):
    made = design(activation, 8, gamma, norm2=1.3, input_correlation=0.2)
    assert classify(activation, sigma_w2=made.sigma_w2, sigma_b2=made.sigma_b2) is Phase.EDGE
    assert made.gamma == pytest.approx(gamma, rel=1e-9)
    assert gammas_on_edge(activation, 8, made.sigma_b2, norm2=1.3, correlation=0.2) == pytest.approx(gamma, rel=1e-9)
    assert made.max_fraction() == pytest.approx(0.5 + np.arctan(np.sqrt(gamma)) / np.pi)
    assert made.max_fraction(10) == ClassFraction(made.gamma, 10).mean_max()


@pytest.mark.parametrize(
    ("activation", "gammas", "rho"), [("tanh", (0.3, 10.0), 0.0), ("tanh", (2.0,), 0.4), ("relu", (6.0,), 0.4)]
)
def test_simulated_networks_have_the_gamma_that_was_designed(activation, gammas, rho):
    """1/(1 + gamma) with its first correction in 1/width; and what share the favourite of two classes gets."""
    depth, width, n = 4, 400, 8
    inputs = gaussian_inputs(n, 30, seed=1, correlation=rho, norm2=1.5, exact=True)
    for gamma in gammas:
        made = design(activation, depth, gamma, norm2=1.5, input_correlation=rho)
        spec, init = MLPSpec(activation, depth, width, input_shape=(30,)), InitSpec(made.sigma_w2, made.sigma_b2)
        result = simulate(spec, init, inputs, n_networks=600, seed=2, measure=Measure(n_heads=100))
        q0 = 1.5 * init.sigma_w2 + init.sigma_b2
        gap = width_gap(spec.mean_field(init), depth, q0, (1.5 * rho * init.sigma_w2 + init.sigma_b2) / q0, n)
        found = result.summary("one_minus_c").iloc[-1]
        want = 1 / (1 + gamma) + gap.gamma[-1] / width
        assert found["std_error"] < 0.01 * want, "too noisy to decide"
        assert abs(found["mean"] - want) < 4 * found["std_error"]
        favourite = result.summary("max_fraction").iloc[-1]
        share, _ = mean_max_of_counts(ClassFraction(1 / want - 1), n, np.random.default_rng(0))
        assert favourite["std_error"] < 0.003, "too noisy to decide"
        assert abs(favourite["mean"] - share) < 4 * favourite["std_error"]


def test_start_from_inputs_that_are_alike():
    field = MeanField("relu", sigma_w2=2.0, sigma_b2=0.5)
    path = from_inputs(field, 2, 3.0, 0.25)
    assert path.q[0] == 6.5 and path.c[0] == pytest.approx((6.0 * 0.25 + 0.5) / 6.5)
    assert from_independent_inputs(field, 2, 3.0).c[0] == pytest.approx(0.5 / 6.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: design("relu", 30, 1.0),
            r"target_gamma=1\.0: out of reach of relu at depth=30.* from 34\.\d+ to .*centre",
        ),
        (lambda: design("tanh", 2, 1e9), "target_gamma=1000000000.0: out of reach"),
        (lambda: design("tanh", 5, -1.0), "target_gamma=-1.0"),
        (lambda: design("tanh", 5, np.inf), "target_gamma=inf"),
        (lambda: design("tanh", 0, 1.0), "depth=0"),
        (lambda: design("tanh", 5, 1.0, norm2=0.0), "norm2=0.0"),
        (lambda: design("tanh", 5, 1.0, input_correlation=1.5), "input_correlation=1.5"),
        (lambda: design("tanh", 5, 1.0, input_correlation=1.0), "out of reach"),
        (lambda: design("tanh", 5, 1.0, criterion="signal"), "criterion"),
        (lambda: reachable_gamma("gelu", 5, pool=AveragePool(2)), "no edge of chaos"),
    ],
)
def test_what_cannot_be_had_is_named(call, words):
    with pytest.raises(ParameterError, match=words):
        call()


def test_the_trajectory_of_given_inputs_starts_at_their_mean_square_and_overlap():
    x = np.random.default_rng(0).normal(0.3, 1.0, (5, 2, 3))
    flat, pairs = x.reshape(5, 6), [(a, b) for a in range(5) for b in range(a)]
    q0 = 1.7 * np.mean([row @ row for row in flat]) / 6 + 0.1
    c0 = (1.7 * np.mean([flat[a] @ flat[b] for a, b in pairs]) / 6 + 0.1) / q0
    path = trajectory_from(MeanField("tanh", sigma_w2=1.7, sigma_b2=0.1), x, 3)
    want = MeanField("tanh", sigma_w2=1.7, sigma_b2=0.1).trajectory(3, q0, c0)
    np.testing.assert_allclose(path.q, want.q, rtol=1e-12)
    np.testing.assert_allclose(path.c, want.c, rtol=1e-12)
    with pytest.raises(ParameterError, match="inputs: shape"):
        trajectory_from(MeanField("tanh", sigma_w2=1.7), x[:1], 3)
