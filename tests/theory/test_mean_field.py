import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from theory.references import SILU, SOFTPLUS, mean, pair_mean

from igbrepro.errors import ParameterError
from igbrepro.theory import ERF, GELU, LEAKY_RELU, LINEAR, RELU, TANH, MeanField, critical_sigma_w2

BUILT_IN = [LINEAR, RELU, LEAKY_RELU(0.1), TANH, ERF, GELU]
ALL = pytest.mark.parametrize("activation", [*BUILT_IN, SOFTPLUS], ids=lambda a: a.name)

# DESIGN's reference values for tanh at sigma_b2 = 0.1 (the paper's training figure)
# sigma_w2, chi, c*, gamma*
TANH_FIGURE = [(2.48, None, 0.6741, 2.068), (4.97, None, 0.1961, 0.2439)]


# --- the maps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [TANH, GELU, SOFTPLUS], ids=lambda a: a.name)
def test_maps_against_their_definitions(activation):
    mf, q, c = MeanField(activation, sigma_w2=1.7, sigma_b2=0.2), 0.9, 0.35
    after = 1.7 * mean(lambda x: activation(x) ** 2, q) + 0.2
    covariance = 1.7 * pair_mean(lambda x, y: activation(x) * activation(y), q, q, c) + 0.2
    assert mf.q_map(q) == pytest.approx(after, rel=1e-11)
    assert mf.cov_map(q, q, c * q) == pytest.approx(covariance, rel=1e-11)
    assert mf.c_map(c, q) == pytest.approx(covariance / after, rel=1e-11)
    assert mf.chi(q) == pytest.approx(1.7 * mean(lambda x: activation.derivative(x) ** 2, q), rel=1e-11)


def test_covariance_map_at_unequal_variances():
    mf = MeanField(TANH, sigma_w2=2.0, sigma_b2=0.1)
    want = 2 * pair_mean(lambda x, y: np.tanh(x) * np.tanh(y), 0.3, 2.5, -0.4) + 0.1
    for q_a, q_b in ((0.3, 2.5), (2.5, 0.3)):
        assert mf.cov_map(q_a, q_b, -0.4 * np.sqrt(0.75)) == pytest.approx(want, rel=1e-11)


@ALL
@pytest.mark.parametrize("sigma_b2", [0.0, 0.3])
def test_correlations_stay_correlations(activation, sigma_b2):
    """F(1) = 1, |F| <= 1 at every variance, and what comes out may go in again."""
    mf = MeanField(activation, sigma_w2=1.3, sigma_b2=sigma_b2)
    c, q = np.linspace(-1, 1, 9), np.array([1e-8, 1e-3, 0.7, 12.0, 300.0])[:, None]
    once = mf.c_map(c, q)
    assert np.all(np.abs(once) <= 1)
    assert np.all(once[:, -1] == 1)
    assert np.all(np.abs(mf.c_map(once, q)) <= 1)


@ALL
@settings(max_examples=10, deadline=None, derandomize=True)
@given(q=st.floats(1e-6, 30), low=st.floats(0, 1), high=st.floats(0, 1), sigma_b2=st.floats(0, 2))
def test_c_map_rises_for_positive_correlations(activation, q, low, high, sigma_b2):
    low, high = sorted((low, high))
    after = MeanField(activation, sigma_w2=1.1, sigma_b2=sigma_b2).c_map([low, high], q)
    assert after[1] >= after[0] - 1e-15 and after[0] >= -1e-15


@pytest.mark.parametrize("activation", [LINEAR, TANH, ERF], ids=lambda a: a.name)
def test_c_map_of_odd_activations_is_odd(activation):
    mf, c = MeanField(activation, sigma_w2=1.7), np.linspace(0, 1, 11)
    np.testing.assert_allclose(mf.c_map(-c, 1.5), -mf.c_map(c, 1.5), rtol=0, atol=1e-14)


