"""Chapter 24 compares starts at rates that other seeds and other images have chosen."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from toys import smoke_parameters

from igbrepro.claims import Measurement, Outcome
from igbrepro.data import load
from igbrepro.errors import ParameterError
from igbrepro.initialization import initialize_
from igbrepro.networks import CNNSpec, build
from igbrepro.publishing import resolve_parameters
from igbrepro.runs import DataFacts, Parameters
from igbrepro.training import TrainSettings, train
from notebooks.ch24_two_sentences import claims, experiment, lab

CHAPTER = "ch24_two_sentences"
PICTURES = load("fashion-mnist-subset")
parameters = partial(smoke_parameters, CHAPTER)


@pytest.fixture(scope="module")
def data():
    return experiment.dataset(parameters())


def test_pixels_are_means_of_blocks_and_their_name_says_so(data):
    full = PICTURES.test_images[:7].astype(float)
    blocks = sum(full[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4
    assert data.name == "fashion-mnist-subset, 2 x 2 pixels to one" and data.input_shape == (1, 14, 14)
    assert np.abs(data.test_images[:7] - blocks).max() <= 0.5 and data.test_images.dtype == np.uint8
    assert experiment.dataset(parameters(shrink=1)).sha256 == PICTURES.sha256
    for by in (3, 0):
        with pytest.raises(ParameterError, match=rf"shrink={by}: need a whole number that divides the 28 x 28"):
            experiment.dataset(parameters(shrink=by))


def test_images_that_choose_are_neither_trained_on_nor_those_that_judge(data):
    part = lab.held_out(data, 50)
    assert (len(part.train_labels), len(part.test_labels)) == (len(data.train_labels) - 50, 50)
    assert set(np.bincount(part.test_labels)) == {5}, "the classes in equal numbers"
    every = np.concatenate([part.train_images, part.test_images]).reshape(len(data.train_labels), -1)
    assert (np.sort(every.sum(1)) == np.sort(data.train_images.reshape(len(every), -1).sum(1))).all()
    assert (lab.held_out(data, 50).test_images == part.test_images).all(), "the same for every seed"
    assert part.statistics[0] == data.statistics[0]
    with pytest.raises(ParameterError, match="n_held_out=10000"):
        lab.held_out(data, len(data.train_labels))


def test_both_sweeps_have_every_network_from_every_start(data):
    p, facts = parameters(chosen=varied()), DataFacts.of(data)
    tuning, judging = experiment.tuning(p, facts), experiment.judging(p, facts)
    assert tuning.networks == judging.networks and len(judging.networks) == 25
    assert not set(tuning.seeds) & set(judging.seeds)
    for name in judging.networks:
        network, start = name.split(", ")
        assert judging.settings_of(name).lr == varied()[network][start]
        assert judging.settings_of(name).points == tuning.settings_of(name).arguments["points"]
    with pytest.raises(ParameterError, match="10 in both; judge with other seeds"):
        experiment.judging(parameters(tuning_seeds=[10]), facts)
    missing = {network: rates for network, rates in varied().items() if network != "ResNet"}
    with pytest.raises(ParameterError, match=r"chosen: has no learning rate for 'ResNet, proposed'"):
        experiment.judging(parameters(chosen=missing), facts)


def varied():
    """A rate of its own for every network and start."""
    names = [*claims.NORM_FREE, claims.NORMED]
    return {n: {s: 1e-4 * (1 + 5 * i + j) for j, s in enumerate(experiment.SCHEMES)} for i, n in enumerate(names)}


def test_tuning_is_a_training_at_every_rate_on_the_images_that_are_left(data):
    p = parameters(cnn_rates=[1e-3, 1e-2], cnn_steps=4)
    run = next(r for r in experiment.tuning(p, DataFacts.of(data)).runs if r.name == "shallow CNN, He")
    found = run.settings.numbers(run, data)
    assert set(found["split"]) == {"0.001", "0.01"} and set(found["metric"]) == set(lab.KEPT)
    settings = TrainSettings(4, p.batch_size, 1e-2, labels="classes", n_eval=p.n_tuning, batch_statistics=True)
    settings = replace(settings, eval_points=run.settings.arguments["points"])
    same = train(run.spec, run.init, lab.held_out(data, p.n_held_out), settings, seed=run.seed, progress=False)
    losses = found[(found["split"] == "0.01") & (found["metric"] == "loss")].set_index("step")["value"]
    assert losses.to_dict() == pytest.approx(same.series("loss").to_dict(), rel=1e-6)


def table_of(curves):
    """The frame of a sweep: curves by (run, seed, rate), at steps 0, 4, 5, 10."""
    rows = [
        (run, seed, step, rate, "accuracy", value)
        for (run, seed, rate), values in curves.items()
        for step, value in zip((0, 4, 5, 10), values, strict=False)
    ]
    return pd.DataFrame(rows, columns=["run", "seed", "step", "split", "metric", "value"])


def test_the_rule_looks_at_the_second_half_and_a_training_that_diverged_is_at_chance():
    curves = {
        ("a", 0, "0.001"): (0.1, 0.9, 0.3, 0.5),
        ("a", 1, "0.001"): (0.1, 0.9, 0.4, 0.4),
        ("a", 0, "0.01"): (0.1, 0.1, 0.5, 0.6),
        ("a", 1, "0.01"): (0.1, 0.1, 0.9),  # diverged after step 5
        ("b", 0, "0.01"): (0.1, 0.1, 0.2, 0.2),
        ("b", 0, "0.1"): (0.1, 0.1, 0.2, 0.2),
    }
    found = lab.plane(table_of(curves), 0.1)
    assert found.columns.tolist() == [0.001, 0.01, 0.1]
    assert found.loc[("a", 0)].tolist() == pytest.approx([0.4, 0.55, np.nan], nan_ok=True)
    assert found.loc[("a", 1)].tolist() == pytest.approx([0.4, 0.1, np.nan], nan_ok=True)
    assert found.loc[("b", 0)].tolist() == pytest.approx([np.nan, 0.2, 0.2], nan_ok=True)
    assert lab.best_rates(found).to_dict() == {"a": 0.001, "b": 0.01}, "by the mean over seeds; of equals the smallest"


def test_rates_are_those_of_the_grid_and_the_presets_name_one_for_each():
    for preset in ("laptop", "study", "paper"):
        p = Parameters(resolve_parameters(CHAPTER, preset)[1])
        facts = DataFacts.of(experiment.dataset(parameters(shrink=p.shrink)))
        for name, (spec, _) in experiment.networks(p, facts).items():
            assert experiment.rate_of(p, name) in (p.cnn_rates if isinstance(spec, CNNSpec) else p.resnet_rates)
    study = Parameters(resolve_parameters(CHAPTER, "study")[1])
    assert len(study.seeds) >= 6 and study.n_tuning <= study.n_held_out


def test_he_is_left_out_where_it_is_the_proposed_start():
    """Wherever a claim compares with He's rule, the weights are others; in plain CNNs they are not, but for layer 1."""
    p = parameters()
    every = experiment.specs(p, DataFacts.of(experiment.dataset(p)))
    images = experiment.dataset(p).inputs("test", flat=False)[:8]
    import torch

    def weights(spec, scheme):
        model = build(spec, "default", torch.Generator().manual_seed(0))
        initialize_(model, scheme, example_input=images, generator=torch.Generator().manual_seed(1))
        return [w for name, w in model.named_parameters() if w.ndim > 1][1:-1]

    for name, spec in every.items():
        pairs = zip(weights(spec, "edge-of-chaos"), weights(spec, "he"), strict=True)
        same = all(torch.allclose(a, b, rtol=1e-5) for a, b in pairs)
        assert same == (name in claims.PLAIN or name == claims.NORMED)
    assert claims.compared("He") == ("pooled CNN", "ResNet") and claims.compared("Xavier") == claims.NORM_FREE


@pytest.mark.parametrize(
    ("behind", "outcome"),
    [(0.3, Outcome.REPRODUCED), (0.02, Outcome.NOT_REPRODUCED), (-0.3, Outcome.NOT_REPRODUCED)],
    ids=["ahead everywhere", "perhaps none, and surely too little, on one", "behind on one"],
)
def test_one_network_refutes_a_claim_on_all(behind, outcome):
    leads = dict.fromkeys(claims.NORM_FREE, 0.4) | {"deep CNN": behind}
    measured = {
        name: Measurement(claims.faster(name, "Xavier"), value, 0.02, n=10, note="made up")
        for name, value in leads.items()
    }
    found = {m.name: m for m in measured.values()}
    assert claims.SUMMARY_FASTER["Xavier"].rule(found)[0] is outcome
