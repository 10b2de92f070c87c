"""Which datasets there are: a source registers itself, and is then loaded, fetched and listed by its name."""

from __future__ import annotations

import contextlib
import difflib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from igbrepro.data.dataset import Dataset
from igbrepro.data.files import SWITCH, NotAvailable
from igbrepro.errors import ParameterError

STAND_INS = ("fashion-mnist", "fashion-mnist-subset")  # in this order; the last one is shipped


class Copy(NamedTuple):
    """A copy of a dataset on this machine: in which place, "verified", "present" or what is wrong, and its folder."""

    place: str
    state: str
    folder: Path


@dataclass(frozen=True)
class Source:
    """What `register` was given."""

    loader: Callable[..., Dataset]
    fetch: Callable[[], Path] | None
    copies: Callable[[], Iterable[Copy]] | None
    setting: str | None


_sources: dict[str, Source] = {}


def register(
    name: str,
    loader: Callable[..., Dataset],
    *,
    fetch: Callable[[], Path] | None = None,
    copies: Callable[[], Iterable[Copy]] | None = None,
    setting: str | None = None,
) -> None:
    """Make `load(name)` call `loader`, in this process.

    fetch: downloads the dataset anew and returns its folder; for `fetch`.  copies: the copies that are here; for
    `status`.  setting: what may follow the name, as in "imagefolder:PATH"; the loader is then called with that text.
    Raises ParameterError for a name with a colon, or one that another module has registered.
    """
    if not isinstance(name, str) or not name or ":" in name:
        raise ParameterError(f"name={name!r}: need a word without a colon.")
    if name in _sources and _home(_sources[name].loader) != _home(loader):
        raise ParameterError(f"name={name!r}: there is a dataset of that name; choose another.")
    _sources[name] = Source(loader, fetch, copies, setting)


def _home(loader: Callable[..., Dataset]) -> str:
    return getattr(getattr(loader, "func", loader), "__module__", "")


_remembered: dict[tuple[str, str | None], Dataset | NotAvailable] | None = None


@contextlib.contextmanager
def remembering() -> Iterator[None]:
    """Within, a dataset is loaded, or found missing, once, whoever asks for it."""
    global _remembered
    before, _remembered = _remembered, {} if _remembered is None else _remembered
    try:
        yield
    finally:
        _remembered = before


def _loaded(name: str) -> Dataset:
    """By its source, or remembered."""
    known, key = {} if _remembered is None else _remembered, (name, os.environ.get(SWITCH))
    if key not in known:
        kind, _, setting = name.partition(":")
        source = _sources[kind]
        try:
            known[key] = source.loader() if source.setting is None else source.loader(setting)
        except NotAvailable as missing:
            known[key] = missing
    found = known[key]
    if isinstance(found, NotAvailable):
        raise found
    return found


def load(name: str, *, fallback: bool = False) -> Dataset:
    """The dataset of that name.

    name: "fashion-mnist", "fashion-mnist-subset" (shipped), "cifar10", "cifar100", "imagefolder:PATH" (pictures in
    PATH/{train,test}/<class>/), "gaussian", with settings as in "gaussian:features=100,seed=1", or one you registered.
    fallback: if True and the data cannot be had, warn and give Fashion-MNIST in place of them, or the small subset of
        it that is shipped, marked as such.
    Raises ParameterError for an unknown name, DataMissing for absent or damaged files (damage never falls back).
    """
    kind, colon, _ = str(name).partition(":")
    source = _sources.get(kind)
    if source is None or (colon and source.setting is None):
        names = [f"{known}:{s.setting}" if s.setting else known for known, s in _sources.items()]
        near = difflib.get_close_matches(kind, _sources, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ParameterError(f"name={name!r}: no such dataset; known are {', '.join(names)}.{hint}")
    try:
        return _loaded(str(name))
    except NotAvailable as missing:
        if not fallback:
            raise
        stand_in = _stand_in(kind)
        warnings.warn(
            f"THESE ARE NOT THE DATA ASKED FOR: {missing} Going on with {stand_in.name} ({stand_in.source}); results "
            "are marked as a fall-back.",
            stacklevel=2,
        )
        return replace(stand_in, fallback=True)


def _stand_in(name: str) -> Dataset:
    """The first of the stand-ins for `name` that can be had."""
    *others, shipped = STAND_INS
    for other in others:
        if other != name:
            with contextlib.suppress(NotAvailable):
                return _loaded(other)
    return _loaded(shipped)


def fetch(name: str) -> str:
    """Download a dataset anew into IGBREPRO_DATA, or the cache where that is unset; returns where it lies now.

    Raises ParameterError for a name that is not downloaded, DataMissing if the net or the check of the files fails.
    """
    downloads = {known: source.fetch for known, source in _sources.items() if source.fetch is not None}
    if name not in downloads:
        *first, last = downloads
        raise ParameterError(f"name={name!r}: only {', '.join(first)} and {last} are downloaded.")
    return str(downloads[name]())


def status() -> pd.DataFrame:
    """One row per copy that is here: dataset, place, state ("verified", "present" or what is damaged), folder.

    A dataset that could be downloaded and is not here has a row with the place "-", which says how.
    """
    rows = []
    for name, source in _sources.items():
        found = [(name, *copy) for copy in (source.copies() if source.copies else ())]
        if not found and source.fetch:
            found = [(name, "-", f"absent; igbrepro data fetch {name}", "-")]
        rows += found
    return pd.DataFrame([map(str, row) for row in rows], columns=["dataset", "place", "state", "folder"])
