"""CIFAR-10 and CIFAR-100: 50,000 training and 10,000 test colour pictures of 32 x 32 pixels, of 10 and 100 classes.

A folder cifar10 or cifar100 of pictures, laid out as an image folder, takes the place of the original files.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from igbrepro.data import files
from igbrepro.data.dataset import Dataset
from igbrepro.data.image_folder import read_image_folder
from igbrepro.data.registry import Copy, register
from igbrepro.errors import DataMissing

FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}  # as torchvision unpacks them


def _reader(name: str) -> Any:
    """torchvision's class of the dataset, which knows its address and checksums."""
    from torchvision import datasets

    return getattr(datasets, name.upper())


def _folders(name: str) -> Iterator[tuple[str, Path]]:
    """Folders that hold it: NAME/{train,test} of pictures, or the files as torchvision unpacks them."""
    for place, root in files.places():
        own = root / name
        if (own / "train").is_dir():
            yield place, own
        yield from ((place, folder) for folder in (own, root) if (folder / FOLDERS[name]).is_dir())


def _fetch(name: str) -> Path:
    """Download and unpack the 170 MB (their licence is unclear: for your own use) into the folder NAME."""
    files.allow_download(name)
    from torchvision.datasets.utils import extract_archive

    reader, folder = _reader(name), files.download_folder() / name
    with tempfile.TemporaryDirectory(dir=files.made(folder)) as temporary:
        files.download(name, [reader.url], Path(temporary), reader.tgz_md5)
        extract_archive(str(Path(temporary) / reader.filename), str(folder))
    return folder


def _load(name: str) -> Dataset:
    """From the first place that has it, or downloaded."""
    place, folder = next(_folders(name), (None, None))
    source = f"{place} copy" if place else "download"
    folder = folder or _fetch(name)
    if (folder / "train").is_dir():
        arrays, classes = read_image_folder(folder)
        source += " (image folder)"
    else:
        arrays, classes = _read(name, folder)
    return Dataset(name, *arrays, classes=classes, source=source)


def _read(name: str, folder: Path) -> tuple[files.Arrays, tuple[str, ...]]:
    """Images (n, 3, 32, 32), labels and class names from torchvision's verified copy of the original files."""
    reader = _reader(name)
    try:
        train, test = reader(str(folder), train=True), reader(str(folder), train=False)
    except (RuntimeError, *files.DAMAGE, pickle.UnpicklingError) as error:
        where, remedy = folder / reader.base_folder, f"fetch it again with: igbrepro data fetch {name}"
        raise DataMissing(f"{where}: a file is missing or damaged ({error}); {remedy}.") from error
    images = [np.ascontiguousarray(split.data.transpose(0, 3, 1, 2)) for split in (train, test)]
    labels = [np.asarray(split.targets, np.int64) for split in (train, test)]
    return (images[0], labels[0], images[1], labels[1]), tuple(train.classes)


def _copies(name: str) -> Iterator[Copy]:
    for place, folder in _folders(name):
        yield Copy(place, "present", folder)


for _name in ("cifar10", "cifar100"):
    register(_name, partial(_load, _name), fetch=partial(_fetch, _name), copies=partial(_copies, _name))
