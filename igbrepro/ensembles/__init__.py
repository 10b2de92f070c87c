"""Ensembles of finite random networks, sampled exactly, and what is measured in them."""

from igbrepro.ensembles.heads import (
    OneNumberLaw,
    head_covariance,
    head_ensemble,
    head_nodes,
    infinite_covariance,
    matrix_law,
    max_fractions,
    mean_correlation,
)
from igbrepro.ensembles.inputs import gaussian_inputs
from igbrepro.ensembles.recorder import layer_statistics
from igbrepro.ensembles.response import deviations, gradient_profile
from igbrepro.ensembles.results import EnsembleResult, Snapshot
from igbrepro.ensembles.sampler import DenseSampler, GramSampler, NormalStream
from igbrepro.ensembles.settings import Measure, Sampling
from igbrepro.ensembles.simulation import simulate

__all__ = [
    "DenseSampler",
    "EnsembleResult",
    "GramSampler",
    "Measure",
    "NormalStream",
    "OneNumberLaw",
    "Sampling",
    "Snapshot",
    "deviations",
    "gaussian_inputs",
    "gradient_profile",
    "head_covariance",
    "head_ensemble",
    "head_nodes",
    "infinite_covariance",
    "layer_statistics",
    "matrix_law",
    "max_fractions",
    "mean_correlation",
    "simulate",
]
