"""Networks of every kind side by side: the numbers of each alone; and how many are worth it."""

import numpy as np
import pytest
import torch
from training.test_training import pictures

from igbrepro import data, training
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, ViTSpec
from igbrepro.theory import ERF, Activation, MaxPool
from igbrepro.training import TrainSettings, stacks

CPU, OTHER = torch.device("cpu"), torch.device("meta")
FEATURES = data.gaussian(n_train=200, n_test=100, features=20, classes=2, distance=2.0, seed=1)


PICTURES = data.Dataset("pictures", *pictures(200, 1), *pictures(100, 2), classes=("left", "right"), source="test")
IMAGE = {"n_classes": 2, "input_shape": (3, 8, 8)}
KINDS = {
    "mlp": MLPSpec("tanh", 3, 16, input_shape=(20,)),
    "residual mlp": MLPSpec("tanh", 4, 16, input_shape=(20,), residual=0.5),
    "post-activation mlp": MLPSpec("relu", 4, 16, input_shape=(20,), residual=0.5, residual_unit="post-activation"),
    "pooled mlp": MLPSpec("relu", 3, 16, input_shape=(20,), pool=MaxPool(2)),
    "cnn": CNNSpec("relu", 3, 4, **IMAGE),
    "pooled cnn": CNNSpec("tanh", 2, 4, pool=MaxPool(4), strides=(2,), **IMAGE),
    "resnet": ResNetSpec("relu", (1, 1), 4, **IMAGE),
    "resnet without norm": ResNetSpec("relu", (1, 1), 4, norm=False, **IMAGE),
    "vit": ViTSpec("gelu", 2, 8, 2, **IMAGE),
}
PLAN = {"steps": 6, "batch_size": 40, "lr": 1e-3, "n_eval": 60, "device": "cpu", "eval_points": range(7)}


def data_of(spec):
    return FEATURES if isinstance(spec, MLPSpec) else PICTURES


def side_by_side(spec, **options):
    """Three networks in one stack, and each alone: tables of equal rows."""
    dataset, starts = data_of(spec), {"he": "he", "edge": InitSpec(1.7, 0.1)}
    networks = {name: (spec, init) for name, init in starts.items()}
    runs = [("he", 0), ("he", 3), ("edge", 0), ("edge", 3)]
    many = training.train_many(networks, dataset, seeds=[0, 3], stack=4, workers=1, **PLAN | options)
    tables = dict(list(many.frame.groupby(["run", "seed"])))
    assert set(tables) == set(runs)
    for name, seed in runs:
        ours = tables[name, seed].drop(columns=["run", "seed"]).reset_index(drop=True)
        yield ours, training.train(spec, starts[name], dataset, seed=seed, **PLAN | options).frame


