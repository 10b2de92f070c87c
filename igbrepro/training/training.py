"""Training with log-spaced evaluation: honest about divergence, resumable to exactly the same numbers.

`train` runs one network, `train_module` any module; `train_many` several networks and seeds into one table, those of
one shape side by side in a stack, the others on as many cores as there are.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
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
from igbrepro.initialization import Init
from igbrepro.networks import MLPSpec, Spec
from igbrepro.training.run import Member, Plan, Run, check_whole, drawn, log_steps

__all__ = ["Histories", "History", "log_steps", "train", "train_many", "train_module"]

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
    spec: Spec,
    init: Init,
    dataset: Dataset,
    *,
    steps: int,
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: float = 60.0,
    device: str | torch.device | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> History:
    """Train one network of `spec`, drawn by `init`, on mean cross-entropy; evaluate it on the way.

    init: as `build` takes it; "edge-of-chaos", "orthogonal" and "lsuv" look at 64 of the training inputs.
    steps: updates, each on batch_size training inputs; every epoch is shuffled anew, its short last batch left out.
    seed: of the weights and the order of the data; the test inputs used are the same for all seeds.
    checkpoint: a file that keeps the state every checkpoint_every seconds, on interruption and at the end. If it exists
        the run goes on from there, or is read back if it was finished.
    device: by default an accelerator if there is one.  progress: a bar, by default only where stderr is a terminal.

    settings, with their defaults:
    batch_size = 100, lr = 1e-5; optimizer = "adam" or "sgd", with PyTorch's defaults but for lr.
    labels = "parity" (two classes) or "classes" (the dataset's own).
    eval_points: steps to evaluate at, by default log_steps(steps); 0 and `steps` are always among them.
    n_eval = 1000: test inputs used, the classes in equal numbers.
    gradients = False; True adds the metric class_gradient, the norm of the gradient of each class's mean test loss.
    batch_statistics = False; True evaluates batch-normalised networks with the statistics of the test inputs, and not
        with running ones, which say nothing before the first steps.
    precision = "float32" or "bfloat16" (autocast; weights stay float32).

    Raises ParameterError for settings that do not fit the dataset, or a checkpoint made with others. An interruption
    (Ctrl-C) is held until the step is done and the state saved; the KeyboardInterrupt then says how to resume.
    """
    plan = Plan(steps, **settings)
    plan.fit(spec, dataset)
    run = Run([drawn(spec, init, seed, dataset)], dataset, plan, _device(device), spec.input_shape)
    return _history(run, checkpoint, checkpoint_every, progress)


def train_module(
    model: nn.Module,
    dataset: Dataset,
    *,
    steps: int,
    name: str = "module",
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: float = 60.0,
    device: str | torch.device | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> History:
    """Train a module of any kind in place, as `train` does; parameters with requires_grad=False stay as they are.

    model: maps (n, *dataset.input_shape) to logits (n, n_classes).  name: what a checkpoint calls it.
    seed: of the order of the data.  Raises ParameterError also if no parameter is to be trained.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ParameterError("model: no parameter has requires_grad=True, so there is nothing to train.")
    plan = Plan(steps, **settings)
    plan.n_classes(dataset)
    run = Run([Member(model, seed, {"name": name})], dataset, plan, _device(device), dataset.input_shape)
    return _history(run, checkpoint, checkpoint_every, progress)


def _history(run: Run, checkpoint: str | os.PathLike | None, every: float, progress: bool | None) -> History:
    _finish(run, None if checkpoint is None else Path(checkpoint), every, progress, "training")
    if run.diverged_at[0] is not None:
        warnings.warn(f"training diverged, its loss at step {run.diverged_at[0]} is not finite.", stacklevel=3)
    losses = run.losses[: run.steps_done(0), 0].cpu().numpy()
    return History(_frame(run, 0), losses, run.settings[0], run.models[0], run.seconds, run.diverged_at[0])


def train_many(
    networks: Mapping[str, tuple[Spec, Init]],
    dataset: Dataset,
    *,
    seeds: Iterable[int],
    stack: int | None = None,
    workers: int | None = None,
    checkpoints: str | os.PathLike | None = None,
    checkpoint_every: float = 60.0,
    device: str | torch.device | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Histories:
    """Train every (spec, init) of `networks` with every seed; `settings` are those of `train`, the same for all.

    Fully connected networks of one spec are stacked and trained side by side, which is faster the smaller they are;
    each one's numbers are those of `train` but for rounding. The tables name a run by its key in `networks`; models
    are not kept.
    stack: largest number of networks in a stack (1: one after the other); by default as many as pays.
    workers: processes that share the runs (or stacks), each with one thread; by default, on the CPU, as many as torch
        has threads; 1 on an accelerator, and for activations of your own, which other processes do not know.
        They take some seconds to start, so that workers=1 is faster for runs that are over sooner.
    checkpoints: folder with one checkpoint a stack, named after its first network; as `checkpoint` of `train`.
    """
    seeds, plan, device = tuple(seeds), Plan(**settings), _device(device)
    for name, value in (("stack", stack), ("workers", workers)):
        if value is not None:
            check_whole(name, value, 1)
    if not networks or not seeds:
        raise ParameterError(f"networks={list(networks)!r}, seeds={seeds!r}: need at least one of each.")
    groups: dict[Spec, list[tuple[str, Init, int]]] = {}
    for name, (spec, init) in networks.items():
        plan.fit(spec, dataset)
        groups.setdefault(spec, []).extend((name, init, seed) for seed in seeds)
    parts = [(spec, p) for spec, members in groups.items() for p in _even_parts(members, stack or _stack_size(spec))]
    folder = None if checkpoints is None else Path(checkpoints)
    if workers is None:
        portable = device.type == "cpu" and all(spec.activation.portable for spec in groups)
        workers = torch.get_num_threads() if portable else 1
    shared = (dataset, plan, device, folder, checkpoint_every)
    if min(workers, len(parts)) == 1:
        results = [_train_part(*part, *shared, progress) for part in parts]
    else:
        results = _side_by_side(parts, shared, min(workers, len(parts)), progress)

    found = {key: value for result in results for key, value in result.items()}
    keys = [(name, seed) for name in networks for seed in seeds]
    frames = [found[name, seed][0].assign(run=name, seed=seed)[["run", "seed", *COLUMNS]] for name, seed in keys]
    columns = ["run", "seed", "steps", "seconds", "diverged_at"]
    runs = pd.DataFrame([found[key][1] for key in keys], columns=columns).astype({"diverged_at": "Int64"})
    for name, seed, _, _, diverged_at in runs[runs["diverged_at"].notna()].itertuples(index=False):
        what = f"{name}, seed {seed}: training diverged"
        warnings.warn(f"{what}, its loss at step {diverged_at} is not finite.", stacklevel=2)
    return Histories(pd.concat(frames, ignore_index=True), runs)


Part = tuple[Spec, list[tuple[str, Init, int]]]  # a description, and (name, init, seed) of each network
Found = dict[tuple[str, int], tuple[pd.DataFrame, tuple]]  # by name and seed: the rows, and the row of Histories.runs


def _train_part(
    spec: Spec,
    members: list[tuple[str, Init, int]],
    dataset: Dataset,
    plan: Plan,
    device: torch.device,
    folder: Path | None,
    save_every: float,
    progress: bool | None,
) -> Found:
    """Train the networks of one stack."""
    (name, _, seed), *others = members
    run = Run([drawn(spec, init, seed, dataset) for _, init, seed in members], dataset, plan, device, spec.input_shape)
    file = f"{name}-{seed}+{len(others)}.pt" if others else f"{name}-{seed}.pt"
    path = None if folder is None else folder / file
    _finish(run, path, save_every, progress, f"{name}, seed {seed}" + f" + {len(others)}" * bool(others))
    share = run.seconds / len(members)
    return {
        (name, seed): (_frame(run, k), (name, seed, run.steps_done(k), share, run.diverged_at[k]))
        for k, (name, _, seed) in enumerate(members)
    }


_shared: tuple = ()  # in a worker: what its parts have in common


def _start_worker(*shared: Any) -> None:
    global _shared
    _shared = shared
    torch.set_num_threads(1)


def _work(part: Part) -> Found:
    return _train_part(*part, *_shared, progress=False)


def _side_by_side(parts: list[Part], shared: tuple, workers: int, progress: bool | None) -> list[Found]:
    """Train the parts in processes of their own; an interruption reaches those, which save where there is a folder."""
    context = multiprocessing.get_context("spawn")
    bar = tqdm(total=len(parts), unit="run", desc="training", disable=None if progress is None else not progress)
    with bar, ProcessPoolExecutor(workers, context, _start_worker, shared) as pool:
        futures = [pool.submit(_work, part) for part in parts]
        try:
            for future in as_completed(futures):
                future.result()
                bar.update()
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            folder = shared[3]
            resume = f"the same call goes on with its checkpoints in {folder}" if folder else "nothing was saved"
            raise KeyboardInterrupt(f"training stopped after {bar.n} of {len(parts)} runs: {resume}.") from None
        except BrokenProcessPool as error:
            raise ParameterError(
                f"workers={workers}: a worker process ended before its time. Workers run a script's own file again, so "
                'put the call under `if __name__ == "__main__":`; or take workers=1.'
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _frame(run: Run, member: int) -> pd.DataFrame:
    return pd.DataFrame(run.rows[member], columns=COLUMNS).astype({"class": "Int64"})


def _stack_size(spec: Spec) -> int:
    """How many networks of `spec` are worth stacking: of fully connected ones without pools or residual layers."""
    if not isinstance(spec, MLPSpec) or spec.pool is not None or spec.residual is not None:
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
