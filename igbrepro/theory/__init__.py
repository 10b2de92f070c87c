"""Mean-field signal propagation and Initial Guessing Bias at infinite width: NumPy and SciPy only, float64."""

from igbrepro.theory.activations import (
    ELU,
    ERF,
    GELU,
    LEAKY_RELU,
    LINEAR,
    RELU,
    SELU,
    SIGMOID,
    SILU,
    SOFTPLUS,
    TANH,
    Activation,
    get_activation,
)
from igbrepro.theory.class_fraction import ClassFraction, c_from_gamma, gamma_from_c, sigma_mu2, sigma_y2
from igbrepro.theory.designs import (
    LARGEST_SIGMA_B2,
    Design,
    design,
    from_independent_inputs,
    from_inputs,
    reachable_gamma,
    sigma_w2_for_gamma,
    trajectory_from,
)
from igbrepro.theory.given_inputs.convolution import conv_kernel
from igbrepro.theory.given_inputs.dense import DataKernel, data_kernel, next_covariance
from igbrepro.theory.kernels.folded_max import FoldedMax
from igbrepro.theory.kernels.series import SERIES, Smooth, hermite_rule, power_gaps
from igbrepro.theory.laws.class_errors import (
    class_errors,
    errors_of_networks,
    mean_class_errors,
    median_class_errors,
    sampled_logits,
)
from igbrepro.theory.laws.edge import RELU_KAPPA, edge_beta
from igbrepro.theory.laws.finite_width import relu_gap_limit, width_gap
from igbrepro.theory.laws.gradient_floor import aligned_slope, floor_per_overlap
from igbrepro.theory.laws.homogeneous import mean_gradient_profile, relu_window_gains
from igbrepro.theory.laws.post_activation import post_activation_trajectory
from igbrepro.theory.laws.residual import relu_residual_kappa, scaled_limit, sign_limit, tanh_gradient_law
from igbrepro.theory.mean_field import DepthScales, FixedPoint, MeanField, Trajectory
from igbrepro.theory.phases import (
    EDGE_TOLERANCE,
    Phase,
    PhaseGrid,
    classify,
    critical_sigma_w2,
    edge_line,
    neutral_sigma_w2,
    phase_grid,
)
from igbrepro.theory.pools.average import AveragePool
from igbrepro.theory.pools.maximum import MaxPool
from igbrepro.theory.pools.pool import Pool, check_pool
from igbrepro.theory.quadrature import bivariate_normal_cdf, bivariate_normal_cdf_gap, expectation, pair_expectation

__all__ = [
    "EDGE_TOLERANCE",
    "ELU",
    "ERF",
    "GELU",
    "LARGEST_SIGMA_B2",
    "LEAKY_RELU",
    "LINEAR",
    "RELU",
    "RELU_KAPPA",
    "SELU",
    "SERIES",
    "SIGMOID",
    "SILU",
    "SOFTPLUS",
    "TANH",
    "Activation",
    "AveragePool",
    "ClassFraction",
    "DataKernel",
    "DepthScales",
    "Design",
    "FixedPoint",
    "FoldedMax",
    "MaxPool",
    "MeanField",
    "Phase",
    "PhaseGrid",
    "Pool",
    "Smooth",
    "Trajectory",
    "aligned_slope",
    "bivariate_normal_cdf",
    "bivariate_normal_cdf_gap",
    "c_from_gamma",
    "check_pool",
    "class_errors",
    "classify",
    "conv_kernel",
    "critical_sigma_w2",
    "data_kernel",
    "design",
    "edge_beta",
    "edge_line",
    "errors_of_networks",
    "expectation",
    "floor_per_overlap",
    "from_independent_inputs",
    "from_inputs",
    "gamma_from_c",
    "get_activation",
    "hermite_rule",
    "mean_class_errors",
    "mean_gradient_profile",
    "median_class_errors",
    "neutral_sigma_w2",
    "next_covariance",
    "pair_expectation",
    "phase_grid",
    "post_activation_trajectory",
    "power_gaps",
    "reachable_gamma",
    "relu_gap_limit",
    "relu_residual_kappa",
    "relu_window_gains",
    "sampled_logits",
    "scaled_limit",
    "sigma_mu2",
    "sigma_w2_for_gamma",
    "sigma_y2",
    "sign_limit",
    "tanh_gradient_law",
    "trajectory_from",
    "width_gap",
]
