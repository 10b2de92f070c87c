"""Batch normalisation makes the scale of the weights before it irrelevant, and the prejudice of a block a number."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import ResNetSpec, build
from notebooks.ch13_resnets.lab import adam_losses, block_gamma, gradient_size, normalised_weights, rescale_

SPEC = ResNetSpec("relu", stages=(1, 1), width=4, n_classes=3, input_shape=(3, 8, 8))


def network(factor: float = 1.0) -> torch.nn.Module:
    model = build(SPEC, InitSpec(2.0), torch.Generator().manual_seed(5)).double()
    return rescale_(model, factor, eps=1e-30)


@pytest.fixture(scope="module")
def batches():
    rng = torch.Generator().manual_seed(1)
    draw = {"generator": rng, "dtype": torch.float64}
    return [(torch.randn(16, 3, 8, 8, **draw), torch.randint(3, (16,), generator=rng)) for _ in range(5)]


def rectified_moments(r: float) -> tuple[float, float]:
    """E[h] and E[h^2] of h = relu(relu(x) + r v), by integrals over x > 0 of the moments of a rectified normal."""

    def first(x):
        return x * norm.cdf(x / r) + r * norm.pdf(x / r)

    def second(x):
        return (x * x + r * r) * norm.cdf(x / r) + x * r * norm.pdf(x / r)

    return tuple(0.5 * f(0.0) + quad(lambda x, f=f: f(x) * norm.pdf(x), 0, 12)[0] for f in (first, second))


def test_first_block_of_a_stage_has_the_gamma_of_relu():
    relu = 1 / (math.pi - 1)  # (1/2pi) / (1/2 - 1/2pi)
    assert block_gamma((1, 1), seed=1)[1] == pytest.approx(relu, rel=0.01)
    assert block_gamma((1, 1), scale=0.3, seed=2)[1] == pytest.approx(relu, rel=0.01)  # whatever the variance


@pytest.mark.parametrize("r", [1.0, 1 / 3])
def test_first_block_after_the_stem_agrees_with_quadrature(r):
    mean, square = rectified_moments(r)
    assert block_gamma((2,), scale=r)[0] == pytest.approx(mean**2 / (square - mean**2), rel=0.01)


def test_the_prejudice_of_a_stage_grows_and_the_next_one_starts_anew():
    found = block_gamma((4, 4))
    assert (np.diff(found[:4]) > 0).all() and (np.diff(found[4:]) > 0).all() and found[4] < found[0]


def test_scale_of_the_weights_changes_nothing_but_the_gradient(batches):
    inputs, labels = batches[0]
    one, other = network(), network(8.0)
    one.train(), other.train()
    torch.testing.assert_close(one(inputs), other(inputs), rtol=1e-9, atol=1e-9)
    assert gradient_size(one, inputs, labels) / gradient_size(other, inputs, labels) == pytest.approx(8, rel=1e-8)


def test_under_adam_it_is_a_learning_rate(batches):
    lr = 1e-2
    plain = adam_losses(network(), batches, lr, lr)
    np.testing.assert_allclose(adam_losses(network(8.0), batches, lr, 8 * lr), plain, rtol=1e-7)
    assert abs(adam_losses(network(8.0), batches, lr, lr) - plain).max() > 1e-3


def test_refuses_models_without_norms():
    bare = ResNetSpec("relu", stages=(1,), width=4, norm=False, input_shape=(3, 8, 8))
    with pytest.raises(ParameterError, match="norm=True"):
        normalised_weights(build(bare, InitSpec(2.0)))
    with pytest.raises(ParameterError, match="stages"):
        block_gamma(())
