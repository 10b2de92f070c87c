"""Batch normalisation makes the scale of the weights before it irrelevant, and the prejudice of a block a number."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from toys import smoke_parameters

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import ResNetSpec, build
from igbrepro.runs import DataFacts
from notebooks.ch13_resnets import experiment
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


parameters = partial(smoke_parameters, "ch13_resnets")


@pytest.fixture(scope="module")
def data():
    return experiment.dataset(parameters())


def test_all_sweeps_have_the_same_networks(data):
    p, facts = parameters(), DataFacts.of(data)
    untrained, training = experiment.untrained(p, facts), experiment.training(p, facts)
    names = ["norm 0.5", "norm 2", "norm default", "plain 0.5", "plain 2", "plain default", "scaled 2"]
    assert untrained.networks == training.networks and list(training.networks) == names
    assert training.settings.batch_statistics and training.networks["scaled 2"][0].scale == 2**-0.5
    assert experiment.twins(p, facts).networks == {"norm 2": training.networks["norm 2"]}
    for changes, why in (
        ({"norm_sigma_w2": [2.0]}, "two values or more"),
        ({"plain_sigma_w2": [1.0, 3.0]}, "a value in common"),
    ):
        with pytest.raises(ParameterError, match=why):
            experiment.networks(parameters(**changes), facts)


def test_the_twins_of_the_chapter(data):
    (run,) = experiment.twins(parameters(), DataFacts.of(data)).runs
    found = {
        key: rows["value"].to_numpy() for key, rows in run.settings.numbers(run, data).groupby(["metric", "split"])
    }
    logits, losses = found["logits", "original"], found["loss", "original"]
    assert len(losses) == 3 and len(logits) == 2 * 10 * 10
    np.testing.assert_allclose(found["logits", "twin"], logits, atol=1e-9 * abs(logits).max())
    assert found["gradient", "original"] / found["gradient", "twin"] == pytest.approx(3, rel=1e-8)
    np.testing.assert_allclose(found["loss", "rate scaled too"], losses, rtol=1e-7)
    assert abs(found["loss", "rate kept"] - losses).max() > 1e-3


def test_untrained_networks_with_norm_guess_alike_at_every_sigma_w2(data):
    p, facts = parameters(n_networks=5, n_tables=3), DataFacts.of(data)
    found = {
        run.name: run.settings.numbers(run, data).set_index(["metric", "step"])["value"]
        for run in experiment.untrained(p, facts).runs
        if run.name in ("norm 0.5", "norm 2", "plain 2")
    }
    small, large, plain = (found[name] for name in ("norm 0.5", "norm 2", "plain 2"))
    assert list(small["max_class_fraction"]) == list(large["max_class_fraction"]) and len(small["q"]) == 4
    np.testing.assert_allclose(small["gamma"], large["gamma"], rtol=1e-3)
    assert plain["q", 2] != pytest.approx(large["q", 2], rel=0.1)
    medians = large["gamma"] / (1 + large["gamma"])
    assert (abs(large["c"] - medians) < 4 * large["c_error"]).all() and (large["c_error"] > 0).all()
