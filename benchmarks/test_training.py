"""What train() costs beyond the arithmetic: each against a bare PyTorch loop of the same model and batches, same run.

OMP_NUM_THREADS=1 python -m pytest benchmarks/test_training.py --benchmark-enable -s
"""

import os
import time
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from igbrepro import data, training
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, ViTSpec, build
from igbrepro.theory import MaxPool
from igbrepro.training import TrainSettings
from igbrepro.training.stacks import stack_size

INIT = InitSpec(1.986073, 0.1)  # tanh at the edge
BATCH = 100


@pytest.fixture(scope="module")
def dataset():
    return data.load("fashion-mnist-subset")


def bare_seconds(spec, dataset, steps, **adam):
    """The loop one would write by hand, on inputs standardised beforehand."""
    inputs, labels = torch.from_numpy(dataset.inputs("train")), torch.from_numpy(dataset.labels("train", "parity"))
    inputs = inputs.reshape(-1, *spec.input_shape)
    model = build(spec, INIT, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5, **adam)
    order = torch.randperm(len(inputs))
    start = time.perf_counter()
    for step in range(steps):
        index = order[step * BATCH % len(inputs) :][:BATCH]
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[index]), labels[index]).backward()
        optimizer.step()
    return time.perf_counter() - start


def our_seconds(spec, dataset, steps, n_eval=100):
    """train() with the same updates; it evaluates n_eval inputs before and after."""
    return training.train(spec, INIT, dataset, steps=steps, n_eval=n_eval, eval_points=[], device="cpu").seconds


def alternate(functions, rounds=5):
    """Seconds of each function, the least of several rounds taken in turn, so that a busy machine hits all alike."""
    return np.min([[function() for function in functions] for _ in range(rounds)], axis=0)


@pytest.mark.parametrize(("depth", "width", "steps"), [(100, 200, 20), (4, 64, 500)], ids=["deep", "tiny"])
def test_overhead_against_a_bare_loop(benchmark, dataset, depth, width, steps):
    spec = MLPSpec("tanh", depth, width)
    ours = partial(our_seconds, spec, dataset, steps)
    bare = partial(bare_seconds, spec, dataset, steps, fused=True)
    default = partial(bare_seconds, spec, dataset, steps)
    our_time, bare_time, default_time = alternate([ours, bare, default])
    benchmark.extra_info |= {
        "ours over bare": our_time / bare_time,
        "bare, default Adam, over ours": default_time / our_time,
    }
    benchmark.pedantic(ours, rounds=1)
    overhead = (our_time - bare_time) / steps
    assert overhead < 0.5e-3 or our_time < 1.1 * bare_time, f"{overhead * 1e3:.2f} ms a step"


IMAGES = {"n_classes": 2, "input_shape": (1, 28, 28)}


@pytest.mark.parametrize(
    ("spec", "steps"), [(CNNSpec("relu", 20, 32, **IMAGES), 8), (ResNetSpec(**IMAGES), 3)], ids=["cnn", "resnet"]
)
def test_overhead_of_image_networks(benchmark, monkeypatch, dataset, spec, steps):
    """In CPU time of the one thread, so that a busy machine does not decide."""
    monkeypatch.setattr(time, "perf_counter", time.process_time)
    ours = partial(our_seconds, spec, dataset, steps, n_eval=10)
    bare = partial(bare_seconds, spec, dataset, steps, fused=True)
    our_time, bare_time = alternate([ours, bare], rounds=6)
    benchmark.extra_info |= {"ours over bare": our_time / bare_time, "bare, ms a step": bare_time / steps * 1e3}
    print(f"\n{type(spec).__name__}: {our_time / steps * 1e3:.1f} ms a step, {our_time / bare_time:.3f} times the loop")
    benchmark.pedantic(ours, rounds=1)
    assert our_time < 1.05 * bare_time


