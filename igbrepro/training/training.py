"""Training with log-spaced evaluation: honest about divergence, resumable to exactly the same numbers.

`train` runs one network, `train_module` any module; `many.train_many` several networks and seeds into one table.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Unpack

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from igbrepro.data import Dataset
from igbrepro.errors import ParameterError
from igbrepro.initialization import Start
from igbrepro.networks import Spec
from igbrepro.training.history import COLUMNS, History
from igbrepro.training.run import Member, Run, drawn
from igbrepro.training.settings import Conduct, Options, TrainSettings, read


def train(
    spec: Spec,
    init: Start,
    dataset: Dataset,
    settings: TrainSettings | None = None,
    *,
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    **options: Unpack[Options],
) -> History:
    """Train one network of `spec`, drawn by `init`, on mean cross-entropy; evaluate it on the way.

    init: as `build` takes it, "edge-of-chaos", "orthogonal" and "lsuv" looking at 64 of the training inputs; or a
        HeadStart, whose head is set after the draw, or a SelectedStart, drawn until it is as biased as asked for.
    settings: a TrainSettings; or, or in place of some of its fields, these by name:
        steps, batch_size = 100, lr = 1e-5, optimizer = "adam" (or "sgd"), momentum = 0, weight_decay = 0,
        labels = "parity" (or "classes", or the new label of each class), eval_points, n_eval = 1000, n_eval_train = 0,
        gradients = False, batch_statistics = False, precision = "float32" (or "bfloat16"), epsilon = 1e-8 (of Adam).
    seed: of the weights and the order of the data; the test inputs used are the same for all seeds.
    checkpoint: a file that keeps the state every checkpoint_every seconds, on interruption and at the end. If it exists
        the run goes on from there, or is read back if it was finished.
    Also by name, with no bearing on the numbers: checkpoint_every = 60.0, device, progress, threads; see Conduct.

    Raises ParameterError for a name that is no setting (it says which one comes close), for settings that do not fit
    the dataset, or a checkpoint made with others. An interruption (Ctrl-C) is held until the step is done and the state
    saved; the KeyboardInterrupt then says how to resume.
    """
    plan, conduct = read("train", settings, options)
    plan.fit(spec, dataset)
    run = Run([drawn(spec, init, seed, dataset)], dataset, plan.resolved(dataset), conduct.on, spec.input_shape)
    return _history(run, checkpoint, conduct)


def train_module(
    model: nn.Module,
    dataset: Dataset,
    settings: TrainSettings | None = None,
    *,
    name: str = "module",
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    **options: Unpack[Options],
) -> History:
    """Train a module of any kind in place, as `train` does; parameters with requires_grad=False stay as they are.

    model: maps (n, *dataset.input_shape) to logits (n, n_classes).  name: what a checkpoint calls it.
    settings, options: as of `train`.  seed: of the order of the data.
    Raises ParameterError also if no parameter is to be trained.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ParameterError("model: no parameter has requires_grad=True, so there is nothing to train.")
    plan, conduct = read("train_module", settings, options)
    plan.n_classes(dataset)
    member = Member(model, seed, {"name": name})
    run = Run([member], dataset, plan.resolved(dataset), conduct.on, dataset.input_shape)
    return _history(run, checkpoint, conduct)


def _history(run: Run, checkpoint: str | os.PathLike | None, conduct: Conduct) -> History:
    finish(run, None if checkpoint is None else Path(checkpoint), conduct, "training")
    if run.diverged_at[0] is not None:
        warnings.warn(f"training diverged, its loss at step {run.diverged_at[0]} is not finite.", stacklevel=3)
    losses = run.losses[: run.steps_done(0), 0].cpu().numpy()
    return History(frame_of(run, 0), losses, run.settings[0], run.models[0], run.seconds, run.diverged_at[0])


def frame_of(run: Run, member: int) -> pd.DataFrame:
    """The numbers of one network of a run, as History.frame has them."""
    return pd.DataFrame(run.rows[member], columns=COLUMNS).astype({"class": "Int64"})


def finish(run: Run, path: Path | None, conduct: Conduct, title: str) -> None:
    """Take a run from its checkpoint, if there is one, to its end; save it on the way, there, and when interrupted."""
    if path is not None:
        run.restore(path)
    saved, done_before, steps = time.perf_counter(), run.finished, run.plan.steps
    quiet = None if conduct.progress is None else not conduct.progress
    bar = tqdm(total=steps, initial=run.step, desc=title, disable=quiet)
    with _held_interrupt() as interrupted, _threads(conduct.threads), bar:
        while not run.finished and not interrupted.is_set():
            run.advance()
            bar.update(run.step - bar.n)
            if path is not None and time.perf_counter() - saved > conduct.checkpoint_every:
                _save(run, path)
                saved = time.perf_counter()
        if path is not None and not done_before:
            _save(run, path)
    if interrupted.is_set():
        kept = path is not None and path.exists()
        resume = f"the same call goes on from there, with its checkpoint {path}" if kept else "nothing was saved"
        raise KeyboardInterrupt(f"training stopped after step {run.step} of {steps}: {resume}.")


def _save(run: Run, path: Path) -> None:
    """Save, or warn that there is no room: a run does not end for want of its checkpoint."""
    try:
        run.save(path)
    except (OSError, RuntimeError) as error:  # torch's own writer raises RuntimeError
        why = str(error).splitlines()[0]
        warnings.warn(f"checkpoint={str(path)!r}: not written ({why}); training goes on without.", stacklevel=4)


@contextlib.contextmanager
def _threads(n: int | None) -> Iterator[None]:
    """So many threads of torch for the time being; None leaves them."""
    before = torch.get_num_threads()
    if n is not None:
        torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
