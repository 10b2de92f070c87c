"""The monitor: its numbers against autograd and those of `train`, what it leaves alone, and runs of Lightning."""

import copy
import math
import pickle
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from igbrepro import data, training
from igbrepro.diagnosis import BiasMonitor, bias_numbers
from igbrepro.errors import ParameterError
from igbrepro.figures import style as plotting
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec, build
from igbrepro.theory import Phase
from igbrepro.training import steps_until, training_table

INPUTS = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(40) % 3
LOG_20 = [0, 1, 2, 3, 4, 6, 8, 11, 16, 20]
ALONE = {"class_fraction", "max_class_fraction", "favourite", "q", "gamma", "gradient_imbalance"}
LABELLED = ALONE | {"accuracy", "loss", "class_accuracy", "class_loss", "class_logit_gradient"}


def network(seed=0, dropout=0.3):
    """Batch normalisation, dropout, and weights that guess one class more than the others."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


def update(model, optimizer):
    """One update, on a batch that torch's random numbers choose."""
    chosen = torch.randint(0, 40, (10,))
    optimizer.zero_grad()
    F.cross_entropy(model(INPUTS[chosen]), LABELS[chosen]).backward()
    optimizer.step()


def train(model, monitor, steps, optimizer=None):
    optimizer = torch.optim.SGD(model.parameters(), 0.1) if optimizer is None else optimizer
    with monitor.watch(model, optimizer):
        for _ in range(steps):
            update(model, optimizer)
    return monitor


def steps_of(monitor):
    return monitor.frame["step"].unique().tolist()


def values(monitor, metric):
    rows = monitor.frame[monitor.frame["metric"] == metric]
    return rows.set_index("step")["value"]


# The numbers


def test_numbers_are_their_definitions():
    logits = torch.randn(30, 4, generator=torch.Generator().manual_seed(2)) + torch.tensor([0, 1.5, 0.2, -1])
    labels = torch.arange(30) % 3  # none of class 3
    found, h = bias_numbers(logits, labels), logits.double().numpy()
    assert set(found) == LABELLED
    counts = np.bincount(h.argmax(1), minlength=4)
    assert found["favourite"] == counts.argmax() == 1 and found["max_class_fraction"] == counts.max() / 30
    assert found["accuracy"] == pytest.approx(np.mean(h.argmax(1) == labels.numpy()))
    assert found["q"] == pytest.approx(np.mean(h**2))
    pairs = [(a, b) for a in range(30) for b in range(30) if a != b]
    same = np.mean([h[a] @ h[b] / 4 for a, b in pairs])
    assert found["gamma"] == pytest.approx(same / np.mean([np.square(h[a] - h[b]).mean() / 2 for a, b in pairs]))

    def mean_square(chosen, label):
        z = logits[chosen].double().requires_grad_()
        F.cross_entropy(z, torch.full((len(z),), label), reduction="sum").backward()
        return float(z.grad.square().sum(1).mean())

    if_all = [mean_square(slice(None), k) for k in range(4)]
    assert found["gradient_imbalance"] == pytest.approx(np.mean([if_all[k] for k in (0, 2, 3)]) / if_all[1])
    assert found["gradient_imbalance"] > 1.5
    by_class = [mean_square(labels == k, k) for k in range(3)]
    assert found["class_logit_gradient"][:3] == pytest.approx(by_class)
    assert math.isnan(found["class_logit_gradient"][3])
    alone = bias_numbers(logits)
    assert set(alone) == ALONE and all(alone[name] == found[name] for name in ALONE)


def test_imbalance_without_and_with_the_strongest_preference():
    assert bias_numbers(torch.ones(5, 4))["gradient_imbalance"] == pytest.approx(1)
    sure = torch.tensor([[60.0, 0.0], [60.0, 0.0]])  # gradient (e^-60, -e^-60) or (1, -1), but for 1 + e^-60
    assert bias_numbers(sure)["gradient_imbalance"] == pytest.approx(math.exp(120))
    assert bias_numbers(sure, torch.tensor([0, 1]))["class_logit_gradient"] == pytest.approx([2 * math.exp(-120), 2])


