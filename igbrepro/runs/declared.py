"""Runs and sweeps as data: what is to be trained, declared before anything is (no torch here).

A chapter's experiment.py gives a Sweep for the parameters of its notebook; what a run's numbers depend on is its
`description`, of which `key` is the checksum that a store finds it by.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from igbrepro.checks import whole
from igbrepro.data import Dataset
from igbrepro.errors import ParameterError, some
from igbrepro.initialization import HeadStart, InitSpec, SelectedStart, Start, check_init
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, Spec, TorchvisionSpec, ViTSpec
from igbrepro.runs.keys import NotStorable, checksum, kind_of, plain, said
from igbrepro.theory import Pool
from igbrepro.training import TrainSettings

PROTOCOL = 1
"""Raised by hand whenever the numbers of runs change with the code: stored runs of older protocols are not used."""


class Parameters(Mapping[str, Any]):
    """The parameters of a notebook, by name or as attributes: `p.depth`; Parameters(globals()) takes them there.

    An unknown name raises ParameterError with the names that there are.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self):
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise ParameterError(f"parameter {name!r}: the notebook has none of that name.") from None


@dataclass(frozen=True)
class DataFacts:
    """What a declaration needs to know of a data set, and a key: all but its inputs.

    name: as `load` takes it.  source: where it came from, in words.  sha256: `Dataset.sha256`.
    center, scale: `Dataset.statistics`, which inputs are scaled by.
    """

    name: str
    source: str
    sha256: str
    n_train: int
    n_test: int
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    scaling: str
    center: tuple[float, ...]
    scale: tuple[float, ...]
    scaled_by: str = ""

    @classmethod
    def of(cls, dataset: Dataset) -> DataFacts:
        """Those of a data set that is here."""
        center, scale = (tuple(map(float, values)) for values in dataset.statistics)
        sizes = len(dataset.train_labels), len(dataset.test_labels)
        return cls(
            dataset.name,
            dataset.source,
            dataset.sha256,
            *sizes,
            input_shape=tuple(map(int, dataset.input_shape)),
            classes=tuple(dataset.classes),
            scaling=dataset.scaling,
            center=center,
            scale=scale,
            scaled_by=dataset.scaled_by,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {one.name: _listed(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> DataFacts:
        """What `to_dict` gave."""
        return cls(**{name: _tuple(value) for name, value in raw.items()})

    @property
    def provenance(self) -> dict[str, Any]:
        """As `Dataset.provenance`."""
        kept = ("name", "source", "n_train", "n_test", "sha256", "scaling", "scaled_by")
        return {name: getattr(self, name) for name in kept} | {"fallback": False}

    @property
    def identity(self) -> dict[str, Any]:
        """What the numbers of a run depend on."""
        inputs = {"center": list(self.center), "scale": list(self.scale)}
        return {"sha256": self.sha256, "scaling": self.scaling} | inputs


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_KINDS = MLPSpec, CNNSpec, ResNetSpec, ViTSpec, TorchvisionSpec
_SPECS: dict[str, Any] = {spec.__name__: spec for spec in _KINDS}


@dataclass(frozen=True)
class Measured:
    """Settings of a run that is no plain training: a chapter's own function makes its numbers, of untrained networks
    for example.

    function: (run, dataset, **arguments) -> numbers, one row each: columns metric and value, and where they are of use
        step, split and class (0, "" and none without them). A plain function of a module, known by the folder it lies
        in and its name; it imports torch inside.
    arguments: plain values, all that its numbers depend on besides network, start, seed and data.
    inputs: how many inputs pass forward through the network in all, a training pass counted as three; of its time.
    version: raised by hand when the function gives other numbers.
    trains: whether it trains networks, so that rounding grows on the way (`audit_run`).
    """

    function: Callable[..., pd.DataFrame]
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    inputs: float = 1.0
    version: int = 1
    trains: bool = False

    @property
    def description(self) -> dict[str, Any]:
        """All that its numbers depend on, as plain values; raises NotStorable for a function that has no place."""
        if (folder := self._folder) is None or "<" in self.function.__qualname__:
            raise NotStorable(f"function={self.function!r}: only a plain function of a module can be told apart.")
        where = folder.name.partition("_")[2] or folder.name  # of a chapter, without its number
        told = {"function": f"{where}.{self.function.__name__}", "version": self.version, "trains": self.trains}
        return told | {"arguments": plain(self.arguments)}

    @property
    def _folder(self) -> Path | None:
        """Where the module of the function lies."""
        code = getattr(self.function, "__code__", None)
        return (
            Path(code.co_filename).resolve().parent if code is not None and Path(code.co_filename).is_file() else None
        )

    def numbers(self, run: Run, dataset: Dataset) -> pd.DataFrame:
        """What the function gives, with all columns: step, split, metric, class, value."""
        with nullcontext() if self._folder is None else _modules_of(self._folder):
            found = self.function(run, dataset, **self.arguments)
        if missing := {"metric", "value"} - set(found):
            raise ParameterError(f"{self.function.__name__}: gave no column {some(sorted(missing))}.")
        if found.empty:
            raise ParameterError(
                f"{self.function.__name__}: gave no numbers; are its sizes, {self.arguments}, above 0?"
            )
        usual: dict[str, Any] = {"step": 0, "split": "", "class": pd.NA}
        found = found.assign(**{name: value for name, value in usual.items() if name not in found})
        types = {"step": "int64", "class": "Int64", "value": "float64"}
        return pd.DataFrame(found[["step", "split", "metric", "class", "value"]]).astype(types)


@contextmanager
def _modules_of(folder: Path) -> Iterator[None]:
    """Within, the modules of a chapter's folder, its lab for one, go by their bare names, as in its notebook."""
    own = {path.stem for path in folder.glob("*.py")}
    others = {name: sys.modules[name] for name in own & set(sys.modules)}
    others = {name: one for name, one in others.items() if Path(one.__file__ or "").resolve().parent != folder}
    for name in others:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in own & set(sys.modules) if others else ():
            del sys.modules[name]
        sys.modules.update(others)


Settings = TrainSettings | Measured


@dataclass(frozen=True)
class Run:
    """One network, one start, one seed, one set of settings; `name` is what its chapter calls network and start."""

    name: str
    spec: Spec
    init: Start
    seed: int
    settings: Settings

    @property
    def task(self) -> dict[str, Any]:
        """All that the numbers of this run depend on but the data, as plain values; raises NotStorable."""
        if isinstance(self.settings, Measured):
            kind, settings = "measured", self.settings.description
        else:
            kind = "training"
            settings = said({one.name: plain(getattr(self.settings, one.name)) for one in fields(self.settings)})
        network = {"kind": kind_of(self.spec)} | said(plain(self.spec))
        parts = {"network": network, "start": _described(self.init), "seed": int(self.seed), "settings": settings}
        return {"kind": kind, "protocol": PROTOCOL} | parts

    @classmethod
    def of_task(cls, name: str, task: Mapping[str, Any], function: Callable[..., pd.DataFrame] | None = None) -> Run:
        """The run that has this `task`; function: of a measured one, that of its chapter.

        Raises ParameterError for a run of another protocol, a network that is not of this package, or a measured one
        without its function or of another version of it.
        """
        if task["protocol"] != PROTOCOL:
            raise ParameterError(
                f"{name}: a run of protocol {task['protocol']}, which this package, of {PROTOCOL}, cannot repeat; "
                "check out the commit that its provenance names."
            )
        network = dict(task["network"])
        kind = network.pop("kind")
        if kind not in _SPECS:
            raise ParameterError(f"network of kind {kind!r}: not one of {', '.join(_SPECS)}; run its chapter instead.")
        if pool := network.get("pool"):
            known: dict[str, Any] = {one.__name__: one for one in Pool.__subclasses__()}
            network["pool"] = known[pool["kind"]](**{one: value for one, value in pool.items() if one != "kind"})
        spec = _SPECS[kind](**{one: _tuple(value) for one, value in network.items()})
        given = task["settings"]
        if task["kind"] == "training":
            settings = TrainSettings(**{one: _tuple(value) for one, value in given.items()})
        elif function is None:
            raise ParameterError(
                f"{name}: measured by {given['function']}, which is not here; run its chapter instead."
            )
        else:
            settings = Measured(function, given["arguments"], version=given["version"], trains=given["trains"])
        return cls(name, spec, _start(task["start"]), task["seed"], settings)

    @property
    def task_key(self) -> str:
        """The checksum of `task`."""
        return checksum(self.task)

    def key(self, data: DataFacts) -> str:
        """The checksum of all that the numbers of this run depend on."""
        return checksum(self.task | {"data": plain(data.identity)})


def _described(start: Start) -> dict[str, Any]:
    """A start as plain values."""
    init = check_init(start.init if isinstance(start, HeadStart | SelectedStart) else start)
    found = {"scheme": init} if isinstance(init, str) else {"sigma_w2": init.sigma_w2, "sigma_b2": init.sigma_b2}
    if isinstance(start, HeadStart):
        found |= {"head": start.head, "n_inputs": start.n_inputs}
    elif isinstance(start, SelectedStart):
        found |= {"share": start.share, "within": start.within, "n_inputs": start.n_inputs}
    return plain(found)


def _start(described: Mapping[str, Any]) -> Start:
    """The start that is so described."""
    given = {name: _tuple(value) for name, value in described.items()}
    more = {name: given.pop(name) for name in ("head", "share", "within", "n_inputs") if name in given}
    init = given["scheme"] if "scheme" in given else InitSpec(**given)
    if not more:
        return init
    return HeadStart(init, **more) if "head" in more else SelectedStart(init, **more)


@dataclass(frozen=True)
class Sweep:
    """Every network with every seed, on one data set.

    networks: (spec, init) by the name of the run.  settings: of the training, or Measured; one for all, or by name.
    scaling: of the inputs, where it is not that of the chapter's data set (None).
    Raises ParameterError for no networks or seeds, seeds twice, or settings that lack a run.
    """

    networks: Mapping[str, tuple[Spec, Start]]
    settings: Settings | Mapping[str, Settings]
    seeds: tuple[int, ...]
    scaling: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "networks", dict(self.networks))
        if not isinstance(self.seeds, Iterable) or isinstance(self.seeds, str):
            raise ParameterError(f"seeds={self.seeds!r}: need a list of seeds, [{self.seeds!r}].")
        object.__setattr__(self, "seeds", tuple(whole("seeds", seed, 0) for seed in self.seeds))
        if not self.networks or not self.seeds or len(set(self.seeds)) < len(self.seeds):
            names = list(self.networks)
            raise ParameterError(f"networks={names!r}, seeds={self.seeds!r}: need one of each, and no seed twice.")
        if not isinstance(self.settings, Settings):
            if missing := [name for name in self.networks if name not in self.settings]:
                raise ParameterError(f"settings: nothing for {some(missing)}; give one entry for each network.")

    def settings_of(self, name: str) -> Settings:
        """The settings of one network."""
        return self.settings if isinstance(self.settings, Settings) else self.settings[name]

    @property
    def runs(self) -> list[Run]:
        """All runs, network by network."""
        return [
            Run(name, spec, init, seed, self.settings_of(name))
            for name, (spec, init) in self.networks.items()
            for seed in self.seeds
        ]


def starts(
    ratios: Mapping[str, Iterable[float]], specs: Mapping[str, Spec], sigma_b2: float
) -> dict[str, tuple[Spec, InitSpec]]:
    """Networks called "tanh 1.25" by activation and ratio of sigma_w2 to its critical value, 1 being the edge.

    Raises ParameterError for ratios without 1.0, with which all are compared.
    """
    networks = {}
    for activation, values in ratios.items():
        if 1.0 not in values:
            raise ParameterError(
                f"{activation}_ratios={list(values)}: need 1.0, the edge, with which all are compared."
            )
        for ratio in values:
            init = InitSpec.from_ratio(ratio, activation, sigma_b2)
            networks[f"{activation} {ratio:g}"] = specs[activation], init
    return networks
