import warnings

import numpy as np
import pytest
from scipy.optimize import brentq
from theory.references import SILU, SOFTPLUS, mean, pair_mean

from igbrepro.errors import NoEdge, ParameterError, UnstableEdge
from igbrepro.theory import (
    ERF,
    GELU,
    LEAKY_RELU,
    LINEAR,
    RELU,
    TANH,
    MeanField,
    Phase,
    classify,
    critical_sigma_w2,
    edge_line,
    neutral_sigma_w2,
    phase_grid,
)

# DESIGN section 3: sigma_b2, then (sigma_w2, q*) on the edge of tanh, and its neutrality line
TANH_EDGE = {
    0.01: (1.424205, 0.273301),
    0.05: (1.760955, 0.570048),
    0.1: (1.986073, 0.805799),
    0.2: (2.285152, 1.164496),
}
TANH_NEUTRAL = {0.05: 2.378266, 0.1: 2.924766, 0.2: 3.761095}


def edge_by_quadrature(activation, sigma_b2, low, high):
    """sigma_w2 and q with q = sigma_w2 E[phi^2] + sigma_b2 and sigma_w2 E[phi'^2] = 1, by QUADPACK and Brent."""

    def sigma_w2(q):
        return 1 / mean(lambda x: activation.derivative(x) ** 2, q)

    def excess(q):
        return sigma_w2(q) * mean(lambda x: activation(x) ** 2, q) + sigma_b2 - q

    q = brentq(excess, low, high, xtol=1e-14)
    return sigma_w2(q), q


# --- the lines ----------------------------------------------------------------------------------------------------


def test_tanh_edge_has_the_reference_values():
    line = critical_sigma_w2(TANH, sigma_b2=list(TANH_EDGE))
    np.testing.assert_allclose(line, [w2 for w2, _ in TANH_EDGE.values()], rtol=0, atol=6e-7)
    at = MeanField(TANH, sigma_w2=line, sigma_b2=list(TANH_EDGE)).fixed_point()
    np.testing.assert_allclose(at.q, [q for _, q in TANH_EDGE.values()], rtol=0, atol=6e-7)
    np.testing.assert_allclose(at.chi, 1, rtol=0, atol=1e-12)


def test_tanh_neutrality_line_has_the_reference_values():
    line = neutral_sigma_w2(TANH, sigma_b2=list(TANH_NEUTRAL))
    np.testing.assert_allclose(line, list(TANH_NEUTRAL.values()), rtol=0, atol=6e-7)
    at = MeanField(TANH, sigma_w2=line, sigma_b2=list(TANH_NEUTRAL)).fixed_point()
    np.testing.assert_allclose(at.c, 0.5, rtol=0, atol=1e-11)
    np.testing.assert_allclose(at.gamma, 1, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("activation", "sigma_b2", "q"),
    [(TANH, 0.1, (0.3, 2)), (TANH, 5.0, (5, 100)), (ERF, 0.05, (0.05, 2)), (GELU, 0.5, (5, 50)), (SILU, 1.0, (10, 99))],
    ids=lambda v: getattr(v, "name", None),
)
def test_edges_against_root_finding_on_quadrature(activation, sigma_b2, q):
    want, variance = edge_by_quadrature(activation, sigma_b2, *q)
    got = critical_sigma_w2(activation, sigma_b2=sigma_b2)
    assert got == pytest.approx(want, rel=1e-10)
    at = MeanField(activation, sigma_w2=got, sigma_b2=sigma_b2).fixed_point()
    assert at.q == pytest.approx(variance, rel=1e-7)
    assert classify(activation, sigma_w2=got, sigma_b2=sigma_b2) is Phase.EDGE


@pytest.mark.parametrize(("activation", "sigma_b2", "q"), [(GELU, 0.05, (0.3, 3)), (SILU, 0.1, (1, 5))], ids=str)
def test_edges_at_an_unstable_variance(activation, sigma_b2, q):
    """Small bias: chi = 1 is had at the second fixed point, where variances fall away to both sides."""
    want, variance = edge_by_quadrature(activation, sigma_b2, *q)
    got = critical_sigma_w2(activation, sigma_b2=sigma_b2)
    assert got == pytest.approx(want, rel=1e-10)
    mf = MeanField(activation, sigma_w2=got, sigma_b2=sigma_b2)
    assert mf.chi(variance) == pytest.approx(1, rel=1e-10) and mf.q_map(variance) == pytest.approx(variance, rel=1e-9)
    assert mf.fixed_point(0.99 * variance).chi < 0.9 and mf.fixed_point(1.01 * variance).q == np.inf


