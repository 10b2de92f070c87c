"""The theory engine against plain scipy.integrate: same question, same answer, same run.

The plain version is the one most people would write: NumPy functions given to quad over the whole line, maps iterated
to their fixed points, brentq around that. Where it would take minutes or days it answers a stated fraction of the
question, and its time is scaled up. All times are processor seconds of one thread, so that other work on the machine
does not count.

OMP_NUM_THREADS=1 python -m pytest benchmarks/test_theory.py --benchmark-enable -s
"""

import time

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from igbrepro.theory import RELU, TANH, MeanField, Phase, critical_sigma_w2, neutral_sigma_w2, phase_grid

pytestmark = pytest.mark.benchmark(timer=time.process_time)

BIASES = np.linspace(0.005, 0.5, 100)
GRID = np.linspace(0.025, 5, 200), np.linspace(0, 0.5, 200)


# --- the plain version --------------------------------------------------------------------------------------------


def mean(f, q, accuracy=1e-12):
    """E[f(x)], x ~ N(0, q)."""

    def weighted(z):
        return f(np.sqrt(q) * z) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

    return quad(weighted, -np.inf, np.inf, epsabs=0.1 * accuracy, epsrel=accuracy)[0]


def pair_mean(f, q, c):
    """E[f(x) f(y)], both of variance q and correlation c >= 0: the squared mean given their common part."""
    return mean(lambda common: mean(lambda own: f(common + own), q * (1 - c), 1e-9) ** 2, q * c, 1e-9)


def tanh_square(x):
    return np.tanh(x) ** 2


def tanh_slope_square(x):
    return (1 - np.tanh(x) ** 2) ** 2


def fixed_q(sigma_w2, sigma_b2):
    """The fixed point of the variance map, by iterating it."""
    q = 1.0
    for _ in range(10_000):
        last, q = q, sigma_w2 * mean(tanh_square, q) + sigma_b2
        if abs(q - last) < 1e-13 * q:
            return q
    raise RuntimeError(f"no fixed point at {sigma_w2}, {sigma_b2}")


def plain_edge(sigma_b2):
    """sigma_w2 at which chi = 1 at the fixed point."""
    return brentq(lambda w2: w2 * mean(tanh_slope_square, fixed_q(w2, sigma_b2)) - 1, 1.05, 4, xtol=1e-12)


def plain_neutral(sigma_b2):
    """sigma_w2 at which the fixed point of the correlation is 1/2."""

    def excess(w2):
        q = fixed_q(w2, sigma_b2)
        return w2 * pair_mean(np.tanh, q, 0.5) + sigma_b2 - q / 2

    return brentq(excess, 1.5, 12, xtol=1e-9)


def plain_phase(sigma_w2, sigma_b2):
    q = fixed_q(sigma_w2, sigma_b2)
    if sigma_w2 * mean(tanh_slope_square, q) < 1:
        return Phase.ORDERED
    c = brentq(lambda c: sigma_w2 * pair_mean(np.tanh, q, c) + sigma_b2 - c * q, 0, 1 - 1e-3, xtol=1e-9)
    return Phase.PREJUDICE if c > 0.5 else Phase.NEUTRALITY


def plain_step(phi, sigma_w2, sigma_b2, q, c):
    after = sigma_w2 * mean(lambda x: phi(x) ** 2, q) + sigma_b2
    return after, (sigma_w2 * pair_mean(phi, q, c) + sigma_b2) / after


# --- the comparison -----------------------------------------------------------------------------------------------


def seconds(call):
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def compare(benchmark, name, ours, plain, fraction):
    """Both results, our least time of five, and how much longer the plain version takes for the whole question."""
    ours()  # tables of quadrature nodes are made once
    plain_time, expected = seconds(plain)
    our_time, got = min((seconds(ours) for _ in range(5)), key=lambda run: run[0])
    whole = plain_time / fraction
    ratio = whole / our_time
    benchmark.extra_info |= {"seconds": our_time, "plain, seconds": whole, "times faster": ratio}
    benchmark.pedantic(ours, rounds=3)
    print(f"\n{name}: {our_time:.4f} s, plain {whole:.3g} s ({fraction:.2g} of it run), {ratio:,.0f} times")
    return got, expected, our_time, ratio


