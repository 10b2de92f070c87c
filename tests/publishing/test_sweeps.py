"""The runs that chapters declare, and the jobs that compute them."""

import os
from dataclasses import replace

import pytest
import yaml
from toys import EXPERIMENT, write_sizes, write_trained

from igbrepro.data import files
from igbrepro.errors import ParameterError
from igbrepro.publishing import chapter_jobs, has_experiment, plan_chapter, sweeps
from igbrepro.publishing.costs import costs
from igbrepro.publishing.sweeps import needs_no_data
from igbrepro.runs import Pace, Store, compute, write_runs
from igbrepro.training import Conduct

NAME = "ch03_trained"


@pytest.fixture
def root(toys):
    """The toys, and a third that declares runs."""
    write_trained(toys)
    return toys


def test_a_chapter_without_experiment_has_no_jobs(root):
    assert not has_experiment("ch01_good", root) and has_experiment(NAME, root)
    assert chapter_jobs("ch01_good", "smoke", Store(None), root) == []


def test_the_sweeps_of_a_chapter_follow_preset_and_changes(root):
    asked = plan_chapter(NAME, "smoke", Store(None), {"seeds": [5]}, root)
    (plan,) = asked.plans.values()
    assert list(asked.plans) == ["training"] and asked.dataset.name == "fashion-mnist-subset"
    assert [(run.name, run.seed, run.settings.steps) for run in plan.missing] == [("tanh 1", 5, 3), ("tanh 2", 5, 3)]


def test_functions_that_say_that_they_give_something_else_are_no_sweeps(root):
    write_trained(
        root, EXPERIMENT + '\n\ndef widths(p) -> list[int]:\n    """Of the networks."""\n    return [p.width]\n'
    )
    assert list(plan_chapter(NAME, "smoke", Store(None), root=root).plans) == ["training"]


@pytest.mark.parametrize(("runs_a_job", "sizes"), [(0.1, [1] * 4), (1.5, [1] * 4), (3.5, [3, 1]), (99, [4])])
def test_jobs_are_no_longer_than_they_may_be_unless_they_are_one_run(root, monkeypatch, runs_a_job, sizes):
    (plan,) = plan_chapter(NAME, "laptop", Store(None), root=root).plans.values()
    one = Pace().seconds(plan.missing[0])
    assert one > 1e-3
    monkeypatch.setattr(sweeps, "JOB_SECONDS", runs_a_job * one)
    jobs = chapter_jobs(NAME, "laptop", Store(None), root)
    assert [len(job.runs) for job in jobs] == sizes
    assert [job.minutes for job in jobs] == pytest.approx([size * one / 60 for size in sizes])
    assert [run for job in jobs for run in job.runs] == list(plan.missing), "each in exactly one"
    assert len({job.key for job in jobs}) == len(jobs)


def test_jobs_are_the_same_whatever_was_computed_here(root, tmp_path):
    store = Store(tmp_path / "store")
    before = chapter_jobs(NAME, "smoke", store, root)
    asked = plan_chapter(NAME, "smoke", store, root=root)
    plan = asked.plans["training"]
    conduct = Conduct(device="cpu", progress=False)
    made = list(compute(plan.missing[:3], asked.dataset, plan.data, store, workers=1, conduct=conduct))
    assert chapter_jobs(NAME, "smoke", store, root) == before and len(before) == 1
    assert len(plan_chapter(NAME, "smoke", store, root=root).plans["training"].missing) == 1
    write_runs(tmp_path / "results" / f"{NAME}.parquet", [run for _, run, _ in made])
    (left,) = chapter_jobs(NAME, "smoke", Store(store.folder, (tmp_path / "results",)), root)
    assert left.runs == plan.missing[3:] and left.key != before[0].key


def test_runs_that_cannot_be_stored_are_left_to_the_notebook(root):
    write_trained(root, EXPERIMENT.replace("n_eval=50", "n_eval=50, labels=lambda k: k % 2"))
    assert chapter_jobs(NAME, "smoke", Store(None), root) == []
    assert len(plan_chapter(NAME, "smoke", Store(None), root=root).plans["training"].missing) == 4


@pytest.mark.parametrize("gone", ["dataset", "training"])
def test_an_experiment_that_lacks_a_part_is_refused_in_one_sentence(root, gone):
    write_trained(root, EXPERIMENT.replace(f"def {gone}(", f"def _{gone}("))
    with pytest.raises(
        ParameterError, match=r"^ch03_trained/experiment\.py: need a function dataset\(p\), and one for"
    ):
        chapter_jobs(NAME, "smoke", Store(None), root)


def test_jobs_for_a_gpu_take_its_time(root):
    sizes = {"minutes": 0.1, "parameters": {"steps": 30_000}}
    (root / NAME / "sizes.yml").write_text(yaml.safe_dump({"laptop": sizes, "paper": sizes | {"gpu": 1}}))
    for name in ("ch01_good", "ch02_other"):
        write_sizes(root / name)
    here, there = (
        sum(job.minutes for job in chapter_jobs(NAME, one, Store(None), root)) for one in ("laptop", "paper")
    )
    assert 0 < there < here / 50


@pytest.fixture
def absent(root, tmp_path, monkeypatch):
    """A chapter on CIFAR-10, which is not here; a store whose evidence is of it, and the list of tried downloads."""
    write_trained(root)
    for place in ("IGBREPRO_DATA", "IGBREPRO_CACHE"):
        monkeypatch.setenv(place, str(tmp_path / place))
    monkeypatch.delenv("IGBREPRO_DOWNLOAD", raising=False)
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path))
    tried = []

    def download(name, *_):
        tried.append(name)
        raise files.NotAvailable(f"{name}: no net")

    monkeypatch.setattr(files, "SYSTEM_SHARES", ())
    made = files.download
    monkeypatch.setattr(files, "download", lambda *a: made(*a) if "IGBREPRO_DOWNLOAD" in os.environ else download(*a))
    with pytest.warns(UserWarning, match="NOT THE DATA"):
        asked = plan_chapter(NAME, "smoke", Store(None), {"dataset": "cifar10"}, root)
    plan, conduct = asked.plans["training"], Conduct(device="cpu", progress=False)
    facts = replace(plan.data, name="cifar10", sha256="0" * 64)
    done = compute(plan.missing, asked.dataset, plan.data, Store(tmp_path / "store"), workers=1, conduct=conduct)
    runs = [replace(stored, data=facts, key=run.key(facts)) for run, stored, _ in done]
    write_runs(tmp_path / "results" / f"{NAME}.parquet", runs)
    tried.clear()
    return Store(tmp_path / "own", (tmp_path / "results",)), tried


def test_data_are_not_downloaded_where_all_runs_on_them_are_shipped(root, absent, monkeypatch):
    store, tried = absent
    monkeypatch.setattr("igbrepro.runs.default_store", lambda: store)
    asked = plan_chapter(NAME, "smoke", store, {"dataset": "cifar10"}, root)
    assert asked.dataset is None and not asked.plans["training"].missing and not tried
    assert not needs_no_data(NAME, "smoke", {"dataset": "cifar10"}, root), "its notebook may need them"
    write_trained(root, f"{EXPERIMENT}\nALL_STORED = True\n")
    assert needs_no_data(NAME, "smoke", {"dataset": "cifar10"}, root) and not tried
    costs(["smoke", "paper"], store, root)
    assert not tried, "costs are of plans"
    with pytest.warns(UserWarning, match="NOT THE DATA"):
        assert not needs_no_data(NAME, "smoke", {"dataset": "cifar10", "seeds": [9]}, root)
    assert tried[0] == "cifar10"
