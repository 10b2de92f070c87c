"""The store of runs: what it keeps, and every way in which a file or a folder of it can be wrong."""

import errno
import json
import os
import shutil
import subprocess
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs.conftest import FACTS, SETTINGS, SPEC, get, python

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.runs import Run, Store, StoredRun, StoreFull, StoreWarning, store, write_runs

RUN = Run("one", SPEC, InitSpec(1.5, 0.1), 0, SETTINGS)
MADE = {"commit": "abc", "date": "2026-01-01T00:00:00+00:00", "work": 1e6}


def made(seed=0, **changes):
    """A finished run with made-up numbers, among them one that is not finite."""
    frame = pd.DataFrame(
        {
            "step": [0, 0, 0, 30, 30],
            "split": ["test"] * 3 + ["train", "test"],
            "metric": ["loss", "class_loss", "class_loss", "loss", "loss"],
            "class": pd.array([None, 0, 1, None, None], dtype="Int64"),
            "value": [0.1 + seed, 1 / 3, 2e-300, 0.25, np.nan],
        }
    )
    one = StoredRun.made(replace(RUN, seed=seed), FACTS, MADE, frame, ("one", seed, 30, 1.5, None))
    return replace(one, **changes)


@pytest.fixture
def kept(tmp_path):
    """A store of two runs, and these."""
    there, runs = Store(tmp_path / "store"), [made(0), made(1, diverged_at=7)]
    for run in runs:
        there.write(run)
    return there, runs


@pytest.fixture
def evidence(tmp_path):
    """A file of three shipped runs, and these; groups are in this order."""
    runs = [made(seed) for seed in range(3)]
    assert write_runs(tmp_path / "results" / "ch06_learning.parquet", runs) == 3
    return tmp_path / "results" / "ch06_learning.parquet", runs


def assert_same(one, two):
    assert one.frame.equals(two.frame) and one.frame.dtypes.equals(two.frame.dtypes)
    assert replace(one, frame=None, where=None) == replace(two, frame=None, where=None)


def test_what_was_written_is_read_back(kept):
    there, runs = kept
    for run in runs:
        assert_same(there.read(run.key, run.task), run)
    assert {run.key for run in there.all()} == set(there.places) == {run.key for run in runs}
    bare = list(there.all(numbers=False))
    assert all(run.frame.empty and run.provenance == MADE for run in bare)
    assert there.read(runs[0].key).last["train loss"] == 0.25


def test_evidence_is_one_row_group_a_run_and_is_only_read(evidence):
    path, runs = evidence
    assert pq.ParquetFile(path).num_row_groups == 3
    there = Store(None, (path.parent,))
    for run in runs:
        assert_same(there.read(run.key), run)
    with pytest.raises(ParameterError, match="only read"):
        there.write(runs[0])


def test_pandas_alone_reads_a_file_as_a_tidy_table(evidence):
    path, runs = evidence
    table = pd.read_parquet(path)
    assert len(table) == 15 and list(table.columns[-5:]) == ["step", "split", "metric", "class", "value"]
    mine = table[table["key"] == runs[1].key]
    np.testing.assert_array_equal(mine["value"], runs[1].frame["value"])
    np.testing.assert_array_equal(mine["class"], [np.nan, 0, 1, np.nan, np.nan])
    assert set(mine["seed"]) == {1} and json.loads(mine["settings"].iloc[0])["lr"] == 0.01
    assert json.loads(mine["network"].iloc[0])["kind"] == "MLPSpec" and mine["diverged_at"].isna().all()


def test_a_run_in_both_is_read_from_the_evidence(evidence, tmp_path):
    path, (run, *_) = evidence
    there = Store(tmp_path / "own", (path,))
    there.write(replace(run, seconds=99.0))
    assert there.read(run.key).seconds == 1.5 and there.source(there.read(run.key)) == "evidence"
    assert there.places[run.key].path == path and len(list(there.all())) == 3


# Damage


def size(path):
    return path.stat().st_size


