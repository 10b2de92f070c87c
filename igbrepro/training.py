"""Training with log-spaced evaluation: honest about divergence, resumable to exactly the same numbers.

`train` runs one network; `train_many` several initialisations and seeds, into one table. Nothing but the number of the
step decides on a batch (each epoch's order has its own seed), so a checkpoint is weights, optimiser and numbers so far.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from igbrepro import metrics
from igbrepro.data import Dataset, balanced_indices
from igbrepro.errors import ParameterError
from igbrepro.models import build
from igbrepro.network import InitSpec, NetworkSpec

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
COLUMNS = ["step", "split", "metric", "class", "value"]
_LOOK_EVERY = 50  # steps between looks for a divergence, so that a GPU need not wait; the step found is exact
_EVAL_BATCH = 250


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
    """Several runs in two tables: `frame` as in History after the columns run, seed; `runs` with one row a run."""

    frame: pd.DataFrame
    runs: pd.DataFrame


def log_steps(steps: int, n: int = 25) -> list[int]:
    """About n whole numbers from 0 to `steps`, both included, evenly spaced on a log axis."""
    return sorted({0, steps, *np.geomspace(1, max(steps, 1), n - 1).round().astype(int).clip(max=steps).tolist()})


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
    plan = _Plan(steps, batch_size, lr, optimizer, seed, labels, eval_points, n_eval)
    run = _Run(spec, init, dataset, plan, _device(device))
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and path.exists():
        run.restore(path)
    saved, done_before = time.perf_counter(), run.finished
    bar = tqdm(total=steps, initial=run.step, desc="training", disable=None if progress is None else not progress)
    with _held_interrupt() as interrupted, bar:
        while not run.finished:
            run.advance()
            bar.update(run.step - bar.n)
            if interrupted.is_set():
                break
            if path is not None and time.perf_counter() - saved > checkpoint_every:
                run.save(path)
                saved = time.perf_counter()
        if path is not None and not done_before:
            run.save(path)
    if interrupted.is_set():
        resume = f"the same call with checkpoint={str(path)!r} goes on from there" if path else "nothing was saved"
        raise KeyboardInterrupt(f"training stopped after step {run.step} of {steps}: {resume}.")
    if run.diverged_at is not None:
        warnings.warn(f"training diverged: the loss at step {run.diverged_at} of {steps} is not finite.", stacklevel=2)
    return run.history()


def train_many(
    networks: Mapping[str, tuple[NetworkSpec, InitSpec]],
    dataset: Dataset,
    *,
    seeds: Iterable[int],
    checkpoints: str | os.PathLike | None = None,
    **settings: Any,
) -> Histories:
    """Train every (spec, init) of `networks` with every seed, one after the other, with the settings of `train`.

    (Running them as one stacked model was tried: on a CPU it is no faster, the matrix products are the time.)
    checkpoints: folder for one checkpoint a run, RUN-SEED.pt; finished runs are read back from it.
    The tables name a run by its key in `networks`; models are not kept.
    """
    seeds, frames, rows = tuple(seeds), [], []
    for run, (spec, init) in networks.items():
        for seed in seeds:
            path = None if checkpoints is None else Path(checkpoints) / f"{run}-{seed}.pt"
            history = train(spec, init, dataset, seed=seed, checkpoint=path, **settings)
            frames.append(history.frame.assign(run=run, seed=seed)[["run", "seed", *COLUMNS]])
            steps = len(history.batch_losses)
            rows.append((run, seed, steps, history.seconds, history.steps_per_second, history.diverged_at))
    columns = ["run", "seed", "steps", "seconds", "steps_per_second", "diverged_at"]
    runs = pd.DataFrame(rows, columns=columns).astype({"diverged_at": "Int64"})
    return Histories(pd.concat(frames, ignore_index=True), runs)


@dataclass(frozen=True)
class _Plan:
    """The checked settings of a run that are not the network or the data."""

    steps: int
    batch_size: int
    lr: float
    optimizer: str
    seed: int
    labels: str
    eval_points: Sequence[int] | None
    n_eval: int

    def __post_init__(self) -> None:
        for name, least in {"steps": 0, "batch_size": 1, "seed": 0, "n_eval": 1}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
                raise ParameterError(f"{name}={value!r}: need a whole number, {least} or more.")
        if not isinstance(self.lr, Real) or not 0 <= self.lr < math.inf:
            raise ParameterError(f"lr={self.lr!r}: need a finite learning rate, 0 or more.")
        if self.optimizer not in OPTIMIZERS:
            raise ParameterError(f"optimizer={self.optimizer!r}: choose from {', '.join(OPTIMIZERS)}.")
        points = log_steps(self.steps) if self.eval_points is None else sorted({0, self.steps, *self.eval_points})
        if points[0] < 0 or points[-1] > self.steps or any(int(point) != point for point in points):
            raise ParameterError(f"eval_points={self.eval_points!r}: need whole steps from 0 to steps={self.steps}.")
        object.__setattr__(self, "eval_points", tuple(map(int, points)))

    def fit(self, spec: NetworkSpec, dataset: Dataset) -> None:
        """Raise ParameterError where network, data and plan do not go together."""
        n_train, n_classes = len(dataset.labels("train", self.labels)), len(dataset.classes)
        n_classes = 2 if self.labels == "parity" else n_classes
        if spec.n_classes != n_classes:
            raise ParameterError(f"spec.n_classes={spec.n_classes}: labels={self.labels!r} has {n_classes} classes.")
        if spec.input_size != math.prod(dataset.input_shape):
            raise ParameterError(
                f"spec.input_shape={spec.input_shape}: inputs of {dataset.name} are {dataset.input_shape}; "
                "pass input_shape=dataset.input_shape."
            )
        if self.batch_size > n_train:
            raise ParameterError(f"batch_size={self.batch_size}: {dataset.name} has only {n_train} training inputs.")


class _Run:
    """The state of one training: weights, optimiser, step and the numbers so far."""

    def __init__(self, spec: NetworkSpec, init: InitSpec, dataset: Dataset, plan: _Plan, device: torch.device) -> None:
        plan.fit(spec, dataset)
        self.dataset, self.plan, self.device, self.shape = dataset, plan, device, spec.input_shape
        network = {f.name: getattr(spec, f.name) for f in fields(spec)} | {"activation": spec.activation.name}
        data = {"dataset": dataset.name, "data_sha256": dataset.sha256}
        self.settings = _plain(network | asdict(init) | data | asdict(plan))

        weights, order = np.random.SeedSequence(plan.seed).spawn(2)
        generator = torch.Generator().manual_seed(int(weights.generate_state(1)[0]))
        self.model = build(spec, init, generator).to(device)
        fused = device.type in ("cpu", "cuda")  # several times faster on a CPU than PyTorch's default
        self.optimizer = OPTIMIZERS[plan.optimizer](self.model.parameters(), lr=plan.lr, fused=fused)

        self.targets = dataset.labels("train", plan.labels)
        self.order_seed, self.epoch, self.order = order.generate_state(4), -1, np.empty(0, np.int64)
        chosen = balanced_indices(dataset.labels("test"), plan.n_eval, np.random.default_rng(0))
        self.test_inputs = self._inputs(dataset.test_images[chosen])
        self.test_targets = torch.from_numpy(dataset.labels("test", plan.labels)[chosen]).to(device)

        self.step, self.checked, self.seconds = 0, 0, 0.0
        self.diverged_at: int | None = None
        self.rows: list[tuple[int, str, str, int | None, float]] = []
        self.losses = torch.zeros(plan.steps, device=device)

    @property
    def finished(self) -> bool:
        return bool(self.rows) and (self.step == self.plan.steps or self.diverged_at is not None)

    def advance(self) -> None:
        """Evaluate the untrained network; or make one update, and evaluate where that is due."""
        start = time.perf_counter()
        if not self.rows:
            self._evaluate()
        else:
            self._update()
            due = self.step in self.plan.eval_points
            if due or self.step % _LOOK_EVERY == 0:
                self._look_for_divergence()
            if due and self.diverged_at is None:
                self._evaluate()
        self.seconds += time.perf_counter() - start

    def _inputs(self, images: np.ndarray) -> Tensor:
        return torch.from_numpy(self.dataset.standardise(images)).to(self.device).reshape(-1, *self.shape)

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the next update; the order of an epoch follows from the seed and its number alone."""
        size = self.plan.batch_size
        epoch, place = divmod(self.step, len(self.targets) // size)
        if epoch != self.epoch:
            self.epoch = epoch
            self.order = np.random.default_rng([*self.order_seed, epoch]).permutation(len(self.targets))
        index = self.order[place * size : (place + 1) * size]
        return self._inputs(self.dataset.train_images[index]), torch.from_numpy(self.targets[index]).to(self.device)

    def _update(self) -> None:
        inputs, targets = self._batch()
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.model(inputs), targets)
        loss.backward()
        self.optimizer.step()
        self.losses[self.step] = loss.detach()
        self.step += 1

    def _look_for_divergence(self) -> None:
        wrong = torch.nonzero(~torch.isfinite(self.losses[self.checked : self.step]))
        if len(wrong):
            self.step = self.diverged_at = self.checked + int(wrong[0]) + 1
            self.rows.append((self.step, "train", "loss", None, float(self.losses[self.step - 1])))
        self.checked = self.step

    @torch.inference_mode()
    def _evaluate(self) -> None:
        self.model.eval()
        if self.rows:
            since = self.rows[-1][0]
            self.rows.append((self.step, "train", "loss", None, float(self.losses[since : self.step].mean())))
        logits = torch.cat([self.model(inputs) for inputs in self.test_inputs.split(_EVAL_BATCH)])
        for metric, value in metrics.evaluate(logits, self.test_targets).items():
            values = enumerate(value) if isinstance(value, list) else [(None, value)]
            self.rows += [(self.step, "test", metric, label, number) for label, number in values]
            if metric == "loss" and not math.isfinite(value):
                self.diverged_at = self.step

    def history(self) -> History:
        frame = pd.DataFrame(self.rows, columns=COLUMNS).astype({"class": "Int64"})
        losses = self.losses[: self.step].cpu().numpy()
        return History(frame, losses, self.settings, self.model, self.seconds, self.diverged_at)

    def save(self, path: Path) -> None:
        """Write the state beside `path` and move it there, so that a crash leaves the old file whole."""
        names = ("settings", "step", "checked", "seconds", "diverged_at", "rows", "losses")
        state = {name: getattr(self, name) for name in names}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        torch.save(state, part)
        os.replace(part, path)

    def restore(self, path: Path) -> None:
        """Take up a saved state; raises ParameterError if it is not readable or of other settings."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            theirs = state["settings"]
        except Exception as error:  # whatever torch.load makes of a file that is none of its own
            raise ParameterError(f"checkpoint={str(path)!r}: cannot be read ({error}); delete it.") from error
        differ = [key for key in self.settings | theirs if self.settings.get(key) != theirs.get(key)]
        if differ:
            says = "; ".join(f"{key} was {theirs.get(key)!r}, now {self.settings.get(key)!r}" for key in differ)
            raise ParameterError(f"checkpoint={str(path)!r}: made with other settings ({says}); use another file.")
        self.model.load_state_dict(state.pop("model"))
        self.optimizer.load_state_dict(state.pop("optimizer"))
        for name, value in state.items():
            setattr(self, name, value)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as JSON would keep them, so that they can be stored and compared."""
    return json.loads(json.dumps(settings, default=lambda value: getattr(value, "item", value.__repr__)()))


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
