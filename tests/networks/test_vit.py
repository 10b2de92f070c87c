"""Vision transformers: what their description refuses, the published formulas, and the variances of their layers."""

import math

import numpy as np
import pytest
import torch
from assertions import assert_normal
from scipy.optimize import brentq
from scipy.special import erf, softmax
from torch import nn

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.modules import NoSkipBlock
from igbrepro.networks import ViTSpec, build

BAD = [
    ({"heads": 3}, "width=64: need a multiple of heads=3"),
    ({"patch": 5}, r"input_shape=\(3, 32, 32\): need a square that patch=5 divides"),
    ({"input_shape": (3, 32, 16)}, r"input_shape=\(3, 32, 16\): need a square"),
    ({"mlp_ratio": 0}, "mlp_ratio=0"),
]
INIT = InitSpec(1.7, 0.3)


@pytest.mark.parametrize(("change", "words"), BAD, ids=lambda v: None if isinstance(v, str) else str(v))
def test_what_makes_no_network_is_refused_in_words(change, words):
    ViTSpec()
    with pytest.raises(ParameterError, match=words):
        ViTSpec(**change)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n, *shape, seed=0):
    return torch.randn(n, *shape, generator=seeded(seed), dtype=torch.float64)


def transformer(model, x, spec):
    """A vision transformer in NumPy, from the published formulas."""

    def linear(module, h):
        return h @ module.weight.detach().numpy().T + module.bias.detach().numpy()

    def norm(module, h):
        if not spec.norm:
            return h
        return (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + module.eps)

    def attention(module, h):
        weights, biases = (p.detach().numpy() for p in (module.in_proj_weight, module.in_proj_bias))
        q, k, v = (
            (h @ w.T + b).reshape(*h.shape[:2], spec.heads, -1).transpose(0, 2, 1, 3)
            for w, b in zip(np.split(weights, 3), np.split(biases, 3), strict=True)
        )
        mixed = softmax(q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1]), -1) @ v
        return linear(module.out_proj, mixed.transpose(0, 2, 1, 3).reshape(h.shape))

    n, channels, side, p = *x.shape[:3], spec.patch
    patches = (
        x.reshape(n, channels, side // p, p, side // p, p).transpose(0, 2, 4, 1, 3, 5).reshape(n, -1, channels * p * p)
    )
    conv = model.conv_proj[0] if spec.patch_norm else model.conv_proj
    tokens = patches @ conv.weight.detach().numpy().reshape(spec.width, -1).T
    tokens = tokens + conv.bias.detach().numpy()
    if spec.patch_norm:
        tokens = (tokens - tokens.mean((0, 1))) / np.sqrt(tokens.var((0, 1)) + model.conv_proj[1].eps)
    h = np.concatenate([np.tile(model.class_token.detach().numpy(), (n, 1, 1)), tokens], 1)
    h = h + model.encoder.pos_embedding.detach().numpy()
    for block in model.encoder.layers:
        skip = h if spec.residual else 0
        h = skip + attention(block.self_attention, norm(block.ln_1, h))
        skip, u = h if spec.residual else 0, linear(block.mlp[0], norm(block.ln_2, h))
        h = skip + linear(block.mlp[3], u * (1 + erf(u / math.sqrt(2))) / 2)
    return linear(model.heads.head, norm(model.encoder.ln, h)[:, 0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("norm", "residual"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_vision_transformer_is_the_published_formulas(norm, residual, channels):
    spec = ViTSpec("gelu", 2, 12, 3, 4, 2, 5, (channels, 8, 8), norm, residual)
    model, x = build(spec, InitSpec(3.0, 0.2), seeded()).double(), images(3, channels, 8, 8)
    nn.init.normal_(model.class_token)
    assert [type(block) is NoSkipBlock for block in model.encoder.layers] == [not residual] * 2
    np.testing.assert_allclose(model(x).detach().numpy(), transformer(model, x.numpy(), spec), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("drawn", ["default", InitSpec(3.0, 0.2), "he"], ids=str)
def test_normalised_patches_and_unit_tokens_are_the_formulas_too_from_any_start(drawn):
    spec = ViTSpec("gelu", 2, 12, 3, 4, 2, 5, (3, 8, 8), False, False, patch_norm=True, unit_tokens=True)
    model, x = build(spec, drawn, seeded()).double().train(), images(3, 3, 8, 8)
    nn.init.normal_(model.heads.head.weight)  # torchvision's is 0
    np.testing.assert_allclose(model(x).detach().numpy(), transformer(model, x.numpy(), spec), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("drawn", ["default", InitSpec(1.4), "edge-of-chaos"], ids=str)
def test_unit_tokens_have_variance_one_and_positions_one_over_the_width(drawn):
    spec = ViTSpec("relu", 1, 400, 1, 2, 1, input_shape=(1, 12, 12), unit_tokens=True)
    model, other = (build(spec, drawn, seeded(seed)) for seed in (0, 1))
    assert_normal(model.class_token, 1.0)
    assert_normal(model.encoder.pos_embedding, 1 / 400)
    assert not torch.equal(model.class_token, other.class_token)


def test_every_weight_of_the_simplified_transformer_of_the_paper_has_its_published_variance():
    """N(0, ratio / fan_in), twice that for the second layer of each MLP; no bias vectors."""
    spec = ViTSpec("relu", 3, 60, 1, 4, 1, 40, (3, 16, 16), False, False, patch_norm=True, unit_tokens=True)
    model = build(spec, InitSpec.from_ratio(0.7, "relu"), seeded())
    seen = []
    for name, parameter in model.named_parameters():
        if name.endswith("weight") and parameter.ndim > 1:
            fan_in = parameter[0].numel()
            assert_normal(parameter, (1.4 if name.endswith("mlp.3.weight") else 0.7) / fan_in)
            seen.append(name)
        elif name.endswith("bias"):
            assert not parameter.any()
    assert len(seen) == 3 * 4 + 2
    assert (model.conv_proj[1].weight == 1).all()


def erf_edge(sigma_b2):
    """sigma_w2 with chi = 1 at the fixed point, from the closed forms of erf."""

    def edge(q):
        return math.pi * math.sqrt(1 + 4 * q) / 4  # one over E[phi'^2]

    def excess(q):
        return edge(q) * 2 / math.pi * math.asin(2 * q / (1 + 2 * q)) + sigma_b2 - q

    return edge(brentq(excess, 1e-6, 50))


@pytest.mark.parametrize(("name", "gain"), [("relu", 1 / 2), ("linear", 1.0), ("erf", 1 / erf_edge(0.3))])
def test_layers_of_a_transformer_have_the_ratio_of_their_own_input(name, gain):
    spec = ViTSpec(name, 2, 40, 4, mlp_ratio=3, n_classes=7, input_shape=(2, 8, 8))
    model = build(spec, INIT, seeded())
    assert_normal(model.conv_proj.weight, 1.7 / 32)
    for block in model.encoder.layers:
        queries, keys, values = block.self_attention.in_proj_weight.chunk(3)
        for weight in (queries, keys, values, block.self_attention.out_proj.weight):
            assert_normal(weight, gain * 1.7 / 40)
        assert_normal(block.mlp[0].weight, gain * 1.7 / 40)  # fan_out: 120
        assert_normal(block.mlp[3].weight, 1.7 / 120)  # the only one behind the activation
        assert_normal(torch.cat([block.self_attention.in_proj_bias, block.mlp[0].bias]), 0.3)
        assert (block.ln_1.weight == 1).all() and not block.ln_1.bias.any()
    assert_normal(model.heads.head.weight, gain * 1.7 / 40)
    assert_normal(model.encoder.pos_embedding, 0.02**2)  # torchvision's own
    assert not model.class_token.any()


def test_a_gelu_transformer_is_built_without_a_word_on_an_edge_that_nobody_asked_for(recwarn):
    build(ViTSpec("gelu", depth=1, width=8, heads=1, patch=16), InitSpec(2.0))
    assert not [warning for warning in recwarn if "edge" in str(warning.message)]


def test_a_transformer_of_an_activation_without_edge_is_drawn_by_its_sigma_w2():
    weights = build(ViTSpec("softplus", depth=1, width=64, heads=1, patch=16), InitSpec(1.0)).state_dict()
    assert_normal(weights["encoder.layers.encoder_layer_0.self_attention.in_proj_weight"], 1 / 64)