def test_c_map_of_relu_has_no_scale():
    mf, c = MeanField(RELU, sigma_w2=0.7), np.linspace(-1, 1, 7)
    want = (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi
    for q in (1e-300, 1e-8, 1.0, 1e60):
        np.testing.assert_allclose(mf.c_map(c, q), want, rtol=0, atol=1e-15)


@ALL
def test_next_to_full_correlation_the_slope_is_chi(activation):
    """1 - c = 1e-12 comes out of the public map to 1e-3, and 1e-20 out of a trajectory to 1e-6."""
    mf, q, gap = MeanField(activation, sigma_w2=1.4, sigma_b2=0.1), 0.8, 1e-12
    slope = mf.chi(q) * q / mf.q_map(q)
    c = 1 - gap  # a float64 some 1e-4 of the gap away from what was asked
    assert 1 - mf.c_map(c, q) == pytest.approx((1 - c) * slope, rel=1e-3)
    deep = MeanField(activation, sigma_w2=0.5, sigma_b2=1.0).trajectory(60, q0=1.0, c0=1 - gap)
    near = deep.one_minus_c[:-1] < 1e-12
    ratio, wanted = deep.one_minus_c[1:] / deep.one_minus_c[:-1], deep.chi[:-1] * deep.q[:-1] / deep.q[1:]
    assert deep.one_minus_c[-1] < 1e-20 or activation is SOFTPLUS
    np.testing.assert_allclose(ratio[near], wanted[near], rtol=1e-5)


# --- trajectories -----------------------------------------------------------------------------------------------


@ALL
def test_a_trajectory_iterates_the_maps(activation):
    mf = MeanField(activation, sigma_w2=1.6, sigma_b2=0.05)
    path = mf.trajectory(6, q0=0.4, c0=-0.3)
    for layer in range(6):
        assert path.q[layer + 1] == pytest.approx(mf.q_map(path.q[layer]), rel=1e-13)
        assert path.c[layer + 1] == pytest.approx(mf.c_map(path.c[layer], path.q[layer]), abs=1e-13)
    np.testing.assert_allclose(path.chi, mf.chi(path.q), rtol=1e-13)
    np.testing.assert_allclose(path.gamma / (1 + path.gamma), path.c, rtol=0, atol=1e-14)
    assert path.q[0] == 0.4 and path.c[0] == pytest.approx(-0.3)


def test_trajectories_broadcast_parameters_and_starts():
    mf = MeanField(TANH, sigma_w2=np.array([1.2, 2.0, 3.0]), sigma_b2=np.array([[0.0], [0.2]]))
    path = mf.trajectory(4, q0=1.5, c0=np.array([0.1, 0.5, 0.9, 1.0])[:, None, None])
    assert mf.shape == (2, 3)
    assert path.q.shape == path.c.shape == path.gamma.shape == path.chi.shape == (5, 4, 2, 3)
    alone = MeanField(TANH, sigma_w2=3.0, sigma_b2=0.2).trajectory(4, q0=1.5, c0=0.5)
    np.testing.assert_allclose(path.c[:, 1, 1, 2], alone.c, rtol=1e-13)
    assert alone.q.shape == (5,)
    assert np.all(path.gamma[:, 3] == np.inf)


def igb_step(activation, sigma_w2, sigma_b2, sigma_mu2, sigma_y2):
    """The IGB recursion: first the mean of phi(mu + sigma_y y) over inputs, then its square over nodes (dense sums)."""
    z = np.linspace(-10, 10, 2001)
    weight = np.exp(-(z**2) / 2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    values = activation(np.sqrt(sigma_mu2) * z[:, None] + np.sqrt(sigma_y2) * z[None, :])
    mean_square, square_mean = weight @ values**2 @ weight, weight @ (values @ weight) ** 2
    return sigma_w2 * square_mean + sigma_b2, sigma_w2 * (mean_square - square_mean)


@pytest.mark.parametrize("activation", [TANH, GELU, RELU], ids=lambda a: a.name)
def test_the_theorem(activation):
    """gamma of the correlation recursion is sigma_mu^2 / sigma_y^2 of the recursion that averages over inputs first."""
    start = 0.3, 1.2
    path = MeanField(activation, sigma_w2=1.8, sigma_b2=0.15).trajectory(3, q0=sum(start), c0=start[0] / sum(start))
    for layer in range(1, 4):
        start = igb_step(activation, 1.8, 0.15, *start)
        accuracy = 1e-5 if activation is RELU else 1e-10  # of the sums, at a kink
        assert path.gamma[layer] == pytest.approx(start[0] / start[1], rel=accuracy)
        assert path.q[layer] == pytest.approx(sum(start), rel=accuracy)


def test_variances_may_vanish():
    """Where the slope at zero makes the variance halve at each layer, it leaves float64's range near layer 1075."""
    for activation, sigma_w2 in ((TANH, 0.5), (RELU, 1.0), (GELU, 2.0)):
        path = MeanField(activation, sigma_w2=sigma_w2).trajectory(1200, q0=1.0, c0=0.5)
        assert path.q[-1] == 0 and np.all(np.diff(path.q) <= 0) and path.q[900] > 0
        assert np.all((path.one_minus_c >= 0) & (path.one_minus_c <= 1))
        assert abs(path.c[-1] - path.c[900]) < 1e-4
    falling = MeanField(RELU, sigma_w2=1.0).trajectory(1200, c0=0.5).one_minus_c
    edge = MeanField(RELU, sigma_w2=2.0).trajectory(1200, c0=0.5).one_minus_c
    np.testing.assert_allclose(falling[:1070], edge[:1070], rtol=1e-10)


def test_variances_may_diverge():
    path = MeanField(RELU, sigma_w2=4.0).trajectory(500, c0=0.2)
    edge = MeanField(RELU, sigma_w2=2.0).trajectory(500, c0=0.2)
    assert path.q[300] == pytest.approx(2.0**300, rel=1e-12) and path.q[-1] == np.inf
    np.testing.assert_allclose(path.one_minus_c, edge.one_minus_c, rtol=1e-10)
    assert np.all(path.chi == 2)


def test_a_start_without_variance_stays_there_only_without_bias():
    still = MeanField(TANH, sigma_w2=3.0).trajectory(5, q0=0.0, c0=0.25)
    assert np.all(still.q == 0) and np.all(still.c == 0.25)
    lifted = MeanField(TANH, sigma_w2=3.0, sigma_b2=0.1).trajectory(5, q0=0.0, c0=0.2)
    assert lifted.q[1] == pytest.approx(0.1) and lifted.c[1] == 1
    constant = MeanField(SOFTPLUS, sigma_w2=1.0).trajectory(1, q0=0.0, c0=0.2)
    assert constant.q[1] == pytest.approx(np.log(2) ** 2) and constant.c[1] == 1


# --- power laws at the edge ---------------------------------------------------------------------------------------


def test_relu_at_the_edge():
    """sqrt(kappa / (1 - c_l)) = l + (3/2) log l + const, kappa = 9 pi^2 / 2 = 44.4132, whatever the start."""
    kappa = 9 * np.pi**2 / 2
    assert kappa == pytest.approx(44.4132, abs=1e-4)
    path = MeanField(RELU, sigma_w2=2.0).trajectory(20_000, c0=np.array([-0.9, 0.0, 0.9]))
    layers = np.array([5_000, 20_000])
    effective = np.sqrt(kappa / path.one_minus_c[layers]) - layers[:, None]
    np.testing.assert_allclose(np.diff(effective, axis=0) / np.log(4), 1.5, rtol=4e-3)
    assert np.all(np.abs(path.q[-1] - 1) < 1e-10)
    raw = 100**2 * path.one_minus_c[100, 1] / kappa
    assert 0.75 < raw < 0.85, "the raw product is 20 % off at l = 100, as DESIGN says"
    assert path.gamma[-1, 1] == pytest.approx(20_000**2 / kappa, rel=2e-3)


def test_tanh_at_the_edge():
    """1 - c_l -> beta / l; beta = 2 E[phi'^2] / (q* E[phi''^2]), from quadrature and as DESIGN gives it."""
    q_star = np.array([0.273301, 0.570048, 0.805799, 1.164496])
    sigma_w2 = critical_sigma_w2(TANH, sigma_b2=[0.01, 0.05, 0.1, 0.2])
    beta = [
        2 * mean(lambda x: np.cosh(x) ** -4.0, q) / q / mean(lambda x: (2 * np.tanh(x) / np.cosh(x) ** 2) ** 2, q)
        for q in q_star
    ]
    np.testing.assert_allclose(beta, [16.639, 6.171, 4.010, 2.587], rtol=2e-4)
    path = MeanField(TANH, sigma_w2=sigma_w2, sigma_b2=[0.01, 0.05, 0.1, 0.2]).trajectory(3200, q0=q_star)
    inverse = 1 / path.one_minus_c
    slope = [(inverse[2 * n] - inverse[n]) / n for n in (800, 1600)]  # 1/beta + C/n
    np.testing.assert_allclose(1 / (2 * slope[1] - slope[0]), beta, rtol=2e-3)


def test_tanh_at_the_edge_without_bias():
    """q_l -> 1/(2 l), and the correlation comes to rest below 1, at a value that depends on the start."""
    path = MeanField(TANH, sigma_w2=1.0).trajectory(1000, q0=1.0, c0=np.array([0.2, 0.5, 0.8]))
    slope = (1 / path.q[1000] - 1 / path.q[500]) / 500
    np.testing.assert_allclose(slope, 2.0, rtol=1e-2)
    assert np.all(np.abs(path.c[1000] - path.c[500]) < 1e-3)
    assert np.all(np.diff(path.c[-1]) > 0.1) and np.all(path.c[-1] < 0.9)


# --- fixed points -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sigma_w2", "sigma_b2"), [(1.5, 0.05), (2.48, 0.1), (4.97, 0.1), (6.0, 1.0), (3.0, 0.0)])
def test_tanh_fixed_points_against_root_finding_on_quadrature(sigma_w2, sigma_b2):
    at = MeanField(TANH, sigma_w2=sigma_w2, sigma_b2=sigma_b2).fixed_point()
    q = brentq(lambda q: sigma_w2 * mean(lambda x: np.tanh(x) ** 2, q) + sigma_b2 - q, 0.01, 20, xtol=1e-13)
    assert at.q == pytest.approx(q, rel=1e-11)
    assert at.chi == pytest.approx(sigma_w2 * mean(lambda x: np.cosh(x) ** -4.0, q), rel=1e-10)

    def excess(c):
        return sigma_w2 * pair_mean(lambda x, y: np.tanh(x) * np.tanh(y), q, q, c, panels=80) + sigma_b2 - c * q

    c = brentq(excess, 0, 0.99, xtol=1e-13) if at.chi > 1 and sigma_b2 else float(sigma_b2 > 0)
    assert at.c == pytest.approx(c, abs=1e-9)


def test_tanh_in_the_published_training_figure():
    mf = MeanField(TANH, sigma_w2=[1.59, 2.48, 4.97], sigma_b2=0.1)
    at = mf.fixed_point()
    np.testing.assert_allclose(at.chi[0], 0.903, atol=5e-4)
    np.testing.assert_allclose(at.c, [1, 0.6741, 0.1961], atol=5e-5)
    np.testing.assert_allclose(at.gamma[1:], [2.068, 0.2439], rtol=3e-4)
    assert at.gamma[0] == np.inf and at.one_minus_c[0] == 0


@pytest.mark.parametrize("activation", [TANH, ERF, GELU, SILU], ids=lambda a: a.name)
def test_fixed_points_are_where_iteration_ends(activation):
    rng = np.random.default_rng(3)
    sigma_w2, sigma_b2 = rng.uniform(0.3, 4.5, 60), rng.choice([0, 0.01, 0.1, 0.5], 60)
    q0 = 10 ** rng.uniform(-3, 1.5, 60)
    mf = MeanField(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    at, q = mf.fixed_point(q0), q0
    for _ in range(1000):
        last, q = q, np.minimum(mf.q_map(q), 1e7)
    diverged = q == 1e7
    settled = ~diverged & (np.abs(q - last) <= 1e-9 * q)
    assert np.mean(diverged | settled) > 0.8
    assert np.all(at.q[diverged] == np.inf)
    np.testing.assert_allclose(at.q[settled], q[settled], rtol=1e-6)
    inside = np.isfinite(at.q) & (at.q > 1e-3)
    assert inside.sum() > 12
    stays = MeanField(activation, sigma_w2=sigma_w2[inside], sigma_b2=sigma_b2[inside])
    c, q = at.c[inside], at.q[inside]
    np.testing.assert_allclose(stays.c_map(c, q), c, rtol=0, atol=1e-12)
    assert np.all(np.where(at.chi[inside] > 1, c < 1, c == 1))
    for start in (0.0, 0.999):  # and iteration moves towards it, from both sides
        assert np.all(np.abs(stays.c_map(start, q) - c) <= np.abs(start - c) + 1e-15)


def test_pairs_of_fixed_points_close_together_are_both_seen():
    """GELU with bias has a stable variance and an unstable one above it; at sigma_b2 = 0.05 they meet near 2.42."""
    q = np.exp(np.linspace(-2.9, 3, 200_001))
    meeting = np.max((q - 0.05) / GELU.kernel.second_moment(q))
    assert meeting == pytest.approx(2.42, abs=0.01)
    for below in (0.3, 0.03, 1e-3, 1e-5):
        mf = MeanField(GELU, sigma_w2=meeting - below, sigma_b2=0.05)
        q = mf.fixed_point(q0=1e-3).q
        assert np.isfinite(q) and mf.q_map(q) == pytest.approx(q, rel=1e-12)
        assert mf.q_map(1.001 * q) < 1.001 * q, "stable"
        assert mf.fixed_point(q0=50.0).q == np.inf, "beyond the unstable one"
    assert MeanField(GELU, sigma_w2=meeting + 1e-5, sigma_b2=0.05).fixed_point(q0=1e-3).q == np.inf


def test_relu_fixed_points():
    at = MeanField(RELU, sigma_w2=[1.0, 1.0, 2.0, 2.0, 3.0], sigma_b2=[0.0, 0.3, 0.0, 0.1, 0.0]).fixed_point(q0=0.7)
    np.testing.assert_allclose(at.q, [0, 0.6, 0.7, np.inf, np.inf])
    np.testing.assert_allclose(at.chi, [0.5, 0.5, 1, 1, 1.5])
    assert np.all(at.c == 1) and np.all(at.gamma == np.inf)


def test_gelu_diverges_past_its_second_fixed_point():
    mf = MeanField(GELU, sigma_w2=2.5, sigma_b2=0.0)
    second = brentq(lambda q: float(mf.q_map(q)) - q, 0.5, 1e3)
    assert mf.fixed_point(q0=0.99 * second).q == 0
    beyond = mf.fixed_point(q0=1.01 * second)
    assert beyond.q == np.inf and beyond.chi == pytest.approx(1.25, rel=1e-12)
    assert MeanField(GELU, sigma_w2=2.0, sigma_b2=0.2).fixed_point().q == np.inf, "grows linearly, without bound"


def test_vanishing_fixed_points():
    at = MeanField(TANH, sigma_w2=[0.3, 1.0, 1 + 1e-4], sigma_b2=0.0).fixed_point()
    assert np.all(at.q[:2] == 0) and np.all(at.c[:2] == 1)
    np.testing.assert_allclose(at.chi[:2], [0.3, 1.0], rtol=1e-14)
    assert at.q[2] == pytest.approx(5e-5, rel=1e-3)  # E[tanh^2] = q - 2 q^2 + ..., so q* = (sigma_w2 - 1)/2
    assert at.chi[2] > 1 and at.c[2] == pytest.approx(0, abs=1e-12)


def test_fixed_points_broadcast():
    at = MeanField(TANH, sigma_w2=np.array([1.5, 3.0]), sigma_b2=np.full((3, 1), 0.1)).fixed_point(
        q0=np.ones((4, 1, 1))
    )
    assert at.q.shape == at.c.shape == at.gamma.shape == at.chi.shape == (4, 3, 2)
    assert MeanField(TANH, sigma_w2=2.0).fixed_point().q.shape == ()


# --- depth scales -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "sigma_w2", "sigma_b2"),
    [(phi, *at) for phi in (TANH, ERF, GELU, RELU) for at in ((0.8, 0.1), (1.4, 0.02))]
    + [(phi, 2.6, 0.3) for phi in (TANH, ERF)],
    ids=str,
)
def test_depth_scales_against_the_decay_of_trajectories(activation, sigma_w2, sigma_b2):
    mf = MeanField(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    at, scales = mf.fixed_point(), mf.depth_scales()
    assert scales.xi_gradient == pytest.approx(1 / abs(np.log(at.chi)), rel=1e-10)
    path = mf.trajectory(400, q0=1.1 * at.q)
    far = np.abs(path.q / at.q - 1)
    window = np.flatnonzero((far > 1e-10) & (far < 1e-7))[:2]
    assert far[window[1]] / far[window[0]] == pytest.approx(np.exp(-1 / scales.xi_q), rel=1e-4)
    path = mf.trajectory(2000, q0=at.q, c0=0.3)
    far = np.abs(path.one_minus_c - at.one_minus_c)
    window = np.flatnonzero((far > 1e-11) & (far < 1e-9))[:2]
    assert far[window[1]] / far[window[0]] == pytest.approx(np.exp(-1 / scales.xi_c), rel=2e-4)


def test_depth_scales_without_an_end():
    scales = MeanField(TANH, sigma_w2=critical_sigma_w2(TANH, 0.1), sigma_b2=0.1).depth_scales()
    assert scales.xi_c > 1e9 and scales.xi_gradient > 1e9 and 0 < scales.xi_q < 5
    vanishing = MeanField(TANH, sigma_w2=[0.5, 1.0], sigma_b2=0.0).depth_scales()
    np.testing.assert_allclose(vanishing.xi_q, [1 / np.log(2), np.inf])
    np.testing.assert_allclose(vanishing.xi_c, np.inf)
    relu = MeanField(RELU, sigma_w2=[1.0, 2.0, 3.0], sigma_b2=0.0).depth_scales()
    np.testing.assert_allclose(relu.xi_q, [1 / np.log(2), np.inf, 1 / np.log(1.5)])
    np.testing.assert_allclose(relu.xi_c, np.inf)  # a power of depth at every sigma_w2
    diverging = MeanField(GELU, sigma_w2=5.0, sigma_b2=0.1).depth_scales()
    assert diverging.xi_c == np.inf and diverging.xi_q == pytest.approx(1 / np.log(2.5))


# --- bad input ----------------------------------------------------------------------------------------------------


GOOD = MeanField(TANH, sigma_w2=1.5, sigma_b2=0.1)
BAD = {
    "unknown activation": (lambda: MeanField("tahn", sigma_w2=1.0), "activation='tahn': unknown; choose from"),
    "no weights": (lambda: MeanField(TANH, sigma_w2=0.0), r"sigma_w2=0\.0: need finite numbers > 0"),
    "negative weights": (lambda: MeanField(TANH, sigma_w2=[1.0, -2.0]), r"sigma_w2=-2\.0"),
    "nan weights": (lambda: MeanField(TANH, sigma_w2=np.nan), "sigma_w2=nan"),
    "negative bias": (lambda: MeanField(TANH, sigma_w2=1.0, sigma_b2=-1e-3), r"sigma_b2=-0\.001: .*>= 0"),
    "infinite bias": (lambda: MeanField(TANH, sigma_w2=1.0, sigma_b2=np.inf), "sigma_b2=inf"),
    "shapes": (lambda: MeanField(TANH, sigma_w2=np.ones(3), sigma_b2=np.ones(2)), r"sigma_w2 of shape \(3,\)"),
    "pool": (lambda: MeanField(TANH, sigma_w2=1.0, pool="max"), "pool='max': need None or a Pool, such as MaxPool"),
    "q": (lambda: GOOD.q_map(-1.0), r"q=-1\.0: need finite numbers in \[0, 1e\+08\]"),
    "huge q": (lambda: GOOD.q_map(1e9), r"q=1000000000\.0: need finite numbers in \[0, 1e\+08\]"),
    "c too large": (lambda: GOOD.c_map(1.0001, 1.0), r"c=1\.0001: need finite numbers in \[-1, 1\]"),
    "c too small": (lambda: GOOD.c_map(-1.5, 1.0), r"c=-1\.5"),
    "nan c": (lambda: GOOD.c_map(np.nan, 1.0), "c=nan"),
    "c without variance": (lambda: GOOD.c_map(0.5, 0.0), r"q=0\.0: need finite numbers in \(0, 1e\+08\]"),
    "covariance": (lambda: GOOD.cov_map(1.0, 4.0, [0.5, 2.1]), r"cov=2\.1: .*at most sqrt\(q_a q_b\).*pass cov, not c"),
    "q_b": (lambda: GOOD.cov_map(1.0, -4.0, 0.5), r"q_b=-4\.0"),
    "chi": (lambda: GOOD.chi(-0.1), r"q=-0\.1"),
    "chi of nan": (lambda: GOOD.chi(np.nan), "q=nan"),
    "depth 0": (lambda: GOOD.trajectory(0), "depth=0: need a whole number, 1 or more"),
    "depth 2.0": (lambda: GOOD.trajectory(2.0), r"depth=2\.0"),
    "q0": (lambda: GOOD.trajectory(3, q0=-1), r"q0=-1\.0"),
    "c0": (lambda: GOOD.trajectory(3, c0=2), r"c0=2\.0: need finite numbers in \[-1, 1\]"),
    "fixed point from 0": (lambda: GOOD.fixed_point(0.0), r"q0=0\.0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_with_its_value_and_the_remedy(name):
    call, words = BAD[name]
    with pytest.raises(ParameterError, match=words):
        call()


def test_an_infinite_fixed_point_has_a_chi():
    mf = MeanField(RELU, sigma_w2=3.0)
    assert mf.chi(mf.fixed_point().q) == 1.5


def test_text_form_names_the_parameters():
    assert repr(GOOD) == "MeanField(tanh, sigma_w2=1.5, sigma_b2=0.1)"


def test_the_correlation_map_knows_when_it_needs_a_variance():
    relu = MeanField("relu", sigma_w2=2.0)
    np.testing.assert_array_equal(relu.c_map([0.0, 0.5]), relu.c_map([0.0, 0.5], 1.0))
    for needs in (MeanField("tanh", sigma_w2=2.0), MeanField("relu", sigma_w2=2.0, sigma_b2=0.1)):
        with pytest.raises(ParameterError, match=r"^q: needed"):
            needs.c_map(0.5)


def test_a_residual_scale_is_one_number():
    with pytest.raises(ParameterError, match=r"residual=\[0.1, 0.2\]: need one number"):
        MeanField("tanh", sigma_w2=1.0, residual=[0.1, 0.2])
