"""Results of a sweep: read where they are stored, computed where not, whatever happens on the way."""

import signal
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from runs.conftest import DATASET, FACTS, NETWORKS, SETTINGS, SPEC, VALUES, declare, get, printed, python

from igbrepro import data
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.runs import (
    DataFacts,
    Parameters,
    Store,
    StoreWarning,
    Sweep,
    choose,
    default_store,
    make_plan,
    obtain_all,
    write_runs,
)
from igbrepro.theory import TANH, Activation
from igbrepro.training import Conduct, train_many
from igbrepro.training import run as training_run

TOLD = "2 of 4 runs are missing; they take about"


def plan(store, facts=FACTS, **changes):
    return make_plan(declare(Parameters(VALUES | changes), facts), facts, store)


def test_results_are_those_of_train_many_to_the_last_digit(stored, trained):
    found = get(stored)
    assert not trained and set(found.sources.values()) == {"store"} and found.dataset is DATASET
    direct = train_many(NETWORKS, DATASET, SETTINGS, seeds=[0, 1], workers=1, device="cpu")
    assert found.frame.equals(direct.frame) and found.frame.dtypes.equals(direct.frame.dtypes)
    columns = ["run", "seed", "steps", "diverged_at"]
    assert found.histories.runs[columns].equals(direct.runs[columns])
    assert found.histories.runs.dtypes.equals(direct.runs.dtypes) and (found.histories.runs["seconds"] > 0).all()
    assert found.provenance == DATASET.provenance and "4 kept from an earlier call" in found.told


def test_new_seeds_alone_are_computed(stored, trained, capsys):
    found = get(stored, seeds=[0, 2])
    assert trained == [("calm", 2), ("relu", 2)] and TOLD in capsys.readouterr().err
    assert [found.sources[name, seed] for name in NETWORKS for seed in (0, 2)] == ["store", "here"] * 2
    assert "2 kept from an earlier call on this machine, 2 computed here and now" in found.told
    trained.clear()
    get(stored, seeds=[0, 1, 2])
    assert not trained


def test_a_changed_parameter_is_told_with_its_time_before_anything_is_trained(stored, trained):
    told = str(plan(stored, lr=2e-2))
    assert told.startswith("4 of 4 runs are missing; they take about ") and told.endswith(" of one core.")
    assert str(plan(stored)) == "all 4 runs are in the store." and not trained


def test_shipped_runs_are_told_with_date_and_commit(shipped, trained):
    found = get(shipped)
    assert set(found.sources.values()) == {"evidence"} and not trained
    assert "4 shipped with this book (computed 20" in found.told and ", commit `" in found.told


def test_evidence_of_other_data_is_not_used_and_the_plan_says_so(shipped, trained):
    other = data.gaussian(n_train=500, n_test=400, features=20, classes=4, distance=2.0, seed=2)
    words = f"4 of them are stored for other data, of checksum {DATASET.sha256[:12]}, and do not count."
    assert words in str(plan(shipped, DataFacts.of(other)))
    assert set(get(shipped, other).sources.values()) == {"here"} and len(trained) == 4


@pytest.mark.parametrize("kind", ["activation", "labels"])
def test_what_cannot_be_stored_is_computed_every_time(tmp_path, trained, kind):
    mine = Activation("mine", TANH.function, lambda x: TANH.derivative(x), torch_function="torch.tanh")
    spec = replace(SPEC, activation=mine) if kind == "activation" else SPEC
    settings = replace(SETTINGS, labels=lambda k: k % 2) if kind == "labels" else SETTINGS

    def declared(p, facts):
        return Sweep({"calm": (spec, InitSpec(1.5, 0.1))}, settings, [0])

    first, second = (get(Store(tmp_path / "store"), declared=declared) for _ in range(2))
    assert trained == [("calm", 0)] * 2 and not first.runs and first.sources == {("calm", 0): "here"}
    assert first.frame.equals(second.frame)
    known = train_many({"calm": NETWORKS["calm"]}, DATASET, SETTINGS, seeds=[0], workers=1, device="cpu")
    np.testing.assert_allclose(first.frame["value"], known.frame["value"], rtol=1e-5)


def diverging(p, facts):
    """Networks of which one diverges on the way, the other before the first step."""
    spec = MLPSpec("relu", 6, 16, input_shape=(20,))
    settings = replace(SETTINGS, optimizer="sgd", lr=0.1, eval_points=(5,))
    return Sweep({"wild": (spec, InitSpec(30.0)), "lost": (spec, InitSpec(1e13))}, settings, [0])


def test_a_run_that_diverges_is_kept_marked_and_not_trained_again(tmp_path, trained):
    store = Store(tmp_path / "store")
    first = get(store, declared=diverging)
    ends = first.histories.runs.set_index("run")["diverged_at"]
    assert 0 < ends["wild"] <= 30 and ends["lost"] == 0 and "2 of them diverged" in first.told
    trained.clear()
    again = get(store, declared=diverging)
    assert not trained and again.frame.equals(first.frame) and again.histories.runs.equals(first.histories.runs)
    assert not np.isfinite(again.frame["value"]).all()


