import concurrent.futures
import copy
import inspect
import math
import signal
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm
from torch import nn
from torch.nn import functional as F

from igbrepro import data, training
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, ViTSpec, build
from igbrepro.theory import ERF, Activation, MaxPool
from igbrepro.training import many as side_by_side
from igbrepro.training import metrics, settings
from igbrepro.training import run as training_run
from igbrepro.training.history import COLUMNS

DATASET = data.gaussian(n_train=500, n_test=400, features=20, classes=4, distance=2.0, seed=1)
SPEC = MLPSpec("tanh", depth=3, width=16, input_shape=(20,))
INIT = InitSpec(1.5, 0.1)
SETTINGS = {"steps": 30, "batch_size": 60, "lr": 1e-2, "n_eval": 200, "device": "cpu"}
ONE = {"workers": 1}  # in this process, where tests can reach in


def pictures(n, seed):
    """Grey 8 x 8 images of two classes, the second brighter on its right side."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.integers(0, 128, (n, 3, 8, 8))
    images[labels == 1, :, :, 4:] += 60
    return images.astype(np.uint8), labels


IMAGES = data.Dataset("pictures", *pictures(240, 1), *pictures(300, 2), classes=("left", "right"), source="test")
IMAGE_SPECS = {
    "cnn": CNNSpec("relu", 2, 4, 2, (3, 8, 8)),
    "resnet": ResNetSpec("relu", (1, 1), 4, 2, (3, 8, 8)),
    "vit": ViTSpec("gelu", 1, 8, 2, n_classes=2, input_shape=(3, 8, 8)),
}
FEW = {"steps": 12, "batch_size": 40, "lr": 1e-2, "n_eval": 60, "device": "cpu"}


def train(**changes):
    return training.train(SPEC, INIT, DATASET, **(SETTINGS | changes))


def assert_same(one, two):
    assert one.frame.equals(two.frame)
    assert (one.batch_losses == two.batch_losses).all()
    for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.equal(a, b)


# What a run is


def test_a_linear_network_reaches_the_bayes_accuracy_and_not_more():
    dataset = data.gaussian(n_train=20_000, n_test=4000, features=10, classes=2, distance=1.0, seed=3)
    spec = MLPSpec("linear", depth=1, width=8, input_shape=(10,))
    history = training.train(spec, InitSpec(1.0), dataset, steps=400, lr=1e-2, n_eval=4000, labels="classes")
    centres = np.stack([dataset.train_images[dataset.train_labels == k].mean(0) for k in (0, 1)])
    bayes = norm.cdf(np.linalg.norm(centres[0] - centres[1]) / 2)
    assert history.series("accuracy").iloc[-1] == pytest.approx(bayes, abs=3 * math.sqrt(bayes * (1 - bayes) / 4000))


def test_full_batch_sgd_is_gradient_descent_on_mean_cross_entropy():
    start = train(steps=0, optimizer="sgd", batch_size=500).model
    trained = train(steps=3, optimizer="sgd", batch_size=500, lr=0.5).model.double()
    model = nn.Sequential(*start).double()
    inputs = torch.from_numpy(DATASET.inputs("train")).double()
    labels = torch.from_numpy(DATASET.train_labels % 2)
    for _ in range(3):
        scores = model(inputs)
        loss = -(scores - scores.exp().sum(1, keepdim=True).log())[torch.arange(500), labels].mean()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.5 * parameter.grad
    for ours, theirs in zip(trained.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_adam_is_pytorchs(monkeypatch):
    """The first step of Adam moves every parameter by lr, but for those without a gradient."""
    before, after = train(steps=0).model, train(steps=1, lr=1e-3).model
    moved = torch.cat([(b - a).abs().flatten() for a, b in zip(before.parameters(), after.parameters(), strict=True)])
    assert float(moved.detach().median()) == pytest.approx(1e-3, rel=1e-3)


def test_the_untrained_network_is_evaluated_first_on_balanced_test_inputs():
    history = train(steps=0, n_eval=400)
    inputs, labels = torch.from_numpy(DATASET.inputs("test")), torch.from_numpy(DATASET.test_labels % 2)
    want = metrics.evaluate(history.model(inputs).detach(), labels)
    for metric in ("accuracy", "loss", "max_class_fraction"):
        assert history.series(metric).tolist() == pytest.approx([want[metric]])
    for label in (0, 1):
        for metric in ("class_fraction", "class_accuracy", "class_loss"):
            assert history.series(metric, class_=label).tolist() == pytest.approx([want[metric][label]])


@pytest.mark.parametrize("spec", [SPEC, MLPSpec("tanh", 3, 16, input_shape=(20,), residual=0.5)])
def test_training_inputs_are_evaluated_as_test_inputs_are(spec):
    """A data set whose two splits are the same inputs, so that each number has its twin."""
    same = data.Dataset(
        *("twins", DATASET.train_images, DATASET.train_labels, DATASET.train_images, DATASET.train_labels),
        classes=DATASET.classes,
        source="test",
    )
    both = {"n_eval": 300, "n_eval_train": 300, "gradients": True}
    frame = training.train_many({"one": (spec, INIT)}, same, seeds=[0, 1], **(SETTINGS | both), workers=1).frame
    test, train = (frame[frame["split"] == split].drop(columns="split") for split in ("test", "train"))
    assert (
        test[test["metric"] != "loss"]
        .reset_index(drop=True)
        .equals(train[train["metric"] != "loss"].reset_index(drop=True))
    )
    assert len(train) > 100 and not frame.duplicated(["run", "seed", "step", "split", "metric", "class"]).any()
    plain = training.train_many({"one": (spec, INIT)}, same, seeds=[0, 1], **(SETTINGS | {"n_eval": 300}), workers=1)
    unasked = plain.frame
    assert unasked["split"].eq("train").sum() == (unasked["metric"].eq("loss") & unasked["split"].eq("train")).sum()
    accuracy = frame.query("metric == 'accuracy' and split == 'test'")["value"].to_numpy()
    assert (accuracy == unasked.query("metric == 'accuracy'")["value"].to_numpy()).all()


def test_the_table_is_tidy():
    history = train(eval_points=[10, 20])
    assert history.frame.columns.tolist() == ["step", "split", "metric", "class", "value"]
    assert not history.frame.duplicated(["step", "split", "metric", "class"]).any()
    assert history.series("accuracy").index.tolist() == [0, 10, 20, 30]
    between = [history.batch_losses[a:b].mean() for a, b in ((0, 10), (10, 20), (20, 30))]
    assert history.series("loss", split="train").to_dict() == pytest.approx(
        dict(zip((10, 20, 30), between, strict=True))
    )
    assert history.series("class_fraction", class_=1).between(0, 1).all()
    with pytest.raises(ParameterError, match="'acuracy'"):
        history.series("acuracy")
    assert history.seconds > 0 and history.steps_per_second == pytest.approx(30 / history.seconds)


def test_every_epoch_uses_each_input_once_in_a_new_order(monkeypatch):
    seen = []
    real = training_run.Run._batch
    monkeypatch.setattr(training_run.Run, "_batch", lambda run: (batch := real(run), seen.append(batch[0][0]))[0])
    train(steps=16)  # 500 // 60 = 8 batches an epoch
    first, second = torch.cat(seen[:8]), torch.cat(seen[8:])
    assert len(torch.unique(first, dim=0)) == len(torch.unique(second, dim=0)) == 480
    assert not torch.equal(first, second)


def test_classes_and_other_shapes_of_input():
    spec = MLPSpec("relu", depth=2, width=16, n_classes=4, input_shape=(2, 10))
    history = training.train(spec, InitSpec(2.0), DATASET, labels="classes", **SETTINGS)
    assert sorted(history.frame["class"].dropna().unique()) == [0, 1, 2, 3]
    assert history.series("accuracy").iloc[-1] > 0.6


def test_seeds():
    assert_same(train(seed=3), train(seed=3))
    one, other = train(seed=3), train(seed=4)
    assert not torch.equal(one.model[1].weight, other.model[1].weight)
    assert one.settings["seed"] == 3 and one.settings["sigma_w2"] == 1.5 and one.settings["activation"] == "tanh"


def test_log_steps():
    assert training.log_steps(0) == [0] and training.log_steps(1) == [0, 1]
    assert training.log_steps(100, 6) == [0, 1, 3, 10, 32, 100]
    points = training.log_steps(10_000)
    assert points[0] == 0 and points[-1] == 10_000 and 20 <= len(points) <= 25


# Networks for images


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("name", IMAGE_SPECS)
def test_image_networks_learn_and_resume_to_the_same_numbers(heeds_interrupts, monkeypatch, tmp_path, name, optimizer):
    def run(**settings):
        return training.train(IMAGE_SPECS[name], "he", IMAGES, **FEW, optimizer=optimizer, **settings)

    with monkeypatch.context() as patch:
        interrupt_in_update(patch, 7)
        with pytest.raises(KeyboardInterrupt, match="step 7 of 12"):
            run(checkpoint=tmp_path / "run.pt")
    resumed, whole = run(checkpoint=tmp_path / "run.pt"), run()
    assert_same(resumed, whole)
    states = resumed.model.state_dict(), whole.model.state_dict()  # with what batch normalisation keeps
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert whole.series("loss").iloc[-1] < whole.series("loss").iloc[0]
    with pytest.raises(ParameterError, match="init was 'he', now 'xavier'"):
        training.train(IMAGE_SPECS[name], "xavier", IMAGES, checkpoint=tmp_path / "run.pt", **FEW, optimizer=optimizer)


def test_the_settings_of_a_run_name_its_network():
    settings = training.train(IMAGE_SPECS["resnet"], "default", IMAGES, **FEW | {"steps": 0}).settings
    assert settings["stages"] == [1, 1] and settings["init"] == "default" and settings["norm"] is True
    spec = CNNSpec("relu", 1, 4, 2, (3, 8, 8), strides=(2,), pool=MaxPool(4))
    settings = training.train(spec, INIT, IMAGES, **FEW | {"steps": 0}).settings
    assert "MaxPool" in settings["pool"] and settings["strides"] == [2] and settings["sigma_b2"] == 0.1


def class_gradients(model, dataset, labels):
    """Norms by .backward() in float64, one class after the other, from the mean over its test inputs alone."""
    model, norms = copy.deepcopy(model).double(), []
    inputs = torch.from_numpy(dataset.inputs("test", flat=False)).double()
    for label in np.unique(labels):
        model.zero_grad()
        chosen = torch.from_numpy(labels == label)
        scores = model(inputs).log_softmax(1)[chosen]
        (-scores[:, int(label)].mean()).backward()
        norms.append(math.sqrt(sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None)))
    return norms


def test_gradients_of_each_class():
    spec = MLPSpec("tanh", 2, 8, 4, (20,))
    history = training.train(
        spec,
        INIT,
        DATASET,
        **SETTINGS | {"steps": 3, "n_eval": 400, "eval_points": [], "labels": "classes"},
        gradients=True,
    )
    want = class_gradients(history.model, DATASET, DATASET.test_labels)
    found = [history.series("class_gradient", class_=label).iloc[-1] for label in range(4)]
    assert found == pytest.approx(want, rel=1e-5) and np.ptp(want) > 0.01
    assert "class_gradient" not in set(train(steps=0).frame["metric"])


def test_gradients_of_stacked_networks_are_those_of_each_alone():
    settings = SETTINGS | {"steps": 2, "gradients": True}
    many = training.train_many({"a": (SPEC, INIT), "b": (SPEC, InitSpec(4.0))}, DATASET, seeds=[0], **ONE, **settings)
    alone = training.train(SPEC, InitSpec(4.0), DATASET, **settings).frame
    ours = many.frame.query("run == 'b' and metric == 'class_gradient'")["value"]
    np.testing.assert_allclose(ours, alone.query("metric == 'class_gradient'")["value"], rtol=1e-4)


def test_batch_statistics_are_those_of_all_test_inputs():
    settings = FEW | {"steps": 0, "n_eval": 300, "gradients": True}  # more than one batch of an evaluation
    running = training.train(IMAGE_SPECS["resnet"], "he", IMAGES, **settings)
    batch = training.train(IMAGE_SPECS["resnet"], "he", IMAGES, batch_statistics=True, **settings)
    for history, model in ((running, running.model.eval()), (batch, copy.deepcopy(batch.model).train())):
        inputs = torch.from_numpy(IMAGES.inputs("test", flat=False))
        want = metrics.evaluate(copy.deepcopy(model)(inputs).detach(), torch.from_numpy(IMAGES.test_labels))
        assert history.series("loss").tolist() == pytest.approx([want["loss"]], rel=1e-5)
        found = [history.series("class_gradient", class_=label).item() for label in (0, 1)]
        assert found == pytest.approx(class_gradients(model, IMAGES, IMAGES.test_labels), rel=1e-4)
    assert abs(running.series("loss").item() - batch.series("loss").item()) > 0.1
    assert not any(value.any() for name, value in batch.model.state_dict().items() if name.endswith("running_mean"))


def test_bfloat16_stays_close_to_float32():
    one, other = (
        training.train(IMAGE_SPECS["cnn"], "he", IMAGES, precision=precision, **FEW | {"lr": 1e-3})
        for precision in ("bfloat16", "float32")
    )
    assert not (one.batch_losses == other.batch_losses).all()
    np.testing.assert_allclose(one.batch_losses, other.batch_losses, rtol=0.02)
    assert all(parameter.dtype == torch.float32 for parameter in one.model.parameters())
    assert one.settings["precision"] == "bfloat16"


# Modules of any kind


def module():
    return nn.Sequential(nn.Flatten(), nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 2))


def test_a_module_is_trained_like_a_network_of_its_own():
    spec = MLPSpec("tanh", 1, 8, 2, (20,))
    model = training.train(spec, INIT, DATASET, **SETTINGS | {"steps": 0}, seed=3).model
    ours = training.train_module(model, DATASET, seed=3, **SETTINGS)
    assert ours.model is model
    assert_same(ours, training.train(spec, INIT, DATASET, seed=3, **SETTINGS))


def test_only_what_requires_a_gradient_is_trained():
    model = module()
    model[1].requires_grad_(False)
    before = copy.deepcopy(model)
    history = training.train_module(model, DATASET, gradients=True, **SETTINGS)
    assert torch.equal(before[1].weight, model[1].weight) and torch.equal(before[1].bias, model[1].bias)
    assert (before[3].weight != model[3].weight).all() and not model[1].weight.requires_grad
    assert history.series("loss").iloc[-1] < history.series("loss").iloc[0]
    head = copy.deepcopy(model)
    want = class_gradients(head, DATASET.subset(n_test=400), DATASET.subset(n_test=400).test_labels % 2)
    again = training.train_module(head, DATASET, gradients=True, **SETTINGS | {"steps": 0, "n_eval": 400})
    assert [again.series("class_gradient", class_=label).item() for label in (0, 1)] == pytest.approx(want, rel=1e-4)


def test_a_module_keeps_its_checkpoint_under_its_name(monkeypatch, tmp_path):
    start = module()
    first = training.train_module(copy.deepcopy(start), DATASET, name="mine", checkpoint=tmp_path / "m.pt", **SETTINGS)
    updates = count_updates(monkeypatch)
    again = training.train_module(copy.deepcopy(start), DATASET, name="mine", checkpoint=tmp_path / "m.pt", **SETTINGS)
    assert not updates
    assert_same(first, again)
    with pytest.raises(ParameterError, match="name was 'mine', now 'other'"):
        training.train_module(start, DATASET, name="other", checkpoint=tmp_path / "m.pt", **SETTINGS)


def test_a_module_without_anything_to_train_is_refused():
    for model in (nn.Flatten(), module().requires_grad_(False)):
        with pytest.raises(ParameterError, match="model: no parameter has requires_grad=True"):
            training.train_module(model, DATASET, **SETTINGS)


# Settings


def test_settings_may_be_an_object_and_names_change_single_ones():
    plan = training.TrainSettings(steps=30, batch_size=60, lr=1e-2, n_eval=200)
    assert_same(training.train(SPEC, INIT, DATASET, plan, device="cpu"), train())
    assert_same(training.train(SPEC, INIT, DATASET, plan, device="cpu", steps=5), train(steps=5))
    with pytest.raises(ParameterError, match=r"settings=\{'steps': 3\}: need TrainSettings"):
        training.train(SPEC, INIT, DATASET, {"steps": 3})
    with pytest.raises(ParameterError, match=r"steps: say how many updates train is to make"):
        training.train(SPEC, INIT, DATASET, lr=1.0)
    with pytest.raises(ParameterError, match=r"rate=1: train_module has no such setting; did you mean lr"):
        training.train_module(module(), DATASET, rate=1)
    with pytest.raises(ParameterError, match=r"learning_rate=1: train_many has no such setting; did you mean lr"):
        training.train_many(NETWORKS, DATASET, seeds=[0], steps=1, learning_rate=1)


def test_momentum_and_weight_decay_are_those_of_the_textbook():
    """v <- m v + (g + d w), w <- w - lr v, on full batches in float64."""
    start = train(steps=0, optimizer="sgd", batch_size=500).model
    options = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1, "batch_size": 500, "lr": 0.1}
    trained = train(steps=3, **options)
    model = nn.Sequential(*start).double()
    inputs = torch.from_numpy(DATASET.inputs("train")).double()
    labels = torch.from_numpy(DATASET.train_labels % 2)
    speed = [torch.zeros_like(parameter) for parameter in model.parameters()]
    for _ in range(3):
        gradients = torch.autograd.grad(F.cross_entropy(model(inputs), labels), list(model.parameters()))
        with torch.no_grad():
            for v, g, w in zip(speed, gradients, model.parameters(), strict=True):
                v.mul_(0.9).add_(g + 0.1 * w)
                w.sub_(0.1 * v)
    for ours, theirs in zip(trained.model.double().parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert trained.settings["momentum"] == 0.9 and trained.settings["weight_decay"] == 0.1


def test_the_first_step_of_adam_divides_a_gradient_by_its_size_and_epsilon():
    """w <- w - lr g / (|g| + epsilon): both running means are those of one gradient, their bias taken out."""
    start = train(steps=0, batch_size=500).model
    trained = train(steps=1, batch_size=500, lr=0.01, epsilon=0.05)
    model = nn.Sequential(*start).double()
    inputs = torch.from_numpy(DATASET.inputs("train")).double()
    loss = F.cross_entropy(model(inputs), torch.from_numpy(DATASET.train_labels % 2))
    for g, w, ours in zip(
        torch.autograd.grad(loss, list(model.parameters())),
        model.parameters(),
        trained.model.double().parameters(),
        strict=True,
    ):
        torch.testing.assert_close(ours, w - 0.01 * g / (g.abs() + 0.05), rtol=1e-4, atol=1e-6)
    assert trained.settings["epsilon"] == 0.05


def test_labels_of_ones_own_are_the_task():
    parity = train(steps=5)
    for labels in ([0, 1, 0, 1], lambda k: k % 2):
        own = train(steps=5, labels=labels)
        assert_same(own, parity)
        assert own.settings["labels"] == [0, 1, 0, 1]
    merged = train(steps=0, labels=[0, 0, 1, 1], n_eval=400)
    want = metrics.evaluate(
        merged.model(torch.from_numpy(DATASET.inputs("test"))).detach(), torch.from_numpy(DATASET.test_labels // 2)
    )
    assert merged.series("accuracy").item() == pytest.approx(want["accuracy"])
    spec = MLPSpec("tanh", 1, 4, 3, (20,))
    networks = {"a": (spec, INIT), "b": (spec, INIT)}
    many = training.train_many(networks, DATASET, seeds=[0], labels=lambda k: np.minimum(k, 2), workers=2, **FEW)
    assert set(many.frame["class"].dropna()) == {0, 1, 2}


def test_every_run_may_have_its_own_rate_or_settings():
    rates = {"a": 1e-2, "relu": 1e-2, "b": 1e-3}
    many = training.train_many(NETWORKS, DATASET, seeds=[0], **ONE, **SETTINGS | {"lr": rates})
    alone = training.train(*NETWORKS["b"], DATASET, **SETTINGS | {"lr": 1e-3}).frame
    np.testing.assert_allclose(many.frame.query("run == 'b'")["value"], alone["value"], atol=2e-5)
    plans = {name: training.TrainSettings(30, 60, rate, n_eval=200) for name, rate in rates.items()}
    assert training.train_many(NETWORKS, DATASET, plans, seeds=[0], device="cpu", **ONE).frame.equals(many.frame)
    for wrong, words in (({"a": 1.0}, "lr: nothing for relu, b"), (rates | {"c": 1.0}, "lr: no run is called c")):
        with pytest.raises(ParameterError, match=words):
            training.train_many(NETWORKS, DATASET, seeds=[0], **SETTINGS | {"lr": wrong})


def test_threads_are_those_asked_for_while_it_trains(monkeypatch):
    seen, before = [], torch.get_num_threads()
    real = training_run.Run.advance
    monkeypatch.setattr(training_run.Run, "advance", lambda run: (seen.append(torch.get_num_threads()), real(run)))
    train(steps=1, threads=before + 1)
    assert set(seen) == {before + 1} and torch.get_num_threads() == before


def test_no_function_takes_more_than_eight_parameters_besides_named_settings():
    for function in (training.train, training.train_module, training.train_many):
        parameters = inspect.signature(function).parameters.values()
        assert len([p for p in parameters if p.kind is not p.VAR_KEYWORD]) <= 8
    assert set(settings.Options.__annotations__) == set(settings.SETTINGS + settings.CONDUCT)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": True}, "lr=True: need a finite learning rate"),
        ({"momentum": 1, "optimizer": "sgd"}, "momentum=1: need a number below 1"),
        ({"eval_points": 2}, r"eval_points=2: need a list of steps, \[2\]"),
    ],
)
def test_settings_of_another_kind_are_refused(changes, words):
    with pytest.raises(ParameterError, match=words):
        train(**changes)


def test_what_is_no_network_and_what_are_no_data_are_refused():
    with pytest.raises(ParameterError, match="dataset: need a Dataset, not tuple"):
        training.train(SPEC, INIT, (torch.zeros(9, 20), torch.zeros(9)), **SETTINGS)
    with pytest.raises(ParameterError, match="dataset: need a Dataset, not tuple"):
        training.train_module(module(), (torch.zeros(9, 20), torch.zeros(9)), **SETTINGS)
    with pytest.raises(ParameterError, match=r"spec=.*need the description of a network"):
        training.train(nn.Linear(20, 2), INIT, DATASET, **SETTINGS)
    with pytest.raises(ParameterError, match=r"seeds=3: need a list of seeds, \[3\]"):
        training.train_many({"a": (SPEC, INIT)}, DATASET, seeds=3, **ONE, **SETTINGS)
    with pytest.raises(ParameterError, match=r"networks\['a'\]=MLPSpec.*need a pair"):
        training.train_many({"a": SPEC}, DATASET, seeds=[3], **ONE, **SETTINGS)


# Files


def test_a_history_is_read_back_from_its_file(tmp_path):
    history = train(eval_points=[10])
    history.save(tmp_path / "deep" / "run.npz")
    model = copy.deepcopy(history.model)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    again = training.History.load(tmp_path / "deep" / "run.npz", model)
    assert_same(again, history)
    assert again.frame.dtypes.equals(history.frame.dtypes)
    assert (again.settings, again.seconds, again.diverged_at) == (history.settings, history.seconds, None)
    bare = training.History.load(tmp_path / "deep" / "run.npz")
    assert bare.series("accuracy").equals(history.series("accuracy"))
    with pytest.raises(ParameterError, match=r"History\.load\(path, model"):
        bare.model(torch.zeros(1, 20))
    with pytest.raises(ParameterError, match=r"model: not the network of .*run\.npz"):
        training.History.load(tmp_path / "deep" / "run.npz", nn.Linear(2, 2))


def test_histories_are_read_back_from_their_file(tmp_path):
    spec = MLPSpec("relu", depth=6, width=16, input_shape=(20,))
    networks = {"calm": (spec, InitSpec(1.0)), "lost": (spec, InitSpec(1e13))}
    with pytest.warns(UserWarning, match="lost"):
        many = training.train_many(networks, DATASET, seeds=[0, 3], **ONE, **SETTINGS)
    many.save(tmp_path / "many.npz")
    again = training.Histories.load(tmp_path / "many.npz")
    for ours, theirs in ((again.frame, many.frame), (again.runs, many.runs)):
        assert ours.equals(theirs) and ours.dtypes.equals(theirs.dtypes)


@pytest.mark.parametrize("content", [None, b"", b"junk", b"PK\x03\x04 cut short"])
def test_a_file_that_is_none_of_ours_is_named(tmp_path, content):
    path = tmp_path / "run.npz"
    if content is not None:
        path.write_bytes(content)
    for kind in (training.History, training.Histories):
        said = "no such file" if content is None else r"not a file that save\(\) made"
        with pytest.raises(ParameterError, match=rf"run\.npz': {said}"):
            kind.load(path)


def test_a_history_and_histories_are_not_taken_for_each_other(tmp_path):
    history = train(eval_points=[10])
    history.save(tmp_path / "one.npz")
    training.Histories(history.frame, history.frame).save(tmp_path / "many.npz")
    for kind, name in ((training.History, "many"), (training.Histories, "one")):
        with pytest.raises(ParameterError, match=rf"{name}\.npz': not a file that save\(\) made"):
            kind.load(tmp_path / f"{name}.npz")
    (tmp_path / "file").write_text("")
    for one in (history, training.Histories(history.frame, history.frame)):
        with pytest.raises(ParameterError, match="cannot be written"):
            one.save(tmp_path / "file" / "run.npz")


# Several runs

NETWORKS = {
    "a": (SPEC, INIT),
    "relu": (MLPSpec("relu", depth=2, width=16, input_shape=(20,)), InitSpec(2.0)),
    "b": (SPEC, InitSpec(4.0, 0.1)),
}


@pytest.mark.parametrize(("stack", "n_stacks"), [(None, 2), (1, 6), (3, 3)])
def test_several_runs_are_the_single_ones(tmp_path, stack, n_stacks):
    settings = SETTINGS | {"seeds": iter([0, 5]), "stack": stack, "checkpoints": tmp_path} | ONE
    many = training.train_many(NETWORKS, DATASET, **settings)
    assert len(list(tmp_path.iterdir())) == n_stacks
    keys = [(name, seed) for name in NETWORKS for seed in (0, 5)]
    assert list(many.runs[["run", "seed"]].itertuples(index=False, name=None)) == keys
    assert (many.runs["steps"] == 30).all() and many.runs["diverged_at"].isna().all()
    for name, seed in keys:
        ours = many.frame.query("run == @name and seed == @seed").drop(columns=["run", "seed"])
        single = training.train(*NETWORKS[name], DATASET, seed=seed, **SETTINGS).frame
        assert ours.drop(columns="value").reset_index(drop=True).equals(single.drop(columns="value"))
        np.testing.assert_allclose(ours["value"], single["value"], atol=2e-5)


def test_pooled_and_residual_networks_train_one_by_one():
    networks = {
        "pooled": (MLPSpec("relu", 3, 16, input_shape=(20,), pool=MaxPool(2)), INIT),
        "residual": (MLPSpec("tanh", 3, 16, input_shape=(20,), residual=0.5), INIT),
    }
    many = training.train_many(networks, DATASET, seeds=[0, 1], **ONE, **SETTINGS)
    for name, (spec, init) in networks.items():
        alone = training.train(spec, init, DATASET, seed=1, **SETTINGS)
        of_many = many.frame[(many.frame["run"] == name) & (many.frame["seed"] == 1)][COLUMNS]
        assert of_many.reset_index(drop=True).equals(alone.frame)
    assert alone.settings["residual"] == 0.5 and alone.settings["pool"] is None


def test_stacks_are_as_few_and_even_as_may_be():
    assert list(side_by_side._even_parts(list("abcdefg"), 3)) == [["a", "b"], ["c", "d"], ["e", "f", "g"]]


def test_stacks_resume_and_are_read_back(heeds_interrupts, monkeypatch, tmp_path):
    def run():
        return training.train_many(NETWORKS, DATASET, seeds=[0, 1], checkpoints=tmp_path, **ONE, **SETTINGS)

    with monkeypatch.context() as patch:
        interrupt_in_update(patch, 13)
        with pytest.raises(KeyboardInterrupt, match=r"step 13 of 30.*a-0\+3\.pt") as stopped:
            run()
    assert stopped.value.finished.runs.empty
    updates = count_updates(monkeypatch)
    resumed = run()
    assert updates == [*range(13, 30), *range(30)]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a-0+3.pt", "relu-0+1.pt"]
    updates.clear()
    again = run()
    assert not updates and again.frame.equals(resumed.frame) and again.runs.equals(resumed.runs)
    assert training.train_many(NETWORKS, DATASET, seeds=[0, 1], **ONE, **SETTINGS).frame.equals(resumed.frame)


def test_one_diverging_network_leaves_the_rest_of_its_stack_alone():
    spec = MLPSpec("relu", depth=6, width=16, input_shape=(20,))
    networks = {"calm": (spec, InitSpec(1.0)), "wild": (spec, InitSpec(30.0)), "lost": (spec, InitSpec(1e13))}
    with pytest.warns(UserWarning) as warned:
        many = training.train_many(networks, DATASET, seeds=[0], **ONE | SETTINGS | {"optimizer": "sgd", "lr": 0.1})
    runs = many.runs.set_index("run")
    assert runs.loc["calm", "diverged_at"] is pd.NA and runs.loc["calm", "steps"] == 30
    assert 0 < runs.loc["wild", "diverged_at"] < 30 and runs.loc["wild", "steps"] == runs.loc["wild", "diverged_at"]
    assert runs.loc["lost", "diverged_at"] == 0
    assert [str(w.message).partition(",")[0] for w in warned] == ["wild", "lost"]
    alone = training.train(*networks["calm"], DATASET, **SETTINGS | {"optimizer": "sgd", "lr": 0.1})
    np.testing.assert_allclose(many.frame.query("run == 'calm'")["value"], alone.frame["value"], atol=2e-5)
    assert many.frame.query("run == 'wild'")["step"].max() == runs.loc["wild", "diverged_at"]


def test_worker_processes_make_the_same_table():
    networks = {"mlp": (SPEC, INIT), "wide": (MLPSpec("leaky_relu(0.2)", 1, 20, input_shape=(20,)), "xavier")}
    settings = SETTINGS | {"seeds": [0, 1], "steps": 3}
    ours, here = (training.train_many(networks, DATASET, workers=n, **settings) for n in (2, 1))
    assert ours.frame.equals(here.frame)
    columns = ["run", "seed", "steps", "diverged_at"]
    assert ours.runs[columns].equals(here.runs[columns]) and (ours.runs["seconds"] > 0).all()


def test_a_worker_that_dies_is_told_in_words(monkeypatch):
    class Dead:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, *_):
            future = concurrent.futures.Future()
            future.set_exception(BrokenProcessPool("terminated abruptly"))
            return future

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(side_by_side, "ProcessPoolExecutor", Dead)
    with pytest.raises(ParameterError, match=r'workers=2: a worker process ended.*__name__ == "__main__".*workers=1'):
        training.train_many(NETWORKS, DATASET, seeds=[0], workers=2, **SETTINGS)


def test_processes_are_as_many_as_threads_but_for_activations_of_ones_own(monkeypatch):
    asked = []

    def in_turn(parts, shared, workers):
        asked.append(workers)
        return (side_by_side._train_part(part, shared) for part in parts)

    monkeypatch.setattr(side_by_side, "_side_by_side", in_turn)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    mine = Activation("mine", ERF.function, lambda x: ERF.derivative(x), torch_function=torch.erf)
    networks = {name: (MLPSpec(phi, 1, 4, input_shape=(20,)), INIT) for name, phi in (("a", "erf"), ("b", "tanh"))}
    settings = SETTINGS | {"seeds": [0], "steps": 1}
    training.train_many(networks, DATASET, **settings)
    training.train_many(networks, DATASET, workers=1, **settings)
    assert asked == [2]  # two stacks are all there is to share
    networks["c"] = (MLPSpec(mine, 1, 4, input_shape=(20,)), INIT)
    many = training.train_many(networks, DATASET, **settings)
    assert asked == [2]
    of = {name: rows["value"].to_numpy() for name, rows in many.frame.groupby("run")}
    np.testing.assert_allclose(of["a"], of["c"], rtol=1e-6)


@pytest.mark.parametrize("change", [{"stack": 0}, {"workers": 0}, {"seeds": []}, {"seeds": [-1]}, {"networks": {}}])
def test_bad_settings_for_several_runs_are_refused(change):
    with pytest.raises(ParameterError, match=next(iter(change)).rstrip("s")):
        training.train_many(**{"networks": NETWORKS, "dataset": DATASET, "seeds": [0]} | SETTINGS | change)


# Results of what was done before the end


@pytest.mark.parametrize("workers", [1, 2])
def test_the_runs_done_before_one_fails_are_kept(monkeypatch, workers):
    real = side_by_side._train_part

    def fail(part, shared):
        if part.tasks[0].name == "relu":
            raise RuntimeError("out of memory")
        return real(part, shared)

    class Here:
        """A pool that works in this process, at once, where tests can reach in."""

        def __init__(self, *_):
            side_by_side._start_worker(_[-1][0])

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, function, part):
            future = concurrent.futures.Future()
            try:
                future.set_result(function(part))
            except RuntimeError as error:
                future.set_exception(error)
            return future

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(side_by_side, "_train_part", fail)
    monkeypatch.setattr(side_by_side, "ProcessPoolExecutor", Here)
    with pytest.raises(RuntimeError, match="out of memory") as raised:
        training.train_many(NETWORKS, DATASET, seeds=[0, 1], workers=workers, **SETTINGS)
    finished = raised.value.finished
    assert "The 4 runs that were done are kept" in raised.value.__notes__[0]
    whole = training.train_many({n: NETWORKS[n] for n in "ab"}, DATASET, seeds=[0, 1], **ONE, **SETTINGS)
    assert finished.frame.equals(whole.frame) and finished.runs["run"].tolist() == ["a", "a", "b", "b"]


# Interruption and resumption


@pytest.fixture
def heeds_interrupts():
    """Background jobs of a shell are started with Ctrl-C ignored; these tests need Python's own handling of it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_in_update(monkeypatch, number, times=1):
    """Ctrl-C in the middle of update `number`, before its loss."""
    calls = 0

    def cross_entropy(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == number:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return F.cross_entropy(*arguments, **options)

    patched = type("functional", (), {"cross_entropy": staticmethod(cross_entropy)})
    monkeypatch.setattr(training_run, "F", patched)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_an_interrupted_run_goes_on_to_the_same_numbers(heeds_interrupts, monkeypatch, tmp_path, optimizer):
    path = tmp_path / "deep" / "run.pt"
    with monkeypatch.context() as patch:
        interrupt_in_update(patch, 13)
        with pytest.raises(KeyboardInterrupt, match=rf"stopped after step 13 of 30: the same call goes on.*{path}"):
            train(checkpoint=path, optimizer=optimizer)
    updates = count_updates(monkeypatch)
    resumed = train(checkpoint=path, optimizer=optimizer)
    assert len(updates) == 17
    assert_same(resumed, train(optimizer=optimizer))
    assert [file.name for file in path.parent.iterdir()] == ["run.pt"]


def count_updates(monkeypatch):
    updates = []
    real = training_run.Run._update
    monkeypatch.setattr(training_run.Run, "_update", lambda run: (updates.append(run.step), real(run)))
    return updates


def test_a_second_interrupt_stops_at_once_and_the_handler_is_given_back(heeds_interrupts, monkeypatch, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    interrupt_in_update(monkeypatch, 13, times=2)
    with pytest.raises(KeyboardInterrupt) as raised:
        train(checkpoint=tmp_path / "run.pt")
    assert "stopped after" not in str(raised.value) and not (tmp_path / "run.pt").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_without_checkpoint_says_that_nothing_was_saved(heeds_interrupts, monkeypatch):
    interrupt_in_update(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt, match="step 5 of 30: nothing was saved"):
        train()


def test_a_crash_loses_only_the_steps_since_the_last_save(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        real = training_run.Run._update

        def crash(run):
            if run.step == 20:
                raise RuntimeError("power cut")
            real(run)

        patch.setattr(training_run.Run, "_update", crash)
        with pytest.raises(RuntimeError, match="power cut"):
            train(checkpoint=tmp_path / "run.pt", checkpoint_every=0)
    updates = count_updates(monkeypatch)
    assert_same(train(checkpoint=tmp_path / "run.pt"), train())
    assert updates[0] == 20


def test_a_crash_while_saving_leaves_the_old_checkpoint(monkeypatch, tmp_path):
    path = tmp_path / "run.pt"
    train(checkpoint=path, steps=5, eval_points=[])
    old = path.read_bytes()

    def broken_save(state, file):
        file.write_bytes(b"half a file")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", broken_save)
    plan = settings.TrainSettings(5, n_eval=200)
    run = training_run.Run(
        [training_run.drawn(SPEC, INIT, 0, DATASET)], DATASET, plan, torch.device("cpu"), SPEC.input_shape
    )
    with pytest.raises(OSError, match="disk full"):
        run.save(path)
    assert path.read_bytes() == old


def test_a_finished_run_is_read_back(monkeypatch, tmp_path):
    first = train(checkpoint=tmp_path / "run.pt")
    written = (tmp_path / "run.pt").stat().st_mtime_ns
    updates = count_updates(monkeypatch)
    second = train(checkpoint=tmp_path / "run.pt")
    assert_same(first, second)
    assert not updates and second.seconds == first.seconds
    assert (tmp_path / "run.pt").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "change",
    [{"lr": 1e-3}, {"seed": 1}, {"steps": 40}, {"eval_points": [7]}, {"optimizer": "sgd"}, {"batch_size": 50}],
    ids=lambda change: next(iter(change)),
)
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, change):
    train(checkpoint=tmp_path / "run.pt")
    (name,) = change
    with pytest.raises(ParameterError, match=rf"run\.pt.*other settings.*{name} was .*, now "):
        train(checkpoint=tmp_path / "run.pt", **change)


def test_a_checkpoint_of_another_network_or_other_data_is_refused(tmp_path):
    train(checkpoint=tmp_path / "run.pt")
    with pytest.raises(ParameterError, match=r"sigma_w2 was 1\.5, now 1\.6"):
        training.train(SPEC, InitSpec(1.6, 0.1), DATASET, checkpoint=tmp_path / "run.pt", **SETTINGS)
    with pytest.raises(ParameterError, match="scaling was 'standard', now 'unit'"):
        training.train(SPEC, INIT, DATASET.scaled("unit"), checkpoint=tmp_path / "run.pt", **SETTINGS)
    with pytest.raises(ParameterError, match="data_sha256"):
        training.train(SPEC, INIT, DATASET.subset(n_train=400), checkpoint=tmp_path / "run.pt", **SETTINGS)


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04 cut short"])
def test_an_unreadable_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "run.pt").write_bytes(content)
    with pytest.raises(ParameterError, match=r"run\.pt.*cannot be read.*delete it"):
        train(checkpoint=tmp_path / "run.pt")