def test_a_logit_that_is_no_number_leaves_none():
    logits = torch.randn(6, 3)
    logits[2, 1] = torch.nan
    found = bias_numbers(logits, torch.tensor([0, 1, 2, 0, 1, 2]))
    assert np.isnan(np.hstack(list(found.values()))).all()


def test_the_curves_are_those_of_train():
    """On full batches, whose order does not matter."""
    dataset = data.gaussian(n_train=60, n_test=90, features=6, classes=2, distance=3.0, seed=1)
    spec, few = MLPSpec("tanh", 2, 8, 2, (6,)), {"steps": 20, "batch_size": 60, "n_eval": 80, "device": "cpu"}
    ours = build(spec, InitSpec(2.0, 1.0), torch.Generator().manual_seed(0))
    theirs = copy.deepcopy(ours)
    history = training.train_module(theirs, dataset, optimizer="sgd", lr=0.3, eval_points=LOG_20, **few)
    chosen = data.balanced_indices(dataset.labels("test"), 80, np.random.default_rng(0), "n_eval")
    images, targets = dataset.standardise(dataset.test_images)[chosen], dataset.labels("test", "parity")[chosen]
    monitor = BiasMonitor(images, targets)
    images, targets = dataset.standardise(dataset.train_images), dataset.labels("train", "parity")
    sgd = torch.optim.SGD(ours.parameters(), 0.3)
    with monitor.watch(ours, sgd):
        for _ in range(20):
            sgd.zero_grad()
            F.cross_entropy(ours(torch.from_numpy(images)), torch.from_numpy(targets)).backward()
            sgd.step()
    keys = ["step", "split", "metric", "class"]
    both = history.frame[history.frame["split"] == "test"].merge(monitor.frame, on=keys, suffixes=("_theirs", "_ours"))
    assert len(both) == (history.frame["split"] == "test").sum() == 10 * (3 + 3 * 2)
    np.testing.assert_allclose(both["value_ours"], both["value_theirs"], rtol=1e-4, atol=1e-6)
    assert (monitor.frame.dtypes == history.frame.dtypes).all()

    frame = monitor.frame.assign(run="mine", seed=0)
    reached = steps_until(frame, "accuracy", 0.7).loc["mine", 0]
    accuracy = values(monitor, "accuracy")
    assert 0 < reached < 20 and reached == accuracy.index[accuracy >= 0.7][0]
    assert training_table(frame, 0.7).loc["mine", "steps to accuracy 0.7"].startswith(f"{reached:.0f} ")
    _, axes = plt.subplots(1, 2)
    plotting.learning_curves(axes, frame, {"mine": Phase.ORDERED})
    assert axes[1].lines[0].get_ydata().tolist() == values(monitor, "max_class_fraction").tolist()
    plt.close()


# When


@pytest.mark.parametrize(("every", "steps"), [("log", LOG_20), (7, [0, 7, 14, 20]), (np.int64(50), [0, 20])])
def test_steps_looked_at(every, steps):
    watching = train(network(), BiasMonitor(INPUTS, every=every), 20)
    assert steps_of(watching) == steps and watching.steps == 20 and set(watching.frame["metric"]) == ALONE
    model, by_hand = network(), BiasMonitor(INPUTS, every=every)
    by_hand.evaluate(model)
    for _ in range(20):
        by_hand.step(model)
    assert steps_of(by_hand) == [step for step in steps if step < 20]


def test_a_second_look_at_a_step_replaces_the_first():
    model, monitor = network(), BiasMonitor(INPUTS)
    monitor.evaluate(model)
    with torch.no_grad():
        model[4].weight *= 2
        model[4].bias *= 2
    assert monitor.evaluate(model)["q"] == values(monitor, "q").loc[0] and len(values(monitor, "q")) == 1


