"""Chapter 23: rows of the maps are the networks they say, and the border is where a planted one lies."""

import numpy as np
import pandas as pd
import pytest
import torch

from igbrepro.data import load
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, build
from igbrepro.publishing import resolve_parameters
from igbrepro.runs import DataFacts, Measured, Parameters, Run
from igbrepro.training import TrainSettings, train
from notebooks.ch23_trainability import experiment, lab

PICTURES = load("fashion-mnist-subset")


def declared(preset, **changed):
    _, values = resolve_parameters("ch23_trainability", preset)
    return Parameters(values | changed), DataFacts.of(PICTURES)


@pytest.mark.parametrize("xi", [3.0, 10.0])
def test_the_border_of_a_planted_fall_is_where_it_was_planted(xi):
    """Accuracy falls from 1 to 1/2 linearly in log depth, and passes 3/4 at six scales."""
    depths = np.geomspace(4, 200, 30)
    planted = np.clip(0.75 - 2 * np.log(depths / (6 * xi)), 0.5, 1)
    found, inside = lab.border(pd.Series(planted, index=depths), 0.75)
    assert inside and found == pytest.approx(6 * xi, rel=0.02)  # the spacing of the depths is 14 %


def test_rows_without_a_border_say_so_and_give_their_end():
    depths = [5, 10, 20]
    assert lab.border(pd.Series([0.9, 0.9, 0.8], depths), 0.75) == (20.0, False)
    assert lab.border(pd.Series([0.6, 0.9, 0.9], depths), 0.75) == (5.0, False)
    assert lab.border(pd.Series([0.9, 0.6, 0.9], depths), 0.75)[0] == pytest.approx(10**0.5 * 5**0.5)


@pytest.mark.parametrize(
    "spec", [MLPSpec("tanh", 3, 12, 2), CNNSpec("tanh", 4, 6, 2, strides=(2, 2))], ids=["mlp", "cnn"]
)
def test_square_matrices_become_orthogonal_times_sigma_w(spec):
    shaped = spec if isinstance(spec, CNNSpec) else MLPSpec("tanh", 3, 12, 2, PICTURES.input_shape)
    model = build(shaped, InitSpec(1.7, 0.1), torch.Generator().manual_seed(0))
    before = [parameter.clone() for parameter in model.parameters()]
    lab.make_orthogonal_(model, 1.7, torch.Generator().manual_seed(1))
    square = 0
    for old, new in zip(before, model.parameters(), strict=True):
        if new.dim() < 2 or new.shape[0] != new.shape[1]:
            assert torch.equal(old, new)
            continue
        square += 1
        whole = new.flatten(2).sum(2) if new.dim() > 2 else new  # of a kernel only the middle is not zero
        torch.testing.assert_close(whole @ whole.T, 1.7 * torch.eye(len(whole)), rtol=1e-4, atol=1e-4)
        assert int((new != 0).sum()) <= whole.numel()
    assert square >= 2


def test_a_row_is_the_network_that_is_trained_and_its_guesses_are_those_before():
    spec, init = MLPSpec("tanh", 6, 20, 2, PICTURES.input_shape), InitSpec(1.5, 0.1)
    sizes = {"steps": 5, "batch_size": 20, "n_eval": 60, "n_images": 20}
    rows = lab.row(Run("one", spec, init, 4, None), PICTURES, [2, 6], lr=1e-2, optimizer="sgd", n_heads=4000, **sizes)
    table = rows.pivot(index="step", columns="metric", values="value")
    history = train(
        spec, init, PICTURES, TrainSettings(5, 20, 1e-2, optimizer="sgd", n_eval=60), seed=4, progress=False
    )
    assert table.accuracy[6] == history.frame.query("metric == 'accuracy' and step == 5").value.iloc[0]
    model = build(spec, init, torch.Generator().manual_seed(4))
    images = torch.from_numpy(PICTURES.subset(n_test=20, seed=4).inputs("test"))
    with torch.no_grad():
        body = model[:-1](images)
        heads = torch.randn(20, 20_000, generator=torch.Generator().manual_seed(9)) * (1.5 / 20) ** 0.5
        bias = torch.randn(20_000, generator=torch.Generator().manual_seed(8)) * 0.1**0.5
        logits = body @ heads + bias
    first = (logits[:, ::2] > logits[:, 1::2]).double().mean(0)
    shares = torch.maximum(first, 1 - first)
    error = float(shares.std()) / len(shares) ** 0.5
    assert table.max_class_fraction[6] == pytest.approx(float(shares.mean()), abs=4 * 2**0.5 * 1.6 * error)


def test_sweeps_have_every_row_and_ask_for_both_sides_of_the_edge():
    p, data = declared("study")
    maps = experiment.maps(p, data)
    assert len(maps.networks) == 4 * len(p.ratios) and len(experiment.others(p, data).networks) == 3 * len(p.ratios)
    assert all(isinstance(maps.settings_of(name), Measured) for name in maps.networks)
    sgd = maps.settings_of("ReLU MLP, sgd, 1").arguments
    assert (sgd["optimizer"], sgd["lr"], sgd["depths"]) == ("sgd", p.sgd_lr, p.depths)
    deep = experiment.deep(declared("paper")[0], data)
    name = "MLP, 1000 layers, orthogonal, 0.9"
    assert deep.networks[name][0].depth == 1000 and deep.settings_of(name).arguments["lr"] == p.deep_lr / 1000
    start = deep.networks[name][1]
    assert (start.sigma_w2, start.sigma_b2) == (pytest.approx(0.9), 0)  # the edge of tanh without bias vectors is 1
    usual = {run.key(data) for run in maps.runs}
    again = [run.key(data) in usual for run in experiment.epsilons(p, data).runs]
    assert sum(again) == len(again) // 2  # those with Adam's own epsilon are rows of the map
    with pytest.raises(ParameterError, match=r"need 1\.0, the edge"):
        experiment.maps(*declared("study", ratios=[0.5, 1.0]))
