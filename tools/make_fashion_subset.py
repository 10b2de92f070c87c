"""Make the small Fashion-MNIST subset that igbrepro ships, from the full files of Debian's dataset-fashion-mnist.

Keeps the first 1,000 training and the first 200 test images of each class, in file order, and writes four gzipped idx
files with SHA256SUMS.txt (of the uncompressed files). The same input gives the same bytes (with the same zlib).

    python tools/make_fashion_subset.py [FULL_FOLDER] [OUT_FOLDER]
"""

import gzip
import hashlib
import sys
from pathlib import Path

import numpy as np

from igbrepro.data import fashion_mnist

PER_CLASS = {"train": 1_000, "test": 200}


def idx_bytes(array: np.ndarray) -> bytes:
    """The idx file of a uint8 array: 0, 0, type code 8, number of axes, axis lengths as big-endian uint32, values."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def first_of_each_class(labels: np.ndarray, per_class: int) -> np.ndarray:
    """Sorted indices of the first `per_class` members of every class."""
    return np.sort(np.concatenate([np.flatnonzero(labels == k)[:per_class] for k in np.unique(labels)]))


def main(full: Path, out: Path) -> None:
    train_images, train_labels, test_images, test_labels = fashion_mnist.read_idx_folder(
        full, fashion_mnist.SHA256, "install Debian's dataset-fashion-mnist"
    )
    train = first_of_each_class(train_labels, PER_CLASS["train"])
    test = first_of_each_class(test_labels, PER_CLASS["test"])
    arrays = (train_images[train, 0], train_labels[train], test_images[test, 0], test_labels[test])
    out.mkdir(parents=True, exist_ok=True)
    sums = []
    for name, array in zip(fashion_mnist.IDX_FILES, arrays, strict=True):
        content = idx_bytes(array.astype(np.uint8))
        (out / f"{name}.gz").write_bytes(gzip.compress(content, compresslevel=9, mtime=0))
        sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    (out / "SHA256SUMS.txt").write_text("".join(sums))


if __name__ == "__main__":
    arguments = [Path(argument) for argument in sys.argv[1:]]
    defaults = [Path("/usr/share/datasets/fashion-mnist"), fashion_mnist.SUBSET_FOLDER]
    main(*(arguments + defaults[len(arguments) :]))