def test_the_hook_goes_at_the_end_also_after_an_error():
    model, monitor = network(), BiasMonitor(INPUTS)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(RuntimeError, match="stop"), monitor.watch(model, optimizer) as same:
        for step in range(8):
            update(model, optimizer)
            if step == 4:
                raise RuntimeError("stop")
    assert same is monitor and not optimizer._optimizer_step_post_hooks and steps_of(monitor) == [0, 1, 2, 3, 4]
    assert steps_of(train(model, monitor, 4, optimizer)) == [0, 1, 2, 3, 4, 6, 8, 9]


def test_a_resumed_run_goes_on_with_its_record():
    straight = train(network(), BiasMonitor(INPUTS, LABELS, every=4), 12)
    model, first = network(), BiasMonitor(INPUTS, LABELS, every=4)
    train(model, first, 8)
    state, second = first.state_dict(), BiasMonitor(INPUTS, LABELS, every=4)
    second.load_state_dict(state)
    state["record"].clear()
    assert second.frame.equals(first.frame) and len(values(first, "q")) == 3
    assert pickle.loads(pickle.dumps(first)).frame.equals(first.frame)
    train(model, second, 4)
    assert second.frame.equals(straight.frame)


# What it looks at


def test_the_model_and_the_random_numbers_are_left_as_they_were():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = network()

        def forward(self, x):
            self.gradients = torch.is_grad_enabled()
            return self.body(F.dropout(x, 0.5, training=True))

    model = Noisy().train()
    model.body[0].eval()
    model.body[2].register_forward_hook(lambda *_: None)
    train(model, BiasMonitor(INPUTS), 3)
    for p in model.parameters():
        p.grad = torch.ones_like(p)

    def whole():
        hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
        modes = [(m.training, getattr(m, "track_running_stats", None)) for m in model.modules()]
        return copy.deepcopy((hooks, modes)), copy.deepcopy([*model.state_dict().values(), torch.get_rng_state()])

    plain, tensors = whole()
    for of_inputs in (False, True):
        BiasMonitor(INPUTS, LABELS, batch_statistics=of_inputs).evaluate(model)
        assert not model.gradients
        after, tensors_after = whole()
        assert plain == after and all(torch.equal(a, b) for a, b in zip(tensors, tensors_after, strict=True))
        assert all((p.grad == 1).all() for p in model.parameters())


def test_a_watched_run_is_the_run_unwatched():
    watched, alone = network(), network()
    torch.manual_seed(5)
    train(watched, BiasMonitor(INPUTS, LABELS, every=1), 10)
    torch.manual_seed(5)
    optimizer = torch.optim.SGD(alone.parameters(), 0.1)
    for _ in range(10):
        update(alone, optimizer)
    for a, b in zip(watched.state_dict().values(), alone.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_running_statistics_are_used_once_there_are_some():
    model = network()
    q = BiasMonitor(INPUTS).evaluate(model)["q"]
    with torch.no_grad():
        model[0].weight *= 10
        model[0].bias *= 10
    assert BiasMonitor(INPUTS).evaluate(model)["q"] == pytest.approx(q, rel=1e-3)
    assert model.eval()(INPUTS).square().mean() > 3 * q  # what placeholders would give
    model.train()(INPUTS)
    running = float(model.eval()(INPUTS).detach().square().mean())
    assert BiasMonitor(INPUTS).evaluate(model)["q"] == pytest.approx(running)
    assert BiasMonitor(INPUTS, batch_statistics=True).evaluate(model)["q"] == pytest.approx(q, rel=1e-3)
    model[1].num_batches_tracked.zero_()  # as in weights stored before there was a count
    assert BiasMonitor(INPUTS).evaluate(model)["q"] == pytest.approx(running)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_inputs_follow_the_model(dtype):
    model = network().to(dtype)
    got = BiasMonitor(INPUTS.numpy(), LABELS.tolist()).evaluate(model)
    assert got["loss"] == pytest.approx(BiasMonitor(INPUTS, LABELS).evaluate(network())["loss"], rel=0.02)


def test_token_numbers_stay_whole_and_inputs_are_a_copy():
    tokens = np.arange(12).reshape(4, 3) % 5
    torch.manual_seed(0)
    model, monitor = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(12, 3)), BiasMonitor(tokens)
    before = monitor.evaluate(model)
    tokens[:] = 0
    assert monitor.evaluate(model) == before and before["max_class_fraction"] < 1


