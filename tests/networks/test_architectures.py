"""Descriptions of image networks: what they refuse, and the sizes and depths that follow from them."""

import pytest
import torch
from torch import nn

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, ResNetSpec, ViTSpec, build
from igbrepro.theory import AveragePool, MaxPool

BAD = [
    (CNNSpec, {"activation": "reluu"}, "activation='reluu': unknown; choose from"),
    (CNNSpec, {"depth": 0}, "depth=0: need a whole number, 1 or more"),
    (CNNSpec, {"channels": 1.5}, "channels=1.5: need a whole number"),
    (CNNSpec, {"n_classes": 1}, "n_classes=1: need a whole number, 2 or more"),
    (CNNSpec, {"kernel": 4}, "kernel=4: need an odd side"),
    (CNNSpec, {"strides": 2}, "strides=2: need a tuple"),
    (CNNSpec, {"strides": "22"}, "strides='22': need a tuple"),
    (CNNSpec, {"strides": (2, 0)}, "strides=0: need a whole number, 1 or more"),
    (CNNSpec, {"depth": 1}, r"strides=\(2, 2\): more of them than depth=1"),
    (CNNSpec, {"input_shape": (32, 32)}, r"input_shape=\(32, 32\): need \(channels, height, width\)"),
    (CNNSpec, {"input_shape": (3, 0, 32)}, "input_shape=0: need a whole number, 1 or more"),
    (CNNSpec, {"pool": "max"}, "pool='max': need None or a Pool, such as MaxPool"),
    (CNNSpec, {"pool": MaxPool(4, 0.5)}, "use correlation=0"),
    (CNNSpec, {"pool": MaxPool(2)}, r"pool=MaxPool\(k=2.*k must be 4, 9, 16"),
    (CNNSpec, {"pool_stride": 2}, "pool_stride=2: need 1, or the window's side 1"),
    (CNNSpec, {"pool": MaxPool(9), "pool_stride": 2}, "pool_stride=2: need 1, or the window's side 3"),
    (CNNSpec, {"pool": MaxPool(4), "pooled": (1, 5)}, r"pooled=\(1, 5\): need layers from 1 to depth=4"),
    (
        CNNSpec,
        {"pool": MaxPool(9), "pool_stride": 3},
        r"\(16, 16\) positions at layer 1 cannot be divided by pool_stride=3",
    ),
    (CNNSpec, {"pool": MaxPool(100)}, r"window is larger than the \(8, 8\) positions of layer 2"),
    (CNNSpec, {"pool": MaxPool(4), "pool_stride": 2, "input_shape": (3, 8, 8)}, r"window is larger than the \(1, 1\)"),
    (CNNSpec, {"kernel": 5, "input_shape": (3, 4, 4)}, r"kernel=5: layer 3 reads an image of \(1, 1\) positions"),
    (ResNetSpec, {"stages": ()}, r"stages=\(\): need at least one"),
    (ResNetSpec, {"stages": (2, 0)}, "stages=0: need a whole number, 1 or more"),
    (ResNetSpec, {"stages": 3}, "stages=3: need a tuple"),
    (ResNetSpec, {"width": -1}, "width=-1"),
    (ResNetSpec, {"scale": 0}, "scale=0.0: need finite numbers > 0"),
    (ResNetSpec, {"scale": "deep"}, "scale='deep'"),
    (ViTSpec, {"heads": 3}, "width=64: need a multiple of heads=3"),
    (ViTSpec, {"patch": 5}, r"input_shape=\(3, 32, 32\): need a square that patch=5 divides"),
    (ViTSpec, {"input_shape": (3, 32, 16)}, r"input_shape=\(3, 32, 16\): need a square"),
    (ViTSpec, {"mlp_ratio": 0}, "mlp_ratio=0"),
]


@pytest.mark.parametrize(("kind", "change", "words"), BAD, ids=lambda v: None if isinstance(v, str) else str(v))
def test_what_makes_no_network_is_refused_in_words(kind, change, words):
    whole = {"activation": "relu", "depth": 4, "channels": 8} if kind is CNNSpec else {}
    kind(**whole)
    with pytest.raises(ParameterError, match=words):
        kind(**(whole | change))


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, [(16, 16), (8, 8), (8, 8), (8, 8)]),
        ({"input_shape": (1, 28, 28), "strides": (2, 2, 2)}, [(14, 14), (7, 7), (4, 4), (4, 4)]),
        ({"input_shape": (1, 9, 4), "strides": (), "kernel": 1}, [(9, 4)] * 4),
        ({"strides": [], "pool": MaxPool(4), "pool_stride": 2, "pooled": [2]}, [(32, 32), (32, 32), *[(16, 16)] * 2]),
        ({"pool": AveragePool(9)}, [(16, 16), (8, 8), (8, 8), (8, 8)]),
    ],
    ids=["strides", "odd sides", "oblong", "pools", "pools of stride 1"],
)
def test_sizes_are_those_of_the_layers(options, sizes):
    spec = CNNSpec("relu", 3, 2, **options)
    assert spec.sizes == sizes
    model, found = build(spec, InitSpec(2.0)), []
    for module in model:
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, _, out: found.append(tuple(out.shape[2:])))
    model(torch.ones(1, *spec.input_shape))
    assert found == sizes[:3] and model[-1].in_features == 2 * sizes[3][0] * sizes[3][1]


def test_only_layers_with_a_pool_need_room_for_its_window():
    spec = CNNSpec("relu", 4, 2, input_shape=(1, 8, 8), strides=(1, 2, 2, 2), pool=MaxPool(4), pooled=[1])
    assert spec.sizes[-1] == (1, 1) and spec.pooled == (1,)
    assert [spec.has_pool(layer) for layer in (1, 2, 3, 4)] == [True, False, False, False]


@pytest.mark.parametrize(("stages", "depth"), [((3, 3, 3), 20), ((2, 2, 2, 2), 18), ((9, 9, 9), 56)])
def test_depth_counts_the_layers_on_the_longest_way(stages, depth):
    spec = ResNetSpec(stages=stages, width=2)
    layers = [m for m in build(spec).modules() if isinstance(m, nn.Linear | nn.Conv2d) and m.weight.shape[2:] != (1, 1)]
    assert spec.depth == depth == len(layers)


def test_branches_scaled_by_depth():
    spec = ResNetSpec(stages=[2, 2, 5], scale="depth")
    assert spec.scale == pytest.approx(1 / 3) and spec == ResNetSpec(stages=(2, 2, 5), scale=spec.scale)
    assert hash(spec) == hash(ResNetSpec(stages=(2, 2, 5), scale=spec.scale)) and ResNetSpec().scale is None


def test_the_theory_of_a_convolutional_layer_is_that_of_its_description():
    theory = CNNSpec("tanh", 2, 8, pool=MaxPool(4)).mean_field(InitSpec(1.5, 0.1))
    assert (theory.sigma_w2, theory.sigma_b2, theory.pool) == (1.5, 0.1, MaxPool(4))
