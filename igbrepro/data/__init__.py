"""Labelled data as plain arrays with known provenance: `load("fashion-mnist")`.

A dataset is looked for in the folder IGBREPRO_DATA, in the cache (IGBREPRO_CACHE, or the user's cache folder), in the
system's share folders (Debian: dataset-fashion-mnist), and last on the net. Checksums are verified on every load.
Every file of this folder may register sources; a new dataset is a new file, or a call of `register` in your own code.
"""

from importlib import import_module
from pkgutil import iter_modules

from igbrepro.data.dataset import Dataset, Labels, Moments, balanced_indices
from igbrepro.data.gaussian_noise import gaussian
from igbrepro.data.registry import Copy, fetch, load, register, status

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "Copy",
    "Dataset",
    "Labels",
    "Moments",
    "balanced_indices",
    "fetch",
    "gaussian",
    "load",
    "register",
    "status",
]
