"""The store of finished runs: Parquet files whose row groups are one run each, with its provenance (no torch).

A store has one folder that it writes to, one file a run, KEY.parquet, moved into place whole; and any number of files
of evidence that it only reads, with many runs each.  A row is one number of a run (step, split, metric, class, value);
the other columns, the same in all rows of a run, say what it is and where it came from.  docs: book/evidence.md.
"""

from __future__ import annotations

import json
import os
import secrets
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from igbrepro.errors import IgbreproError, ParameterError
from igbrepro.runs.declared import PROTOCOL, DataFacts, Run
from igbrepro.runs.keys import checksum

FORMAT = 1  # of the files; a change that old readers cannot read raises it
SUFFIX = ".parquet"

_SAID = [
    ("key", pa.string()),
    ("task_key", pa.string()),
    ("protocol", pa.int32()),
    ("name", pa.string()),
    ("network", pa.string()),
    ("start", pa.string()),
    ("seed", pa.int64()),
    ("settings", pa.string()),
    ("data", pa.string()),
    ("provenance", pa.string()),
    ("seconds", pa.float64()),
    ("steps", pa.int32()),
    ("diverged_at", pa.int32()),
]
_NUMBERS = [
    ("step", pa.int32()),
    ("split", pa.string()),
    ("metric", pa.string()),
    ("class", pa.int32()),
    ("value", pa.float64()),
]
SCHEMA = pa.schema(_SAID + _NUMBERS, metadata={"igbrepro.format": str(FORMAT)})
_NOTHING = SCHEMA.empty_table().select([name for name, _ in _NUMBERS]).to_pandas().astype({"class": "Int64"})
_DAMAGE = (pa.ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError)


class StoreWarning(UserWarning):
    """A file or run of a store that is not used, and why."""


class StoreFull(IgbreproError, OSError):
    """A finished run could not be written; the message says why and what keeps it."""


@dataclass(frozen=True)
class StoredRun:
    """A finished run: what it is, where it came from, and its numbers.

    task: as `Run.task`.  data: what it was trained on.  provenance: as claims.provenance gives it.
    seconds: of computing, its share of those of a stack.  steps: made.  diverged_at: the step, or None.
    frame: columns step, split, metric, class, value, as `History.frame`.  where: the file it was read from.
    """

    key: str
    name: str
    task: dict[str, Any]
    data: DataFacts
    provenance: dict[str, Any]
    seconds: float
    steps: int
    diverged_at: int | None
    frame: pd.DataFrame
    where: Path | None = None

    @property
    def seed(self) -> int:
        """Of the weights and the order of the data."""
        return self.task["seed"]

    @property
    def task_key(self) -> str:
        """The checksum of `task`."""
        return checksum(self.task)

    @property
    def last(self) -> dict[str, float]:
        """The last value of each metric over all classes, by "test accuracy" and the like."""
        rows = zip(*(self.frame[name] for name in ("split", "metric", "class", "value")), strict=True)
        return {f"{split} {metric}": value for split, metric, label, value in rows if label is pd.NA}

    @classmethod
    def made(cls, run: Run, data: DataFacts, provenance: dict[str, Any], frame: pd.DataFrame, row: tuple) -> StoredRun:
        """Of a run that has just ended; row: that of `Histories.runs`."""
        _, _, steps, seconds, diverged_at = row
        return cls(run.key(data), run.name, run.task, data, provenance, seconds, steps, diverged_at, frame)

    def table(self) -> pa.Table:
        """The rows of a file."""
        said = {
            "key": self.key,
            "task_key": self.task_key,
            "protocol": self.task["protocol"],
            "name": self.name,
            "network": _text(self.task["network"]),
            "start": _text(self.task["start"]),
            "seed": self.seed,
            "settings": _text(self.task["settings"]),
            "data": _text(self.data.to_dict()),
            "provenance": _text(self.provenance),
            "seconds": self.seconds,
            "steps": self.steps,
            "diverged_at": self.diverged_at,
        }
        n = len(self.frame)
        columns = [pa.array([said[name]] * n, kind) for name, kind in _SAID]
        columns += [pa.array(self.frame[name], kind, from_pandas=True) for name, kind in _NUMBERS[:-1]]
        # A value of nan is a number that was found, and no gap.
        columns.append(pa.array(self.frame["value"].to_numpy(), pa.float64(), from_pandas=False))
        return pa.Table.from_arrays(columns, schema=SCHEMA)

    @classmethod
    def of_table(cls, table: pa.Table, where: Path) -> StoredRun:
        """What `table` gave; raises one of _DAMAGE for anything else."""
        frame = table.select([name for name, _ in _NUMBERS]).to_pandas()
        frame["class"] = frame["class"].astype("Int64")
        frame["step"] = frame["step"].astype("int64")
        return cls._of({name: table[name][0].as_py() for name, _ in _SAID}, frame, where)

    @classmethod
    def described(cls, file: pq.ParquetFile, number: int, where: Path) -> StoredRun:
        """The run of a row group without its numbers, from the end of the file as far as it says so; raises _DAMAGE."""
        group, said, missing = file.metadata.row_group(number), {}, []
        for place, (name, _) in enumerate(_SAID):
            column = group.column(place)
            if column.path_in_schema != name:
                raise ValueError(f"column {place} is {column.path_in_schema}, not {name}")
            facts = column.statistics
            if facts is not None and facts.has_min_max:
                said[name] = facts.min
            elif facts is not None and facts.null_count == group.num_rows:
                said[name] = None
            else:  # a text too long for statistics
                missing.append(name)
        if missing:
            rows = file.read_row_group(number, missing)
            said |= {name: rows[name][0].as_py() for name in missing}
        return cls._of(said, _NOTHING, where)

    @classmethod
    def _of(cls, said: Mapping[str, Any], frame: pd.DataFrame, where: Path) -> StoredRun:
        parts = {name: json.loads(said[name]) for name in ("network", "start", "settings")}
        kind = "measured" if "function" in parts["settings"] else "training"
        task = {"kind": kind, "protocol": said["protocol"], "seed": said["seed"]} | parts
        if checksum(task) != said["task_key"]:
            raise ValueError(f"the description of {said['key']} does not have its checksum")
        data = DataFacts.from_dict(json.loads(said["data"]))
        ends = said["seconds"], said["steps"], said["diverged_at"]
        return cls(said["key"], said["name"], task, data, json.loads(said["provenance"]), *ends, frame, where)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class Place:
    """Where a run lies: a file and one of its row groups."""

    path: Path
    group: int


