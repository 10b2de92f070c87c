"""Chapter 19 measures and trains the same networks, drawn by name as training draws them."""

from functools import partial

import numpy as np
import pytest
from toys import smoke_parameters

from igbrepro.data import load
from igbrepro.errors import ParameterError
from igbrepro.runs import DataFacts
from notebooks.ch19_initialisations import experiment

parameters = partial(smoke_parameters, "ch19_initialisations")


@pytest.fixture(scope="module")
def data():
    return experiment.dataset(parameters())


def test_images_are_thinned_and_their_name_says_so(data):
    full = load("fashion-mnist-subset")
    assert data.name == "fashion-mnist-subset, one pixel in 4" and data.input_shape == (1, 14, 14)
    assert (data.test_images == full.test_images[:, :, ::2, ::2]).all()
    assert data.statistics[0] == full.statistics[0], "scaled as the whole images"
    assert experiment.dataset(parameters(thin=1)).sha256 == full.sha256


def test_both_sweeps_have_every_network_from_every_start(data):
    p, facts = parameters(), DataFacts.of(data)
    untrained, training = experiment.untrained(p, facts), experiment.training(p, facts)
    assert untrained.networks == training.networks and len(training.networks) == 24
    assert {name: training.settings_of(name).lr for name in training.networks} == {
        name: 3e-4 if "CNN" in name else 1e-3 for name in training.networks
    }
    longer = experiment.training(parameters(cnn_steps=160, n_points=4), facts).settings_of("ReLU CNN, edge")
    assert longer.points == (0, 10, 25, 63, 160) and longer.batch_statistics


def test_all_schemes_but_the_default_are_needed(data):
    facts = DataFacts.of(data)
    left = [one for one in experiment.CALLED if one != "default"]
    assert len(experiment.networks(parameters(schemes=left), facts)) == 20
    for schemes in (left[1:], [*left, "glorot"]):
        with pytest.raises(ParameterError, match=r"need all of edge-of-chaos, .*only 'default' may be left out"):
            experiment.networks(parameters(schemes=schemes), facts)


def test_what_is_measured_before_training(data):
    runs = {run.name: run for run in experiment.untrained(parameters(depth=6), DataFacts.of(data)).runs}
    found = {
        name: run.settings.numbers(run, data).set_index(["metric", "step"]).value
        for name, run in runs.items()
        if name in ("ReLU CNN, He", "ReLU CNN, default", "tanh CNN, edge", "tanh CNN, orthogonal")
    }
    he = found["ReLU CNN, He"]
    assert he["ratio", 0] == pytest.approx(2**0.5, rel=1e-5) and he["cosine", 0] == pytest.approx(1, abs=1e-6)
    assert found["tanh CNN, edge"]["pixels", 0] > 0.9 > 0.2 > found["tanh CNN, orthogonal"]["pixels", 0]
    for one in found.values():
        gradient = one["gradient"]
        assert list(gradient.index) == list(range(1, len(gradient) + 1)) and gradient.iloc[-1] == 1
        assert np.log10(one["growth", 0]) == pytest.approx(np.log10(gradient.iloc[0]), abs=1e-6)
    assert found["ReLU CNN, default"]["growth", 0] < 1e-3
