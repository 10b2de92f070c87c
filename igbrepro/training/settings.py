"""The settings of a training, typed and checked, and how they may be given by name (no torch until one runs)."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from igbrepro.checks import whole
from igbrepro.data import Dataset, Labels
from igbrepro.errors import ParameterError, some
from igbrepro.networks import Spec

if TYPE_CHECKING:
    import torch

PRECISIONS = ("float32", "bfloat16")
OPTIMIZERS = ("adam", "sgd")
ADAM_EPSILON = 1e-8  # PyTorch's default

# What other libraries call these settings, for the error that names the close match.
ALIASES = {
    "lr": ("learning_rate", "rate", "alpha", "eta", "step_size"),
    "steps": ("epochs", "n_epochs", "n_steps", "max_steps", "iterations", "n_iter"),
    "batch_size": ("batch", "bs", "minibatch"),
    "optimizer": ("optim", "optimiser", "opt", "solver"),
    "weight_decay": ("wd", "decay", "l2", "regularization"),
    "epsilon": ("eps", "adam_eps", "adam_epsilon"),
    "labels": ("task", "targets", "target", "classes"),
    "eval_points": ("eval_every", "eval_steps", "log_every", "log_steps"),
    "n_eval": ("n_test", "eval_size", "test_size"),
    "precision": ("dtype", "amp"),
    "progress": ("verbose", "progress_bar"),
    "threads": ("n_threads", "num_threads", "n_jobs"),
}


class Options(TypedDict, total=False):
    """The names that `train`, `train_module` and `train_many` take: the fields of TrainSettings and of Conduct."""

    steps: int
    batch_size: int
    lr: float | Mapping[str, float]
    optimizer: str
    momentum: float
    weight_decay: float
    epsilon: float
    labels: Labels
    eval_points: Iterable[int] | None
    n_eval: int
    n_eval_train: int
    gradients: bool
    batch_statistics: bool
    precision: str
    checkpoint_every: float
    device: str | torch.device | None
    progress: bool | None
    threads: int | None


def log_steps(steps: int, n: int = 25) -> list[int]:
    """About n whole numbers from 0 to `steps`, both included, evenly spaced on a log axis."""
    return sorted({0, steps, *np.geomspace(1, max(steps, 1), n - 1).round().astype(int).clip(max=steps).tolist()})


@dataclass(frozen=True)
class TrainSettings:
    """The settings of a training that are neither network nor data.

    steps: updates, each on batch_size training inputs; every epoch is shuffled anew, its short last batch left out.
    lr: learning rate.  optimizer: "adam" or "sgd", with PyTorch's defaults but for lr, weight_decay (added to the
        gradient, times the weight), momentum of "sgd", and epsilon of "adam", which is added to the root mean square
        that a gradient is divided by: smaller ones have little effect.
    labels: "parity" (two classes), "classes" (the dataset's own), or the new label of each class, as an array or a
        function of the class numbers; see Dataset.relabelling.  For labels of single images, make a Dataset with them.
    eval_points: steps to evaluate at, by default log_steps(steps); 0 and `steps` are always among them.
    n_eval: test inputs used, the classes in equal numbers.
    n_eval_train: training inputs evaluated as well, in the same way, as split "train"; 0: none.
    gradients: True adds the metric class_gradient, the norm of the gradient of each class's mean loss.
    batch_statistics: True evaluates batch-normalised networks with the statistics of the test inputs, and not with
        running ones, which say nothing before the first steps.
    precision: "float32" or "bfloat16" (autocast; weights stay float32).
    Raises ParameterError for values outside these.
    """

    steps: int
    batch_size: int = 100
    lr: float = 1e-5
    optimizer: str = "adam"
    momentum: float = 0.0
    weight_decay: float = 0.0
    labels: Labels = "parity"
    eval_points: Iterable[int] | None = None
    n_eval: int = 1000
    gradients: bool = False
    batch_statistics: bool = False
    precision: str = "float32"
    n_eval_train: int = 0
    epsilon: float = ADAM_EPSILON

    def __post_init__(self) -> None:
        for name, least in {"steps": 0, "batch_size": 1, "n_eval": 1, "n_eval_train": 0}.items():
            whole(name, getattr(self, name), least)
        numbers = {"lr": "learning rate", "momentum": "number", "weight_decay": "number", "epsilon": "number"}
        for name, what in numbers.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
                raise ParameterError(f"{name}={value!r}: need a finite {what}, 0 or more.")
        if self.momentum >= 1:
            raise ParameterError(f"momentum={self.momentum!r}: need a number below 1, or steps add up without end.")
        for name, known in {"optimizer": OPTIMIZERS, "precision": PRECISIONS}.items():
            if getattr(self, name) not in known:
                raise ParameterError(f"{name}={getattr(self, name)!r}: choose from {', '.join(known)}.")
        if self.momentum and self.optimizer != "sgd":
            raise ParameterError(f"momentum={self.momentum!r}: only optimizer='sgd' has one; leave it at 0.")
        if self.epsilon != ADAM_EPSILON and self.optimizer != "adam":
            raise ParameterError(
                f"epsilon={self.epsilon!r}: only optimizer='adam' has one; leave it at {ADAM_EPSILON}."
            )
        if not isinstance(self.labels, str) and not callable(self.labels):
            object.__setattr__(self, "labels", tuple(np.asarray(self.labels).ravel().tolist()))
        if self.eval_points is not None and not isinstance(self.eval_points, Iterable):
            raise ParameterError(f"eval_points={self.eval_points!r}: need a list of steps, [{self.eval_points!r}].")
        given = () if self.eval_points is None else tuple(self.eval_points)
        points = log_steps(self.steps) if self.eval_points is None else sorted({0, self.steps, *given})
        if points[0] < 0 or points[-1] > self.steps or any(int(point) != point for point in points):
            raise ParameterError(f"eval_points={list(given)!r}: need whole steps from 0 to steps={self.steps}.")
        object.__setattr__(self, "eval_points", tuple(map(int, points)))

    @property
    def points(self) -> Sequence[int]:
        """The steps to evaluate at, in order."""
        return tuple(self.eval_points or ())

    def n_classes(self, dataset: Dataset) -> int:
        """Classes of the task that these settings make of a dataset; raises ParameterError where they do not fit."""
        if not isinstance(dataset, Dataset):
            raise ParameterError(
                f"dataset: need a Dataset, not {type(dataset).__name__}; data.load(name) gives one, and Dataset(...) "
                "makes one of your arrays."
            )
        dataset.check(batch_size=("batch", self.batch_size))
        return int(dataset.relabelling(self.labels).max()) + 1

    def fit(self, spec: Spec, dataset: Dataset) -> None:
        """Raise ParameterError where network, data and settings do not go together."""
        if isinstance(spec, type) or not isinstance(spec, Spec):
            raise ParameterError(
                f"spec={spec!r}: need the description of a network, such as an MLPSpec; train_module takes modules."
            )
        n_classes = self.n_classes(dataset)
        if spec.n_classes != n_classes:
            labels = self.labels if isinstance(self.labels, str) else "of your own"
            raise ParameterError(f"spec.n_classes={spec.n_classes}: labels={labels!r} has {n_classes} classes.")
        if math.prod(spec.input_shape) != math.prod(dataset.input_shape):
            raise ParameterError(
                f"spec.input_shape={spec.input_shape}: inputs of {dataset.name} are {dataset.input_shape}; "
                "pass input_shape=dataset.input_shape."
            )

    def resolved(self, dataset: Dataset) -> TrainSettings:
        """The same, with a function for labels worked out to one label a class, so that it can be kept and compared."""
        if not callable(self.labels):
            return self
        return replace(self, labels=tuple(dataset.relabelling(self.labels).tolist()))


@dataclass(frozen=True)
class Conduct:
    """How a training is carried out, which its numbers do not depend on (but for rounding).

    checkpoint_every: seconds between checkpoints.  device: by default an accelerator if there is one.
    progress: a bar, by default only where stderr is a terminal.
    threads: of torch on the CPU while it trains; None leaves what torch has.  Small networks (MLPs of width 200, CNNs
        of 32 channels) gain little from more than one, and lose very much by them on a busy machine: take 1 there.
        Another number of threads may change the last digits.
    Raises ParameterError for a device that cannot be used here, or threads below 1.
    """

    checkpoint_every: float = 60.0
    device: str | torch.device | None = None
    progress: bool | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None:
            whole("threads", self.threads, 1)
        object.__setattr__(self, "device", _device(self.device))

    @property
    def on(self) -> torch.device:
        """The device."""
        return _device(self.device)


def _device(device: str | torch.device | None) -> torch.device:
    import torch

    if device is None:
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ParameterError(f"device={device!r}: not usable here ({error}).") from error


SETTINGS = tuple(field.name for field in fields(TrainSettings))
CONDUCT = tuple(field.name for field in fields(Conduct))


def read(function: str, settings: TrainSettings | None, options: Mapping[str, Any]) -> tuple[TrainSettings, Conduct]:
    """What the keyword arguments of `function` say, with names checked; the fields of `settings` count where unsaid.

    Raises ParameterError for a name that is no setting, with the close match, and where `steps` is not given.
    """
    for name, value in options.items():
        if name not in SETTINGS + CONDUCT:
            raise ParameterError(f"{name}={value!r}: {function} has no such setting{_meant(name)}")
    changes = {name: value for name, value in options.items() if name in SETTINGS}
    if settings is not None and not isinstance(settings, TrainSettings):
        raise ParameterError(f"settings={settings!r}: need TrainSettings(steps=...), or settings by name.")
    if settings is None and "steps" not in changes:
        raise ParameterError(f"steps: say how many updates {function} is to make, steps=N.")
    made = TrainSettings(**changes) if settings is None else _changed(settings, changes)
    return made, Conduct(**{name: value for name, value in options.items() if name in CONDUCT})


def _changed(settings: TrainSettings, changes: Mapping[str, Any]) -> TrainSettings:
    if changes.get("steps", settings.steps) != settings.steps and "eval_points" not in changes:
        changes = {**changes, "eval_points": None}
    return replace(settings, **changes) if changes else settings


def _meant(name: str) -> str:
    """The end of the message: the setting that a name comes close to, else the list of all."""
    known = {spelling: setting for setting, others in ALIASES.items() for spelling in others}
    known |= {setting: setting for setting in SETTINGS + CONDUCT}
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
    return f"; did you mean {known[near[0]]}?" if near else f"; known are {', '.join(SETTINGS + CONDUCT)}."


def by_run(
    names: Iterable[str],
    settings: TrainSettings | Mapping[str, TrainSettings] | None,
    options: Mapping[str, Any],
) -> tuple[dict[str, TrainSettings], Conduct]:
    """The settings of each run of `train_many`: `settings` and the option `lr` may be mappings from its name.

    Raises ParameterError for a mapping without an entry for every run, or with one for none, and as `read` does.
    """
    names = list(names)

    def of(name: str, what: str, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        missing, unknown = [n for n in names if n not in value], [n for n in value if n not in names]
        if missing or unknown:
            wrong = f"nothing for {some(missing)}" if missing else f"no run is called {some(list(map(str, unknown)))}"
            raise ParameterError(f"{what}: {wrong}; give one entry for each of {some(names)}.")
        return value[name]

    found, conduct = {}, Conduct()
    for name in names:
        mine = {key: of(name, key, value) if key == "lr" else value for key, value in options.items()}
        found[name], conduct = read("train_many", of(name, "settings", settings), mine)
    return found, conduct