@pytest.mark.parametrize("sigma_b2", [0.02, 0.1, 1.0])
def test_neutrality_line_against_root_finding_on_gauss_legendre(sigma_b2):
    def sigma_w2(q):  # from c* = 1/2: sigma_w2 (E[phi^2] - E[phi phi']) = q/2
        return q / pair_mean(lambda x, y: (np.tanh(x) - np.tanh(y)) ** 2, q, q, 0.5, panels=80)

    q = brentq(lambda q: sigma_w2(q) * mean(lambda x: np.tanh(x) ** 2, q) + sigma_b2 - q, 0.01, 20, xtol=1e-13)
    assert neutral_sigma_w2(TANH, sigma_b2=sigma_b2) == pytest.approx(sigma_w2(q), rel=1e-10)


def test_erf_edge_without_bias_is_pi_over_four():
    assert critical_sigma_w2(ERF) == pytest.approx(np.pi / 4, rel=1e-12)
    assert critical_sigma_w2(TANH) == pytest.approx(1, rel=1e-12)
    assert critical_sigma_w2(GELU) == pytest.approx(4, rel=1e-9)


@pytest.mark.parametrize("slope", [0.0, 0.1, 1.0, -1.0])
def test_piecewise_linear_edges_are_the_same_at_every_bias(slope):
    activation = LEAKY_RELU(slope)
    for criterion in ("gradient", "signal"):
        line = critical_sigma_w2(activation, sigma_b2=[0.0, 0.1, 3.0], criterion=criterion)
        np.testing.assert_allclose(line, 2 / (1 + slope**2), rtol=1e-15)
    assert np.all(np.isnan(neutral_sigma_w2(activation, sigma_b2=[0.0, 0.1])))


def test_small_bias_on_the_tanh_edge():
    """E[phi^2] = q - 2 q^2 + 17 q^3/3, E[phi'^2] = 1 - 2 q + 7 q^2: sigma_b2 = 4 q^3/3, sigma_w2 = 1 + 2 q - 3 q^2."""
    sigma_b2 = np.array([1e-17, 1e-14, 1e-11])
    q = np.cbrt(3 * sigma_b2 / 4)
    np.testing.assert_allclose(critical_sigma_w2(TANH, sigma_b2=sigma_b2) - 1, 2 * q - 3 * q**2, rtol=2e-3)


def test_lines_keep_the_shape_of_the_bias():
    for line in (critical_sigma_w2, neutral_sigma_w2):
        assert np.shape(line(TANH, sigma_b2=0.1)) == () and np.shape(line(RELU)) == ()
        grid = line(TANH, sigma_b2=[[0.1, 0.2, 0.3], [0.4, 0.0, 0.6]])
        assert grid.shape == (2, 3)
        assert grid[0, 1] == pytest.approx(line(TANH, sigma_b2=0.2), rel=1e-12)
        assert line(TANH, sigma_b2=[]).shape == (0,)


def test_lines_rise_with_the_bias_and_keep_their_order():
    sigma_b2 = np.linspace(0.001, 3, 40)
    critical, neutral = critical_sigma_w2(TANH, sigma_b2), neutral_sigma_w2(TANH, sigma_b2)
    assert np.all(np.diff(critical) > 0) and np.all(np.diff(neutral) > 0)
    assert np.all(neutral > critical) and np.all(critical > 1)


def test_lines_that_do_not_exist_are_nan():
    assert np.all(np.isnan(neutral_sigma_w2(GELU, sigma_b2=[0.0, 0.1, 1.0])))
    assert np.all(np.isnan(critical_sigma_w2(SOFTPLUS, sigma_b2=[0.0, 0.1])))  # diverges before chi reaches 1


def test_signal_criterion_is_for_homogeneous_activations():
    with pytest.raises(ParameterError, match=r'criterion="signal" selects no value for tanh.*use criterion="gradient"'):
        critical_sigma_w2(TANH, criterion="signal")
    with pytest.raises(ParameterError, match='criterion=\'variance\': choose "gradient" or "signal"'):
        critical_sigma_w2(RELU, criterion="variance")


