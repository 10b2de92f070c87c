"""Runs that a chapter's own function measures: declared, stored and audited as trainings are."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from runs.conftest import DATASET, FACTS, NETWORKS, VALUES, declare, get
from runs.test_results import STAND_IN

from igbrepro.errors import ParameterError
from igbrepro.networks import build
from igbrepro.publishing.chapters import executed_module
from igbrepro.runs import (
    Measured,
    NotStorable,
    Pace,
    Parameters,
    Run,
    Store,
    Sweep,
    audit,
    obtain_all,
    work,
    write_runs,
)
from igbrepro.runs.auditing import MEASURED, compare_measured
from igbrepro.training import Conduct

CALLS = []


def sizes(run, dataset, n_networks=3, trains=0.0):
    """Mean squares of the logits of untrained networks, and how far off chance they are."""
    CALLS.append(run.name)
    inputs = torch.from_numpy(dataset.inputs("test")[:50])
    rows = []
    for number in range(n_networks):
        generator = torch.Generator().manual_seed(1000 * run.seed + number)
        with torch.no_grad():
            logits = build(run.spec, run.init, generator)(inputs)
        rows += [
            (number, "q", float(logits.square().mean())),
            (number, "share", float((logits.argmax(1) == 0).mean(dtype=float))),
        ]
    found = pd.DataFrame(rows, columns=["step", "metric", "value"])
    return found.assign(value=found["value"] * (1 + trains * np.random.default_rng().standard_normal(len(found))))


def untrained(p, facts):
    """As a chapter's experiment.py does."""
    return Sweep(NETWORKS, Measured(sizes, {"n_networks": p.n}, inputs=150), [7])


def both(store, dataset=DATASET, **changes):
    conduct = Conduct(device="cpu", progress=False)
    values = VALUES | {"n": 3} | changes
    return obtain_all([untrained, declare], values, dataset, store=store, workers=1, conduct=conduct)


@pytest.fixture(autouse=True)
def calls():
    CALLS.clear()
    return CALLS


@pytest.fixture
def evidence(stored, tmp_path):
    """Shipped trainings and measurements, and an empty folder to write to."""
    both(stored)
    CALLS.clear()
    write_runs(tmp_path / "results" / "x.parquet", stored.all())
    return Store(tmp_path / "own", (tmp_path / "results",))


def test_what_was_measured_is_read_and_another_argument_measured_anew(stored, calls, trained):
    first, _ = both(stored)
    assert calls == ["calm", "relu"] and set(first.sources.values()) == {"here"}
    again, results = both(stored)
    assert calls == ["calm", "relu"] and set(again.sources.values()) == {"store"} and not trained
    assert again.frame.equals(first.frame) and again.frame.dtypes.equals(first.frame.dtypes)
    assert results.frame.equals(get(stored).frame)
    direct = sizes(untrained(Parameters(VALUES | {"n": 3}), FACTS).runs[0], DATASET)
    assert list(again.frame.query("run == 'calm'")["value"]) == list(direct["value"])
    assert (
        again.told
        == "2 runs, made by this chapter's own function. Of these, 2 kept from an earlier call on this machine."
    )
    both(stored, n=4)
    assert calls == ["calm", "relu", "calm", "calm", "relu"]


def test_where_one_run_comes_from(stored):
    def alone(p, facts):
        return Sweep({"calm": NETWORKS["calm"]}, Measured(sizes), [7])

    (found,) = obtain_all([alone], VALUES, DATASET, store=stored)
    assert found.told == "One run, made by this chapter's own function: computed here and now."


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"arguments": {"n_networks": 4}}, {"trains": True}, {"function": untrained}]
)
def test_function_arguments_and_version_make_the_key_but_not_the_time_it_takes(change):
    run = untrained(Parameters(VALUES | {"n": 3}), FACTS).runs[0]
    assert replace(run, settings=replace(run.settings, **change)).key(FACTS) != run.key(FACTS)
    assert replace(run, settings=replace(run.settings, inputs=3)).key(FACTS) == run.key(FACTS)
    assert run.task["settings"]["function"] == "runs.sizes"


@pytest.mark.parametrize("function", [lambda run, dataset: 1, np.mean, torch.nn.Linear])
def test_a_function_without_a_place_has_no_key(function):
    run = untrained(Parameters(VALUES | {"n": 3}), FACTS).runs[0]
    with pytest.raises(NotStorable, match="only a plain function of a module"):
        replace(run, settings=Measured(function)).key(FACTS)


def test_numbers_without_a_value_are_refused():
    def bare(run, dataset):
        return pd.DataFrame({"metric": ["q"]})

    run = untrained(Parameters(VALUES | {"n": 3}), FACTS).runs[0]
    with pytest.raises(ParameterError, match="bare: gave no column value"):
        Measured(bare).numbers(run, DATASET)


def test_no_numbers_at_all_are_refused():
    run = untrained(Parameters(VALUES | {"n": 0}), FACTS).runs[0]
    with pytest.raises(ParameterError, match=r"sizes: gave no numbers; are its sizes, \{'n_networks': 0\}, above 0"):
        run.settings.numbers(run, DATASET)
    assert Pace().seconds(replace(run, settings=replace(run.settings, inputs=0))) > 0


