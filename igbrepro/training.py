"""Training with log-spaced evaluation: honest about divergence, resumable to exactly the same numbers.

`train` runs one network; `train_many` several networks and seeds into one table, those of one shape side by side.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from igbrepro.data import Dataset
from igbrepro.errors import ParameterError
from igbrepro.network import InitSpec, NetworkSpec
from igbrepro.training_run import Plan, Run, check_whole, log_steps

__all__ = ["Histories", "History", "log_steps", "train", "train_many"]

COLUMNS = ["step", "split", "metric", "class", "value"]
_STACK_PARAMETERS = 30_000_000  # in one stack: beyond this it only takes memory
_STACK_NETWORKS = 16


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
        rows = self.frame[(self.frame["metric"] == metric) & (self.frame["split"] == split)]
        rows = rows[rows["class"].isna() if class_ is None else rows["class"] == class_]
        if rows.empty:
            known = ", ".join(sorted(self.frame["metric"].unique()))
            raise ParameterError(f"metric={metric!r}, split={split!r}, class_={class_!r}: no such rows; known: {known}")
        return rows.set_index("step")["value"].rename(metric)


@dataclass(frozen=True)
class Histories:
    """Several runs in two tables.

    frame: as in History, after the columns run and seed.
    runs: one row a run: run, seed, steps (done), seconds (its share of those of its stack), diverged_at (or missing).
    """

    frame: pd.DataFrame
    runs: pd.DataFrame


def train(
    spec: NetworkSpec,
    init: InitSpec,
    dataset: Dataset,
    *,
    steps: int,
    batch_size: int = 100,
    lr: float = 1e-5,
    optimizer: str = "adam",
    seed: int = 0,
    labels: str = "parity",
    eval_points: Sequence[int] | None = None,
    n_eval: int = 1000,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: float = 60.0,
    device: str | torch.device | None = None,
    progress: bool | None = None,
) -> History:
    """Train one network of `spec`, drawn by `init`, on mean cross-entropy; evaluate it on the way.

    steps: updates, each on batch_size training inputs; every epoch is shuffled anew, its short last batch left out.
    optimizer: "adam" or "sgd", with PyTorch's defaults but for lr.
    seed: of the weights and the order of the data; the test inputs used are the same for all seeds.
    labels: "parity" (two classes) or "classes" (the dataset's own).
    eval_points: steps to evaluate at, by default log_steps(steps); 0 and `steps` are always among them.
    n_eval: test inputs used, the classes in equal numbers.
    checkpoint: a file that keeps the state every checkpoint_every seconds, on interruption and at the end. If it exists
        the run goes on from there, or is read back if it was finished.
    device: by default an accelerator if there is one.  progress: a bar, by default only where stderr is a terminal.
    Raises ParameterError for settings that do not fit the dataset, or a checkpoint made with others. An interruption
    (Ctrl-C) is held until the step is done and the state saved; the KeyboardInterrupt then says how to resume.
    """
    plan = Plan(steps, batch_size, lr, optimizer, labels, eval_points, n_eval)
    run = Run(spec, [(init, seed)], dataset, plan, _device(device))
    _finish(run, None if checkpoint is None else Path(checkpoint), checkpoint_every, progress, "training")
    if run.diverged_at[0] is not None:
        warnings.warn(f"training diverged, its loss at step {run.diverged_at[0]} is not finite.", stacklevel=2)
    losses = run.losses[: run.steps_done(0), 0].cpu().numpy()
    return History(_frame(run, 0), losses, run.settings[0], run.models[0], run.seconds, run.diverged_at[0])


def train_many(
    networks: Mapping[str, tuple[NetworkSpec, InitSpec]],
    dataset: Dataset,
    *,
    seeds: Iterable[int],
    stack: int | None = None,
    checkpoints: str | os.PathLike | None = None,
    checkpoint_every: float = 60.0,
    device: str | torch.device | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Histories:
    """Train every (spec, init) of `networks` with every seed; `settings` are those of `train`, the same for all.

    Networks of one spec are stacked and trained side by side, which is faster the smaller they are; each one's numbers
    are those of `train` but for rounding. The tables name a run by its key in `networks`; models are not kept.
    stack: largest number of networks in a stack (1: one after the other); by default as many as pays.
    checkpoints: folder with one checkpoint a stack, named after its first network; as `checkpoint` of `train`.
    """
    seeds, plan = tuple(seeds), Plan(**settings)
    if stack is not None:
        check_whole("stack", stack, 1)
    if not networks or not seeds:
        raise ParameterError(f"networks={list(networks)!r}, seeds={seeds!r}: need at least one of each.")
    groups: dict[NetworkSpec, list[tuple[str, InitSpec, int]]] = {}
    for name, (spec, init) in networks.items():
        groups.setdefault(spec, []).extend((name, init, seed) for seed in seeds)

    found: dict[tuple[str, int], tuple[pd.DataFrame, tuple]] = {}
    for spec, members in groups.items():
        for part in _even_parts(members, stack or _stack_size(spec)):
            (name, _, seed), *others = part
            run = Run(spec, [(init, seed) for _, init, seed in part], dataset, plan, _device(device))
            file = f"{name}-{seed}+{len(others)}.pt" if others else f"{name}-{seed}.pt"
            path = None if checkpoints is None else Path(checkpoints) / file
            _finish(run, path, checkpoint_every, progress, f"{name}, seed {seed}" + f" + {len(others)}" * bool(others))
            for member, (name, _, seed) in enumerate(part):
                diverged_at, share = run.diverged_at[member], run.seconds / len(part)
                if diverged_at is not None:
                    what = f"{name}, seed {seed}: training diverged"
                    warnings.warn(f"{what}, its loss at step {diverged_at} is not finite.", stacklevel=2)
                found[name, seed] = _frame(run, member), (name, seed, run.steps_done(member), share, diverged_at)
    keys = [(name, seed) for name in networks for seed in seeds]
    frames = [found[name, seed][0].assign(run=name, seed=seed)[["run", "seed", *COLUMNS]] for name, seed in keys]
    columns = ["run", "seed", "steps", "seconds", "diverged_at"]
    runs = pd.DataFrame([found[key][1] for key in keys], columns=columns).astype({"diverged_at": "Int64"})
    return Histories(pd.concat(frames, ignore_index=True), runs)


def _frame(run: Run, member: int) -> pd.DataFrame:
    return pd.DataFrame(run.rows[member], columns=COLUMNS).astype({"class": "Int64"})


def _stack_size(spec: NetworkSpec) -> int:
    """How many networks of `spec` are worth stacking; those with pools or residual layers are not."""
    if spec.pool is not None or spec.residual is not None:
        return 1
    parameters = spec.width * (spec.input_size + (spec.depth - 1) * spec.width + spec.n_classes)
    return max(1, min(_STACK_NETWORKS, _STACK_PARAMETERS // parameters))


def _even_parts(items: list, most: int) -> Iterator[list]:
    """The items in order, in as few parts of at most `most` as possible, of equal length to within one."""
    n_parts = -(-len(items) // most)
    for part in range(n_parts):
        yield items[part * len(items) // n_parts : (part + 1) * len(items) // n_parts]


def _finish(run: Run, path: Path | None, save_every: float, progress: bool | None, title: str) -> None:
    """Take a run from its checkpoint, if there is one, to its end; save it on the way, there, and when interrupted."""
    if path is not None and path.exists():
        run.restore(path)
    saved, done_before, steps = time.perf_counter(), run.finished, run.plan.steps
    bar = tqdm(total=steps, initial=run.step, desc=title, disable=None if progress is None else not progress)
    with _held_interrupt() as interrupted, bar:
        while not run.finished and not interrupted.is_set():
            run.advance()
            bar.update(run.step - bar.n)
            if path is not None and time.perf_counter() - saved > save_every:
                run.save(path)
                saved = time.perf_counter()
        if path is not None and not done_before:
            run.save(path)
    if interrupted.is_set():
        resume = f"the same call goes on from there, with its checkpoint {path}" if path else "nothing was saved"
        raise KeyboardInterrupt(f"training stopped after step {run.step} of {steps}: {resume}.")


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ParameterError(f"device={device!r}: not usable here ({error}).") from error


@contextlib.contextmanager
def _held_interrupt() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets instead of stopping in the middle of a step; a second Ctrl-C stops at once."""
    event = threading.Event()
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield event
        return

    def hold(number, frame):
        if event.is_set():
            previous(number, frame)
        event.set()

    signal.signal(signal.SIGINT, hold)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)
