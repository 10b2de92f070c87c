"""Labelled data as plain arrays with known provenance: `load("fashion-mnist")`.

A dataset is looked for in the folder IGBREPRO_DATA, in the cache (IGBREPRO_CACHE, or the user's cache folder), in the
system's share folders (Debian: dataset-fashion-mnist), and last on the net, unless IGBREPRO_DOWNLOAD=off. Checksums are
verified on every load.  A source is a file that registers itself, imported in the first line below, or a call of
`register` in your own code.
"""

from igbrepro.data import cifar, fashion_mnist, image_folder  # noqa: F401 - each registers its datasets
from igbrepro.data.dataset import Dataset, Labels, Moments, balanced_indices
from igbrepro.data.files import without_download
from igbrepro.data.gaussian_noise import gaussian
from igbrepro.data.registry import Copy, fetch, load, register, remembering, status

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
    "remembering",
    "status",
    "without_download",
]
