"""What training runs showed, as tables, and files that keep them: plain arrays and JSON in one .npz."""

from __future__ import annotations

import json
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from igbrepro.errors import ParameterError

_DAMAGES = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, IndexError, AttributeError),
    *(zipfile.BadZipFile, zlib.error),
)  # what reading a file of another kind raises
COLUMNS = ["step", "split", "metric", "class", "value"]


@dataclass
class History:
    """What a training run showed.

    frame: one row per number, columns step, split ("test", "train"), metric, class (missing for numbers over all
        classes), value.  Test metrics are those of metrics.evaluate; the train loss at a step is the mean over the
        batches since the evaluation before it.
    batch_losses: (steps done,) mean loss of each batch before its update.
    settings: everything the run depends on, as plain values.  model: the network in its last state.
    seconds: training time of all sessions together, evaluation included.
    diverged_at: the first step at which a loss, of the batch or of an evaluation after it, was not finite, or None.
        Training stopped there, and the value is the last of its kind in the frame.
    """

    frame: pd.DataFrame
    batch_losses: np.ndarray
    settings: dict[str, Any]
    model: nn.Module = field(repr=False)
    seconds: float
    diverged_at: int | None = None

    @property
    def diverged(self) -> bool:
        """Whether the loss stopped being finite."""
        return self.diverged_at is not None

    @property
    def steps_per_second(self) -> float:
        """Training speed, evaluation included."""
        return len(self.batch_losses) / self.seconds if self.seconds else math.nan

    def series(self, metric: str, *, split: str = "test", class_: int | None = None) -> pd.Series:
        """One metric by step; class_ picks one class of a per-class metric."""
        frame = self.frame
        chosen = (frame["metric"] == metric) & (frame["split"] == split)
        chosen &= frame["class"].isna() if class_ is None else frame["class"] == class_
        rows = pd.DataFrame(frame[chosen.fillna(False)])
        if rows.empty:
            known = ", ".join(sorted(frame["metric"].unique()))
            raise ParameterError(f"metric={metric!r}, split={split!r}, class_={class_!r}: no such rows; known: {known}")
        return pd.Series(rows["value"].to_numpy(), index=pd.Index(rows["step"]), name=metric)

    def save(self, path: str | os.PathLike) -> None:
        """Keep everything, with the weights, in one file; `path` should end in .npz, and its folder is made.

        Raises ParameterError for a path that cannot be written.
        """
        said = {"settings": self.settings, "seconds": self.seconds, "diverged_at": self.diverged_at}
        weights = {f"weights/{name}": _array(value) for name, value in self.model.state_dict().items()}
        _write(path, said, {"frame": self.frame}, {"batch_losses": self.batch_losses, **weights})

    @classmethod
    def load(cls, path: str | os.PathLike, model: nn.Module | None = None) -> History:
        """What `save` kept.

        model: a module of the same shape, which takes the weights; None gives a history without its model.
        Raises ParameterError for a file that is absent, damaged or of another kind, and for another model.
        """
        said, tables, arrays = _read(path, "frame")
        weights = {
            name.removeprefix("weights/"): torch.from_numpy(value) for name, value in arrays.items() if "/" in name
        }
        if model is None:
            model = NotLoaded()
        else:
            try:
                model.load_state_dict(weights)
            except RuntimeError as error:
                raise ParameterError(f"model: not the network of {str(path)!r} ({error}).") from error
        try:
            return cls(tables["frame"], arrays["batch_losses"], model=model, **said)
        except (KeyError, TypeError) as error:
            raise _not_ours(path, error) from error


class NotLoaded(nn.Module):
    """Stands for the model of a History that was loaded without one."""

    def forward(self, *inputs: Tensor) -> Tensor:
        raise ParameterError("model: not loaded; pass one of the same shape, History.load(path, model=build(spec)).")


@dataclass(frozen=True)
class Histories:
    """Several runs in two tables.

    frame: as in History, after the columns run and seed.
    runs: one row a run: run, seed, steps (done), seconds (its share of those of its stack), diverged_at (or missing).
    """

    frame: pd.DataFrame
    runs: pd.DataFrame

    def save(self, path: str | os.PathLike) -> None:
        """Keep both tables in one file, as `History.save` does."""
        _write(path, {}, {"frame": self.frame, "runs": self.runs}, {})

    @classmethod
    def load(cls, path: str | os.PathLike) -> Histories:
        """What `save` kept; raises ParameterError for a file that is absent, damaged or of another kind."""
        _, tables, _ = _read(path, "frame", "runs")
        return cls(tables["frame"], tables["runs"])


def _array(value: Tensor) -> np.ndarray:
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def _write(
    path: str | os.PathLike,
    said: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Values as JSON, tables column by column, and arrays; the file is whole or not there."""
    columns, kept = {}, dict(arrays)
    for table, frame in tables.items():
        columns[table] = {name: str(frame[name].dtype) for name in frame}
        for name in frame:
            column = frame[name]
            if column.dtype == "Int64":
                kept[f"{table}:{name}"] = column.to_numpy(np.float64, na_value=np.nan)
            else:
                kept[f"{table}:{name}"] = column.to_numpy(None if column.dtype.kind in "if" else np.str_)
    text = json.dumps({"said": said, "columns": columns})
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez_compressed(file, json=np.array(text), **cast(dict[str, Any], kept))
        os.replace(part, path)
    except OSError as error:
        raise ParameterError(f"path={str(path)!r}: cannot be written ({error}).") from error


def _read(
    path: str | os.PathLike, *tables: str
) -> tuple[dict[str, Any], dict[str, pd.DataFrame], dict[str, np.ndarray]]:
    """What `_write` kept; raises ParameterError unless it has these tables."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        kept = json.loads(str(arrays.pop("json")))
        found = {}
        for table in tables:
            columns = {name: arrays.pop(f"{table}:{name}") for name in kept["columns"][table]}
            frame = pd.DataFrame({k: v.tolist() if v.dtype.kind == "U" else v for k, v in columns.items()})
            integers = {name: "Int64" for name, dtype in kept["columns"][table].items() if dtype == "Int64"}
            found[table] = frame.astype(integers)
        return kept["said"], found, arrays
    except FileNotFoundError:
        raise ParameterError(f"path={str(path)!r}: no such file.") from None
    except _DAMAGES as error:
        raise _not_ours(path, error) from error


def _not_ours(path: str | os.PathLike, error: Exception) -> ParameterError:
    return ParameterError(
        f"path={str(path)!r}: not a file that save() made, or a damaged one ({type(error).__name__}: {error}); "
        "save it again."
    )