@pytest.mark.parametrize("left", [0, 1, 3, 4, 11, 200, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_set_aside_and_its_run_made_again(kept, left):
    there, (run, other) = kept
    path = there.folder / f"{run.key}.parquet"
    os.truncate(path, int(left * size(path)) if isinstance(left, float) else left)
    with pytest.warns(StoreWarning, match=r"damaged.*kept as .*\.damaged-1, and its run is made again"):
        assert there.read(run.key) is None
    assert not there.has(run.key) and there.has(other.key)
    assert [p.name for p in there.folder.glob("*.damaged-*")] == [f"{path.name}.damaged-1"]
    there.write(run)
    assert_same(there.read(run.key), run)
    path.write_bytes(b"again")
    with pytest.warns(StoreWarning, match="damaged-2"):
        assert [found.key for found in there.all()] == [other.key]


def pages(path, group=0):
    """Where the pages of every column begin, and how long they are."""
    columns = pq.ParquetFile(path).metadata.row_group(group)
    return {
        column.path_in_schema: (column.dictionary_page_offset or column.data_page_offset, column.total_compressed_size)
        for column in map(columns.column, range(columns.num_columns))
    }


@pytest.mark.parametrize("column", ["value", "step", "class", "metric", "settings", "provenance", "seconds"])
def test_one_changed_byte_in_a_page_is_damage(kept, column):
    there, (run, _) = kept
    path = there.folder / f"{run.key}.parquet"
    raw = bytearray(path.read_bytes())
    start, length = pages(path)[column]
    raw[start + length - 1] ^= 1
    path.write_bytes(raw)
    with pytest.warns(StoreWarning, match="damaged"):
        assert there.read(run.key) is None


def test_damaged_evidence_is_named_left_alone_and_leaves_the_other_runs(evidence):
    path, runs = evidence
    raw = bytearray(path.read_bytes())
    start, length = pages(path, 1)["value"]
    raw[start + length - 1] ^= 1
    path.write_bytes(raw)
    there = Store(None, (path,))
    with pytest.warns(StoreWarning, match=r"ch06_learning\.parquet: damaged.*not used\. Bring it back with git"):
        assert there.read(runs[1].key) is None
    assert path.read_bytes() == raw
    assert_same(there.read(runs[2].key), runs[2])


def test_a_run_that_is_damaged_in_the_evidence_is_read_from_the_folder(evidence, tmp_path):
    path, runs = evidence
    there = Store(tmp_path / "own", (path,))
    there.write(runs[1])
    raw = bytearray(path.read_bytes())
    start, length = pages(path, 1)["value"]
    raw[start + length - 1] ^= 1
    path.write_bytes(raw)
    with pytest.warns(StoreWarning, match="damaged"):
        found = there.read(runs[1].key)
    assert_same(found, runs[1])
    assert there.source(found) == "store"


def test_a_column_of_another_name_is_damage(kept):
    there, (run, _) = kept
    path = there.folder / f"{run.key}.parquet"
    table = pq.read_table(path)
    names = ["valye" if name == "value" else name for name in table.column_names]
    pq.write_table(table.rename_columns(names), path)
    with pytest.warns(StoreWarning, match="damaged"):
        assert there.read(run.key) is None


def test_a_file_of_anything_else_is_set_aside(kept):
    there, (run, other) = kept
    pq.write_table(pa.table({"a": [1]}), there.folder / f"{run.key}.parquet")
    with pytest.warns(StoreWarning, match="no store of this package"):
        assert {found.key for found in there.all()} == {other.key}


def test_a_file_that_the_system_refuses_is_not_called_damaged(kept, monkeypatch):
    there, (run, _) = kept

    def refuse(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(store.pq, "ParquetFile", refuse)
    with pytest.warns(StoreWarning, match=r"cannot be read \(Too many open files\)") as said:
        assert there.read(run.key) is None
    assert "damaged" not in str(said[0].message) and there.has(run.key)


def test_a_description_that_was_changed_by_hand_is_damage(kept):
    there, (run, _) = kept
    path = there.folder / f"{run.key}.parquet"
    table = pq.read_table(path)
    index = table.column_names.index("settings")
    lies = json.dumps(run.task["settings"] | {"lr": 1.0})
    pq.write_table(table.set_column(index, table.schema.field(index), pa.array([lies] * len(table))), path)
    with pytest.warns(StoreWarning, match="does not have its checksum"):
        assert there.read(run.key) is None


def test_a_key_that_two_descriptions_share_is_said_and_not_used(kept):
    there, (run, other) = kept
    shutil.copy(there.folder / f"{other.key}.parquet", there.folder / f"{run.key}.parquet")
    with pytest.warns(StoreWarning, match=rf"key {run.key} in it is one of another description; it is not used"):
        assert there.read(run.key) is None
    there.write(replace(other, key=run.key))  # a collision
    with pytest.warns(StoreWarning, match="another description"):
        assert there.read(run.key, run.task) is None


# Versions


def rewritten(path, runs, monkeypatch, **changes):
    """The file as a package with other constants would write it."""
    with monkeypatch.context() as patch:
        for name, value in changes.items():
            patch.setattr(store, name, value)
        write_runs(path, runs)


@pytest.mark.parametrize("ours", [True, False])
def test_a_file_of_an_unknown_format_is_not_used_and_not_lost(kept, tmp_path, monkeypatch, ours):
    there, (run, _) = kept
    path = there.folder / f"{run.key}.parquet" if ours else tmp_path / "results.parquet"
    schema = store.SCHEMA.with_metadata({"igbrepro.format": "2"})
    rewritten(path, [run], monkeypatch, SCHEMA=schema)
    monkeypatch.setattr(StoredRun, "table", lambda self: pytest.fail("written"))
    reader = there if ours else Store(None, (path,))
    words = r"it is of format 2, this package reads format 1; " + (
        "kept as" if ours else "its runs are not used. Update"
    )
    with pytest.warns(StoreWarning, match=words):
        assert run.key not in reader.places and reader.read(run.key) is None
    assert pq.ParquetFile(f"{path}.damaged-1" if ours else path).schema_arrow.metadata == schema.metadata


def test_runs_of_an_unknown_protocol_are_named_and_not_used(tmp_path):
    task = RUN.task | {"protocol": 2}
    newer = replace(made(), task=task, key=store.checksum(task | {"data": FACTS.identity}))
    write_runs(tmp_path / "new.parquet", [newer, made(1)])
    there = Store(None, (tmp_path / "new.parquet",))
    with pytest.warns(
        StoreWarning, match=r"has runs of protocol 2; this package knows 1\. They are not used; update it"
    ):
        assert not there.has(RUN.key) and there.has(made(1).key)


# Writing


def no_room(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_done(kept, monkeypatch):
    there, (run, _) = kept
    before = sorted(there.folder.iterdir())
    monkeypatch.setattr(pq.ParquetWriter, "write_table", no_room)
    with pytest.raises(
        StoreFull, match=r"store='.*store': .*\(No space left on device\); make room, or set IGBREPRO_STORE"
    ):
        there.write(made(5))
    assert sorted(there.folder.iterdir()) == before
    assert_same(there.read(run.key), run)


def test_a_disk_that_is_really_full(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here: the full disk was not tried")
    try:
        there = Store(place / "store")
        with pytest.raises(StoreFull, match="No space left on device"):
            for seed in range(9):
                there.write(made(seed))
        assert not list(there.folder.glob(".*.part"))
        kept = list(there.all())
        assert kept and all(run.frame.equals(made(run.seed).frame) for run in kept)
    finally:
        subprocess.run(["umount", str(place)], check=False)


def test_a_folder_that_cannot_be_is_refused_before_any_training(tmp_path, trained):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFull, match=r"store='.*file/store': a run cannot be kept there \(Not a directory\)"):
        get(Store(tmp_path / "file" / "store"))
    assert not trained
    with pytest.raises(StoreFull, match="Not a directory"):
        Store(tmp_path / "file" / "store").write(made())


def test_an_interrupted_write_leaves_nothing_behind(kept, monkeypatch):
    there, _ = kept
    before = sorted(there.folder.iterdir())

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        there.write(made(5))
    assert sorted(there.folder.iterdir()) == before


KILLED = """
import sys, time
from pathlib import Path
from igbrepro.runs import Store, store
def wait(part, path):
    print(part, flush=True)
    time.sleep(600)
store.os.replace = wait
source, target = map(Path, sys.argv[1:])
run = next(Store(source).all())
Store(target).write(run)
"""


def test_a_kill_in_the_middle_of_a_write_leaves_the_store_whole(kept, tmp_path):
    there, runs = kept
    other = Store(tmp_path / "other")
    new = made(5)
    other.write(new)
    process = python(KILLED, other.folder, there.folder)
    part = process.stdout.readline().strip()
    process.kill()
    process.communicate()
    assert part and os.path.exists(part), "the part is what the kill leaves"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not there.has(new.key) and {run.key for run in there.all()} == {run.key for run in runs}
        there.write(new)
    assert_same(there.read(new.key), new)


def test_a_description_longer_than_statistics_hold_is_read_all_the_same(kept):
    there, runs = kept
    task = runs[0].task | {"settings": runs[0].task["settings"] | {"eval_points": list(range(3000))}}
    there.write(replace(runs[0], task=task, key="f" * 32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = {one.key: one.task for one in there.all(numbers=False)}
    assert told["f" * 32] == task and len(told) == 1 + len(runs) and there.has("f" * 32)


def test_a_file_that_was_replaced_by_a_shorter_one_gives_what_it_holds(evidence):
    path, runs = evidence
    there = Store(None, (path,))
    assert len(runs) > 1 and len(list(there.all(numbers=False))) == len(runs)
    write_runs(path, [runs[-1]])
    assert [run.key for run in there.all(numbers=False)] == [runs[-1].key]
