"""What runs cost: counted against torch's own counter, and told from runs that were made."""

from dataclasses import replace

import pytest
import torch
from runs.conftest import FACTS, SETTINGS, SPEC
from torch.utils.flop_counter import FlopCounterMode

from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, TorchvisionSpec, ViTSpec, build
from igbrepro.runs import Pace, Run, StoredRun, in_words, multiply_adds, work
from igbrepro.theory import MaxPool

RUN = Run("one", SPEC, InitSpec(1.5), 0, SETTINGS)


@pytest.mark.parametrize(
    ("spec", "tolerance"),
    [
        (MLPSpec("relu", 5, 32, 10, (28, 28)), 0),
        (MLPSpec("relu", 5, 32, 10, (28, 28), pool=MaxPool(2)), 0),
        (MLPSpec("tanh", 5, 32, residual=0.5), 0),
        (CNNSpec("relu", 4, 8, input_shape=(3, 15, 16), strides=(2, 2)), 0),
        (CNNSpec("relu", 3, 8, input_shape=(3, 16, 16), strides=(2,), pool=MaxPool(4), pool_stride=2), 0),
        (ResNetSpec("relu", (2, 1, 1), 4, input_shape=(3, 15, 16)), 0),
        (ViTSpec("gelu", 2, 16, 2, input_shape=(3, 16, 16)), 0.01),  # torch splits the tokens' sums otherwise
        (TorchvisionSpec("resnet18", 1000, (3, 96, 96)), 0.01),  # its head costs the same for images of any size
    ],
    ids=["mlp", "pooled", "residual", "cnn", "pooled cnn", "resnet", "vit", "torchvision"],
)
def test_multiply_adds_are_those_that_torch_counts(spec, tolerance):
    model, counter = build(spec, "default").eval(), FlopCounterMode(display=False)
    with counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        model(torch.zeros(2, *spec.input_shape))
    counted = counter.get_total_flops() / 2 / 2  # two operations each, two inputs
    assert multiply_adds(spec) == pytest.approx(counted, rel=max(tolerance, 1e-12))


def test_the_work_of_a_run_counts_updates_and_evaluations():
    small = replace(RUN, settings=replace(SETTINGS, eval_points=(), n_eval=1))
    forward, layers = multiply_adds(SPEC), 3 * 2e5
    assert work(small) == pytest.approx(forward * (3 * 30 * 60 + 2) + layers * (3 * 30 + 2))
    more = replace(small, settings=replace(small.settings, n_eval=101))
    assert work(more) - work(small) == pytest.approx(200 * forward)


def made(run, seconds, **said):
    return StoredRun.made(run, FACTS, {"work": work(run)} | said, None, ("one", run.seed, 30, seconds, None))


def longer(times):
    return replace(RUN, settings=replace(SETTINGS, steps=30 * times, eval_points=()))


def test_a_run_takes_as_long_as_those_like_it_did():
    like = [made(replace(RUN, seed=k, init=InitSpec(1.0 + k)), seconds) for k, seconds in enumerate((5.0, 7.0, 60.0))]
    pace = Pace([*like, made(longer(10), 1e-3)])
    assert pace.seconds(RUN) == 7.0
    assert pace.seconds(replace(RUN, settings=replace(SETTINGS, lr=1.0))) == 7.0


def test_a_description_read_from_a_file_counts_as_like(tmp_path):
    from runs.test_store import made as finished

    from igbrepro.runs import Store

    store = Store(tmp_path)
    store.write(replace(finished(), seconds=42.0))
    assert Pace(store.all(numbers=False)).seconds(replace(RUN, init=InitSpec(9.0), seed=8)) == 42.0


def test_where_none_is_alike_the_nearest_work_tells_the_rate():
    near = [made(longer(2 + k), work(longer(2 + k)) / 1e6) for k in range(5)]
    far = [made(longer(1000 + k), work(longer(1000 + k)) / 1e9) for k in range(9)]
    other = made(replace(RUN, spec=CNNSpec("relu", 1, 2, 2, (3, 4, 4), strides=())), 1e6)
    assert Pace([*near, *far, other]).seconds(RUN) == pytest.approx(work(RUN) / 1e6)


def test_without_runs_it_is_told_from_the_work_alone():
    assert Pace().seconds(longer(10)) / Pace().seconds(RUN) == pytest.approx(work(longer(10)) / work(RUN))


def test_runs_that_diverged_or_were_made_elsewhere_tell_nothing():
    lost = replace(made(RUN, 1e-6), diverged_at=3)
    assert Pace([lost, made(RUN, 1e-6, device="cuda")]).seconds(RUN) == Pace().seconds(RUN)


def test_times_are_told_in_the_unit_that_suits():
    assert [in_words(s) for s in (0.01, 1.4, 20, 100, 5000, 9000)] == [
        "1 second",
        "1 second",
        "20 seconds",
        "2 minutes",
        "83 minutes",
        "2.5 hours",
    ]