# Damage


def test_a_damaged_run_is_computed_again(stored, trained, capsys):
    before = get(stored)
    (stored.folder / f"{before.runs['relu', 1].key}.parquet").write_bytes(b"PAR1")
    with pytest.warns(StoreWarning, match="damaged"):
        again = get(stored)
    assert trained == [("relu", 1)] and again.sources["relu", 1] == "here"
    assert "1 of 4 runs are missing" in capsys.readouterr().err
    keys = ["run", "seed", "step", "split", "metric", "class"]
    assert again.frame[keys].equals(before.frame[keys])
    np.testing.assert_allclose(again.frame["value"], before.frame["value"], atol=2e-5)
    assert set(get(stored).sources.values()) == {"store"}


def spoil(shipped, group):
    """Change one byte of the numbers of one shipped run."""
    (path,) = shipped.evidence[0].iterdir()
    columns = pq.ParquetFile(path).metadata.row_group(group)
    value = columns.column(columns.num_columns - 1)
    raw = bytearray(path.read_bytes())
    raw[value.data_page_offset + value.total_compressed_size - 1] ^= 1
    path.write_bytes(raw)


def test_a_shipped_run_that_is_damaged_is_computed_once(shipped, trained):
    spoil(shipped, 1)
    for computed in (1, 0):
        trained.clear()
        with pytest.warns(StoreWarning, match="damaged"):
            found = get(Store(shipped.folder, shipped.evidence))
        assert len(trained) == computed
    assert sorted(found.sources.values()) == ["evidence"] * 3 + ["store"]


# Data that are not here

STAND_IN = replace(data.gaussian(n_train=500, n_test=400, features=20, classes=4, seed=9), name="other", fallback=True)


def test_shipped_runs_stand_where_their_data_are_not_here(shipped, trained):
    found = get(shipped, STAND_IN)
    assert found.dataset is None and not trained and set(found.sources.values()) == {"evidence"}
    assert found.provenance == DATASET.provenance


def test_where_one_run_is_missing_all_are_computed_on_the_stand_in(shipped, trained):
    found = get(shipped, STAND_IN, seeds=[0, 2])
    assert len(trained) == 4 and found.dataset is STAND_IN and found.provenance["fallback"]
    assert {run.data.sha256 for run in found.runs.values()} == {STAND_IN.sha256}


def test_nothing_computed_on_a_stand_in_is_kept_for_the_data_asked_for(shipped):
    spoil(shipped, 0)
    with pytest.warns(StoreWarning, match="damaged"):
        found = get(shipped, STAND_IN)
    assert found.dataset is STAND_IN and {run.data.sha256 for run in found.runs.values()} == {STAND_IN.sha256}
    assert {run.data.sha256 for run in Store(shipped.folder).all()} == {STAND_IN.sha256}


def test_a_part_of_absent_data_is_known_by_what_follows_the_comma_in_its_name(tmp_path):
    own = Store(tmp_path / "own")
    get(own, replace(DATASET, name=f"{DATASET.name}, one pixel in 4"))
    write_runs(tmp_path / "results" / "x.parquet", own.all())
    shipped = Store(None, (tmp_path / "results",))
    for part, there in ((", one pixel in 4", True), (", one pixel in 9", False), ("", False)):
        _, here = choose([declare], Parameters(VALUES), replace(STAND_IN, name=f"{STAND_IN.name}{part}"), shipped)
        assert (here is None) == there


def test_another_scaling_of_absent_data_is_another_thing(shipped):
    assert choose([declare], Parameters(VALUES), STAND_IN.scaled("unit"), shipped)[1] is not None


def declare_standard(p, facts):
    """With a scaling of its own, on data that the chapter has in another one."""
    return replace(declare(p, facts), scaling="standard")


def test_a_sweep_may_have_a_scaling_of_its_own(tmp_path, trained):
    unit, own = DATASET.scaled("unit"), Store(tmp_path / "own")
    options = {"store": own, "workers": 1, "conduct": Conduct(device="cpu", progress=False)}
    first, second = obtain_all([declare, declare_standard], VALUES, unit, **options)
    assert (first.data.scaling, second.data.scaling) == ("unit", "standard") and len(trained) == 8
    assert first.dataset is unit and second.dataset.scaling == "standard" and second.data == FACTS
    assert second.frame.equals(get(Store(tmp_path / "alone"), declared=declare).frame)
    assert not first.frame.equals(second.frame)
    trained.clear()
    write_runs(tmp_path / "results" / "x.parquet", own.all())
    shipped = Store(None, (tmp_path / "results",))
    plans, here = choose([declare, declare_standard], Parameters(VALUES), STAND_IN.scaled("unit"), shipped)
    assert here is None and [plan.data.scaling for plan in plans] == ["unit", "standard"]
    plans, here = choose([declare_standard], Parameters(VALUES), STAND_IN.scaled("unit"), stored_of(first, tmp_path))
    assert here is not None and len(plans[0].missing) == 4


def stored_of(results, folder):
    """A store of the runs of one sweep alone."""
    write_runs(folder / "part" / "x.parquet", results.runs.values())
    return Store(None, (folder / "part",))


