from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import comb, ndtr
from scipy.stats import betabinom, binom, kstest, norm

from igbrepro.errors import ParameterError
from igbrepro.theory import ClassFraction, c_from_gamma, gamma_from_c, sigma_mu2, sigma_y2

GAMMAS = [0.05, 0.5, 1.0, 2.068, 10.0, 300.0]


def rng():
    return np.random.default_rng(11)


# --- gamma and c --------------------------------------------------------------------------------------------------


def test_gamma_and_c_are_each_others_inverse():
    c = np.array([0.0, 1e-12, 0.2, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(gamma_from_c([0, 0.5, 0.75, 1]), [0, 1, 3, np.inf])
    np.testing.assert_array_equal(c_from_gamma([0, 1, 3, np.inf]), [0, 0.5, 0.75, 1])
    np.testing.assert_allclose(c_from_gamma(gamma_from_c(c)), c, rtol=1e-14)
    assert c_from_gamma(2.068) == pytest.approx(0.6741, abs=5e-5)  # DESIGN: tanh at (2.48, 0.1)


def test_variances_of_the_node_law_add_up():
    q, c = np.array([0.5, 2.0]), np.array([[0.3], [0.9]])
    np.testing.assert_allclose(sigma_mu2(q, c) + sigma_y2(q, c), np.broadcast_to(q, (2, 2)))
    np.testing.assert_allclose(sigma_mu2(q, c) / sigma_y2(q, c), np.broadcast_to(gamma_from_c(c), (2, 2)))


# --- two classes --------------------------------------------------------------------------------------------------


def test_gamma_one_is_uniform():
    law, g = ClassFraction(1), np.linspace(0, 1, 11)
    np.testing.assert_array_equal(law.pdf(g), np.ones(11))
    np.testing.assert_allclose(law.cdf(g), g, atol=1e-15)
    np.testing.assert_allclose([law.mean_max(), law.var(), law.c], [0.75, 1 / 12, 0.5], rtol=1e-14)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_pdf_is_the_slope_of_cdf_and_both_are_symmetric(gamma):
    law, g, h = ClassFraction(gamma), np.linspace(0.04, 0.96, 12), 1e-4
    slope = (law.cdf(g - 2 * h) - 8 * law.cdf(g - h) + 8 * law.cdf(g + h) - law.cdf(g + 2 * h)) / (12 * h)
    np.testing.assert_allclose(law.pdf(g), slope, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(law.pdf(1 - g), law.pdf(g), rtol=1e-12)
    np.testing.assert_allclose(law.cdf(1 - g), 1 - law.cdf(g), rtol=0, atol=1e-14)
    assert (law.cdf(0.0), law.cdf(1.0)) == (0, 1)


@pytest.mark.parametrize("gamma", [0.05, 0.5, 1.0, 2.068, 10.0])
def test_pdf_integrates_to_one_and_has_the_moments(gamma):
    law = ClassFraction(gamma)
    ends = np.concatenate([10.0 ** np.arange(-30, -1, 2), [0.1, 0.5]])  # it rises steeply towards 0 for gamma > 1

    def moment(f):
        return 2 * sum(quad(lambda g: f(g) * law.pdf(g), a, b)[0] for a, b in pairwise(ends))

    left_out = 2 * norm.cdf(norm.ppf(1e-30) / np.sqrt(gamma))  # in [0, 1e-30] and its mirror image
    assert moment(lambda g: 1) + left_out == pytest.approx(1, abs=1e-7)
    assert moment(lambda g: 1 - g) + left_out == pytest.approx(law.mean_max(), abs=1e-7)
    assert moment(lambda g: (g - 0.5) ** 2) + left_out / 4 == pytest.approx(law.var(), abs=1e-7)


def test_cdf_in_high_precision():
    for gamma, g in ((0.05, 0.3), (2.0, 1e-9), (10.0, 0.999)):
        z = mp.sqrt(2) * mp.erfinv(2 * mp.mpf(g) - 1)
        assert ClassFraction(gamma).cdf(g) == pytest.approx(float(mp.ncdf(z / mp.sqrt(gamma))), rel=1e-9)


def test_mean_max_of_the_published_figure():
    """DESIGN: tanh at sigma_b2 = 0.1, sigma_w2 = 2.48 and 4.97."""
    assert ClassFraction(2.068).mean_max() == pytest.approx(0.807, abs=5e-4)
    assert ClassFraction(0.2439).mean_max() == pytest.approx(0.646, abs=5e-4)


@pytest.mark.parametrize("gamma", [*GAMMAS, 1e-12, 1e12])
def test_both_closed_forms_of_mean_max_and_var(gamma):
    with mp.workdps(50):
        c = mp.mpf(gamma) / (1 + mp.mpf(gamma))
        mean_max, var = float(mp.mpf(1) / 2 + mp.asin(mp.sqrt(c)) / mp.pi), float(mp.asin(c) / (2 * mp.pi))
    law = ClassFraction(gamma)
    assert law.mean_max() == pytest.approx(mean_max, rel=1e-14)
    assert law.var() == pytest.approx(var, rel=1e-14)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_sample_of_two_classes(gamma):
    law, n = ClassFraction(gamma), 20_000
    sample = law.sample(n, rng())
    assert sample.shape == (n,) and np.all((sample >= 0) & (sample <= 1))
    assert gamma > 20 or kstest(sample, law.cdf).pvalue > 1e-3  # beyond, many round to 1
    largest, square = np.maximum(sample, 1 - sample), (sample - 0.5) ** 2
    for values, want in ((largest, law.mean_max()), (square, law.var()), (sample, 0.5)):
        error = values.std() / np.sqrt(n)
        assert error < 0.006, "too noisy to decide"
        assert abs(values.mean() - want) < 4.5 * error


def test_ends_of_the_scale():
    none, deep = ClassFraction(0), ClassFraction(np.inf)
    assert (none.mean_max(), none.var(), none.c) == (0.5, 0, 0)
    assert (deep.mean_max(), deep.var(), deep.c) == pytest.approx((1, 0.25, 1))
    np.testing.assert_array_equal(none.cdf([0, 0.49, 0.5, 1]), [0, 0, 1, 1])
    np.testing.assert_array_equal(deep.cdf([0, 0.5, 0.99, 1]), [0.5, 0.5, 0.5, 1])
    np.testing.assert_array_equal(none.sample(3, rng()), [0.5] * 3)
    assert set(deep.sample(50, rng())) == {0.0, 1.0}
    for law in (none, deep):
        with pytest.raises(ParameterError, match="G_0 is discrete there and has no density; use cdf"):
            law.pdf(0.3)


# --- counts of finitely many inputs -------------------------------------------------------------------------------


def test_pmf_against_adaptive_quadrature():
    for gamma in (0.05, 0.7, 10.0, 1e4):
        root = np.sqrt(gamma)
        for k in (1, 4, 12):

            def density(u, k=k, root=root):  # over u = sqrt(gamma) z, of k among 12
                chance = comb(12, k) * ndtr(u) ** k * ndtr(-u) ** (12 - k)
                return chance * np.exp(-((u / root) ** 2) / 2) / root / np.sqrt(2 * np.pi)

            edge = 40 * min(root, 1)
            pieces = (-edge, -edge / 10, 0, edge / 10, edge)
            want = sum(quad(density, a, b, epsabs=0, limit=200)[0] for a, b in pairwise(pieces))
            if k == 12:  # beyond u = 40 every input goes to class 0
                want += norm.sf(40 / root) if root > 1 else 0
            assert ClassFraction(gamma).pmf(12)[k] == pytest.approx(want, rel=1e-9), (gamma, k)


@pytest.mark.parametrize("gamma", [0, *GAMMAS, 1e8, np.inf])
def test_pmf_is_a_symmetric_law_with_the_right_variance(gamma):
    n, law = 60, ClassFraction(gamma)
    pmf, k = law.pmf(n), np.arange(n + 1)
    assert pmf.shape == (n + 1,) and np.all(pmf >= 0)
    assert pmf.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(pmf, pmf[::-1], rtol=1e-9, atol=1e-16)
    variance = n * (n - 1) * law.var() + n / 4  # of a binomial mixture
    assert pmf @ (k - n / 2) ** 2 == pytest.approx(variance, rel=1e-9)


def test_pmf_of_special_cases():
    np.testing.assert_allclose(ClassFraction(1).pmf(7), np.full(8, 1 / 8), rtol=1e-12)
    np.testing.assert_allclose(ClassFraction(1).pmf(2000), betabinom.pmf(np.arange(2001), 2000, 1, 1), rtol=1e-10)
    np.testing.assert_allclose(ClassFraction(0).pmf(9), binom.pmf(np.arange(10), 9, 0.5), rtol=1e-10)
    np.testing.assert_allclose(ClassFraction(np.inf).pmf(5), [0.5, 0, 0, 0, 0, 0.5], atol=1e-50)
    np.testing.assert_allclose(ClassFraction(3.0).pmf(1), [0.5, 0.5], rtol=1e-12)


def test_atoms_at_both_ends():
    """DESIGN: 0.34 at gamma = 10, n = 500, so that a plain test of the fractions rejects their true law."""
    law, n = ClassFraction(10), 500
    assert law.pmf(n)[[0, -1]].sum() == pytest.approx(0.34, abs=5e-3)
    counts = rng().binomial(n, law.sample(2000, rng()))
    assert kstest(counts / n, law.cdf).pvalue < 1e-6


@pytest.mark.parametrize("gamma", [0.05, 1.0, 10.0, 1e4])
def test_randomised_pit_is_uniform_under_the_true_law_only(gamma):
    n, draws = 500, 3000
    generator = rng()
    counts = generator.binomial(n, ClassFraction(gamma).sample(draws, generator))
    pit = ClassFraction(gamma).randomised_pit(counts, n, generator)
    assert pit.shape == (draws,) and np.all((pit >= 0) & (pit <= 1))
    assert kstest(pit, "uniform").pvalue > 1e-3
    for wrong in (1.5 * gamma, gamma / 1.5) if gamma < 1e3 else (gamma / 200,):
        assert kstest(ClassFraction(wrong).randomised_pit(counts, n, generator), "uniform").pvalue < 1e-4


# --- more classes -------------------------------------------------------------------------------------------------


def three_classes(lead):
    """P(class 0 wins) when the other two means lie `lead` below and above: one integral over the winner's output."""
    return quad(lambda y: norm.pdf(y) * norm.cdf(y - lead[0]) * norm.cdf(y - lead[1]), -12, 12, epsabs=1e-14)[0]


def test_fractions_of_three_classes_against_quadrature():
    means = np.array([[0.0, 0.0, 0.0], [1.0, -0.5, 0.2], [-2.0, 3.0, 2.9]])
    got = ClassFraction(2.5, 3).fractions(means)
    for row, fractions in zip(means, got, strict=True):
        for k in range(3):
            lead = np.sqrt(2.5) * (np.delete(row, k) - row[k])
            assert fractions[k] == pytest.approx(three_classes(lead), abs=1e-10)


def test_two_classes_by_the_general_rule():
    """Two independent means: the difference of two standard normals has variance 2 on both sides, so gamma is kept."""
    means = rng().standard_normal((50, 2))
    got = ClassFraction(4.0, 2).fractions(means)
    want = norm.cdf(2 * (means[:, 0] - means[:, 1]) / np.sqrt(2))
    np.testing.assert_allclose(got[:, 0], want, atol=1e-12)


@pytest.mark.parametrize("n_classes", [3, 10, 100])
@pytest.mark.parametrize("gamma", [0.05, 1.0, 10.0])
def test_mean_max_and_var_of_many_classes_by_simulation(gamma, n_classes):
    """Simulates networks and two inputs each, and counts: no formula of the module is used."""
    generator, n = rng(), 40_000
    law, means = ClassFraction(gamma, n_classes), np.sqrt(gamma) * generator.standard_normal((n, n_classes))
    first, second = (np.argmax(means + generator.standard_normal(means.shape), axis=1) for _ in range(2))
    for hits, want in (
        (first == np.argmax(means, axis=1), law.mean_max()),
        (first == second, n_classes * (law.var() + 1 / n_classes**2)),
    ):
        assert abs(hits.mean() - want) < 4.5 * np.sqrt(want * (1 - want) / n)


@pytest.mark.parametrize(("n_classes", "gamma"), [(3, 0.3), (10, 4.0), (100, 1.0)])
def test_sample_of_many_classes(n_classes, gamma):
    law, n = ClassFraction(gamma, n_classes), 1500
    sample = law.sample(n, rng())
    assert sample.shape == (n, n_classes) and np.all(sample >= 0)
    np.testing.assert_allclose(sample.sum(axis=1), 1, atol=1e-10)
    largest, square = sample.max(axis=1), ((sample - 1 / n_classes) ** 2).mean(axis=1)
    for values, want in ((largest, law.mean_max()), (square, law.var())):
        error = values.std() / np.sqrt(n)
        assert error < 0.05 * want, "too noisy to decide"
        assert abs(values.mean() - want) < 4.5 * error


def test_the_ends_of_the_scale_for_many_classes():
    for n_classes in (3, 10, 100):
        none, deep = ClassFraction(0, n_classes), ClassFraction(np.inf, n_classes)
        assert none.mean_max() == pytest.approx(1 / n_classes, rel=1e-9)
        assert none.var() == pytest.approx(0, abs=1e-12)
        assert deep.mean_max() == pytest.approx(1, rel=1e-9)
        assert deep.var() == pytest.approx((1 - 1 / n_classes) / n_classes, rel=1e-9)
        np.testing.assert_allclose(none.sample(2, rng()), 1 / n_classes, atol=1e-12)
        one_hot = deep.sample(20, rng())
        assert np.all(np.sort(one_hot, axis=1) == np.eye(n_classes)[-1])


def test_mean_max_approaches_one_with_the_root_of_gamma():
    """1 - E[max] falls like 1/sqrt(gamma), by the chance that two means lie within one output's spread."""
    for n_classes in (2, 3, 10):
        short = [1 - ClassFraction(gamma, n_classes).mean_max() for gamma in (1e8, 1e10, 1e12)]
        np.testing.assert_allclose([short[0] / short[1], short[1] / short[2]], 10, rtol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3, 10, 100])
def test_bias_grows_with_gamma(n_classes):
    laws = [ClassFraction(gamma, n_classes) for gamma in (0, 0.01, 0.3, 1, 5, 100, 1e6, np.inf)]
    for name in ("mean_max", "var"):
        assert np.all(np.diff([getattr(law, name)() for law in laws]) > 0)


@pytest.mark.parametrize("gamma", [0.2, 1.7, 30.0])
def test_three_classes_to_many_digits(gamma):
    """E[G_0^2] and E[max] by a dense sum over how far the other two means lead."""
    node, weight = np.polynomial.legendre.leggauss(100)
    half = 5.5 * np.sqrt(2 * gamma)
    lead = np.concatenate([half * (node - 1), half * (node + 1)])
    weight = half * np.concatenate([weight, weight])
    a, b = lead[:, None], lead[None, :]
    density = np.exp(-(a**2 + b**2 - a * b) / (3 * gamma)) / (2 * np.pi * gamma * np.sqrt(3))
    y, step = np.linspace(-9, 9, 181, retstep=True)
    below = norm.cdf(y - lead[:, None])
    fraction = (below * step * norm.pdf(y)) @ below.T  # G_0 if the other means lead by a and b
    first = slice(0, 100)  # class 0 has the largest mean
    law, total = ClassFraction(gamma, 3), weight @ (density * fraction**2) @ weight
    largest = weight[first] @ (density * fraction)[first, first] @ weight[first]
    assert law.var() == pytest.approx(total - 1 / 9, rel=1e-7)
    assert law.mean_max() == pytest.approx(3 * largest, rel=1e-7)


BAD = {
    "negative gamma": (lambda: ClassFraction(-0.1), r"gamma=-0\.1: need a ratio of variances, >= 0"),
    "nan": (lambda: ClassFraction(np.nan), "gamma=nan"),
    "words": (lambda: ClassFraction("much"), "gamma='much': need a number"),
    "an array": (lambda: ClassFraction([1.0, 2.0]), r"gamma of shape \(2,\): need one number"),
    "one class": (lambda: ClassFraction(1, 1), "n_classes=1: need a whole number, 2 or more"),
    "half a class": (lambda: ClassFraction(1, 2.5), r"n_classes=2\.5"),
    "fraction": (lambda: ClassFraction(1).cdf(1.2), r"g=1\.2: need finite numbers in \[0, 1\]"),
    "pdf of many": (lambda: ClassFraction(1, 3).pdf(0.5), "n_classes=3: this law is known for 2 classes; use sample"),
    "no draws": (lambda: ClassFraction(1).sample(0, rng()), "n=0: need a whole number, 1 or more"),
    "no inputs": (lambda: ClassFraction(1).pmf(0), "n_inputs=0"),
    "fractions as counts": (lambda: ClassFraction(1).randomised_pit([0.2], 10, rng()), "pass counts, not fractions"),
    "too many": (lambda: ClassFraction(1).randomised_pit([3, 11], 10, rng()), "from 0 to n_inputs=10"),
    "shape": (lambda: ClassFraction(1, 3).fractions(np.zeros((4, 2))), r"means of shape \(4, 2\): need \(n, 3\)"),
    "c": (lambda: gamma_from_c([0.5, 1.1]), r"c=1\.1: need finite numbers in \[0, 1\]"),
    "negative c": (lambda: gamma_from_c(-0.1), r"c=-0\.1"),
    "gamma": (lambda: c_from_gamma([0.5, -2]), r"gamma=-2\.0"),
    "q": (lambda: sigma_mu2(-1, 0.5), r"q=-1\.0"),
    "c of sigma_y2": (lambda: sigma_y2(1, -0.5), r"c=-0\.5"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_with_its_value_and_the_remedy(name):
    call, words = BAD[name]
    with pytest.raises(ParameterError, match=words):
        call()


def test_it_says_what_it_is_and_takes_one_gamma():
    assert repr(ClassFraction(2.5, 3)) == "ClassFraction(gamma=2.5, n_classes=3)"
    with pytest.raises(ParameterError, match=r"gamma of shape \(2,\): need one number"):
        ClassFraction([1.0, 2.0])
