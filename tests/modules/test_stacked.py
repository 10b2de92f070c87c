"""Many networks in one module."""

import copy

import pytest
import torch
from torch import nn

from igbrepro import networks as models
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.modules import ActivationLayer, PoolLayer, ResidualBlock, StackedMLP, StackedModule, stacked
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, ViTSpec
from igbrepro.probes import batch_statistics
from igbrepro.theory import GELU, MaxPool

N = 3
IMAGE = {"n_classes": 3, "input_shape": (3, 8, 8)}
LAYERED = {
    "mlp": MLPSpec(GELU, depth=3, width=7, n_classes=4, input_shape=(2, 3)),
    "one layer": MLPSpec("tanh", depth=1, width=7, input_shape=(5,), residual=0.5),
    "residual": MLPSpec("tanh", depth=4, width=7, input_shape=(5,), residual=0.5),
    "pooled": MLPSpec("relu", depth=4, width=8, input_shape=(5,), pool=MaxPool(2)),
    "post-activation": MLPSpec(
        "relu", depth=4, width=7, input_shape=(5,), residual=0.5, residual_unit="post-activation"
    ),
    "pooled residual": MLPSpec("relu", depth=3, width=8, input_shape=(5,), pool=MaxPool(4), residual=2.0),
}
OTHERS = {
    "cnn": CNNSpec("tanh", 3, 4, **IMAGE),
    "pooled cnn": CNNSpec("relu", 3, 4, pool=MaxPool(4), pooled=(1, 3), strides=(2,), **IMAGE),
    "resnet": ResNetSpec("relu", (1, 1), 4, **IMAGE),
    "resnet without norm": ResNetSpec("relu", (1, 1), 4, norm=False, scale="depth", **IMAGE),
    "vit": ViTSpec("gelu", 2, 8, 2, **IMAGE),
    "vit without skips": ViTSpec("relu", 1, 8, 2, norm=False, residual=False, **IMAGE),
}
ALL = LAYERED | OTHERS


def networks(spec):
    """Drawn by "he", whose heads are not zero, in float64, so that a batched sum is the same but for little."""
    return [models.build(spec, "he", torch.Generator().manual_seed(seed)).double() for seed in range(N)]


