"""What theorems of the book say, recomputed by means that share nothing with the engine."""

import json
import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtr

from igbrepro.initialization import InitSpec
from igbrepro.publishing import notebook_path
from igbrepro.theory import RELU, RELU_KAPPA, MeanField
from notebooks.ch04_phase_diagrams import plain_quadrature as plain
from notebooks.ch05_edge import lab


def slope(x):
    return 1 - math.tanh(x) ** 2


def text_of(chapter):
    cells = json.loads(notebook_path(chapter).read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


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
