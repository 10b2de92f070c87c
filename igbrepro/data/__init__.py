"""Image data as plain arrays with known provenance."""

from igbrepro.data.datasets import Dataset, balanced_indices, fetch, gaussian, load
from igbrepro.data.files import status

__all__ = [
    "Dataset",
    "balanced_indices",
    "fetch",
    "gaussian",
    "load",
    "status",
]
