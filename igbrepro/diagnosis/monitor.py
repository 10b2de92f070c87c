"""The few numbers that tell of a classifier's bias, recorded while a loop of anybody's own trains it."""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
import os
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor, nn

from igbrepro.diagnosis import files
from igbrepro.errors import ParameterError
from igbrepro.figures import panels
from igbrepro.probes import fresh_norms, logits_of, signal, undisturbed
from igbrepro.training import metrics

_SHOWN = {
    "max_class_fraction": "largest class fraction",
    "gamma": "γ of the logits",
    "gradient_imbalance": "imbalance of the gradient",
    "accuracy": "accuracy",
}


class BiasMonitor:
    """The bias of a classifier on fixed inputs, step by step, in whatever loop it is trained.

    It holds inputs and a record, and is given the model when it has to look at it, in one of three ways:

        monitor = BiasMonitor(inputs, labels)
        with monitor.watch(model, optimizer):       # 1. a loop of your own, as it is
            ...
        monitor.evaluate(model)                     # 2. by hand: before training,
        monitor.step(model)                         #    and after each update
        Trainer(callbacks=[monitor]).fit(module)    # 3. Lightning, of whose protocol it has all that is needed
        monitor.frame

    inputs: (n, ...), n >= 2, as model(inputs) takes them to give logits (n, n_classes) or what else
        `diagnose` takes for logits; copied.  labels: (n,) class numbers.
    every: "log" for the steps 0, 1, 2, 3, 4, 6, 8, 11, 16, ... (two a doubling), or a whole number of steps.  Step 0
        and the last step are looked at in any case (by hand: where you say so).
    split: what the frame calls these inputs; "test" is what `milestones` and `plotting` read.
    batch_statistics = False: batch normalisation uses the statistics of the inputs only as long as it has none of its
        own. Its first ones are mostly placeholders (at PyTorch's momentum 35 % after 10 steps) and can look like bias.
        True: the statistics of the inputs all the time.

    An evaluation is one forward pass without gradients, in eval mode.  It leaves the model, on whatever device (modes,
    buffers, hooks), and torch's random numbers as they were.  One monitor records one run, of one process: distributed
    training is beyond it.
    Raises ParameterError for fewer than two inputs, labels that do not fit, or an `every` of another kind.
    """

    _legacy_state_key = "BiasMonitor"  # Lightning asks for it; checkpoints of its first versions have no monitor

    def __init__(
        self,
        inputs: ArrayLike | Tensor,
        labels: ArrayLike | Tensor | None = None,
        *,
        every: str | int = "log",
        split: str = "test",
        batch_statistics: bool = False,
    ) -> None:
        number = isinstance(every, Integral) and not isinstance(every, bool) and int(every) >= 1
        if not number and not (isinstance(every, str) and every == "log"):
            raise ParameterError(f'every={every!r}: need "log" or a whole number of steps, 1 or more.')
        x = torch.as_tensor(inputs).detach().clone()
        self.inputs: Tensor | None = x  # None: loaded without them
        n = len(x) if x.ndim else 0
        if n < 2:
            raise ParameterError(f"inputs: {n} of them; a variance over inputs needs 2 or more.")
        self.labels = None if labels is None else _checked(torch.as_tensor(labels).detach().cpu(), n)
        self.every, self.split, self.batch_statistics = every, split, batch_statistics
        self.steps = 0
        self._record: dict[int, dict[str, float | list[float]]] = {}

    @property
    def frame(self) -> pd.DataFrame:
        """One row per number, as in training.History: columns step, split, metric, class (or missing), value.

        The metrics are those of `bias_numbers`.  With .assign(run=..., seed=...) it is a table of training.Histories.
        """
        rows = [
            (step, self.split, metric, label, number)
            for step, found in self._record.items()
            for metric, value in found.items()
            for label, number in (enumerate(value) if isinstance(value, list) else [(None, value)])
        ]
        return pd.DataFrame(rows, columns=["step", "split", "metric", "class", "value"]).astype({"class": "Int64"})

    def evaluate(self, model: nn.Module) -> dict[str, float | list[float]]:
        """Look at the model now, record what is seen as that of the present step, and return it.

        Raises ParameterError if what the model gives for the inputs are no logits (n, n_classes), two classes or more,
        or if a label is none of these classes.
        """
        if self.inputs is None:
            raise ParameterError("inputs: not loaded; pass them, BiasMonitor.load(path, inputs, labels).")
        logits = _logits(model, self.inputs, self.batch_statistics)
        if self.labels is not None and (largest := int(self.labels.max())) >= logits.shape[1]:
            raise ParameterError(f"labels: the largest is {largest}, but the model has {logits.shape[1]} classes.")
        self._record[self.steps] = found = bias_numbers(logits, self.labels)
        return found

    def step(self, model: nn.Module) -> None:
        """Count one update of the model, and look at it where that is due."""
        self._reach(self.steps + 1, model)

    @contextlib.contextmanager
    def watch(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[BiasMonitor]:
        """Look at the model before the first update, count every one of `optimizer`, and look after the last one.

        The last look is left out where an error ends the loop.  Entered again, it goes on counting.
        """
        if self.steps == 0:
            self.evaluate(model)
        hook = optimizer.register_step_post_hook(lambda *_: self.step(model))
        try:
            yield self
        finally:
            hook.remove()
        self._finish(model)

    def plot(self) -> Figure:
        """The record against the step: the favourite's share, gamma, the gradient's imbalance and, if known, accuracy.

        Raises ParameterError where nothing is recorded yet.
        """
        if not self._record:
            raise ParameterError("monitor: has no record; let it watch a training, or evaluate(model), first.")
        shown = {name: label for name, label in _SHOWN.items() if all(name in found for found in self._record.values())}
        fig, axes = panels(len(shown))
        for ax, (name, label) in zip(axes, shown.items(), strict=True):
            values = {step: found[name] for step, found in sorted(self._record.items())}
            ax.plot(list(values), list(values.values()), "o-", markersize=3)
            ax.set_xscale("symlog", linthresh=1, linscale=0.3)
            if name in ("gamma", "gradient_imbalance"):
                ax.set_yscale("log")
            ax.set(xlabel="training step", ylabel=label, xlim=(0, None))
        return fig

    def save(self, path: str | os.PathLike) -> None:
        """Write the record to a JSON file; the inputs are not in it."""
        settings = {"every": self.every, "split": self.split, "batch_statistics": self.batch_statistics}
        files.write(path, "BiasMonitor", {**settings, **self.state_dict()})

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,
        inputs: ArrayLike | Tensor | None = None,
        labels: ArrayLike | Tensor | None = None,
    ) -> BiasMonitor:
        """The monitor that `save` wrote, with its record and settings.

        inputs, labels: those that it had, for going on; None gives a monitor of which only the record can be used.
        Raises ParameterError for a file that cannot be read, or another one.
        """
        found = files.read(path, "BiasMonitor")
        try:
            record = {int(step): numbers for step, numbers in found["record"].items()}
            settings = {name: found[name] for name in ("every", "split", "batch_statistics")}
            state = {"steps": int(found["steps"]), "record": record}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ParameterError(f"path={str(path)!r}: is no monitor of this version ({error!r}).") from error
        if inputs is None:
            monitor = cls(torch.zeros(2), **settings)
            monitor.inputs = None
        else:
            monitor = cls(inputs, labels, **settings)
        monitor.load_state_dict(state)
        return monitor

    def state_dict(self) -> dict[str, Any]:
        """The record so far, as plain values."""
        return copy.deepcopy({"steps": self.steps, "record": self._record})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a record, so that a resumed training goes on with it."""
        self.steps, self._record = state["steps"], copy.deepcopy(state["record"])

    def _reach(self, step: int, model: nn.Module) -> None:
        due = self._next_due() <= step
        self.steps = step
        if due:
            self.evaluate(model)

    def _next_due(self) -> int:
        if not isinstance(self.every, str):
            return (self.steps // self.every + 1) * self.every
        return next(due for k in itertools.count() if (due := round(2 ** (k / 2))) > self.steps)

    def _finish(self, model: nn.Module) -> None:
        if self.steps not in self._record:
            self.evaluate(model)

    # The callback protocol of Lightning, whose global_step counts updates also where gradients are accumulated.

    @property
    def state_key(self) -> str:
        """The name of the record in a checkpoint: monitors of one Trainer need different splits."""
        return f"BiasMonitor[{self.split}]"

    def on_train_start(self, trainer: Any, module: nn.Module) -> None:
        """Look at the untrained model, or go on from a checkpoint; ParameterError if the record is of another run."""
        if self.steps > trainer.global_step:
            raise ParameterError(
                f"monitor: has a record up to step {self.steps}, but the training starts at step "
                f"{trainer.global_step}; give each run a new BiasMonitor."
            )
        self.steps = trainer.global_step
        if self.steps == 0 or not self._record:
            self.evaluate(module)

    def on_train_batch_end(self, trainer: Any, module: nn.Module, *_: Any) -> None:
        """Count the updates made, and look where that is due."""
        self._reach(trainer.global_step, module)

    def on_train_end(self, trainer: Any, module: nn.Module) -> None:
        """Look at the model after the last update."""
        self._finish(module)

    def __getattr__(self, name: str) -> Any:
        """The other hooks of the protocol, which do nothing."""
        if name.startswith("on_") or name in ("setup", "teardown"):
            return _nothing
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def bias_numbers(logits: Tensor, labels: Tensor | None = None) -> dict[str, float | list[float]]:
    """What logits (n, n_classes) tell of a classifier's bias: numbers, and lists of one number per class.

    max_class_fraction, class_fraction; with labels (n,) also the rest of metrics.evaluate.
    favourite: the class guessed most often (the first of several).
    q, gamma: of the logits, as in probes.layer_table.
    gradient_imbalance: the cross-entropy's gradient at the logits is p - e_y; its mean square over inputs if every
        label were a class other than the favourite (mean over these), over that if every label were the favourite.
        1 where no class is preferred.
    class_logit_gradient: with labels, that mean square over the inputs of each class; NaN for an absent class.
    Where a logit is NaN all of them are.
    """
    logits = logits.double()
    if labels is None:
        fractions = metrics.class_fractions(logits)
        found = {"max_class_fraction": float(fractions.amax()), "class_fraction": fractions.tolist()}
    else:
        found = metrics.evaluate(logits, labels)
    largest = found["max_class_fraction"]
    broken = isinstance(largest, float) and math.isnan(largest)
    favourite = logits.argmax(1).bincount(minlength=logits.shape[1]).argmax()
    moments = signal(logits)
    p = logits.softmax(1) if not broken else torch.full_like(logits, torch.nan)
    liked = _squared_gradient(p, favourite.expand(len(p))).mean()
    others = (p.square().sum(1) + 1 - 2 * (1 - p[:, favourite]) / (p.shape[1] - 1)).mean()
    found |= {
        "favourite": math.nan if broken else float(favourite),
        "q": moments["q"],
        "gamma": math.nan if broken else moments["gamma"],
        "gradient_imbalance": float(others / liked),
    }
    if labels is not None:
        total = torch.zeros_like(p[0]).index_add_(0, labels, _squared_gradient(p, labels))
        found["class_logit_gradient"] = (total / labels.bincount(minlength=p.shape[1])).tolist()
    return found


def _squared_gradient(p: Tensor, labels: Tensor) -> Tensor:
    """|p - e_y|^2 of probabilities (n, n_classes), labels (n,), with no 1 - p_y that would round to 0."""
    rest = p.scatter(1, labels[:, None], 0.0)
    return rest.sum(1).square() + rest.square().sum(1)


@torch.no_grad()
def _logits(model: nn.Module, inputs: Tensor, of_inputs: bool) -> Tensor:
    """One forward pass that leaves no trace: (n, n_classes), on the CPU."""
    first = next(itertools.chain(model.parameters(), model.buffers()), inputs)
    floats = inputs.is_floating_point() and first.is_floating_point()  # and no token numbers
    with undisturbed(model, model if of_inputs else fresh_norms(model)):
        out = model(inputs.to(first.device, first.dtype if floats else inputs.dtype))
    logits = logits_of(out)
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(inputs) or logits.shape[1] < 2:
        raise ParameterError(f"model: gives {shape} for {len(inputs)} inputs; need logits (n, n_classes), 2 or more.")
    return logits.cpu()


def _checked(labels: Tensor, n: int) -> Tensor:
    """Labels as int64.  Raises ParameterError unless they are n whole numbers, 0 or more."""
    if labels.shape != (n,) or labels.is_floating_point() or labels.is_complex():
        kind = str(labels.dtype).removeprefix("torch.")
        raise ParameterError(f"labels of shape {tuple(labels.shape)}, {kind}: need {n} whole numbers, one an input.")
    if labels.min() < 0:
        raise ParameterError(f"labels: the smallest is {int(labels.min())}; classes are numbered from 0.")
    return labels.long()


def _nothing(*_: Any, **__: Any) -> None:
    """A hook with nothing to do."""
