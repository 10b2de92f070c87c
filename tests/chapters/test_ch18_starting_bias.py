"""Chapter 18 designs its networks for two numbers of the images, and moves their heads alone."""

import numpy as np
import pytest

from igbrepro.data import gaussian, load
from igbrepro.initialization import HeadStart, InitSpec
from igbrepro.publishing import resolve_parameters
from igbrepro.runs import DataFacts, Parameters
from igbrepro.theory import critical_sigma_w2
from notebooks.ch18_starting_bias import experiment


def parameters(**changes):
    _, values = resolve_parameters("ch18_starting_bias", "smoke", changes)
    return Parameters(values)


def test_mean_square_and_correlation_are_those_of_all_pairs(monkeypatch):
    data = gaussian(n_train=40, n_test=10, features=60, seed=0).scaled("unit")
    x = data.inputs("train").astype(float) + 0.8
    monkeypatch.setattr(type(data), "inputs", lambda self, split: x.astype(np.float32))
    monkeypatch.setattr(experiment, "dataset", lambda p: data)
    gram = x @ x.T / x.shape[1]
    product = (gram.sum() - np.trace(gram)) / (40 * 39)
    found = experiment.inputs(parameters())
    assert found["norm2"] == pytest.approx(np.trace(gram) / 40, rel=0.05)
    assert found["input_correlation"] == pytest.approx(40 * product / np.trace(gram), abs=0.00501)


@pytest.mark.parametrize("scaling", ["standard", "unit"])
def test_where_the_shipped_part_stands_in_for_the_whole_the_runs_are_the_same(scaling):
    whole, part = (parameters(dataset=name, scaling=scaling) for name in ("fashion-mnist", "fashion-mnist-subset"))
    data = DataFacts.of(load("fashion-mnist-subset").scaled(scaling))
    if scaling == "standard":  # pictures in [0, 1] have a higher floor than the lowest target of the smoke preset
        one, other = (experiment.training(p, data) for p in (whole, part))
        assert [run.task for run in one.runs] == [run.task for run in other.runs]
    assert experiment.inputs(whole) == experiment.inputs(part)


def test_designs_are_on_the_edge_in_six_digits():
    made = experiment.designs(parameters())
    assert list(made)[:3] == ["tanh, γ = 0.5", "tanh, γ = 1", "tanh, γ = 3"] and len(made) == 4
    for one in made.values():
        assert one.sigma_w2 == pytest.approx(critical_sigma_w2(one.activation, one.sigma_b2), rel=6e-6)
        assert all(float(f"{value:.6g}") == value for value in (one.sigma_w2, one.sigma_b2))


def test_arms_of_one_design_differ_in_their_heads_alone():
    p = parameters()
    networks = experiment.training(p, DataFacts.of(load("fashion-mnist-subset"))).networks
    made = experiment.designs(p)
    for name, (spec, start) in networks.items():
        design, head = name.rsplit(", ", 1)
        init = start.init if isinstance(start, HeadStart) else start
        assert (start == init) == (head == "as drawn") and (spec.depth, spec.width) == (p.depth, p.width)
        if design in made:
            assert init == InitSpec(made[design].sigma_w2, made[design].sigma_b2)
        if isinstance(start, HeadStart):
            assert start.head == {"centred": "centred", "forced": (1, 0)}[head] and start.n_inputs == 50
    assert {name.rsplit(", ", 1)[1] for name in networks} == {"as drawn", "centred", "forced"} and len(networks) == 10
    ordered = networks["tanh, ordered, centred"][1].init
    assert ordered.sigma_w2 == 0.5 * made["tanh, γ = 1"].sigma_w2 and ordered.sigma_b2 == made["tanh, γ = 1"].sigma_b2
