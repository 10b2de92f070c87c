"""The layer table: against back-propagation written out in NumPy, against theory, and what it leaves alone."""

import numpy as np
import pytest
import torch
from torch import nn

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, ViTSpec, build
from igbrepro.probes import batch_statistics, layer_table

INIT = InitSpec(1.7, 0.2)
MLP = MLPSpec("tanh", 2, 5, 3, (4,))


def inputs(n, *shape):
    return np.random.default_rng(0).standard_normal((n, *shape))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def by_hand(model, x):
    """h^(l), weights W_l, and dL/dh^(l) for a given dL/dlogits, of a tanh MLP."""
    layers = [m for m in model if isinstance(m, nn.Linear)]
    weights, biases = ([getattr(m, name).detach().numpy() for m in layers] for name in ("weight", "bias"))
    h = [x @ weights[0].T + biases[0]]
    for w, b in zip(weights[1:], biases[1:], strict=True):
        h.append(np.tanh(h[-1]) @ w.T + b)

    def backward(delta):
        deltas = [delta]
        for w, below in zip(weights[:0:-1], h[-2::-1], strict=True):
            deltas.insert(0, deltas[0] @ w * (1 - np.tanh(below) ** 2))
        return deltas

    return h, backward


def test_every_column_is_its_definition():
    model, x, labels = build(MLP, INIT, seeded()).double(), inputs(6, 4), np.array([0, 1, 2, 2, 1, 0])
    table = layer_table(model, x, labels, seed=7)
    assert table["layer"].tolist() == ["1", "3", "5"] and table["kind"].tolist() == ["Linear"] * 3
    h, backward = by_hand(model, x)
    deltas = backward(torch.randn(6, 3, generator=seeded(7)).numpy().astype(float))
    size = np.array([np.mean([np.sum(row**2) for row in delta]) for delta in deltas])
    np.testing.assert_allclose(table["gradient"], size / size[2], rtol=1e-12)
    np.testing.assert_allclose(table["chi"], [size[0] / size[1], size[1] / size[2], np.nan], rtol=1e-12)

    exp = np.exp(h[2])
    deltas = backward((exp / exp.sum(1, keepdims=True) - np.eye(3)[labels]) / 6)
    below = [x, np.tanh(h[0]), np.tanh(h[1])]
    squares = [np.append((d.T @ b).ravel(), d.sum(0)) ** 2 for d, b in zip(deltas, below, strict=True)]
    np.testing.assert_allclose(table["weight_gradient"], [s.mean() for s in squares], rtol=1e-12)

    pairs = [(a, b) for a in range(6) for b in range(6) if a != b]
    for (_, row), values in zip(table.iterrows(), h, strict=True):
        sigma_mu2 = np.mean([values[a] * values[b] for a, b in pairs])
        cosines = [values[a] @ values[b] / np.linalg.norm(values[a]) / np.linalg.norm(values[b]) for a, b in pairs]
        sigma_y2 = np.mean([(values[a] - values[b]) ** 2 / 2 for a, b in pairs])
        want = [np.mean(values**2), np.mean(cosines), sigma_mu2 / sigma_y2, sigma_mu2, sigma_y2]
        np.testing.assert_allclose(row[["q", "c", "gamma", "sigma_mu2", "sigma_y2"]].tolist(), want, rtol=1e-12)
        assert row["sigma_mu2"] + row["sigma_y2"] == pytest.approx(row["q"])


def test_chi_of_a_wide_network_is_that_of_mean_field_theory():
    spec, init, n = MLPSpec("tanh", 5, 300, 10, (50,)), InitSpec(2.5, 0.1), 20
    x = inputs(4, 50)
    x *= np.sqrt(1.2 / np.mean(x**2, axis=1, keepdims=True))
    tables = np.array([layer_table(build(spec, init, seeded(s)), x)[["q", "chi"]] for s in range(n)])[:, :-1]
    mean, error = tables.mean(0), tables.std(0, ddof=1) / np.sqrt(n)
    path = spec.mean_field(init).trajectory(4, q0=2.5 * 1.2 + 0.1)
    want = np.stack([path.q, path.chi], 1)
    assert path.chi[0] < 0.8 and path.chi[-1] > 1.05  # so that layers could not be taken for each other
    assert (error < 0.03 * want).all(), "too noisy to decide"
    assert np.abs((mean - want) / error).max() < 4.5


