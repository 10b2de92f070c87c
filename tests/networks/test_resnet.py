"""ResNets: what their description refuses, their depth, torchvision's own, and the start of their norms."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import ResNetSpec, build

BAD = [
    ({"stages": ()}, r"stages=\(\): need at least one"),
    ({"stages": (2, 0)}, "stages=0: need a whole number, 1 or more"),
    ({"stages": 3}, "stages=3: need a tuple"),
    ({"width": -1}, "width=-1"),
    ({"scale": 0}, "scale=0.0: need finite numbers > 0"),
    ({"scale": "deep"}, "scale='deep'"),
]
INIT = InitSpec(1.7, 0.3)


@pytest.mark.parametrize(("change", "words"), BAD, ids=lambda v: None if isinstance(v, str) else str(v))
def test_what_makes_no_network_is_refused_in_words(change, words):
    ResNetSpec()
    with pytest.raises(ParameterError, match=words):
        ResNetSpec(**change)


@pytest.mark.parametrize(("stages", "depth"), [((3, 3, 3), 20), ((2, 2, 2, 2), 18), ((9, 9, 9), 56)])
def test_depth_counts_the_layers_on_the_longest_way(stages, depth):
    spec = ResNetSpec(stages=stages, width=2)
    layers = [m for m in build(spec).modules() if isinstance(m, nn.Linear | nn.Conv2d) and m.weight.shape[2:] != (1, 1)]
    assert spec.depth == depth == len(layers)


def test_branches_scaled_by_depth():
    spec = ResNetSpec(stages=[2, 2, 5], scale="depth")
    assert spec.scale == pytest.approx(1 / 3) and spec == ResNetSpec(stages=(2, 2, 5), scale=spec.scale)
    assert hash(spec) == hash(ResNetSpec(stages=(2, 2, 5), scale=spec.scale)) and ResNetSpec().scale is None


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n, *shape, seed=0):
    return torch.randn(n, *shape, generator=seeded(seed), dtype=torch.float64)


def test_four_stages_of_two_are_torchvisions_resnet18_with_the_small_stem():
    ours = build(ResNetSpec("relu", (2, 2, 2, 2), 64, 10, (3, 16, 16)), "he", seeded())
    theirs = resnet18(num_classes=10)
    theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    state = list(ours.state_dict().values())
    for value in state:
        if value.dtype == torch.float32 and value.ndim == 1:  # biases, and what batch normalisation keeps
            value.uniform_(0.5, 1.5, generator=seeded(1))
    names = list(theirs.state_dict())
    theirs.load_state_dict(dict(zip(names, state, strict=True)))
    x = images(2, 3, 16, 16).float()
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    torch.testing.assert_close(ours.train()(x), theirs.train()(x))


@pytest.mark.parametrize("norm", [True, False])
def test_branches_of_a_residual_block_are_scaled(norm):
    block = build(ResNetSpec("tanh", (1,), 4, scale=0.3, norm=norm), INIT, seeded()).double().train()[1]
    x, identity = images(5, 4, 6, 6), lambda h: h
    normal = (lambda h: F.batch_norm(h, None, None, training=True)) if norm else identity
    assert (block.conv1.bias is None) == norm
    h = torch.tanh(normal(F.conv2d(x, block.conv1.weight, block.conv1.bias, padding=1)))
    want = torch.tanh(x + 0.3 * normal(F.conv2d(h, block.conv2.weight, block.conv2.bias, padding=1)))
    torch.testing.assert_close(block(x), want)


def test_batch_normalisation_starts_as_the_identity():
    norms = [
        m
        for m in build(ResNetSpec("relu", (1, 1), 4, 4, (3, 8, 8)), INIT, seeded()).modules()
        if isinstance(m, nn.BatchNorm2d)
    ]
    assert len(norms) == 6
    for norm in norms:
        assert (norm.weight == 1).all() and (norm.running_var == 1).all() and norm.num_batches_tracked == 0
        assert not norm.bias.any() and not norm.running_mean.any()