# Divergence


def diverging(**changes):
    spec, init = MLPSpec("relu", depth=6, width=16, input_shape=(20,)), InitSpec(2.0)
    settings = SETTINGS | {"steps": 200, "optimizer": "sgd"} | changes
    with pytest.warns(UserWarning, match="diverged, its loss at step"):
        return training.train(spec, init, DATASET, **settings)


def test_divergence_is_recorded_at_its_step_and_stops_the_run(monkeypatch, tmp_path):
    history = diverging(lr=1e3, eval_points=[], checkpoint=tmp_path / "run.pt")
    assert history.diverged and 0 < history.diverged_at < 50
    assert np.isfinite(history.batch_losses[:-1]).all() and not np.isfinite(history.batch_losses[-1])
    assert len(history.batch_losses) == history.diverged_at
    last = history.frame.iloc[-1]
    assert (last["step"], last["split"], last["metric"]) == (history.diverged_at, "train", "loss")
    assert not np.isfinite(last["value"]) and history.series("accuracy").index.tolist() == [0]
    updates = count_updates(monkeypatch)
    assert diverging(lr=1e3, eval_points=[], checkpoint=tmp_path / "run.pt").frame.equals(history.frame)
    assert not updates


def test_an_evaluation_that_is_not_finite_ends_the_run_too():
    history = diverging(lr=1e3)
    assert history.diverged and not np.isfinite(history.series("loss").loc[history.diverged_at])
    assert history.frame["step"].max() == history.diverged_at == len(history.batch_losses)


