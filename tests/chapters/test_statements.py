"""What theorems of the book say, recomputed by means that share nothing with the engine; and whose each is."""

import json
import math
import re

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit, ndtr

from igbrepro.initialization import InitSpec
from igbrepro.publishing import chapter_names, notebook_path
from igbrepro.theory import RELU, RELU_KAPPA, TANH, MeanField, conv_kernel
from notebooks.ch04_phase_diagrams import plain_quadrature as plain
from notebooks.ch05_edge import lab

STATEMENT = re.compile(r"```\{prf:(?:theorem|proposition|lemma|corollary)\}.*?:label: (\S+).*?\n```", re.S)
ORIGIN = re.compile(r"\n\n\*\*Origin:\*\* [^\n]+\. \*\*Order of limits:\*\* [^\n]+\.\n```$")


def slope(x):
    return 1 - math.tanh(x) ** 2


def text_of(chapter):
    cells = json.loads(notebook_path(chapter).read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


@pytest.mark.parametrize("name", chapter_names())
def test_every_theorem_says_whose_it_is_and_in_which_order_limits_are_taken(name):
    found = list(STATEMENT.finditer(text_of(name)))
    assert not [one[1] for one in found if not ORIGIN.search(one[0])]


# --- chapter 4 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sigma_b2", "percent"), [(0.02, 0.6), (0.1, 1.2), (0.3, 1.9)])
def test_the_strip_of_tanh_in_which_friends_stay_friends(sigma_b2, percent):
    """From the edge to where c = 0.98 is kept: q (1 - c) = sigma_w2 (E[phi^2] - E[phi phi'])."""

    def line(q):
        return 0.02 * q / (plain.gaussian_mean(lambda x: math.tanh(x) ** 2, q) - plain.pair_mean(math.tanh, q, 0.98))

    width = plain._on_line(math.tanh, line, sigma_b2) / plain.edge_sigma_w2(math.tanh, slope, sigma_b2) - 1
    assert 100 * width == pytest.approx(percent, abs=0.05)
    assert f"{percent} %" in text_of("ch04_phase_diagrams")


def test_where_gelu_diverges_and_where_it_jumps():
    """sigma_w2 = (q - sigma_b2) / E[phi^2] has a maximum, past which q diverges if sigma_w2 > 2 there, or jumps."""

    def keeps(q, sigma_b2):
        return (q - sigma_b2) / plain.gaussian_mean(lambda x: (x * ndtr(x)) ** 2, q)

    def top(sigma_b2):
        return max(keeps(q, sigma_b2) for q in np.linspace(1.2, 2.2, 101))

    assert brentq(lambda b2: top(b2) - 2, 0.15, 0.16) == pytest.approx(0.157, abs=5e-4)
    falls = {b2: any(np.diff([keeps(q, b2) for q in np.linspace(2, 6, 81)]) < 0) for b2 in (0.1725, 0.1735)}
    assert falls == {0.1725: True, 0.1735: False}


# --- chapter 5 ----------------------------------------------------------------------------------------------------


def relu_path(sigma_w2, sigma_b2, depth):
    """1 - c along the layers by the arc-cosine kernel in angles, for orthogonal inputs of mean square 1."""
    q, s, path = sigma_w2 + sigma_b2, sigma_w2 / (sigma_w2 + sigma_b2), []
    for _ in range(depth + 1):
        path.append(s)
        angle = 2 * math.asin(math.sqrt(s / 2))
        # E[relu^2] - E[relu relu'] = q (angle cos(angle) - sin(angle) + pi (1 - cos(angle))) / (2 pi)
        turned = angle**5 / 30 - angle**3 / 3 if angle < 1e-3 else angle * math.cos(angle) - math.sin(angle)
        share = 1 / (1 + 2 * sigma_b2 / (sigma_w2 * q))  # of the next variance that is not the bias vectors'
        s = share * (2 * math.sin(angle / 2) ** 2 + turned / math.pi)
        q = min(sigma_w2 / 2 * q + sigma_b2, 1e200) if sigma_b2 else q
    return np.array(path)


RATES = [(1.5, 0, 1), (2.0, 0, 1), (3.0, 0, 1), (2.0, 0.1, 0.25), (2.0, 1.0, 0.25), (3.0, 0.1, 1), (2.2, 0.5, 1)]


@pytest.mark.parametrize(("sigma_w2", "sigma_b2", "part"), RATES)
def test_relu_decays_as_a_power_of_depth_with_the_constants_of_the_theorem(sigma_w2, sigma_b2, part):
    path = relu_path(sigma_w2, sigma_b2, 40_000)
    assert path[-1] * 40_000**2 == pytest.approx(part * RELU_KAPPA, rel=0.04 if part < 1 else 2e-3)
    assert np.log2(path[20_000] / path[40_000]) == pytest.approx(2, abs=0.02)
    assert lab.relu_kappa(path, InitSpec(sigma_w2, sigma_b2), 20_000, 40_000) == pytest.approx(RELU_KAPPA, rel=1e-5)
    assert lab.relu_kappa(path, InitSpec(sigma_w2, sigma_b2), 30, 60) == pytest.approx(RELU_KAPPA, rel=0.01)
    engine = MeanField(RELU, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    start = sigma_w2 + sigma_b2
    np.testing.assert_allclose(engine.trajectory(2_000, start, sigma_b2 / start).one_minus_c, path[:2_001], rtol=1e-9)


def test_relu_with_bias_decays_exponentially_in_order_and_its_depth_scales_say_which_is_which():
    path = relu_path(1.5, 0.1, 400)
    assert path[200] / path[199] == pytest.approx(0.75, rel=1e-9)
    scales = MeanField(RELU, sigma_w2=[1.5, 1.5, 2.0, 3.0], sigma_b2=[0.1, 0, 0.1, 0.1]).depth_scales()
    np.testing.assert_allclose(scales.xi_c, [-1 / math.log(0.75), np.inf, np.inf, np.inf])
    np.testing.assert_allclose(scales.xi_gradient[[0, 1, 3]], 1 / np.abs(np.log([0.75, 0.75, 1.5])))


# --- chapters 7, 9, 10 and 11 ---------------------------------------------------------------------------------------


def test_windows_of_three_need_equal_norms():
    """tanh, sigma_w2 = 1, sigma_b2 = 1e-4, q_a = 100, x_b = 0: below r_3, by drawing the nodes."""
    rng, n, b2 = np.random.default_rng(1), 2_000_000, 1e-4
    common = rng.standard_normal((n, 3))
    own = rng.standard_normal((n, 3))
    corr = b2 / math.sqrt(100 * b2)
    x, y = 10 * common, math.sqrt(b2) * (corr * common + math.sqrt(1 - corr**2) * own)
    a, b = np.tanh(x).max(1), np.tanh(y).max(1)
    c = (np.mean(a * b) + b2) / math.sqrt((np.mean(a**2) + b2) * (np.mean(b**2) + b2))
    assert c == pytest.approx(0.439, abs=0.002)

    def ratio(t):
        grid = np.linspace(-9, 9, 20_001)
        weight = 3 * ndtr(grid) ** 2 * np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi) * (grid[1] - grid[0])
        return (weight @ np.clip(grid, -t, t)) ** 2 / (weight @ np.clip(grid, -t, t) ** 2)

    assert min(map(ratio, np.geomspace(0.01, 9, 200))) == pytest.approx(0.561, abs=5e-4)


def test_the_errors_of_both_classes_in_ordered_relu_networks_without_bias():
    """q = 1.5 (3/4)^l and c by the arc-cosine map, then two plain quadratures; both means tend to 1/4."""
    path = relu_path(1.5, 0.0, 50)

    def error(layer, sign):
        q, s = 1.5 * 0.75**layer, path[layer]

        def of(z):
            return plain.gaussian_mean(lambda u: expit(sign * z * math.sqrt(2 * q * (1 - s)) + u) ** 2, 2 * q * s)

        return 2 * quad(lambda z: of(z) * math.exp(-z * z / 2), 0, 9)[0] / math.sqrt(2 * math.pi)

    for layer, want, digits in ((12, (0.198, 0.313), 5e-4), (50, (0.2497, 0.2503), 5e-5)):
        assert [error(layer, sign) for sign in (-1, 1)] == pytest.approx(want, abs=digits)


def test_the_slope_of_residual_tanh_crosses_one_at_a_variance_that_is_not_kept():
    q, slopes = 1.5, []
    for _ in range(6):
        after = q + plain.gaussian_mean(lambda x: math.tanh(x) ** 2, q) + 0.5
        slopes.append((1 + plain.gaussian_mean(lambda x: slope(x) ** 2, q)) * q / after)
        q = after
    assert [slopes[0], slopes[5]] == pytest.approx([0.848, 1.020], abs=5e-4)


@pytest.mark.parametrize(("sigma_w2", "sigma_b2"), [(1.2, 0.1), (4.0, 0.1)], ids=["ordered", "chaotic"])
def test_images_end_at_the_uniform_fixed_point_whatever_they_look_like(sigma_w2, sigma_b2):
    """An image dark but for one bright place, and another that differs from it there only."""
    images = np.full((2, 1, 5, 5), 0.01)
    images[0, 0, 2, 2], images[1, 0, 2, 2] = 3.0, -3.0
    at = conv_kernel(MeanField(TANH, sigma_w2=sigma_w2, sigma_b2=sigma_b2), images, 80).covariance[-1]
    q, _, c = plain.fixed_point(math.tanh, slope, sigma_w2, sigma_b2)
    assert at[0, 0] == pytest.approx(q, rel=1e-6) and at[0, 1] == pytest.approx(q * c, rel=1e-4)