def test_the_model_its_inputs_and_the_random_numbers_are_left_as_they_were():
    model = build(ResNetSpec(stages=(1, 1), width=4, n_classes=3, input_shape=(3, 8, 8)), "he", seeded())
    model.train()
    model[1].eval()
    model[1].bn1.track_running_stats = False
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [(m.training, getattr(m, "track_running_stats", None)) for m in model.modules()]
    random, x = torch.get_rng_state(), torch.from_numpy(inputs(4, 3, 8, 8)).float()
    first = layer_table(model, x, [0, 1, 2, 0], seed=3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert modes == [(m.training, getattr(m, "track_running_stats", None)) for m in model.modules()]
    assert not any(m._forward_hooks for m in model.modules()) and all(p.grad is None for p in model.parameters())
    assert torch.equal(random, torch.get_rng_state()) and not x.requires_grad
    assert first.equals(layer_table(model, x, [0, 1, 2, 0], seed=3))
    assert not first["chi"].equals(layer_table(model, x, seed=4)["chi"])


def test_an_error_on_the_way_leaves_the_model_as_it_was():
    model = build(MLP, INIT, seeded()).train()
    with pytest.raises(RuntimeError, match="shapes"):
        layer_table(model, inputs(3, 7))
    assert all(m.training and not m._forward_hooks for m in model.modules())


def test_untrained_batch_normalisation_normalises():
    """A stem ten times as large changes nothing behind its normalisation, unlike with running statistics."""
    model = build(ResNetSpec("relu", (1,), 4, 3, (3, 8, 8)), "he", seeded()).double()
    x = inputs(6, 3, 8, 8)
    before = layer_table(model, x)
    with torch.no_grad():
        model[0][0].weight *= 10
    after = layer_table(model, x)
    assert after["q"][0] == pytest.approx(100 * before["q"][0])
    np.testing.assert_allclose(after["q"][1:], before["q"][1:], rtol=1e-3)
    out = model.eval()(torch.from_numpy(x)).detach()
    assert float(out.square().mean()) > 10 * after["q"].iloc[-1]
    with batch_statistics(model):
        assert float(model(torch.from_numpy(x)).detach().square().mean()) == pytest.approx(after["q"].iloc[-1])


NETWORKS = [
    (MLPSpec("relu", 3, 8, 3, (3, 8, 8), residual=0.5), ["Linear", "ResidualBlock", "ResidualBlock", "Linear"]),
    (
        MLPSpec("tanh", 3, 8, 3, (3, 8, 8), residual=0.5, residual_unit="post-activation"),
        ["Linear", "ResidualBlock", "ResidualBlock", "Linear"],
    ),
    (CNNSpec("relu", 2, 4, 3, (3, 8, 8)), ["Conv2d", "Conv2d", "Linear"]),
    (ResNetSpec("relu", (1, 2), 4, 3, (3, 8, 8)), ["Conv2d", *["BasicBlock"] * 3, "Linear"]),
    (ViTSpec("gelu", 2, 8, 2, n_classes=3, input_shape=(3, 8, 8)), ["Conv2d", *["EncoderBlock"] * 2, "Linear"]),
    (ViTSpec("gelu", 1, 8, 2, n_classes=3, input_shape=(3, 8, 8), residual=False), ["Conv2d", "NoSkipBlock", "Linear"]),
]


@pytest.mark.parametrize(("spec", "kinds"), NETWORKS, ids=lambda v: type(v).__name__)
def test_networks_of_every_kind(spec, kinds):
    table = layer_table(build(spec, INIT, seeded()), inputs(4, 3, 8, 8), [0, 1, 2, 0])
    assert table["kind"].tolist() == kinds
    numbers = table.drop(columns=["layer", "kind"])
    assert np.isfinite(numbers.drop(columns="chi")).all(axis=None) and np.isfinite(numbers["chi"][:-1]).all()
    assert (numbers[["q", "sigma_y2", "gradient", "weight_gradient"]] > 0).all(axis=None)
    np.testing.assert_allclose(table["gradient"], np.append(np.cumprod(table["chi"][-2::-1])[::-1], 1), rtol=1e-6)


def test_layers_that_work_in_place_do_not_touch_what_is_measured():
    layers = [nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)]
    want = layer_table(nn.Sequential(*layers), inputs(6, 4))
    assert want.equals(layer_table(nn.Sequential(layers[0], nn.ReLU(inplace=True), layers[2]), inputs(6, 4)))


def test_frozen_layers_have_no_gradient_of_their_weights():
    model, x = build(MLP, INIT, seeded()), inputs(3, 4)
    model[1].requires_grad_(False)
    part = layer_table(model, x, [0, 1, 2])
    assert part["weight_gradient"][0] == 0 and (part["weight_gradient"][1:] > 0).all() and part["chi"][0] > 0
    model.requires_grad_(False)
    assert layer_table(model, x, [0, 1, 2])["weight_gradient"].tolist() == [0, 0, 0]


def test_equal_outputs_are_all_mean():
    table = layer_table(build(MLP, INIT, seeded()), np.ones((3, 4)))
    assert (table["gamma"] > 1e9).all() and table["c"].to_numpy() == pytest.approx(1)


@pytest.mark.parametrize(
    ("model", "n", "words"),
    [
        (build(MLP), 1, r"inputs of shape \(1, 4\): need .* n >= 2 inputs"),
        (nn.Sequential(nn.Tanh()), 3, "model: has no linear or convolutional layer"),
        (nn.LayerNorm(4), 3, "model: has no linear"),
    ],
)
def test_what_has_no_table(model, n, words):
    with pytest.raises(ParameterError, match=words):
        layer_table(model, inputs(n, 4))
