import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import halfnorm, norm

from igbrepro.errors import ParameterError
from igbrepro.theory import class_errors, errors_of_networks, mean_class_errors, median_class_errors, sampled_logits


def square_error(centre, deviation):
    """E[(1 - p)^2] by adaptive quadrature."""
    if deviation == 0:
        return expit(-centre) ** 2
    middle = np.clip(-centre / deviation, -9, 9)
    return quad(
        lambda v: norm.pdf(v) * expit(-(centre + deviation * v)) ** 2, -10, 10, points=[middle], limit=400, epsabs=1e-13
    )[0]


@pytest.mark.parametrize("q", [1e-3, 0.7, 30.0, 1e4])
@pytest.mark.parametrize("c", [0.0, 0.4, 0.99, 1.0])
@pytest.mark.parametrize("z", [0.0, 0.6, 2.5])
def test_errors_against_adaptive_quadrature(q, c, z):
    mean, deviation = z * np.sqrt(2 * q * c), np.sqrt(2 * q * (1 - c))
    for found, centre in zip(class_errors(q, c, z), (mean, -mean), strict=True):
        assert found == pytest.approx(square_error(centre, deviation), rel=1e-7, abs=1e-11)


def test_no_signal_is_a_coin_toss():
    assert class_errors(0.0, 0.5, 1.0) == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize(("q", "c"), [(0.5, 0.3), (40.0, 0.9), (400.0, 1.0)])
def test_mean_over_networks_against_quadrature(q, c):
    for i, found in enumerate(mean_class_errors(q, c)):
        want, _ = quad(lambda z, i=i: halfnorm.pdf(z) * class_errors(q, c, z)[i], 0, 9, epsabs=1e-11, limit=200)
        assert found == pytest.approx(want, rel=1e-6)


def test_deep_prejudice_leaves_the_error_to_one_class():
    """For c = 1 and large q: 1 for the class that is never guessed; for the other q^(-1/2) times a number in the mean,
    the integral of expit(-x)^2 over x > 0 being log 2 - 1/2, and exp(-1.9 sqrt q) in the median network.
    """
    q = 1e4
    favoured, other = mean_class_errors(q, 1.0)
    assert favoured == pytest.approx((np.log(2) - 0.5) * 2 / np.sqrt(2 * np.pi) / np.sqrt(2 * q), rel=1e-3)
    assert other == pytest.approx(1, abs=0.02)
    favoured, other = median_class_errors(q, 1.0)
    assert np.log(favoured) == pytest.approx(-2 * 0.67449 * np.sqrt(2 * q), rel=1e-4) and other == pytest.approx(1)


def test_bad_arguments_are_named():
    with pytest.raises(ParameterError, match="c="):
        class_errors(1.0, 1.5, 0.0)


def test_errors_of_networks_by_hand():
    """Two networks, three inputs: differences log 3 make probabilities 3/4 and 1/4."""
    x = np.log(3) * np.array([[1.0, 1.0, -1.0], [-1.0, -1.0, -1.0]])
    found = errors_of_networks(x, [1, 0, 0])
    np.testing.assert_allclose(found["favoured"], [1 / 16, 1 / 16])
    np.testing.assert_allclose(found["unfavoured"], [(9 + 1) / 32, 9 / 16])
    np.testing.assert_allclose(found["all"], [(1 + 9 + 1) / 48, (9 + 1 + 1) / 48])
    np.testing.assert_allclose(errors_of_networks(x, [1, 0, 0], 2)["all"], np.log(3) ** 2 * found["all"])
    assert np.isnan(errors_of_networks(x, [0, 0, 0])["favoured"][0])


@pytest.mark.parametrize(("q", "c"), [(0.8, 0.7), (30.0, 0.95), (50.0, 1.0)])
def test_sampled_logits_follow_the_law(q, c):
    """Many inputs of one correlation: the mean over sampled networks is that of the Gaussian law."""
    n, n_networks = 300, 6000
    covariance = q * ((1 - c) * np.eye(n) + c)
    found = errors_of_networks(sampled_logits(covariance, n_networks, np.random.default_rng(0)), np.arange(n) % 2)
    for which, law in zip(("favoured", "unfavoured"), mean_class_errors(q, c), strict=True):
        noise = found[which].std(ddof=1) / np.sqrt(n_networks)
        assert noise < 0.05 * law and abs(found[which].mean() - law) < 4 * noise + 0.005 * law