@dataclass(frozen=True)
class Store:
    """Finished runs in files: `folder` is written to (None: read only), `evidence` are files or folders only read."""

    folder: Path | None
    evidence: tuple[Path, ...] = ()

    @cached_property
    def shipped(self) -> dict[str, Place]:
        """Where each run of the evidence lies, by key; read from the files' ends alone."""
        found: dict[str, Place] = {}
        for path in _files(self.evidence):
            for key, place in _index(path, ours=False):
                found.setdefault(key, place)
        return found

    @property
    def own(self) -> dict[str, Place]:
        """Where each run of the folder lies, by key."""
        files = () if self.folder is None else sorted(self.folder.glob(f"*{SUFFIX}"))
        return {key: place for path in files for key, place in _index(path, ours=True)}

    @property
    def places(self) -> dict[str, Place]:
        """Both; a run that is in both is read from the evidence."""
        return self.own | self.shipped

    def _places(self, key: str) -> Iterator[Place]:
        """Where a run of this key lies: in the evidence, in the folder, or in both."""
        if key in self.shipped:
            yield self.shipped[key]
        if self.folder is not None and (path := self.folder / f"{key}{SUFFIX}").is_file():
            yield Place(path, 0)

    def has(self, key: str) -> bool:
        """Whether there is a run of this key."""
        return next(self._places(key), None) is not None

    def read(self, key: str, task: dict[str, Any] | None = None) -> StoredRun | None:
        """The run of this key; None where there is none, or a damaged one, which is set aside with a warning.

        task: what it must be a run of; a key that two different tasks share is said, and the run not used.
        """
        for place in self._places(key):
            found = next(_read(place.path, [place.group], ours=place.path.parent == self.folder), None)
            if found is None:
                continue
            if found.key == key and task in (None, found.task):
                return found
            _warn(f"{found.where}: the run of key {key} in it is one of another description; it is not used.")
        return None

    def source(self, run: StoredRun) -> str:
        """Where a run that was read here comes from: "evidence", or "store" for the folder."""
        return "store" if run.where is not None and run.where.parent == self.folder else "evidence"

    def ready(self) -> None:
        """Make the folder.  Raises StoreFull where it cannot be written to, before anything is computed for it."""
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                (trial := self.folder / f".{secrets.token_hex(4)}.part").touch()
                trial.unlink()
            except OSError as error:
                raise _full(self.folder, error) from error

    def all(self, *, numbers: bool = True) -> Iterator[StoredRun]:
        """Every run that can be read, evidence first; numbers=False leaves their frames empty, which is fast."""
        shipped = self.shipped
        own = {key: place for key, place in self.own.items() if key not in shipped}
        for places, ours in ((shipped, False), (own, True)):
            by_file: dict[Path, dict[str, int]] = {}
            for key, place in places.items():
                by_file.setdefault(place.path, {})[key] = place.group
            for path, groups in by_file.items():
                yield from _read(path, groups.values(), ours=ours) if numbers else _described(path, groups, ours=ours)

    def write(self, run: StoredRun) -> Path:
        """Keep a run; its file is whole or not there, whatever happens meanwhile and whoever else writes it.

        Raises StoreFull where it cannot be written, ParameterError for a store that is only read.
        """
        if self.folder is None:
            raise ParameterError("folder=None: this store is only read; give it a folder to write to.")
        path = self.folder / f"{run.key}{SUFFIX}"
        write_runs(path, [run])
        return path