def test_a_network_without_finite_logits_at_birth(recwarn):
    history = training.train(MLPSpec("relu", 30, 16, input_shape=(20,)), InitSpec(1e4), DATASET, **SETTINGS)
    assert history.diverged_at == 0 and len(history.batch_losses) == 0
    assert np.isnan(history.series("max_class_fraction").loc[0])


# Bad settings


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": -1}, "steps=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 501}, "batch_size=501.*500 training inputs"),
        ({"lr": math.nan}, "lr=nan"),
        ({"optimizer": "adamw"}, "optimizer='adamw'.*adam, sgd"),
        ({"momentum": 0.9}, "momentum=0.9: only optimizer='sgd' has one"),
        ({"momentum": -1, "optimizer": "sgd"}, "momentum=-1: need a finite number"),
        ({"weight_decay": math.inf}, "weight_decay=inf: need a finite number"),
        ({"epsilon": -1}, "epsilon=-1: need a finite number, 0 or more"),
        ({"epsilon": 1e-5, "optimizer": "sgd"}, "epsilon=1e-05: only optimizer='adam' has one"),
        ({"threads": 0}, "threads=0"),
        ({"labels": [0, 1, 1]}, "labels=.0, 1, 1.: need one label for each of the 4 classes"),
        ({"labels": lambda k: k}, "n_classes=2: labels='of your own' has 4 classes"),
        ({"learning_rate": 1}, "learning_rate=1: train has no such setting; did you mean lr.$"),
        ({"learnig_rate": 1}, "did you mean lr.$"),
        ({"epochs": 3}, "did you mean steps.$"),
        ({"optimiser": "sgd"}, "did you mean optimizer.$"),
        ({"bathc_size": 3}, "did you mean batch_size.$"),
        ({"zzz": 3}, "zzz=3: train has no such setting; known are steps, batch_size, .*threads"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"labels": "odd"}, "labels='odd'"),
        ({"labels": "classes"}, "n_classes=2.*4 classes"),
        ({"eval_points": [31]}, "eval_points=.31."),
        ({"eval_points": [0.5]}, "whole steps"),
        ({"precision": "float16"}, "precision='float16': choose from float32, bfloat16"),
        ({"n_eval": 500}, "n_eval=500: class 0 has 100 inputs"),
        ({"device": "abacus"}, "device='abacus'"),
    ],
)
def test_bad_settings_are_refused(change, words):
    with pytest.raises(ParameterError, match=words):
        train(**change)


