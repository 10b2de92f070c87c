"""`igbrepro runs` and `igbrepro run --dry-run`: what is stored, whether it comes out again, what is missing."""

import json
from dataclasses import replace

import pytest
from toys import LAB, MEASURING, write_trained

from igbrepro.data import load
from igbrepro.runs import Store, write_runs

NAME = "ch03_trained"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty store and no evidence, in folders of their own; gives the folder of both."""
    for target in ("igbrepro.runs.results.RESULTS", "igbrepro.runs.RESULTS"):
        monkeypatch.setattr(target, tmp_path / "results")
    monkeypatch.setenv("IGBREPRO_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("IGBREPRO_EVIDENCE", "on")
    return tmp_path


@pytest.fixture
def root(toys):
    """The toys, and a third that declares runs."""
    write_trained(toys)
    return toys


@pytest.fixture
def filled(igbrepro, root, place):
    """The store with the four runs of the toy at the preset smoke."""
    code, out, err = igbrepro("runs", "compute", "trained", "--preset", "smoke", "--notebooks", root)
    assert code == 0, err
    assert "4 of 4 runs are missing; they take about" in err and "tanh 2, seed 1: 3 steps in" in out
    return Store(place / "store")


def test_a_dry_run_says_what_is_missing_and_how_long_it_takes_and_trains_nothing(igbrepro, root, place, monkeypatch):
    monkeypatch.setattr("igbrepro.publishing.run_notebook", lambda *_, **__: pytest.fail("run"))
    for command in (("run",), ("runs", "compute")):
        code, out, err = igbrepro(*command, "trained", "-p", "seeds", "0,1,2", "--dry-run", "--notebooks", root)
        assert code == 0 and not out
        assert "ch03_trained, training: 6 of 6 runs are missing; they take about 1 second of one core." in err
    assert not (place / "store").exists()


def test_computing_again_finds_everything_there(igbrepro, root, filled):
    code, out, err = igbrepro("runs", "compute", "trained", "--preset", "smoke", "--notebooks", root)
    assert code == 0 and not out and "all 4 runs are in the store." in err


def test_a_job_computes_its_own_runs_and_an_unknown_one_is_refused(igbrepro, root, place, monkeypatch):
    from igbrepro.publishing import chapter_jobs, sweeps

    monkeypatch.setattr(sweeps, "JOB_RUNS", 3)
    first, second = chapter_jobs(NAME, "smoke", Store(place / "store"), root)
    command = ("runs", "compute", NAME, "--preset", "smoke", "--notebooks", root, "--job")
    code, out, _ = igbrepro(*command, second.key)
    assert (
        code == 0 and out.startswith("tanh 2, seed 1: 3 steps") and len(list((place / "store").glob("*.parquet"))) == 1
    )
    code, out, _ = igbrepro(*command, first.key)
    assert code == 0 and len(out.splitlines()) == 3
    code, _, err = igbrepro(*command, "0123456789ab")
    assert code == 2 and "job='0123456789ab': ch03_trained has no such job at preset smoke" in err


def test_list_and_show_tell_what_is_stored_and_where_it_came_from(igbrepro, filled):
    code, out, _ = igbrepro("runs", "list", "--json")
    rows = json.loads(out)
    assert code == 0 and {(row["name"], row["seed"]) for row in rows} == {
        (f"tanh {v}", s) for v in (1, 2) for s in (0, 1)
    }
    row = rows[0]
    assert (row["steps"], row["lr"], row["data"], row["source"]) == (3, 0.001, "fashion-mnist-subset", "store")
    assert row["file"] == f"{row['key']}.parquet" and row["network"] == "MLPSpec"
    code, out, _ = igbrepro("runs", "list")
    assert code == 0 and out.startswith("4 runs, ") and row["key"][:12] in out
    code, out, _ = igbrepro("runs", "show", row["key"][:8], "--json")
    told = json.loads(out)
    assert code == 0 and told["network"]["width"] == 8 and told["data"]["sha256"] == load(row["data"]).sha256
    assert told["last"]["test loss"] == pytest.approx(filled.read(row["key"]).last["test loss"])
    code, out, _ = igbrepro("runs", "show", row["key"])
    assert code == 0 and "start:\n  sigma_b2: 0\n  sigma_w2: " in out and "commit: " in out


def test_verify_and_rerun_agree_with_what_was_stored(igbrepro, filled):
    code, out, _ = igbrepro("runs", "verify", "--all")
    assert code == 0 and out.count(": agrees (") == 4
    assert out.endswith("4 agree, 0 disagree, 0 not audited here.\n")
    code, out, _ = igbrepro("runs", "verify", "-n", "2", "--brief", "--json")
    assert code == 0 and [one["outcome"] for one in json.loads(out)] == ["agrees"] * 2
    key = next(iter(filled.places))
    code, out, _ = igbrepro("runs", "rerun", key[:10])
    assert code == 0 and "It comes out again." in out and "of what is allowed" in out
    code, out, _ = igbrepro("runs", "rerun", key, "--json")
    assert code == 0 and {row["metric"] for row in json.loads(out)} == {"loss", "accuracy", "max_class_fraction"}


def test_what_a_function_of_the_chapter_measures_is_computed_job_by_job_and_audited(igbrepro, root, place):
    from igbrepro.publishing import chapter_jobs

    (write_trained(root, MEASURING) / "lab.py").write_text(LAB)
    jobs = chapter_jobs(NAME, "smoke", Store(place / "store"), root)
    assert [(job.sweep, len(job.runs)) for job in jobs] == [("training", 4), ("untrained", 4)]
    command = ("runs", "compute", NAME, "--preset", "smoke", "--notebooks", root, "--job")
    code, out, err = igbrepro(*command, jobs[1].key)
    assert code == 0 and out.count(": measured in ") == 4 and "3 steps" not in out, err
    code, out, _ = igbrepro("runs", "list", "--json")
    assert code == 0 and {(row["function"], row["lr"]) for row in json.loads(out)} == {("trained.norms", None)}
    code, out, _ = igbrepro("runs", "list")
    assert code == 0 and "trained.norms" in out
    code, out, err = igbrepro("runs", "verify", "--all", "--notebooks", root)
    assert code == 0 and out.endswith("4 agree, 0 disagree, 0 not audited here.\n"), out + err


def changed(store, **changes):
    """One stored run with these things changed; gives its key."""
    run = next(store.all())
    store.write(replace(run, **{name: change(run) for name, change in changes.items()}))
    return run.key


def test_a_run_that_does_not_come_out_again_ends_with_1(igbrepro, filled):
    key = changed(filled, frame=lambda run: run.frame.assign(value=1.01 * run.frame["value"]))
    code, out, _ = igbrepro("runs", "verify", key)
    assert code == 1 and ": DISAGREES (" in out and "0 agree, 1 disagree, 0 not audited here." in out
    code, out, _ = igbrepro("runs", "rerun", key)
    assert "It does NOT come out again." in out


def test_a_run_on_data_that_are_not_here_is_not_audited(igbrepro, filled):
    key = changed(filled, data=lambda run: replace(run.data, sha256="0" * 64))
    code, out, _ = igbrepro("runs", "verify", key)
    assert code == 0 and "not audited here" in out and "has the checksum" in out and "0 agree, 0 disagree, 1 not" in out


def test_a_damaged_file_leaves_the_others_to_be_verified(igbrepro, filled):
    (filled.folder / f"{next(iter(filled.places))}.parquet").write_bytes(b"PAR1")
    with pytest.warns(UserWarning, match="damaged"):
        code, out, _ = igbrepro("runs", "verify", "--all", "--brief")
    assert code == 0 and "3 agree, 0 disagree" in out


def test_ship_makes_evidence_of_what_is_stored(igbrepro, root, filled, place):
    code, out, err = igbrepro("runs", "ship", "trained", "--preset", "smoke", "--notebooks", root)
    assert code == 0 and out.startswith("4 runs -> ch03_trained.parquet, 0.0"), err
    there = Store(None, (place / "results",))
    assert set(there.places) == set(filled.places)
    assert {row["source"] for row in json.loads(igbrepro("runs", "list", "--json")[1])} == {"evidence"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "zz"], "key='zz': no run has such a key; `igbrepro runs list` shows them all."),
        (["show", ""], "key='': 4 runs have such keys; give more of it"),
        (["verify", "zz"], "key='zz': no run has such a key"),
        (["rerun", "zz"], "key='zz': no run has such a key"),
    ],
)
def test_keys_that_name_no_run_or_several_are_refused(igbrepro, filled, arguments, words):
    code, out, err = igbrepro("runs", *arguments)
    assert code == 2 and words in err and len(err.splitlines()) == 1 and not out


def test_an_empty_store_is_said(igbrepro, root, place):
    code, out, err = igbrepro("runs", "verify", "--all")
    assert code == 2 and "the store is empty: there is nothing to verify; `make book` fills it." in err and not out
    code, _, err = igbrepro("runs", "ship", "trained", "--preset", "smoke", "--notebooks", root)
    assert code == 2 and "no run of it is in the store; igbrepro runs compute ch03_trained makes them." in err
    assert igbrepro("runs", "list", "--json")[1] == "[]\n"


def test_a_full_disk_is_one_line_and_exit_code_1(igbrepro, root, place, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("igbrepro.runs.store.os.replace", full)
    code, _, err = igbrepro("runs", "compute", "trained", "--preset", "smoke", "--notebooks", root)
    assert code == 1 and "(No space left on device); make room" in err.splitlines()[-1]


def test_a_store_of_one_run_written_by_hand_is_listed(igbrepro, filled, place):
    run = next(filled.all())
    write_runs(place / "results" / "by_hand.parquet", [run])
    rows = {row["key"]: row["source"] for row in json.loads(igbrepro("runs", "list", "--json")[1])}
    assert rows[run.key] == "evidence" and list(rows.values()).count("store") == 3