def test_logits_may_be_an_attribute():
    class Wrapped(nn.Module):
        def forward(self, x):
            return SimpleNamespace(logits=x)

    assert BiasMonitor(INPUTS).evaluate(Wrapped()) == BiasMonitor(INPUTS).evaluate(nn.Identity())


def test_a_model_without_parameters():
    assert BiasMonitor(INPUTS).evaluate(nn.Identity())["q"] == pytest.approx(float(INPUTS.square().mean()))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"inputs": INPUTS[:1]}, "inputs: 1 of them.*2 or more"),
        ({"inputs": np.float32(3)}, "inputs: 0 of them"),
        ({"every": 0}, "every=0: need"),
        ({"every": True}, "every=True: need"),
        ({"every": 2.5}, "every=2.5: need"),
        ({"every": "linear"}, "every='linear': need \"log\" or a whole number"),
        ({"labels": LABELS[:-1]}, r"labels of shape \(39,\), int64: need 40 whole numbers"),
        ({"labels": F.one_hot(LABELS)}, r"labels of shape \(40, 3\), int64"),
        ({"labels": LABELS.float()}, r"labels of shape \(40,\), float32"),
        ({"labels": LABELS - 1}, "labels: the smallest is -1"),
    ],
)
def test_what_it_does_not_take(arguments, words):
    with pytest.raises(ParameterError, match=words):
        BiasMonitor(**({"inputs": INPUTS} | arguments))


class Unnamed(nn.Linear):
    """Gives a dictionary in which nothing is called logits."""

    def forward(self, x):
        return {"out": super().forward(x)}


@pytest.mark.parametrize(
    ("model", "labels", "words"),
    [
        (nn.Linear(6, 1), None, r"model: gives \(40, 1\) for 40 inputs; need logits"),
        (nn.Flatten(0), None, r"model: gives \(240,\)"),
        (Unnamed(6, 3), None, "model: gives dict for 40 inputs"),
        (nn.Linear(6, 2), LABELS, "labels: the largest is 2, but the model has 2 classes"),
    ],
)
def test_what_it_cannot_look_at(model, labels, words):
    with pytest.raises(ParameterError, match=words):
        BiasMonitor(INPUTS, labels).evaluate(model)


# Lightning


class Module(pl.LightningModule):
    """The network above, without the random numbers that a checkpoint leaves out; keeps what it gave at every step."""

    def __init__(self):
        super().__init__()
        self.net, self.seen = network(dropout=0), {}

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        return F.cross_entropy(self(batch[0]), batch[1])

    def on_train_batch_end(self, *_):
        probe = copy.deepcopy(self.net).eval()
        self.seen[self.global_step] = bias_numbers(probe(INPUTS).detach(), LABELS)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.05)


def fit(folder, *callbacks, resume=None, **settings):
    torch.manual_seed(3)
    trainer = pl.Trainer(
        accelerator="cpu",
        callbacks=list(callbacks),
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        **settings,
    )
    module = Module()
    loader = DataLoader(TensorDataset(INPUTS, LABELS), batch_size=10)
    trainer.fit(module, loader, ckpt_path=resume)
    return module


def test_lightning_calls_it_at_every_update(tmp_path):
    monitor = BiasMonitor(INPUTS, LABELS, every=1)
    module = fit(tmp_path, monitor, max_epochs=3)
    assert steps_of(monitor) == list(range(13)) and module.training
    assert list(module.seen) == list(range(1, 13))
    for metric in ("loss", "accuracy", "gamma", "gradient_imbalance"):
        theirs = [found[metric] for found in module.seen.values()]
        np.testing.assert_allclose(values(monitor, metric)[1:], theirs, rtol=1e-6)
    assert values(monitor, "q")[0] == pytest.approx(BiasMonitor(INPUTS).evaluate(network(0))["q"])


