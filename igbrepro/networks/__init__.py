"""Networks from one description each, in theory and in torch; only what builds one loads torch."""

from igbrepro.networks.builder import build
from igbrepro.networks.cnn import CNNSpec
from igbrepro.networks.mlp import MLPSpec, preactivations
from igbrepro.networks.resnet import ResNetSpec
from igbrepro.networks.spec import Spec
from igbrepro.networks.torchvision import TORCHVISION, TorchvisionSpec, least_side
from igbrepro.networks.vit import ViTSpec

__all__ = [
    "CNNSpec",
    "MLPSpec",
    "ResNetSpec",
    "Spec",
    "TORCHVISION",
    "TorchvisionSpec",
    "ViTSpec",
    "build",
    "least_side",
    "preactivations",
]
