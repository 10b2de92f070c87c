"""A small sweep on random numbers, and stores of its runs."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from igbrepro import data
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.runs import DataFacts, Store, Sweep, obtain
from igbrepro.training import Conduct, TrainSettings

ROOT = Path(__file__).resolve().parents[2]
DATASET = data.gaussian(n_train=500, n_test=400, features=20, classes=4, distance=2.0, seed=1)
FACTS = DataFacts.of(DATASET)
SPEC = MLPSpec("tanh", 3, 16, input_shape=(20,))
SETTINGS = TrainSettings(30, 60, 1e-2, n_eval=200)
NETWORKS = {"calm": (SPEC, InitSpec(1.5, 0.1)), "relu": (MLPSpec("relu", 2, 16, input_shape=(20,)), InitSpec(2.0))}
VALUES = {"lr": 1e-2, "seeds": [0, 1], "dataset": "gaussian"}


def declare(p, facts):
    """As a chapter's experiment.py does."""
    return Sweep(NETWORKS, replace(SETTINGS, lr=p.lr), p.seeds)


def get(store, dataset=DATASET, *, declared=declare, **changes):
    """The results of the sweep, with some parameters changed."""
    return obtain(
        declared, VALUES | changes, dataset, store=store, workers=1, conduct=Conduct(device="cpu", progress=False)
    )


def python(code, *arguments, **environment):
    """Start Python on this code, which may import what stands here; its output is text on a pipe."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def printed(process):
    """What it printed, once it has ended well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


@pytest.fixture(scope="session")
def computed(tmp_path_factory):
    """A folder with the stored runs of the sweep; see `stored`."""
    folder = tmp_path_factory.mktemp("computed")
    get(Store(folder))
    return folder


@pytest.fixture
def stored(computed, tmp_path):
    """A store of one's own with the runs of the sweep."""
    return Store(shutil.copytree(computed, tmp_path / "store"))


@pytest.fixture
def shipped(stored, tmp_path):
    """The same as evidence in one file, and an empty folder to write to."""
    from igbrepro.runs import write_runs

    write_runs(tmp_path / "results" / "ch06_learning.parquet", stored.all())
    return Store(tmp_path / "own", (tmp_path / "results",))


@pytest.fixture
def trained(monkeypatch):
    """The name and seed of every run that is trained in this process from now on, in order."""
    from igbrepro.training import many

    real, seen = many._train_part, []
    monkeypatch.setattr(
        many,
        "_train_part",
        lambda part, shared: (seen.extend((t.name, t.seed) for t in part.tasks), real(part, shared))[1],
    )
    return seen


@pytest.fixture
def heeds_interrupts():
    """Background jobs of a shell are started with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
