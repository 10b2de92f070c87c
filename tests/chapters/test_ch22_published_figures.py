"""Chapter 22: its runs are of the paper's settings, and its gradients those of single classes."""

import numpy as np
import pytest
import torch

from igbrepro.data import load
from igbrepro.initialization import InitSpec, SelectedStart
from igbrepro.networks import MLPSpec, build
from igbrepro.publishing import resolve_parameters
from igbrepro.runs import DataFacts, Parameters, Run
from igbrepro.theory import from_independent_inputs
from notebooks.ch22_published_figures import experiment

PICTURES = load("fashion-mnist-subset")


def declared(preset):
    _, values = resolve_parameters("ch22_published_figures", preset)
    return Parameters(values), DataFacts.of(PICTURES)


def test_the_training_is_the_papers():
    """Width, depth, batch, rate, steps and precision by its code; the starting fractions are read off its figure."""
    sweep = experiment.training(*declared("paper"))
    settings = sweep.settings
    assert (settings.batch_size, settings.lr, settings.steps, settings.precision) == (100, 1e-7, 10_000, "bfloat16")
    assert (settings.optimizer, settings.labels, settings.n_eval) == ("adam", "parity", 10_000)
    found = {name: (spec.depth, spec.width, start.share, start.init) for name, (spec, start) in sweep.networks.items()}
    assert [one[:3] for one in found.values()] == [(100, 1000, share) for share in (1.0, 1.0, 0.89, 0.585)]
    critical = found["tanh 1"][3].sigma_w2
    assert critical == pytest.approx(1.986073, abs=1e-6)
    assert [one[3].sigma_w2 / critical for one in found.values()] == pytest.approx([0.8, 1, 1.25, 2.5])
    assert {one[3].sigma_b2 for one in found.values()} == {0.1}
    assert all(isinstance(start, SelectedStart) for _, start in sweep.networks.values())
    assert PICTURES.scaling == "standard"


@pytest.mark.parametrize("preset", ["study", "paper"])
def test_untrained_networks_are_of_the_papers_size(preset):
    bridge, gradients = (one(*declared(preset)) for one in (experiment.bridge, experiment.gradients))
    specs = {(s.activation.name, s.depth, s.width, s.input_size) for s, _ in bridge.networks.values()}
    assert specs == {(name, 100, 10_000, 100) for name in ("relu", "tanh")}
    values = sorted({init.sigma_w2 for _, init in bridge.networks.values()})
    assert len(values) == 20 and (values[0], values[-1]) == (1, 3)
    assert {(s.depth, s.width) for s, _ in gradients.networks.values()} == {(100, 1000)}
    assert [init.sigma_w2 / 2 for _, init in gradients.networks.values()] == pytest.approx(np.arange(1, 21) / 10)


def test_correlations_of_a_wide_network_are_those_of_the_theory():
    spec, init = MLPSpec("tanh", 5, 4000, input_shape=(30,)), InitSpec(1.5, 0.1)
    found = experiment.correlations(Run("one", spec, init, 1, None), PICTURES)
    table = found.pivot(index="step", columns="metric", values="value")
    c = from_independent_inputs(spec.mean_field(init), 5).c
    assert np.abs(table.c_guesses - c).max() < 4 / np.sqrt(4000) and np.abs(table.c_mean - c).max() < 4 / np.sqrt(4000)
    assert (table.c_low < table.c_mean).all() and (table.c_mean < table.c_high).all()


def test_gradients_of_a_class_are_those_of_its_images_alone():
    spec, init = MLPSpec("relu", 4, 30, 2, PICTURES.input_shape), InitSpec(2.0, 0.1)
    numbers = experiment.class_gradients(Run("one", spec, init, 3, None), PICTURES, 60).set_index("metric")["value"]
    some = PICTURES.subset(n_test=60, seed=3)
    images, labels = torch.from_numpy(some.inputs("test", flat=False)), some.labels("test", "parity")
    model = build(spec, init, torch.Generator().manual_seed(3))
    guesses = model(images).argmax(1).numpy()
    favoured = int(guesses.mean() > 0.5)
    assert numbers["largest_fraction"] == pytest.approx((guesses == favoured).mean())
    first = next(one for one in model.parameters() if one.dim() == 2)
    for name, chosen in (("favoured", labels == favoured), ("unfavoured", labels != favoured)):
        model.zero_grad()
        p = torch.softmax(model(images[chosen]), 1)[range(chosen.sum()), labels[chosen]]
        (-p.log().mean()).backward()
        assert numbers[f"first_{name}"] == pytest.approx(float(first.grad.norm()), rel=1e-4)
        whole = float(torch.stack([one.grad.norm() for one in model.parameters()]).norm())
        assert numbers[f"all_{name}"] == pytest.approx(whole, rel=1e-4)