def assert_close(ours, alone, rtol):
    assert ours.drop(columns="value").equals(alone.drop(columns="value"))
    for metrics in (["loss", "class_loss"], ["class_gradient"]):
        rows = alone["metric"].isin(metrics)
        np.testing.assert_allclose(ours["value"][rows], alone["value"][rows], rtol=rtol, atol=1e-7)
    first = (alone["step"] == 0) & alone["metric"].isin(["accuracy", "class_fraction", "max_class_fraction"])
    assert first.sum() >= 4 and (ours["value"][first] == alone["value"][first]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_each_of_a_stack_trains_as_it_does_alone(kind):
    for ours, alone in side_by_side(KINDS[kind], gradients=True):
        assert_close(ours, alone, rtol=2e-5)
        losses = alone.query("split == 'train'")["value"]
        assert np.ptp(losses) > 1e-3  # it does train


def test_a_stack_is_evaluated_with_the_statistics_of_its_inputs():
    running = [ours for ours, _ in side_by_side(KINDS["resnet"])]
    for (ours, alone), other in zip(
        side_by_side(KINDS["resnet"], gradients=True, batch_statistics=True), running, strict=True
    ):
        assert_close(ours, alone, rtol=2e-5)
        start = [rows.query("step == 0 and metric == 'loss'")["value"].item() for rows in (ours, other)]
        assert abs(start[0] - start[1]) > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_in_a_stack_is_as_close_as_alone(kind):
    exact = [frame for _, frame in side_by_side(KINDS[kind])]
    for (ours, alone), true in zip(side_by_side(KINDS[kind], precision="bfloat16"), exact, strict=True):
        rows = alone["split"] == "train"
        values = [frame["value"][rows].to_numpy() for frame in (ours, alone, true)]
        np.testing.assert_allclose(values[0], values[2], rtol=0.03)
        assert (values[0] != values[2]).any() and (values[1] != values[2]).any()


def test_stacks_of_image_networks_go_on_from_their_checkpoint(tmp_path):
    networks, spec = {}, KINDS["resnet"]
    networks["a"] = (spec, "he")
    options = PLAN | {"seeds": [0, 1], "stack": 2, "workers": 1, "checkpoints": tmp_path}
    first = training.train_many(networks, PICTURES, **options)
    again = training.train_many(networks, PICTURES, **options)
    assert [file.name for file in tmp_path.iterdir()] == ["a-0+1.pt"]
    assert again.frame.equals(first.frame) and again.runs.equals(first.runs)


# How many


def test_on_the_cpu_plain_fully_connected_networks_and_post_activation_units_are_stacked():
    plan = TrainSettings(10)
    sizes = {name: stacks.stack_size(spec, plan, CPU) for name, spec in KINDS.items()}
    assert {name for name, size in sizes.items() if size > 1} == {"mlp", "post-activation mlp"}
    assert stacks.stack_size(MLPSpec("tanh", 100, 1000), plan, CPU) == 1
    assert stacks.stack_size(MLPSpec("tanh", 100, 200), plan, CPU) == 7  # 4.1 million parameters each
    assert sizes["mlp"] == 16


def test_on_an_accelerator_all_kinds_are_stacked_as_its_memory_allows(monkeypatch):
    plan = TrainSettings(10)
    mine = Activation("mine", ERF.function, lambda x: ERF.derivative(x), torch_function=torch.erf)
    for spec in KINDS.values():
        assert stacks.stack_size(spec, plan, OTHER) == 64
    assert stacks.stack_size(MLPSpec(mine, 3, 16, input_shape=(20,)), plan, OTHER) == 64
    assert stacks.stack_size(CNNSpec(mine, 3, 4, **IMAGE), plan, OTHER) == 1
    need = stacks.training_bytes(KINDS["mlp"], plan)
    for room, networks in ((2 * need, 1), (1, 1), (11 * need, 5)):
        monkeypatch.setattr(stacks, "_MEMORY", room)
        assert stacks.stack_size(KINDS["mlp"], plan, OTHER) == networks


def test_what_the_memory_of_a_network_is_made_of():
    """By hand: 914 parameters; for every input its 20 features and three layers of 16 tanh, four bytes each."""
    spec, parameters, kept, widest = KINDS["mlp"], 914, 4 * (20 + 3 * 16), 4 * 20
    at = [
        TrainSettings(1, batch_size=100, n_eval=n, gradients=g, batch_statistics=b)
        for n, g, b in [(1000, False, False), (1000, True, False), (1000, False, True), (100, False, False)]
    ]
    want = [3 * max(100 * kept, 250 * widest), 3 * 1000 * kept, 3 * 1000 * widest, 3 * 100 * kept]
    assert [stacks.training_bytes(spec, plan) for plan in at] == [16 * parameters + inputs for inputs in want]


def test_networks_are_put_into_stacks_by_the_device(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "igbrepro.training.many.stack_size", lambda spec, plan, device: asked.append((spec, device)) or 2
    )
    networks = {"a": (KINDS["cnn"], "he")}
    many = training.train_many(networks, PICTURES, seeds=range(3), workers=1, **PLAN | {"steps": 1, "eval_points": []})
    assert asked == [(KINDS["cnn"], CPU)] and len(many.runs) == 3