def write_runs(path: Path, runs: Iterable[StoredRun]) -> int:
    """One file of these runs, a row group each, ordered as given; returns how many.  Raises StoreFull."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")  # of this writer alone, on whatever machine
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        strings = [name for name, kind in _SAID + _NUMBERS if kind == pa.string()]
        options: dict[str, Any] = {"use_dictionary": strings, "compression": "zstd", "write_page_checksum": True}
        with pq.ParquetWriter(part, SCHEMA, **options) as writer:
            for run in runs:
                writer.write_table(run.table(), row_group_size=max(len(run.frame), 1))
                count += 1
        os.replace(part, path)
    except OSError as error:
        raise _full(path.parent, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return count


def _full(folder: Path, error: OSError) -> StoreFull:
    return StoreFull(
        f"store={str(folder)!r}: a run cannot be kept there ({error.strerror or error}); make room, or set "
        "IGBREPRO_STORE to another folder, and start again: what was kept before is not computed again."
    )


def _files(places: Iterable[Path]) -> list[Path]:
    return [file for place in places for file in (sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place])]


def _index(path: Path, *, ours: bool) -> Iterator[tuple[str, Place]]:
    """The keys in a file and where each lies; a file that cannot be read is set aside or left out."""
    try:
        with pq.ParquetFile(path) as file:
            _check_format(file)
            column = file.schema_arrow.get_field_index("key")
            groups = range(file.metadata.num_row_groups)
            keys = [file.metadata.row_group(k).column(column).statistics.min for k in groups]
            protocols = {file.metadata.row_group(k).column(column + 2).statistics.min for k in groups}
    except _DAMAGE as error:
        _damaged(path, error, ours)
        return
    if newer := [protocol for protocol in protocols if protocol > PROTOCOL]:
        _warn(f"{path}: has runs of protocol {newer[0]}; this package knows {PROTOCOL}. They are not used; update it.")
    yield from ((key, Place(path, k)) for k, key in enumerate(keys))


class UnknownFormat(ValueError):
    """A file that another version of this package has written."""


def _check_format(file: pq.ParquetFile) -> None:
    said = (file.schema_arrow.metadata or {}).get(b"igbrepro.format", b"").decode()
    if said != str(FORMAT):
        known = f"this package reads format {FORMAT}"
        raise UnknownFormat(f"it is of format {said}, {known}") if said.isdigit() else ValueError(f"no format; {known}")


def _read(path: Path, groups: Iterable[int], *, ours: bool) -> Iterator[StoredRun]:
    """The runs in these row groups; those from the first damaged one on are left out."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_format(file)
            for group in groups:
                yield StoredRun.of_table(file.read_row_group(group), path)
    except _DAMAGE as error:
        _damaged(path, error, ours)


def _described(path: Path, keys: Iterable[str], *, ours: bool) -> Iterator[StoredRun]:
    """The runs of these keys without their numbers; those from the first damaged one on are left out."""
    try:
        facts = path.stat()
        known, error = _of_file(path, facts.st_mtime_ns, facts.st_size)
    except _DAMAGE as failure:
        known, error = {}, failure
    yield from (known[key] for key in keys if key in known)
    if error is not None:
        _damaged(path, error, ours)


@lru_cache(maxsize=10_000)
def _of_file(path: Path, mtime_ns: int, size: int) -> tuple[dict[str, StoredRun], Exception | None]:
    """The runs of a file by key, and what is wrong with the next; it is another file when time or size have changed."""
    found: dict[str, StoredRun] = {}
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        _check_format(file)
        for number in range(file.metadata.num_row_groups):
            try:
                run = StoredRun.described(file, number, path)
            except _DAMAGE as error:
                return found, error
            found[run.key] = run
    return found, None


def _damaged(path: Path, error: Exception, ours: bool) -> None:
    """Say that a file cannot be used; one of the folder that is written to is renamed, so that it is made again.

    Not where the system refuses to read it, which says nothing about the file.
    """
    why = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        if not (ours and isinstance(error, FileNotFoundError)):  # another process has set it aside
            _warn(f"{path}: cannot be read ({error.strerror or why}); its runs are not used.")
        return
    if isinstance(error, UnknownFormat):
        what, remedy = f"{path}: not used, {why}", "Update this package."
    else:
        what, remedy = f"{path}: damaged, or no store of this package ({why})", "Bring it back with git checkout."
    if not ours:
        _warn(f"{what}; its runs are not used. {remedy}")
        return
    number = 1 + len(list(path.parent.glob(f"{path.name}.damaged-*")))
    kept = path.with_name(f"{path.name}.damaged-{number}")
    try:
        path.replace(kept)
    except OSError:
        return  # another process has set it aside
    _warn(f"{what}; kept as {kept.name}, and its run is made again.")


def _warn(text: str) -> None:
    warnings.warn(text, StoreWarning, stacklevel=3)
