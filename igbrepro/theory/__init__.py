"""Mean-field signal propagation and Initial Guessing Bias at infinite width: NumPy and SciPy only, float64."""

from igbrepro.theory.activations import ERF, GELU, LEAKY_RELU, LINEAR, RELU, TANH, Activation, get_activation
from igbrepro.theory.design import Design, design, reachable_gamma
from igbrepro.theory.gaussian import bivariate_normal_cdf, expectation, pair_expectation
from igbrepro.theory.guessing_bias import ClassFraction, c_from_gamma, gamma_from_c, sigma_mu2, sigma_y2
from igbrepro.theory.mean_field import DepthScales, FixedPoint, MeanField, Trajectory
from igbrepro.theory.phases import Phase, PhaseGrid, classify, critical_sigma_w2, neutral_sigma_w2, phase_grid
from igbrepro.theory.pooling import AveragePool, MaxPool

__all__ = [
    "ERF", "GELU", "LEAKY_RELU", "LINEAR", "RELU", "TANH", "Activation", "AveragePool", "ClassFraction", "DepthScales",
    "Design", "FixedPoint", "MaxPool", "MeanField", "Phase", "PhaseGrid", "Trajectory", "bivariate_normal_cdf",
    "c_from_gamma", "classify", "critical_sigma_w2", "design", "expectation", "gamma_from_c", "get_activation",
    "neutral_sigma_w2", "pair_expectation", "phase_grid", "reachable_gamma", "sigma_mu2", "sigma_y2",
]  # fmt: skip