def test_all_come_from_one_data_set(evidence, calls, trained):
    found = both(evidence, STAND_IN)
    assert [one.dataset for one in found] == [None, None] and not calls and not trained
    found = both(evidence, STAND_IN, n=4)
    assert [one.dataset for one in found] == [STAND_IN, STAND_IN] and calls == ["calm", "relu"] and len(trained) == 4


def test_the_time_is_that_of_runs_like_it(evidence):
    run = untrained(Parameters(VALUES | {"n": 5}), FACTS).runs[0]
    stored = [replace(one, seconds=8.0) for one in evidence.all() if one.name == "calm"]
    longer = replace(run, settings=replace(run.settings, inputs=300))
    assert work(longer) == 2 * work(run)
    assert Pace(stored).seconds(longer) == pytest.approx(16.0)


def test_a_measurement_comes_out_again_and_a_changed_one_does_not(evidence, tmp_path):
    (shipped,), _ = [list(both(evidence))[:1], None]
    assert audit(shipped, 2).agrees and set(audit(shipped, 2).table["metric"]) == {"q", "share"}
    runs = list(evidence.all())
    frame = runs[-1].frame.copy()
    frame.loc[frame.index[0], "value"] *= 1.01
    write_runs(tmp_path / "results" / "x.parquet", [*runs[:-1], replace(runs[-1], frame=frame)])
    found = audit(both(Store(None, (tmp_path / "results",)))[0], 2)
    assert not found.agrees and list(found.table[found.table["gap"] > 1]["metric"]) == ["q"]


def test_a_small_number_is_compared_by_its_own_size(evidence):
    stored = next(run for run in evidence.all() if run.task["kind"] == "measured")
    tiny = replace(stored, frame=stored.frame.assign(value=stored.frame["value"] * 1e-20))
    rows = compare_measured(tiny, tiny.frame.assign(value=tiny.frame["value"] * 1.01), [tiny], trains=False)
    assert all(row[6] == pytest.approx(0.01 / MEASURED) for row in rows if row[3] == "q")


def test_one_that_is_too_long_is_not_measured_again(evidence):
    found = audit(both(evidence)[0], 2, minutes=1e-9)
    assert not found.runs and found.why == "each run takes more than 1 second"


def test_where_networks_are_trained_the_spread_over_seeds_is_allowed(tmp_path):
    def noisy(p, facts):
        return Sweep(NETWORKS, Measured(sizes, {"trains": 0.05}, trains=True), list(range(6)))

    store = Store(tmp_path / "store")
    obtain_all([noisy], VALUES, DATASET, store=store, workers=1, conduct=Conduct(device="cpu", progress=False))
    write_runs(tmp_path / "results" / "x.parquet", store.all())
    shipped = Store(None, (tmp_path / "results",))
    (results,) = obtain_all([noisy], VALUES, DATASET, store=shipped, workers=1, conduct=Conduct(device="cpu"))
    assert audit(results, 4, seed=1).agrees


def test_of_a_training_the_last_evaluation_is_compared_and_another_seed_s_would_mostly_pass(stored):
    runs = [run for run in stored.all() if run.name == "calm"]
    base, arguments = runs[0], {"settings": runs[0].task["settings"] | {"arguments": {"n_eval": 200}}}
    rng = np.random.default_rng(3)

    def like(seed, shift=0.0):
        frame = base.frame.assign(value=base.frame["value"] + shift + 0.02 * rng.standard_normal(len(base.frame)))
        return replace(base, task=base.task | arguments | {"seed": seed}, frame=frame)

    alike = [like(seed) for seed in range(8)]
    rows = compare_measured(alike[0], like(0).frame, alike, trains=True)
    last = base.frame["step"].max()
    assert {row[3] for row in rows} == {"loss", "accuracy", "max_class_fraction"} and {row[2] for row in rows} == {last}
    gaps = [row[6] for seed in range(8) for row in compare_measured(alike[seed], like(seed).frame, alike, trains=True)]
    assert max(gaps) < 1
    assert all(row[6] > 1 for row in compare_measured(alike[0], like(0, shift=0.5).frame, alike, trains=True))


def test_each_chapter_finds_its_own_lab(tmp_path):
    functions = {}
    for name in ("ch01_one", "ch02_two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "lab.py").write_text(f"NAME = {name!r}\n")
        code = "import pandas as pd\ndef named(run, dataset):\n    import lab\n"
        code += "    return pd.DataFrame({'metric': [lab.NAME], 'value': [1.0]})\n"
        (folder / "experiment.py").write_text(code)
        functions[name] = executed_module(name, "experiment", tmp_path).named
    run = untrained(Parameters(VALUES | {"n": 3}), FACTS).runs[0]
    path = list(sys.path)
    for name in ("ch01_one", "ch02_two", "ch01_one"):
        settings = Measured(functions[name])
        assert list(settings.numbers(run, DATASET)["metric"]) == [name]
        assert settings.description["function"] == f"{name[5:]}.named"
    assert sys.path == path


def test_a_measured_run_comes_back_with_its_function():
    run = untrained(Parameters(VALUES | {"n": 3}), FACTS).runs[0]
    assert Run.of_task(run.name, run.task, sizes).task == run.task
    with pytest.raises(ParameterError, match=r"measured by runs\.sizes, which is not here"):
        Run.of_task(run.name, run.task)
