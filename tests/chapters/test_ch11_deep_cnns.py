"""Chapter 11 measures and trains the same networks; what it measures is what the probes say of each of them."""

from functools import partial

import numpy as np
import pytest
import torch
from toys import smoke_parameters

from igbrepro.ensembles import OneNumberLaw
from igbrepro.errors import ParameterError
from igbrepro.networks import build
from igbrepro.probes import layer_table
from igbrepro.runs import DataFacts
from notebooks.ch11_deep_cnns import experiment

parameters = partial(smoke_parameters, "ch11_deep_cnns")


@pytest.fixture(scope="module")
def data():
    return experiment.dataset(parameters())


def measured(data, name, **changes):
    p = parameters(**changes)
    run = next(run for run in experiment.untrained(p, DataFacts.of(data)).runs if run.name == name)
    return p, run, run.settings.numbers(run, data).set_index(["metric", "step"])["value"]


def test_both_sweeps_have_every_ratio_and_scheme(data):
    p, facts = parameters(), DataFacts.of(data)
    untrained, training = experiment.untrained(p, facts), experiment.training(p, facts)
    names = ["relu 0.75", "relu 1", "relu default", "relu he", "relu xavier", "tanh 1", "tanh 2.5", "tanh default"]
    assert untrained.networks == training.networks and list(training.networks) == names
    assert untrained.seeds == (11,) and training.seeds == (0, 1)
    two = experiment.training(parameters(labels="parity"), facts)
    assert {spec.n_classes for spec, _ in two.networks.values()} == {2}
    with pytest.raises(ParameterError, match=r"tanh_ratios=\[2\.5\]: need 1\.0, the edge"):
        experiment.networks(parameters(tanh_ratios=[2.5]), facts)


@pytest.mark.parametrize("labels", ["classes", "parity"])
def test_gradients_are_those_of_the_networks_one_by_one(data, labels):
    p, run, found = measured(data, "relu he", labels=labels)
    some = data.subset(n_test=p.n_images, seed=p.seed)
    tables = [
        layer_table(
            build(run.spec, run.init, torch.Generator().manual_seed(10_000 * p.seed + network)),
            some.inputs("test", flat=False),
            some.labels("test", labels),
        )["weight_gradient"][: p.depth]
        for network in range(p.n_networks)
    ]
    np.testing.assert_allclose(found["weight_gradient"], np.median(tables, axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["first_gradient"], [table[0] for table in tables], rtol=1e-5)
    assert set(found.index.get_level_values("metric")) == {"weight_gradient", "first_gradient"}, "He has no sigma_w2"


def test_guesses_and_the_correlation_that_predicts_them(data):
    p, _, found = measured(data, "relu 1", n_networks=12, channels=24, n_heads=40)
    c, shares = found["mean_correlation", 0], found["max_class_fraction"]
    law = OneNumberLaw(10, p.n_images, np.random.default_rng(0))
    assert 0.5 < c < 1 and len(shares) == 12
    assert shares.mean() == pytest.approx(float(law(c)), abs=4 * shares.sem()) and shares.sem() < 0.05