def test_a_network_for_other_inputs_is_refused():
    with pytest.raises(ParameterError, match=r"input_shape=\(784,\).*pass input_shape=dataset.input_shape"):
        training.train(MLPSpec("tanh", 2, 8), INIT, DATASET, **SETTINGS)


def test_no_progress_bar_where_stderr_is_not_a_terminal(capsys):
    train()
    assert capsys.readouterr().err == ""
    train(progress=True)
    assert "30/30" in capsys.readouterr().err


def test_starting_fractions_follow_the_theory():
    """Mean max fraction of untrained tanh networks, far in the phase of prejudice: 1/2 + arcsin(sqrt c)/pi."""
    inputs = torch.randn(400, 400, generator=torch.Generator().manual_seed(0))
    spec, init = MLPSpec("tanh", depth=20, width=200, input_shape=(400,)), InitSpec(2.4783, 0.1)
    with torch.inference_mode():
        fractions = [
            float(metrics.max_class_fraction(build(spec, init, torch.Generator().manual_seed(seed))(inputs)))
            for seed in range(60)
        ]
    error = np.std(fractions, ddof=1) / 60**0.5
    c = float(spec.mean_field(init).fixed_point().c)
    assert error < 0.03
    assert np.mean(fractions) == pytest.approx(0.5 + np.arcsin(np.sqrt(c)) / np.pi, abs=4 * error)
