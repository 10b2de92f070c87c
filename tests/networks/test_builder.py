"""Image networks of every kind, built by the well-known rules and from one seed."""

import pytest
import torch
from assertions import assert_normal
from torch import nn

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, ResNetSpec, ViTSpec, build

INIT = InitSpec(1.7, 0.3)
SMALL = {
    "cnn": CNNSpec("relu", 2, 5, 4, (3, 8, 8)),
    "resnet": ResNetSpec("relu", (1, 1), 4, 4, (3, 8, 8)),
    "vit": ViTSpec("relu", 2, 8, 2, input_shape=(3, 8, 8), n_classes=4),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def flat(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


@pytest.mark.parametrize("scheme", ["he", "xavier"])
def test_well_known_rules_have_their_published_variances(scheme):
    spec = CNNSpec("relu", 2, 20, 7, (3, 8, 8), kernel=5, strides=(2,))
    model = build(spec, scheme, seeded())
    for layer, fan_in, fan_out in ((0, 75, 500), (2, 500, 500), (5, 320, 7)):
        assert_normal(model[layer].weight, 2 / fan_in if scheme == "he" else 2 / (fan_in + fan_out))
        assert not model[layer].bias.any()
    block = build(ViTSpec("relu", 1, 40, 4, input_shape=(3, 8, 8)), scheme, seeded()).encoder.layers[0]
    for weight in block.self_attention.in_proj_weight.chunk(3):
        assert_normal(weight, 2 / 40 if scheme == "he" else 2 / 80)
    rule = {"he": nn.init.kaiming_normal_, "xavier": nn.init.xavier_normal_}[scheme]
    options = {"nonlinearity": "relu"} if scheme == "he" else {}
    assert torch.equal(model[0].weight, rule(torch.empty(20, 3, 5, 5), generator=seeded(), **options))


@pytest.mark.parametrize("spec", SMALL.values(), ids=SMALL)
def test_the_default_start_comes_from_the_generator_alone(spec):
    before = torch.get_rng_state()
    one, again, other = (flat(build(spec, "default", seeded(seed))) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one, again) and not torch.equal(one, other)


@pytest.mark.parametrize("spec", SMALL.values(), ids=SMALL)
def test_one_seed_one_network_whatever_the_rule(spec):
    before = torch.get_rng_state()
    for init in (INIT, "he", "xavier"):
        one, again, other = (flat(build(spec, init, seeded(seed))) for seed in (3, 3, 4))
        assert torch.equal(one, again) and torch.isfinite(one).all() and not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


def test_unknown_rules_and_descriptions_are_refused():
    with pytest.raises(ParameterError, match=r"init='defautl': need an InitSpec.*default, he, xavier"):
        build(SMALL["cnn"], "defautl")
    with pytest.raises(ParameterError, match="spec='cnn': need the description of a network"):
        build("cnn", INIT)
