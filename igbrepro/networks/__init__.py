"""Networks from one description each, in theory and in torch."""

from igbrepro.networks.builder import Spec, build
from igbrepro.networks.cnn import CNNSpec
from igbrepro.networks.mlp import MLPSpec, preactivations
from igbrepro.networks.resnet import ResNetSpec
from igbrepro.networks.stacked import StackedMLP
from igbrepro.networks.vit import ViTSpec

__all__ = [
    "CNNSpec",
    "MLPSpec",
    "ResNetSpec",
    "Spec",
    "StackedMLP",
    "ViTSpec",
    "build",
    "preactivations",
]
