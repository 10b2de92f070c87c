"""CNNs: what their description refuses, their sizes, the formulas written out, and theory on signals."""

import math

import numpy as np
import pytest
import torch
from assertions import assert_normal
from torch import nn

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, build
from igbrepro.probes import layer_table
from igbrepro.theory import AveragePool, MaxPool, conv_kernel

BAD = [
    ({"activation": "reluu"}, "activation='reluu': unknown; choose from"),
    ({"depth": 0}, "depth=0: need a whole number, 1 or more"),
    ({"channels": 1.5}, "channels=1.5: need a whole number"),
    ({"n_classes": 1}, "n_classes=1: need a whole number, 2 or more"),
    ({"kernel": 4}, "kernel=4: need an odd side"),
    ({"strides": 2}, "strides=2: need a tuple"),
    ({"strides": "22"}, "strides='22': need a tuple"),
    ({"strides": (2, 0)}, "strides=0: need a whole number, 1 or more"),
    ({"depth": 1}, r"strides=\(2, 2\): more of them than depth=1"),
    ({"input_shape": (32, 32)}, r"input_shape=\(32, 32\): need \(channels, height, width\)"),
    ({"input_shape": (3, 0, 32)}, "input_shape=0: need a whole number, 1 or more"),
    ({"pool": "max"}, "pool='max': need None or a Pool, such as MaxPool"),
    ({"pool": MaxPool(4, 0.5)}, "use correlation=0"),
    ({"pool": MaxPool(2)}, r"pool=MaxPool\(k=2.*k must be 4, 9, 16"),
    ({"pool_stride": 2}, "pool_stride=2: need 1, or the window's side 1"),
    ({"pool": MaxPool(9), "pool_stride": 2}, "pool_stride=2: need 1, or the window's side 3"),
    ({"pool": MaxPool(4), "pooled": (1, 5)}, r"pooled=\(1, 5\): need layers from 1 to depth=4"),
    (
        {"pool": MaxPool(9), "pool_stride": 3},
        r"\(16, 16\) positions at layer 1 cannot be divided by pool_stride=3",
    ),
    ({"pool": MaxPool(100)}, r"window is larger than the \(8, 8\) positions of layer 2"),
    ({"pool": MaxPool(4), "pool_stride": 2, "input_shape": (3, 8, 8)}, r"window is larger than the \(1, 1\)"),
    ({"kernel": 5, "input_shape": (3, 4, 4)}, r"kernel=5: layer 3 reads an image of \(1, 1\) positions"),
]
INIT = InitSpec(1.7, 0.3)


@pytest.mark.parametrize(("change", "words"), BAD, ids=lambda v: None if isinstance(v, str) else str(v))
def test_what_makes_no_network_is_refused_in_words(change, words):
    whole = {"activation": "relu", "depth": 4, "channels": 8}
    CNNSpec(**whole)
    with pytest.raises(ParameterError, match=words):
        CNNSpec(**(whole | change))


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


def test_the_theory_of_a_convolutional_layer_is_that_of_its_description():
    theory = CNNSpec("tanh", 2, 8, pool=MaxPool(4)).mean_field(InitSpec(1.5, 0.1))
    assert (theory.sigma_w2, theory.sigma_b2, theory.pool) == (1.5, 0.1, MaxPool(4))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n, *shape, seed=0):
    return torch.randn(n, *shape, generator=seeded(seed), dtype=torch.float64)


def numpy(module):
    return [p.detach().numpy() for p in module.parameters()]


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


def test_pools_come_after_the_activations_that_are_named():
    spec = CNNSpec("relu", 3, 4, 5, (2, 8, 8), strides=(), pool=MaxPool(4), pool_stride=2, pooled=(1, 3))
    model, x = build(spec, INIT, seeded()).double(), images(3, 2, 8, 8)
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = (numpy(m) for m in model if next(m.parameters(), None) is not None)

    def pooled(h):
        return np.maximum(h, 0).reshape(*h.shape[:2], h.shape[2] // 2, 2, -1, 2).max((3, 5))

    h = np.maximum(convolved(pooled(convolved(x.numpy(), w1, b1)), w2, b2), 0)
    want = pooled(convolved(h, w3, b3)).reshape(3, -1) @ w4.T + b4
    np.testing.assert_allclose(model(x).detach().numpy(), want, rtol=1e-12)


def test_weights_of_convolutions_have_the_variance_of_their_fan_in():
    spec = CNNSpec("relu", 2, 20, 7, (3, 8, 8), kernel=5, strides=(2,))
    model = build(spec, INIT, seeded())
    assert_normal(model[0].weight, 1.7 / (3 * 25))  # fan_out: 20 * 25
    assert_normal(model[2].weight, 1.7 / (20 * 25))
    assert_normal(model[5].weight, 1.7 / (20 * 16))  # fan_out: 7
    assert_normal(torch.cat([model[k].bias for k in (0, 2, 5)]), 0.3)


def test_the_default_start_of_a_cnn_is_that_of_pytorchs_layers():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        ours = build(CNNSpec("relu", 1, 20, 7, (3, 8, 8), strides=()))
        torch.manual_seed(5)
        theirs = [nn.Conv2d(3, 20, 3), nn.Linear(20 * 64, 7)]
    assert torch.equal(ours[0].weight, theirs[0].weight) and torch.equal(ours[3].bias, theirs[1].bias)
    weight = ours[3].weight.detach()
    assert weight.abs().max() <= 1280**-0.5 and float(weight.var()) == pytest.approx(1 / (3 * 1280), rel=0.05)


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