def inputs(spec, n=5, seed=0):
    return torch.randn(N, n, *spec.input_shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_stack_is_its_networks_side_by_side():
    spec = MLPSpec(GELU, depth=3, width=7, n_classes=4, input_shape=(2, 3))
    networks = [models.build(spec, InitSpec(2.0, 0.1), torch.Generator().manual_seed(seed)) for seed in range(3)]
    x = torch.randn(3, 5, 2, 3)
    want = torch.stack([network(one) for network, one in zip(networks, x, strict=True)])
    torch.testing.assert_close(StackedMLP(networks)(x), want)
    assert sum(p.numel() for p in StackedMLP(networks).parameters()) == 3 * sum(
        p.numel() for p in networks[0].parameters()
    )


@pytest.mark.parametrize("name", ALL)
def test_logits_and_gradients_of_a_stack_are_those_of_each_network(name):
    spec, x = ALL[name], inputs(ALL[name])
    alone, together = networks(spec), stacked(networks(spec))
    assert isinstance(together, StackedMLP if name in LAYERED else StackedModule)
    want = torch.stack([network(one) for network, one in zip(alone, x, strict=True)])
    found = together(x)
    torch.testing.assert_close(found, want, rtol=1e-10, atol=1e-12)
    assert found.std() > 0.01
    want.square().sum().backward()
    found.square().sum().backward()
    squares = [[p.grad.square().sum() for p in network.parameters()] for network in alone]
    ours = [p.grad.flatten(1).square().sum(1) for p in together.parameters()]
    torch.testing.assert_close(torch.stack(ours).sum(0), torch.tensor(squares).double().sum(1), rtol=1e-5, atol=0)
    if name in OTHERS:
        for k, network in enumerate(alone):
            for (key, mine), theirs in zip(together.each.named_parameters(), network.parameters(), strict=True):
                torch.testing.assert_close(mine.grad[k], theirs.grad, rtol=1e-8, atol=1e-12, msg=key)


def test_batch_normalisation_keeps_the_statistics_of_every_network():
    spec, alone = OTHERS["resnet"], networks(OTHERS["resnet"])
    together = stacked(networks(spec))
    for seed in range(2):
        x = inputs(spec, seed=seed)
        together(x)
        for network, one in zip(alone, x, strict=True):
            network(one)
    kept = together.each.state_dict()
    for k, network in enumerate(alone):
        for key, value in network.state_dict().items():
            torch.testing.assert_close(kept[key][k], value, rtol=1e-10, atol=1e-12)
    assert len(kept) == len(alone[0].state_dict()) and kept["0.1.num_batches_tracked"].tolist() == [2] * N

    x, before = inputs(spec, seed=5), copy.deepcopy(kept)
    together.eval()
    by_running = together(x)
    with batch_statistics(together), torch.inference_mode():
        by_batch = together(x)
    for found, mode in ((by_running, False), (by_batch, True)):
        want = [copy.deepcopy(network).train(mode)(one) for network, one in zip(alone, x, strict=True)]
        torch.testing.assert_close(found, torch.stack(want), rtol=1e-10, atol=1e-12)
    assert not torch.allclose(by_running, by_batch, rtol=0.01)
    assert all(torch.equal(value, before[key]) for key, value in together.each.state_dict().items())


@pytest.mark.parametrize("name", OTHERS)
def test_evaluation_and_bfloat16_of_a_stack(name):
    """In bfloat16 as far from float32 as the networks alone are, and rounded as coarsely."""
    spec, x = OTHERS[name], inputs(OTHERS[name]).float()
    alone, together = [network.float() for network in networks(spec)], stacked(networks(spec)).float()
    for network in (*alone, together):
        network.eval()
    with torch.inference_mode():
        exact = torch.stack([network(one) for network, one in zip(alone, x, strict=True)])
        torch.testing.assert_close(together(x), exact, rtol=1e-4, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            coarse = together(x)
    assert all(p.dtype == torch.float32 for p in together.parameters())
    error = (coarse.float() - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert 2**-11 < error < 0.03


def test_a_parameter_that_is_not_trained_stays_so_in_a_stack():
    made = networks(OTHERS["cnn"])
    for network in made:
        network[0].requires_grad_(False)
    together = StackedModule(made)
    assert [p.requires_grad for p in together.parameters()] == [p.requires_grad for p in made[0].parameters()]


def linear(**options):
    return nn.Linear(4, 4, **options)


@pytest.mark.parametrize(
    "made",
    [
        lambda: nn.Sequential(nn.Flatten(), linear(), nn.LayerNorm(4), ActivationLayer("tanh"), linear()),
        lambda: nn.Sequential(
            nn.Flatten(), linear(), ActivationLayer("tanh"), linear(), ActivationLayer("relu"), linear()
        ),
        lambda: nn.Sequential(nn.Flatten(), linear(bias=False), ActivationLayer("tanh"), linear()),
        lambda: nn.Sequential(
            nn.Flatten(),
            linear(),
            *(ResidualBlock(scale, ActivationLayer("tanh"), linear()) for scale in (0.5, 2.0)),
            *(ActivationLayer("tanh"), linear()),
        ),
        lambda: nn.Sequential(
            nn.Flatten(),
            linear(),
            ResidualBlock(0.5, ActivationLayer("tanh"), linear()),
            *(ActivationLayer("tanh"), linear()) * 2,
        ),
        lambda: nn.Sequential(nn.Flatten(), linear(), PoolLayer(MaxPool(2)), nn.Linear(2, 4)),
    ],
    ids=["norm", "two activations", "no bias", "two scales", "one block", "no activation"],
)
def test_what_is_only_nearly_an_mlp_is_stacked_as_any_module(made):
    alone = [made() for _ in range(N)]
    together, x = stacked(alone), torch.randn(N, 5, 4)
    assert isinstance(together, StackedModule)
    torch.testing.assert_close(together(x), torch.stack([one(y) for one, y in zip(alone, x, strict=True)]))
    with pytest.raises(ParameterError, match="models: need networks that `build` made of an MLPSpec"):
        StackedMLP(alone)
