"""Image networks against the formulas written out, against torchvision, and against theory on weights and signals."""

import math

import numpy as np
import pytest
import torch
from assertions import assert_normal
from scipy.optimize import brentq
from scipy.special import erf, softmax
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.modules import NoSkipBlock, WindowPool
from igbrepro.networks import CNNSpec, ResNetSpec, ViTSpec, build
from igbrepro.probes import layer_table
from igbrepro.theory import AveragePool, MaxPool, conv_kernel

INIT = InitSpec(1.7, 0.3)
SMALL = {
    "cnn": CNNSpec("relu", 2, 5, 4, (3, 8, 8)),
    "resnet": ResNetSpec("relu", (1, 1), 4, 4, (3, 8, 8)),
    "vit": ViTSpec("relu", 2, 8, 2, input_shape=(3, 8, 8), n_classes=4),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n, *shape, seed=0):
    return torch.randn(n, *shape, generator=seeded(seed), dtype=torch.float64)


def flat(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def numpy(module):
    return [p.detach().numpy() for p in module.parameters()]


# The functions


def convolved(x, weight, bias, stride=1):
    """sum over offsets of w[..., a, b] x[..., i + a - 1, j + b - 1], indices modulo the size of the image."""
    side = weight.shape[-1]
    h = sum(
        np.einsum("oc,nchw->nohw", weight[..., a, b], np.roll(x, (side // 2 - a, side // 2 - b), (2, 3)))
        for a in range(side)
        for b in range(side)
    )
    return (h + bias[:, None, None])[..., ::stride, ::stride]


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_cnn_is_circular_convolutions_and_a_head_on_all_positions(kernel):
    spec = CNNSpec("tanh", 3, 4, 5, (2, 8, 6), kernel=kernel, strides=(2, 1))
    model, x = build(spec, INIT, seeded()).double(), images(3, 2, 8, 6)
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = (numpy(m) for m in model if next(m.parameters(), None) is not None)
    h = convolved(np.tanh(convolved(np.tanh(convolved(x.numpy(), w1, b1, 2)), w2, b2)), w3, b3)
    np.testing.assert_allclose(model(x).detach().numpy(), np.tanh(h).reshape(3, -1) @ w4.T + b4, rtol=1e-12)


@pytest.mark.parametrize("pool", [MaxPool(4), AveragePool(4), MaxPool(9), AveragePool(9)], ids=repr)
@pytest.mark.parametrize("overlap", [True, False])
def test_window_pools_are_loops_over_windows(pool, overlap):
    side, x = math.isqrt(pool.k), images(2, 3, 6, 12)
    step = 1 if overlap else side
    reduce = np.max if isinstance(pool, MaxPool) else np.mean
    want = np.empty((2, 3, 6 // step, 12 // step))
    for i, j in np.ndindex(want.shape[2:]):
        rows, columns = (step * i + np.arange(side)) % 6, (step * j + np.arange(side)) % 12
        want[..., i, j] = reduce(x.numpy()[:, :, rows][..., columns], axis=(2, 3))
    np.testing.assert_allclose(WindowPool(pool, side, step)(x), want, rtol=1e-13, atol=1e-15)


def test_pools_come_after_the_activations_that_are_named():
    spec = CNNSpec("relu", 3, 4, 5, (2, 8, 8), strides=(), pool=MaxPool(4), pool_stride=2, pooled=(1, 3))
    model, x = build(spec, INIT, seeded()).double(), images(3, 2, 8, 8)
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = (numpy(m) for m in model if next(m.parameters(), None) is not None)

    def pooled(h):
        return np.maximum(h, 0).reshape(*h.shape[:2], h.shape[2] // 2, 2, -1, 2).max((3, 5))

    h = np.maximum(convolved(pooled(convolved(x.numpy(), w1, b1)), w2, b2), 0)
    want = pooled(convolved(h, w3, b3)).reshape(3, -1) @ w4.T + b4
    np.testing.assert_allclose(model(x).detach().numpy(), want, rtol=1e-12)


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
    tokens = patches @ model.conv_proj.weight.detach().numpy().reshape(spec.width, -1).T
    tokens = tokens + model.conv_proj.bias.detach().numpy()
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


# The start: weights


def test_weights_of_convolutions_have_the_variance_of_their_fan_in():
    spec = CNNSpec("relu", 2, 20, 7, (3, 8, 8), kernel=5, strides=(2,))
    model = build(spec, INIT, seeded())
    assert_normal(model[0].weight, 1.7 / (3 * 25))  # fan_out: 20 * 25
    assert_normal(model[2].weight, 1.7 / (20 * 25))
    assert_normal(model[5].weight, 1.7 / (20 * 16))  # fan_out: 7
    assert_normal(torch.cat([model[k].bias for k in (0, 2, 5)]), 0.3)


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


def test_batch_normalisation_starts_as_the_identity():
    norms = [m for m in build(SMALL["resnet"], INIT, seeded()).modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 6
    for norm in norms:
        assert (norm.weight == 1).all() and (norm.running_var == 1).all() and norm.num_batches_tracked == 0
        assert not norm.bias.any() and not norm.running_mean.any()


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


def test_the_default_start_of_a_cnn_is_that_of_pytorchs_layers():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        ours = build(CNNSpec("relu", 1, 20, 7, (3, 8, 8), strides=()))
        torch.manual_seed(5)
        theirs = [nn.Conv2d(3, 20, 3), nn.Linear(20 * 64, 7)]
    assert torch.equal(ours[0].weight, theirs[0].weight) and torch.equal(ours[3].bias, theirs[1].bias)
    weight = ours[3].weight.detach()
    assert weight.abs().max() <= 1280**-0.5 and float(weight.var()) == pytest.approx(1 / (3 * 1280), rel=0.05)


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


# The start: signals and gradients


def measured(spec, init, x, n_networks):
    """Layer tables of many networks, (n_networks, layers, columns q, sigma_mu2, sigma_y2, chi)."""
    columns = ["q", "sigma_mu2", "sigma_y2", "chi"]
    return np.array([layer_table(build(spec, init, seeded(s)), x)[columns] for s in range(n_networks)])


def assert_close(samples, want, resolution):
    mean, error = samples.mean(0), samples.std(0, ddof=1) / math.sqrt(len(samples))
    assert (error < resolution * np.abs(want)).all(), f"too noisy to decide: {error / want}"
    assert np.abs((mean - want) / error).max() < 4.5, f"z: {(mean - want) / error}"


@pytest.mark.parametrize(
    ("name", "w2", "b2", "q"), [("relu", 2.0, 0.0, 1.5), ("tanh", 1.986073, 0.1, 0.805799)], ids=["relu", "tanh"]
)
def test_signals_and_gradients_of_a_cnn_at_the_edge_follow_the_theory(name, w2, b2, q):
    """Over 60 networks, of images whose every position starts at the fixed point: there q stays, and chi is 1."""
    shared, own = images(1, 3, 8, 8, seed=1), images(5, 3, 8, 8, seed=2)
    x, init = (0.6 * shared + 0.8 * own).numpy(), InitSpec(w2, b2)
    x *= np.sqrt((q - b2) / w2 / np.mean(x**2, axis=1, keepdims=True))
    spec = CNNSpec(name, 4, 64, 10, (3, 8, 8), strides=(1, 2))
    samples = measured(spec, init, x, 60)[:, :-1]  # ten logits are too few
    theory = conv_kernel(spec.mean_field(init), x, 4, strides=spec.strides)
    for column, want in enumerate((np.full(4, q), theory.sigma_mu2[:-1], theory.sigma_y2[:-1], np.ones(4))):
        assert_close(samples[:, :, column], want, 0.06)
    gamma = samples[:, :, 1].mean(0) / samples[:, :, 2].mean(0)
    np.testing.assert_allclose(gamma, theory.gamma[:-1], rtol=0.1)