def test_lightning_with_accumulated_gradients(tmp_path):
    monitor = BiasMonitor(INPUTS, LABELS)
    fit(tmp_path, monitor, max_epochs=10, accumulate_grad_batches=2)  # 4 batches, 2 updates an epoch
    assert steps_of(monitor) == LOG_20 and monitor.steps == 20


def test_lightning_goes_on_from_a_checkpoint(tmp_path):
    straight, first, second = (BiasMonitor(INPUTS, LABELS) for _ in range(3))
    whole = fit(tmp_path, straight, max_epochs=5)
    fit(tmp_path, first, ModelCheckpoint(tmp_path, filename="{step}", save_on_train_epoch_end=True), max_epochs=3)
    resumed = fit(tmp_path, second, max_epochs=5, resume=tmp_path / "step=12.ckpt")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    assert steps_of(second) == LOG_20 and second.frame.equals(straight.frame)
    late = BiasMonitor(INPUTS, split="other")  # of which the checkpoint knows nothing
    with pytest.warns(UserWarning, match=r"callbacks used to create the checkpoint.*BiasMonitor\[test\]"):
        fit(tmp_path, late, max_epochs=5, resume=tmp_path / "step=12.ckpt")
    assert steps_of(late) == [12, 16, 20]


def test_lightning_with_two_monitors_and_a_second_run(tmp_path):
    test, train = BiasMonitor(INPUTS), BiasMonitor(INPUTS[:20], LABELS[:20], split="train", every=4)
    fit(tmp_path, test, train, max_epochs=1)
    assert steps_of(test) == [0, 1, 2, 3, 4] and steps_of(train) == [0, 4] and set(train.frame["split"]) == {"train"}
    with pytest.raises(ParameterError, match="record up to step 4, but the training starts at step 0"):
        fit(tmp_path, test, max_epochs=1)


def test_only_hooks_are_made_up():
    monitor = BiasMonitor(INPUTS)
    assert monitor.on_validation_epoch_end(None, None) is None and monitor.setup(None, None, stage="fit") is None
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        monitor.evalute  # noqa: B018


def test_a_record_comes_back_from_its_file_and_goes_on(tmp_path):
    whole, model = BiasMonitor(INPUTS, LABELS, every=2, split="train"), network()
    train(model, whole, 5)
    whole.save(tmp_path / "record.json")
    half = BiasMonitor.load(tmp_path / "record.json", INPUTS, LABELS)
    assert half.frame.equals(whole.frame)
    assert (half.steps, half.every, half.split) == (whole.steps, 2, "train")
    assert half.evaluate(model) == whole.evaluate(model)
    bare = BiasMonitor.load(tmp_path / "record.json")
    assert bare.frame.equals(whole.frame)
    with pytest.raises(ParameterError, match=r"inputs: not loaded; pass them, BiasMonitor\.load\(path, inputs"):
        bare.evaluate(model)
    with pytest.raises(ParameterError, match="cannot be read"):
        BiasMonitor.load(tmp_path / "none.json")
    (tmp_path / "part.json").write_text('{"kind": "BiasMonitor", "steps": 3}')
    with pytest.raises(ParameterError, match="is no monitor of this version"):
        BiasMonitor.load(tmp_path / "part.json")


@pytest.mark.parametrize("labels", [None, LABELS], ids=["no labels", "labels"])
def test_the_plot_shows_the_record(labels):
    monitor = BiasMonitor(INPUTS, labels)
    with pytest.raises(ParameterError, match="no record"):
        monitor.plot()
    train(network(), monitor, 5)
    axes = monitor.plot().axes
    shown = ["max_class_fraction", "gamma", "gradient_imbalance", "accuracy"][: 3 if labels is None else 4]
    assert len(axes) == len(shown)
    for ax, metric in zip(axes, shown, strict=True):
        rows = monitor.frame[monitor.frame["metric"] == metric]
        np.testing.assert_array_equal(ax.lines[0].get_xydata(), rows[["step", "value"]].to_numpy(float))
    plt.close("all")
