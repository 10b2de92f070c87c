"""What a network does to its inputs before training, why it would not train, and what to change."""

from igbrepro.diagnosis.advice import DEPTH_SCALES
from igbrepro.diagnosis.monitor import BiasMonitor, bias_numbers
from igbrepro.diagnosis.report import Diagnosis, diagnose

__all__ = [
    "DEPTH_SCALES",
    "BiasMonitor",
    "Diagnosis",
    "bias_numbers",
    "diagnose",
]