def test_edge_of_chaos_of_100_points(benchmark):
    part = slice(10, 100, 30)
    got, expected, our_time, ratio = compare(
        benchmark,
        "edge of chaos",
        lambda: critical_sigma_w2(TANH, sigma_b2=BIASES),
        lambda: [plain_edge(b2) for b2 in BIASES[part]],
        3 / 100,
    )
    np.testing.assert_allclose(got[part], expected, rtol=1e-11)
    assert our_time < 0.1 and ratio > 1000


def test_edge_of_chaos_against_the_same_method_by_quad(benchmark):
    """Knowing that sigma_w2 and sigma_b2 are functions of q along the edge helps quad too: what is left is the rule."""

    def plain(sigma_b2):
        q = brentq(lambda q: q - mean(tanh_square, q) / mean(tanh_slope_square, q) - sigma_b2, 1e-3, 20, xtol=1e-12)
        return 1 / mean(tanh_slope_square, q)

    part = slice(5, 100, 10)
    got, expected, _, ratio = compare(
        benchmark,
        "edge of chaos, same method",
        lambda: critical_sigma_w2(TANH, sigma_b2=BIASES),
        lambda: [plain(b2) for b2 in BIASES[part]],
        1 / 10,
    )
    np.testing.assert_allclose(got[part], expected, rtol=1e-11)
    assert ratio > 10


def test_neutrality_line_of_100_points(benchmark):
    got, expected, our_time, ratio = compare(
        benchmark,
        "neutrality line",
        lambda: neutral_sigma_w2(TANH, sigma_b2=BIASES),
        lambda: plain_neutral(BIASES[50]),
        1 / 100,
    )
    assert got[50] == pytest.approx(expected, rel=1e-8)
    assert our_time < 5 and ratio > 100


def test_tanh_trajectory_of_depth_100(benchmark):
    edge = float(critical_sigma_w2(TANH, sigma_b2=0.1))
    mf = MeanField(TANH, sigma_w2=edge, sigma_b2=0.1)

    def plain():
        q, c = 1.0, 0.2
        for _ in range(5):
            q, c = plain_step(np.tanh, edge, 0.1, q, c)
        return q, c

    got, expected, our_time, ratio = compare(
        benchmark, "tanh trajectory, depth 100", lambda: mf.trajectory(100, q0=1.0, c0=0.2), plain, 5 / 100
    )
    np.testing.assert_allclose([got.q[5], got.c[5]], expected, rtol=1e-8)
    assert our_time < 0.02 and ratio > 10


def test_tanh_phase_grid_of_200_by_200(benchmark):
    points = [(40, 30), (90, 30), (190, 120)]  # columns of sigma_w2, rows of sigma_b2
    got, expected, our_time, ratio = compare(
        benchmark,
        "tanh phase grid, 200 x 200",
        lambda: phase_grid(TANH, *GRID),
        lambda: [plain_phase(GRID[0][i], GRID[1][j]) for i, j in points],
        len(points) / 200**2,
    )
    assert [got.phase[j, i] for i, j in points] == expected == [Phase.ORDERED, Phase.PREJUDICE, Phase.NEUTRALITY]
    assert our_time < 5 and ratio > 100


def test_relu_trajectory_of_depth_1000_for_10_000_starts(benchmark):
    mf, c0 = MeanField(RELU, sigma_w2=2.0), np.linspace(0.0, 0.99, 10_000)
    starts = slice(0, 10_000, 2500)

    def relu(x):
        return np.maximum(x, 0)

    got, expected, our_time, ratio = compare(
        benchmark,
        "ReLU trajectories, depth 1000, 10,000 starts",
        lambda: mf.trajectory(1000, c0=c0),
        lambda: [plain_step(relu, 2.0, 0.0, 1.0, c)[1] for c in c0[starts]],
        4 / 10**7,
    )
    np.testing.assert_allclose(got.c[1, starts], expected, rtol=1e-6)
    assert our_time < 1 and ratio > 1000
