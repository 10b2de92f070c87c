"""The classification architectures of torchvision by name: what is known of them without torch, and torch modules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from igbrepro.checks import whole
from igbrepro.errors import ParameterError

if TYPE_CHECKING:
    from torch import nn

_ACTIVATIONS = {
    "convnext": "gelu",
    "efficientnet": "silu",
    "maxvit": "gelu",
    "swin_transformer": "gelu",
    "vision_transformer": "gelu",
}


@dataclass(frozen=True)
class TorchvisionSpec:
    """An architecture of torchvision, for square images (3, side, side) of a side that it takes (`least_side`).

    activation: that of its family; "relu" also where a family clips it or takes a hard swish for it (MobileNet).
    depth: its convolutions and linear layers.
    Raises ParameterError for a name that torchvision does not have, and sizes out of range.
    """

    name: str
    n_classes: int = 1000
    input_shape: tuple[int, int, int] = (3, 224, 224)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_classes", whole("n_classes", self.n_classes, 1))
        shape = tuple(self.input_shape)
        if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2] or least_side(self.name, shape[1]) != shape[1]:
            side = least_side(self.name, max(shape))
            raise ParameterError(f"input_shape={shape}: {self.name} takes (3, {side}, {side}).")
        object.__setattr__(self, "input_shape", shape)

    @property
    def facts(self) -> Facts:
        """What torchvision says of it."""
        return TORCHVISION[self.name]

    @property
    def activation(self) -> str:
        return _ACTIVATIONS.get(self.facts.family, "relu")

    @property
    def depth(self) -> int:
        return self.facts.layers

    def module(self) -> nn.Module:
        """The network as torchvision draws it; GoogLeNet and Inception as their papers do."""
        from torchvision import models

        side, extra = self.input_shape[1], {}
        if self.facts.family in ("vision_transformer", "maxvit"):
            extra = {"image_size": side} if self.facts.family == "vision_transformer" else {"input_size": (side, side)}
        elif self.facts.family in ("googlenet", "inception"):
            extra = {"init_weights": True}
        return models.get_model(self.name, weights=None, num_classes=self.n_classes, **extra)


def least_side(name: str, resolution: int) -> int:
    """The smallest side of square images, `resolution` or more, that an architecture of torchvision takes."""
    if name not in TORCHVISION:
        raise ParameterError(f"name={name!r}: torchvision has no such model; igbrepro.networks.TORCHVISION lists them.")
    facts = TORCHVISION[name]
    if facts.family in ("vision_transformer", "maxvit"):  # whole patches, whole windows
        return facts.least * math.ceil(resolution / facts.least)
    return max(resolution, facts.least)


class Facts(NamedTuple):
    """What torchvision says of an architecture.

    family: its module.  least: the smallest side of an image; of transformers with whole patches, or windows, their
        side.  parameters: with 1,000 classes.  operations: multiplications of one image, of the side `side` that
        torchvision's own weights are for.  layers: convolutions and linear ones.
    """

    family: str
    least: int
    parameters: int
    operations: float
    side: int
    layers: int


TORCHVISION = {
    "alexnet": Facts("alexnet", 63, 61_100_840, 0.714e9, 224, 8),
    "convnext_base": Facts("convnext", 32, 88_591_464, 15.355e9, 224, 113),
    "convnext_large": Facts("convnext", 32, 197_767_336, 34.361e9, 224, 113),
    "convnext_small": Facts("convnext", 32, 50_223_688, 8.684e9, 224, 113),
    "convnext_tiny": Facts("convnext", 32, 28_589_128, 4.456e9, 224, 59),
    "densenet121": Facts("densenet", 29, 7_978_856, 2.834e9, 224, 121),
    "densenet161": Facts("densenet", 29, 28_681_000, 7.728e9, 224, 161),
    "densenet169": Facts("densenet", 29, 14_149_480, 3.36e9, 224, 169),
    "densenet201": Facts("densenet", 29, 20_013_928, 4.291e9, 224, 201),
    "efficientnet_b0": Facts("efficientnet", 1, 5_288_548, 0.386e9, 224, 82),
    "efficientnet_b1": Facts("efficientnet", 1, 7_794_184, 0.687e9, 240, 116),
    "efficientnet_b2": Facts("efficientnet", 1, 9_109_994, 1.088e9, 288, 116),
    "efficientnet_b3": Facts("efficientnet", 1, 12_233_232, 1.827e9, 300, 131),
    "efficientnet_b4": Facts("efficientnet", 1, 19_341_616, 4.394e9, 380, 161),
    "efficientnet_b5": Facts("efficientnet", 1, 30_389_784, 10.266e9, 456, 195),
    "efficientnet_b6": Facts("efficientnet", 1, 43_040_704, 19.068e9, 528, 225),
    "efficientnet_b7": Facts("efficientnet", 1, 66_347_960, 37.746e9, 600, 274),
    "efficientnet_v2_l": Facts("efficientnet", 33, 118_515_272, 56.08e9, 480, 340),
    "efficientnet_v2_m": Facts("efficientnet", 33, 54_139_356, 24.582e9, 480, 246),
    "efficientnet_v2_s": Facts("efficientnet", 33, 21_458_488, 8.366e9, 384, 171),
    "googlenet": Facts("googlenet", 15, 6_624_904, 1.498e9, 224, 64),
    "inception_v3": Facts("inception", 75, 27_161_264, 5.713e9, 299, 98),
    "maxvit_t": Facts("maxvit", 224, 30_919_624, 5.558e9, 224, 151),
    "mnasnet0_5": Facts("mnasnet", 1, 2_218_512, 0.104e9, 224, 53),
    "mnasnet0_75": Facts("mnasnet", 1, 3_170_208, 0.215e9, 224, 53),
    "mnasnet1_0": Facts("mnasnet", 1, 4_383_312, 0.314e9, 224, 53),
    "mnasnet1_3": Facts("mnasnet", 1, 6_282_256, 0.526e9, 224, 53),
    "mobilenet_v2": Facts("mobilenetv2", 1, 3_504_872, 0.301e9, 224, 53),
    "mobilenet_v3_large": Facts("mobilenetv3", 1, 5_483_032, 0.217e9, 224, 64),
    "mobilenet_v3_small": Facts("mobilenetv3", 1, 2_542_856, 0.057e9, 224, 54),
    "regnet_x_16gf": Facts("regnet", 1, 54_278_536, 15.941e9, 224, 72),
    "regnet_x_1_6gf": Facts("regnet", 1, 9_190_136, 1.603e9, 224, 60),
    "regnet_x_32gf": Facts("regnet", 1, 107_811_560, 31.736e9, 224, 75),
    "regnet_x_3_2gf": Facts("regnet", 1, 15_296_552, 3.177e9, 224, 81),
    "regnet_x_400mf": Facts("regnet", 1, 5_495_976, 0.414e9, 224, 72),
    "regnet_x_800mf": Facts("regnet", 1, 7_259_656, 0.8e9, 224, 54),
    "regnet_x_8gf": Facts("regnet", 1, 39_572_648, 7.995e9, 224, 75),
    "regnet_y_128gf": Facts("regnet", 1, 644_812_894, 374.57e9, 384, 141),
    "regnet_y_16gf": Facts("regnet", 1, 83_590_140, 15.912e9, 224, 96),
    "regnet_y_1_6gf": Facts("regnet", 1, 11_202_430, 1.612e9, 224, 141),
    "regnet_y_32gf": Facts("regnet", 1, 145_046_770, 32.28e9, 224, 106),
    "regnet_y_3_2gf": Facts("regnet", 1, 19_436_338, 3.176e9, 224, 111),
    "regnet_y_400mf": Facts("regnet", 1, 4_344_144, 0.402e9, 224, 86),
    "regnet_y_800mf": Facts("regnet", 1, 6_432_512, 0.834e9, 224, 76),
    "regnet_y_8gf": Facts("regnet", 1, 39_381_472, 8.473e9, 224, 91),
    "resnet101": Facts("resnet", 1, 44_549_160, 7.801e9, 224, 105),
    "resnet152": Facts("resnet", 1, 60_192_808, 11.514e9, 224, 156),
    "resnet18": Facts("resnet", 1, 11_689_512, 1.814e9, 224, 21),
    "resnet34": Facts("resnet", 1, 21_797_672, 3.664e9, 224, 37),
    "resnet50": Facts("resnet", 1, 25_557_032, 4.089e9, 224, 54),
    "resnext101_32x8d": Facts("resnet", 1, 88_791_336, 16.414e9, 224, 105),
    "resnext101_64x4d": Facts("resnet", 1, 83_455_272, 15.46e9, 224, 105),
    "resnext50_32x4d": Facts("resnet", 1, 25_028_904, 4.23e9, 224, 54),
    "shufflenet_v2_x0_5": Facts("shufflenetv2", 1, 1_366_792, 0.04e9, 224, 57),
    "shufflenet_v2_x1_0": Facts("shufflenetv2", 1, 2_278_604, 0.145e9, 224, 57),
    "shufflenet_v2_x1_5": Facts("shufflenetv2", 1, 3_503_624, 0.296e9, 224, 57),
    "shufflenet_v2_x2_0": Facts("shufflenetv2", 1, 7_393_996, 0.583e9, 224, 57),
    "squeezenet1_0": Facts("squeezenet", 21, 1_248_424, 0.819e9, 224, 26),
    "squeezenet1_1": Facts("squeezenet", 17, 1_235_496, 0.349e9, 224, 26),
    "swin_b": Facts("swin_transformer", 1, 87_768_224, 15.431e9, 224, 101),
    "swin_s": Facts("swin_transformer", 1, 49_606_258, 8.741e9, 224, 101),
    "swin_t": Facts("swin_transformer", 1, 28_288_354, 4.491e9, 224, 53),
    "swin_v2_b": Facts("swin_transformer", 1, 87_930_848, 20.325e9, 256, 149),
    "swin_v2_s": Facts("swin_transformer", 1, 49_737_442, 11.546e9, 256, 149),
    "swin_v2_t": Facts("swin_transformer", 1, 28_351_570, 5.94e9, 256, 77),
    "vgg11": Facts("vgg", 32, 132_863_336, 7.609e9, 224, 11),
    "vgg11_bn": Facts("vgg", 32, 132_868_840, 7.609e9, 224, 11),
    "vgg13": Facts("vgg", 32, 133_047_848, 11.308e9, 224, 13),
    "vgg13_bn": Facts("vgg", 32, 133_053_736, 11.308e9, 224, 13),
    "vgg16": Facts("vgg", 32, 138_357_544, 15.47e9, 224, 16),
    "vgg16_bn": Facts("vgg", 32, 138_365_992, 15.47e9, 224, 16),
    "vgg19": Facts("vgg", 32, 143_667_240, 19.632e9, 224, 19),
    "vgg19_bn": Facts("vgg", 32, 143_678_248, 19.632e9, 224, 19),
    "vit_b_16": Facts("vision_transformer", 16, 86_567_656, 17.564e9, 224, 38),
    "vit_b_32": Facts("vision_transformer", 32, 88_224_232, 4.409e9, 224, 38),
    "vit_h_14": Facts("vision_transformer", 14, 633_470_440, 1016.72e9, 518, 98),
    "vit_l_16": Facts("vision_transformer", 16, 304_326_632, 61.555e9, 224, 74),
    "vit_l_32": Facts("vision_transformer", 32, 306_535_400, 15.378e9, 224, 74),
    "wide_resnet101_2": Facts("resnet", 1, 126_886_696, 22.753e9, 224, 105),
    "wide_resnet50_2": Facts("resnet", 1, 68_883_240, 11.398e9, 224, 54),
}