# Interruptions and several processes

INTERRUPTED = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from igbrepro.runs import Store
from igbrepro.training.run import Run
from runs.conftest import get
real = Run.advance
def advance(run):
    real(run)
    if run.settings[0]["activation"] == "relu" and run.step == 13:
        print("in the middle", flush=True)
        time.sleep(60)
Run.advance = advance
get(Store(Path(sys.argv[1])))
"""


def test_after_ctrl_c_the_same_call_goes_on_to_the_same_numbers(stored, tmp_path, trained, monkeypatch):
    store = Store(tmp_path / "interrupted")
    process = python(INTERRUPTED.replace("time.sleep(60)", "time.sleep(2)"), store.folder)
    assert process.stdout.readline() == "in the middle\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0 and "KeyboardInterrupt" in err and "4 of 4 runs are missing" in err
    assert {run.name for run in store.all()} == {"calm"}, "what was done is stored"
    assert len(list((store.folder / "unfinished").glob("*.pt"))) == 1
    steps, real = [], training_run.Run._update
    monkeypatch.setattr(training_run.Run, "_update", lambda run: (steps.append(run.step), real(run)))
    found = get(store)
    assert trained == [("relu", 0), ("relu", 1)] and steps == list(range(13, 30))
    assert found.frame.equals(get(stored).frame)
    assert not list((store.folder / "unfinished").glob("*.pt"))


def test_what_was_begun_goes_on_even_with_other_runs_beside_it(tmp_path, trained, monkeypatch, heeds_interrupts):
    store, real = Store(tmp_path / "store"), training_run.Run.advance

    def advance(run):
        real(run)
        if run.step == 20:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(training_run.Run, "advance", advance)
        with pytest.raises(KeyboardInterrupt, match="goes on from there"):
            get(store)
    trained.clear()
    steps, update = [], training_run.Run._update
    monkeypatch.setattr(training_run.Run, "_update", lambda run: (steps.append(run.step), update(run)))
    get(store, seeds=[0, 1, 2])
    assert trained[:2] == [("calm", 0), ("calm", 1)] and steps[0] == 20
    assert sorted(trained) == sorted((name, seed) for name in NETWORKS for seed in (0, 1, 2))
    assert not list((store.folder / "unfinished").glob("*.pt"))


def test_a_checkpoint_that_cannot_be_written_stops_no_run(tmp_path, monkeypatch):
    def full(run, path):
        raise RuntimeError("PytorchStreamWriter failed writing file\nC++ stack")

    monkeypatch.setattr(training_run.Run, "save", full)
    with pytest.warns(UserWarning, match=r"not written \(PytorchStreamWriter failed writing file\); training goes on"):
        found = get(Store(tmp_path / "store"))
    assert len(found.runs) == 4


TWO = """
import sys, time
from pathlib import Path
from igbrepro.runs import Store
from runs.conftest import get
import igbrepro.training.many
folder, seeds = Path(sys.argv[1]), [int(seed) for seed in sys.argv[2].split(",")]
print("ready", flush=True)
while not (folder / "go").exists():
    time.sleep(0.01)
same = get(Store(folder / "same"))
mine = get(Store(folder / "different"), seeds=seeds)
print(same.frame["value"].sum(), len(mine.runs))
"""


def test_two_processes_may_write_at_once(stored, tmp_path, trained):
    processes = [python(TWO, tmp_path, seeds) for seeds in ("0,1", "1,2")]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    (tmp_path / "go").touch()
    told = [printed(process) for process in processes]
    same, alone = get(Store(tmp_path / "same")).frame["value"], get(stored).frame["value"]
    np.testing.assert_allclose(same, alone, atol=2e-5)  # one may have found a part of what the other did
    for line in told:
        assert float(line.split()[0]) == pytest.approx(alone.sum(), abs=1e-3) and line.split()[1] == "4"
    assert len(list(Store(tmp_path / "different").all())) == 6 and not trained
    for name in ("same", "different"):
        assert not list((tmp_path / name).glob("*.damaged-*")) and not list((tmp_path / name).glob(".*"))


# Which store


def test_the_environment_names_the_store_and_may_leave_the_evidence_out(monkeypatch, tmp_path):
    monkeypatch.setattr("igbrepro.runs.results.RESULTS", tmp_path)
    monkeypatch.delenv("IGBREPRO_EVIDENCE", raising=False)
    monkeypatch.setenv("IGBREPRO_STORE", str(tmp_path / "mine"))
    assert default_store() == Store(tmp_path / "mine", (tmp_path,))
    monkeypatch.setenv("IGBREPRO_EVIDENCE", "off")
    assert default_store() == Store(tmp_path / "mine")
    monkeypatch.setenv("IGBREPRO_EVIDENCE", "of")
    with pytest.raises(ParameterError, match="IGBREPRO_EVIDENCE='of': need on or off"):
        default_store()


def test_a_store_that_is_only_read_names_its_want_of_a_folder(shipped):
    with pytest.raises(ParameterError, match="folder=None"):
        get(Store(None, shipped.evidence), seeds=[5])