# --- the regions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "sigma_w2", "sigma_b2", "phase"),
    [
        (TANH, 1.59, 0.1, Phase.ORDERED),
        (TANH, 2.48, 0.1, Phase.PREJUDICE),
        (TANH, 4.97, 0.1, Phase.NEUTRALITY),
        (TANH, 0.9, 0.0, Phase.ORDERED),
        (TANH, 1.0, 0.0, Phase.EDGE),
        (TANH, 1.2, 0.0, Phase.NEUTRALITY),
        (RELU, 1.5, 0.1, Phase.ORDERED),
        (RELU, 2.0, 0.0, Phase.EDGE),
        (RELU, 2.0, 0.1, Phase.EDGE),
        (RELU, 2.5, 0.1, Phase.CHAOTIC_DEEP),
        (LINEAR, 1.5, 0.0, Phase.CHAOTIC_DEEP),
        (GELU, 2.2, 0.01, Phase.ORDERED),
        (GELU, 5.0, 0.01, Phase.CHAOTIC_DEEP),
        ("leaky_relu(0.5)", 1.6, 0.2, Phase.EDGE),
    ],
)
def test_classify(activation, sigma_w2, sigma_b2, phase):
    got = classify(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    assert got is phase and isinstance(got, Phase) and got.label


def test_classify_on_both_sides_of_each_line():
    sigma_b2 = np.array([0.01, 0.1, 1.0])
    critical, neutral = critical_sigma_w2(TANH, sigma_b2), neutral_sigma_w2(TANH, sigma_b2)
    phases = classify(
        TANH,
        sigma_w2=[critical - 1e-3, critical, critical + 1e-3, neutral - 1e-3, neutral + 1e-3],
        sigma_b2=sigma_b2,
    )
    want = [Phase.ORDERED, Phase.EDGE, Phase.PREJUDICE, Phase.PREJUDICE, Phase.NEUTRALITY]
    np.testing.assert_array_equal(phases, np.repeat(want, 3).reshape(5, 3))


def test_tolerance_of_the_edge():
    near = critical_sigma_w2(TANH, 0.1) + 0.01
    assert classify(TANH, sigma_w2=near, sigma_b2=0.1) is Phase.PREJUDICE
    assert classify(TANH, sigma_w2=near, sigma_b2=0.1, tolerance=0.02) is Phase.EDGE


def test_phase_grid_lays_fixed_points_over_the_plane():
    sigma_w2, sigma_b2 = np.linspace(0.5, 5, 7), np.linspace(0, 0.5, 4)
    grid = phase_grid(TANH, sigma_w2, sigma_b2)
    for values in (grid.phase, grid.q, grid.c, grid.gamma, grid.chi):
        assert values.shape == (4, 7)
    for row, column in ((0, 0), (1, 3), (3, 6)):
        at = MeanField(TANH, sigma_w2=sigma_w2[column], sigma_b2=sigma_b2[row]).fixed_point()
        for name in ("q", "c", "gamma", "chi"):
            assert getattr(grid, name)[row, column] == pytest.approx(float(getattr(at, name)), rel=1e-11, abs=1e-11)
    np.testing.assert_array_equal(grid.phase, classify(TANH, sigma_w2=sigma_w2, sigma_b2=sigma_b2[:, None]))
    np.testing.assert_array_equal(grid.sigma_w2, sigma_w2)
    above_critical = sigma_w2 > critical_sigma_w2(TANH, sigma_b2)[:, None]
    np.testing.assert_array_equal(grid.phase >= Phase.PREJUDICE, above_critical)
    above_neutral = (sigma_w2 > neutral_sigma_w2(TANH, sigma_b2)[:, None]) & above_critical
    np.testing.assert_array_equal(grid.phase == Phase.NEUTRALITY, above_neutral)


def test_relu_grid_has_deep_prejudice_everywhere():
    grid = phase_grid("relu", [1.0, 2.0, 3.0], [0.0, 0.5])
    np.testing.assert_array_equal(grid.phase, [[Phase.ORDERED, Phase.EDGE, Phase.CHAOTIC_DEEP]] * 2)
    assert np.all(grid.c == 1) and np.all(grid.gamma == np.inf)
    assert np.all(np.isinf(grid.q[:, 2]))


def test_every_phase_has_its_own_label():
    assert len({phase.label for phase in Phase}) == len(Phase) == 5


BAD = {
    "unknown activation": (lambda: critical_sigma_w2("tahn"), "activation='tahn': unknown"),
    "negative bias": (lambda: critical_sigma_w2(TANH, sigma_b2=[0.1, -0.1]), r"sigma_b2=-0\.1: need finite"),
    "nan bias": (lambda: neutral_sigma_w2(TANH, sigma_b2=np.nan), "sigma_b2=nan"),
    "pool on a line": (lambda: neutral_sigma_w2(TANH, pool="max"), "pool='max': need None or a Pool, such as MaxPool"),
    "pool of the edge": (lambda: critical_sigma_w2(TANH, pool=2), "pool=2: need None or a Pool, such as MaxPool"),
    "no weights": (lambda: phase_grid(TANH, [0.0, 1.0], [0.1]), r"sigma_w2=0\.0: need finite numbers > 0"),
    "pool in a grid": (lambda: phase_grid(TANH, [1.0], [0.1], pool="max"), "pool='max'"),
    "infinite weights": (lambda: classify(TANH, sigma_w2=np.inf, sigma_b2=0.0), "sigma_w2=inf"),
    "tolerance": (lambda: classify(TANH, sigma_w2=1.0, sigma_b2=0.0, tolerance=-1), r"tolerance=-1\.0"),
    "words": (lambda: phase_grid(TANH, "wide", [0.1]), "sigma_w2='wide': need a number"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_with_its_value_and_the_remedy(name):
    call, words = BAD[name]
    with pytest.raises(ParameterError, match=words):
        call()


def test_an_edge_at_which_the_variance_is_not_stable_is_said():
    """GELU: E[phi^2] = q/4 + 3 q^2/(2 pi) + ..., so at sigma_w2 = 4 every small variance grows."""
    with pytest.warns(UnstableEdge, match=r"sigma_b2=0: on the edge of chaos of gelu .* not stable"):
        critical_sigma_w2(GELU, [0.0, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for activation, bias in ((GELU, 0.5), (TANH, [0.0, 0.1]), (RELU, 0.0), (ERF, 0.0)):
            critical_sigma_w2(activation, bias)


def test_where_the_edge_of_gelu_is_stable_and_where_its_variance_goes_from_an_unstable_one():
    """The numbers of critical_sigma_w2's docstring, by QUADPACK: E[x phi phi'] / q is the slope of E[phi^2]."""

    def slope(sigma_b2):
        sigma_w2, q = edge_by_quadrature(GELU, sigma_b2, 2, 6)
        return sigma_w2 * mean(lambda x: x * GELU(x) * GELU.derivative(x), q) / q

    assert [slope(b2) for b2 in (0.15, 0.16, 0.17, 0.18)] == pytest.approx([1.0082, 1.0043, 1.0009, 0.9980], abs=6e-5)
    assert brentq(lambda b2: slope(b2) - 1, 0.17, 0.18) == pytest.approx(0.173, abs=5e-4)
    assert [bool(edge_line(GELU, b2)[1]) for b2 in (0.1729, 0.1730)] == [False, True]
    # from above the unstable variance: without end where sigma_w2 >= 2, to a larger one from sigma_b2 = 0.150 on
    assert brentq(lambda b2: edge_by_quadrature(GELU, b2, 2, 6)[0] - 2, 0.14, 0.16) == pytest.approx(0.150, abs=5e-4)
    sigma_w2, q = edge_by_quadrature(GELU, 0.16, 2, 6)
    far = brentq(lambda x: sigma_w2 * mean(lambda u: GELU(u) ** 2, x) + 0.16 - x, 10, 40)
    assert far == pytest.approx(19.1, abs=0.05)
    assert MeanField(GELU, sigma_w2=sigma_w2, sigma_b2=0.16).fixed_point(1.01 * q).q == pytest.approx(far, rel=1e-6)


def test_no_edge_is_said_in_words():
    with pytest.warns(NoEdge, match=r"softplus has no edge of chaos there, hence nan"):
        assert np.isnan(critical_sigma_w2(SOFTPLUS, 0.1))


def test_phases_print_their_names():
    phase = classify(TANH, sigma_w2=2.0, sigma_b2=0.1)
    assert str(phase) == f"{phase}" == "prejudice" and phase == 3 and f"{phase:d}" == "3"


def test_a_pair_in_round_brackets_is_no_grid():
    with pytest.raises(ParameterError, match=r"sigma_w2=\(0.5, 5\).*np.linspace\(0.5, 5, 100\)"):
        phase_grid(TANH, (0.5, 5), (0, 1))
    assert phase_grid(TANH, [0.5, 5], [0.1]).phase.shape == (1, 2)