def test_runs_side_by_side(benchmark, dataset):
    """Two processes, which take seconds to start, against one; the gain is to be seen only where two cores are idle."""
    networks = {"cnn": (CNNSpec("relu", 20, 32, **IMAGES), INIT)}
    settings = {"steps": 200, "n_eval": 100, "eval_points": [], "device": "cpu", "seeds": range(4)}

    def seconds(workers):
        start = time.perf_counter()
        training.train_many(networks, dataset, workers=workers, **settings)
        return time.perf_counter() - start

    two, one = alternate([lambda: seconds(2), lambda: seconds(1)], rounds=1)
    benchmark.extra_info |= {"one process, s": one, "two processes, s": two, "load before": os.getloadavg()[0]}
    print(f"\none process {one:.1f} s, two {two:.1f} s, with the start of both")
    benchmark.pedantic(lambda: None, rounds=1)
    if os.getloadavg()[0] > 2.5 or os.cpu_count() < 2:
        pytest.skip(f"the machine is busy (load {os.getloadavg()[0]:.1f}): {one / two:.2f} times as fast says little")
    assert two < 0.8 * one


@pytest.mark.parametrize(
    ("depth", "width", "steps", "gain"), [(100, 200, 8, 1.05), (10, 32, 100, 2)], ids=["deep", "tiny"]
)
def test_a_stack_is_faster_than_one_after_the_other(benchmark, dataset, depth, width, steps, gain):
    networks = {"edge": (MLPSpec("tanh", depth, width), INIT)}
    settings = {"steps": steps, "n_eval": 100, "eval_points": [], "device": "cpu", "seeds": range(6)}

    def seconds(stack):
        return training.train_many(networks, dataset, stack=stack, **settings).runs["seconds"].sum()

    stacked, single = alternate([lambda: seconds(6), lambda: seconds(1)], rounds=4)
    benchmark.extra_info["one after the other over stacked"] = single / stacked
    benchmark.pedantic(seconds, args=(6,), rounds=1)
    assert single > gain * stacked


KINDS = {
    "mlp": (MLPSpec("tanh", 50, 200), 8),
    "residual mlp": (MLPSpec("tanh", 50, 200, residual=50**-0.5), 8),
    "pooled mlp": (MLPSpec("relu", 50, 200, pool=MaxPool(2)), 8),
    "cnn": (CNNSpec("relu", 20, 32, **IMAGES), 3),
    "resnet": (ResNetSpec("relu", (2, 2, 2), 8, **IMAGES), 2),
    "resnet without norm": (ResNetSpec("relu", (2, 2, 2), 8, norm=False, **IMAGES), 2),
    "vit": (ViTSpec("gelu", 3, 32, **IMAGES), 2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_stack_gains_by_kind(benchmark, monkeypatch, dataset, kind):
    """What `stack_size` goes by on the CPU, in CPU time of the one thread."""
    monkeypatch.setattr(time, "perf_counter", time.process_time)
    spec, steps = KINDS[kind]
    settings = {"steps": steps, "batch_size": 64, "n_eval": 10, "eval_points": [], "device": "cpu", "workers": 1}

    def seconds(stack, networks):
        many = training.train_many({"edge": (spec, INIT)}, dataset, stack=stack, seeds=range(networks), **settings)
        return many.runs["seconds"].sum() / networks

    alone, *stacks = alternate([lambda: seconds(1, 1), lambda: seconds(4, 4), lambda: seconds(8, 8)], rounds=4)
    gains = {f"stack of {n}": round(float(alone / one), 2) for n, one in zip((4, 8), stacks, strict=True)}
    benchmark.extra_info |= {"steps a second alone": steps / alone} | gains
    print(f"\n{kind}: {steps / alone:.1f} steps a second alone; {gains}")
    benchmark.pedantic(lambda: None, rounds=1)
    if stack_size(spec, TrainSettings(steps), torch.device("cpu")) > 1:
        assert max(stacks) < alone
    elif not isinstance(
        spec, MLPSpec
    ):  # residual and pooled MLPs gain, and train alone to keep their numbers to the bit
        assert min(stacks) > alone / 1.3


def test_evaluation_is_a_small_part_of_a_run(benchmark, dataset):
    """25 evaluations of 1,000 inputs, as the chapter takes them, against the 300 updates between them."""
    spec = MLPSpec("tanh", depth=100, width=200)
    evaluating = partial(our_seconds, spec, dataset, 0, n_eval=1000)
    updating = partial(bare_seconds, spec, dataset, 12, fused=True)
    one_evaluation, twelve_updates = alternate([evaluating, updating], rounds=3)
    benchmark.pedantic(evaluating, rounds=1)
    assert one_evaluation < 0.5 * twelve_updates
