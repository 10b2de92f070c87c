"""Laws of residual layers, against maps and integrals written out here."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from igbrepro.errors import ParameterError
from igbrepro.theory import TANH, MeanField, relu_residual_kappa, scaled_limit, sign_limit, tanh_gradient_law


def relu_map(c):
    return (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi


@pytest.mark.parametrize(("sigma_w2", "residual"), [(2.0, 1.0), (1.0, 2.0)])
def test_relu_kappa_is_that_of_the_iterated_map(sigma_w2, residual):
    a, c, u = residual**2 * sigma_w2 / 2, 0.0, {}
    for layer in range(1, 4001):
        c = (c + a * relu_map(c)) / (1 + a)
        u[layer] = (1 - c) ** -0.5
    kappa = ((2000 + 1.5 * np.log(2)) / (u[4000] - u[2000])) ** 2
    assert float(relu_residual_kappa(sigma_w2, residual)) == pytest.approx(kappa, rel=2e-4)


def test_sign_limit_is_the_lower_fixed_point():
    for w2, b2 in ((2.0, 0.5), (1.0, 0.1), (0.3, 0.1), (0.1, 0.4)):

        def image(c, w2=w2, b2=b2):
            return (w2 * 2 / np.pi * np.arcsin(c) + b2) / (w2 + b2)

        c = brentq(lambda c: image(c) - c, 0, 0.999)
        found = sign_limit(w2, b2)
        assert float(found.c) == pytest.approx(c, abs=1e-10)
        assert float(found.power) == pytest.approx(1 - (image(c + 1e-6) - image(c - 1e-6)) / 2e-6, abs=1e-7)
    assert sign_limit([1.0, 0.6], [0.0, 0.2]).c == pytest.approx([0, 0.5], abs=1e-12)
    assert float(sign_limit(1.0).power) == pytest.approx(1 - 2 / np.pi)


def test_tanh_gradients_grow_with_the_root_of_depth():
    w2, b2, r = 1.5, 0.2, 0.8
    x = np.linspace(-12, 12, 4801)  # of the signal: sech is narrow, the density wide
    q, log, logs = 0.7, 0.0, [0.0]
    for _ in range(4000):
        density = np.exp(-(x**2) / (2 * q)) / np.sqrt(2 * np.pi * q)
        sech2 = np.cosh(x) ** -2.0
        log += np.log1p(r**2 * w2 * np.trapezoid(sech2**2 * density, x))
        q += r**2 * (w2 * (1 - np.trapezoid(sech2 * density, x)) + b2)
        logs.append(log)
    depth = np.arange(800, 4001)
    columns = np.stack([np.sqrt(depth), np.log(depth), np.ones(depth.shape), depth**-0.5], 1)
    root, log_term = np.linalg.lstsq(columns, np.array(logs)[depth], rcond=None)[0][:2]
    law = tanh_gradient_law(w2, b2, r)
    assert float(law.root) == pytest.approx(root, rel=1e-3)
    assert float(law.log_term) == pytest.approx(log_term, abs=0.02)


def test_scaled_limit_of_relu_is_a_closed_form_and_an_integral():
    w2 = np.array([1.0, 6.0])
    path, growth = scaled_limit(MeanField("relu", sigma_w2=w2), [0.5, 1.0], 2.0, 0.1)
    np.testing.assert_allclose(path.q, 2 * np.exp(np.outer([0.5, 1], w2 / 2)), rtol=1e-8)
    np.testing.assert_allclose(growth, np.outer([0.5, 1], w2 / 2), rtol=1e-8)
    for c, clock in zip(path.c[1], w2 / 2, strict=True):
        assert quad(lambda c: 1 / (relu_map(c) - c), 0.1, c)[0] == pytest.approx(clock, rel=1e-7)


def test_scaled_limit_of_tanh_is_approached_like_one_over_depth():
    field = {"sigma_w2": 3.0, "sigma_b2": 1.0}
    limit, growth = scaled_limit(MeanField(TANH, **field), [0.0, 1.0], 1.5, -0.2)
    assert limit.q[0] == 1.5 and limit.c[0] == pytest.approx(-0.2)
    q, c, log = {}, {}, {}
    for depth in (20, 40):
        path = MeanField(TANH, **field, residual=depth**-0.5).trajectory(depth, 1.5, -0.2)
        q[depth], c[depth], log[depth] = path.q[-1], path.c[-1], np.log(path.chi[:-1]).sum()
    for at, value in ((q, limit.q[1]), (c, limit.c[1]), (log, growth[1])):
        assert at[20] == pytest.approx(float(value), rel=0.05)
        assert abs(2 * at[40] - at[20] - value) < 0.1 * abs(at[20] - value)


@pytest.mark.parametrize("bad", [{"times": [1.0, 0.5]}, {"times": [0.0]}, {"c0": 1.0}, {"q0": 0.0}])
def test_bad_arguments_are_one_clear_error(bad):
    good = {"times": [1.0], "q0": 1.0, "c0": 0.0}
    with pytest.raises(ParameterError, match=next(iter(bad))):
        scaled_limit(MeanField("relu", sigma_w2=1.0), **(good | bad))
