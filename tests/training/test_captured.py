"""The captured step, with a stand-in for the CUDA graph: a call on buffers that stay where they are."""

import warnings

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from training.test_stacks import FEATURES, PICTURES

from igbrepro import training
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, ViTSpec
from igbrepro.training import captured
from igbrepro.training.captured import CapturedStep
from igbrepro.training.run import Run, drawn
from igbrepro.training.settings import Conduct, TrainSettings
from igbrepro.training.training import finish

CPU = torch.device("cpu")
IMAGE = {"n_classes": 2, "input_shape": (3, 8, 8)}
KINDS = {
    "mlp": (MLPSpec("tanh", 3, 16, input_shape=(20,)), FEATURES),
    "cnn": (CNNSpec("relu", 2, 4, **IMAGE), PICTURES),
    "resnet": (ResNetSpec("relu", (1, 1), 4, **IMAGE), PICTURES),
    "vit": (ViTSpec("gelu", 1, 8, 2, **IMAGE), PICTURES),
}


class Stage:
    """What CUDA does, acted: captures count, and a replay runs the function on the buffers of the capture."""

    def __init__(self, monkeypatch, error=None):
        self.aside, self.captures, self.replays, self.error = 0, 0, 0, error
        monkeypatch.setattr(captured, "_aside", self.call_aside)
        monkeypatch.setattr(captured, "_graph", self.graph)

    def call_aside(self, function, inputs, device):
        self.aside += 1
        return function(*inputs)

    def graph(self, function, inputs, device):
        self.captures += 1
        if self.error:
            raise self.error
        output = torch.full((2,), torch.nan)

        def replay():
            self.replays += 1
            output.copy_(function(*inputs))

        return replay, output


def test_every_call_has_its_effect_once_and_the_graph_reads_the_inputs_of_the_call(monkeypatch):
    stage, total = Stage(monkeypatch), torch.zeros(2)

    def add(x, y):
        return total.add_(x * y).clone()

    step, given, results = CapturedStep(CPU), torch.zeros(2), []
    for k in range(1, 7):
        given.fill_(k)
        results.append(step(add, given, torch.tensor([1.0, 10.0])).clone())
    assert (stage.aside, stage.captures, stage.replays) == (3, 1, 3)
    assert total.tolist() == [21, 210] and [r[0].item() for r in results] == [1, 3, 6, 10, 15, 21]
    assert step.inputs[0] is not given and step.inputs[0].tolist() == [6, 6]


def test_what_cannot_be_captured_is_called_with_one_warning(monkeypatch):
    stage, calls = Stage(monkeypatch, RuntimeError("operation not permitted when stream is capturing")), []
    step = CapturedStep(CPU)

    def function(x):
        calls.append(1)
        return x + 1

    with pytest.warns(UserWarning, match="could not be captured as a CUDA graph.*not permitted") as warned:
        found = [step(function, torch.full((2,), float(k))).tolist() for k in range(6)]
    assert found == [[k + 1.0] * 2 for k in range(6)]
    assert len(calls) == 6 and stage.captures == 1 and len(warned) == 1


def run_of(spec, dataset, optimizer="adam", **options):
    plan = TrainSettings(8, 20, 1e-2, optimizer, n_eval=20, **options)
    members = [drawn(spec, InitSpec(1.5, 0.1), seed, dataset) for seed in (0, 1)]
    return Run(members, dataset, plan, CPU, spec.input_shape)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_captured_steps_is_the_same_run(monkeypatch, kind, optimizer):
    stage = Stage(monkeypatch)
    plain, played = run_of(*KINDS[kind], optimizer), run_of(*KINDS[kind], optimizer)
    played.captured = CapturedStep(CPU)
    for run in (plain, played):
        finish(run, None, Conduct(), "")
    assert (stage.aside, stage.captures, stage.replays) == (3, 1, 5)
    assert played.rows == plain.rows and torch.equal(played.losses, plain.losses)
    for ours, theirs in zip(played.network.state_dict().values(), plain.network.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


class NoLookAtValues(TorchDispatchMode):
    """Refuses what waits for a device: a number taken off it, or a tensor whose size depends on values."""

    waits = ("_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "_unique2", "bincount", "equal")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        assert name not in self.waits, f"{name} waits for the device"
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_step_waits_for_the_device(kind, precision):
    run = run_of(*KINDS[kind], precision=precision)
    inputs, targets = run._batch()
    run._step(inputs, targets)
    with NoLookAtValues():
        run._step(inputs, targets)
    with pytest.raises(AssertionError, match="_local_scalar_dense waits"), NoLookAtValues():
        run.losses.sum().item()


def test_a_checkpoint_may_come_from_another_device(tmp_path):
    """What a CUDA run writes says that its optimiser is capturable, which on the CPU it is not; and the other way."""
    run = run_of(*KINDS["mlp"])
    run.optimizer.param_groups[0]["capturable"] = True
    run.save(tmp_path / "run.pt")
    for wanted in (None, CapturedStep(CPU)):
        again = run_of(*KINDS["mlp"])
        again.captured = wanted
        again.restore(tmp_path / "run.pt")
        assert again.optimizer.param_groups[0]["capturable"] is (wanted is not None)


def test_nothing_is_captured_on_the_cpu():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run_of(*KINDS["mlp"]).captured is None
        training.train(KINDS["mlp"][0], InitSpec(1.5), FEATURES, steps=5, batch_size=20, n_eval=20, device="cpu")
