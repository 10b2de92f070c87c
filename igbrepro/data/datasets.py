"""Image data as plain arrays with known provenance: `load("fashion-mnist")`.

A dataset is looked for in the folder IGBREPRO_DATA, in the cache (IGBREPRO_CACHE, or the user's cache folder), in the
system's share folders (Debian: dataset-fashion-mnist), and last on the net. Checksums are verified on every load.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from igbrepro.data import files as data_files
from igbrepro.errors import ParameterError

FASHION_CLASSES = tuple("T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(","))
NAMES = ("fashion-mnist", "fashion-mnist-subset", "cifar10", "imagefolder:PATH", "gaussian")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled inputs in two splits.

    train_images, test_images: (n, channels, height, width) uint8 pictures, or (n, features) floats.
    train_labels, test_labels: (n,) int64, indices into `classes`.
    source: where the data came from, in words.  fallback: True if they stand in for data that could not be had.
    scaling: what `standardise` does: "standard", to mean 0 and variance 1 over the training split, per channel; or
        "unit", pixels divided by 255 and floats as they are.  The choice sets how correlated inputs are to begin with.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    source: str
    fallback: bool = False
    scaling: str = "standard"

    def __post_init__(self) -> None:
        if self.scaling not in ("standard", "unit"):
            raise ParameterError(f"scaling={self.scaling!r}: choose 'standard' or 'unit'.")

    def scaled(self, scaling: str) -> Dataset:
        """The same data with another `scaling` of the inputs."""
        return replace(self, scaling=scaling)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, as MLPSpec wants it."""
        return self.train_images.shape[1:]

    @cached_property
    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """What is taken off the inputs and what they are then divided by, float32, one number a channel.

        Mean and deviation of the training inputs (over all features, if there are no channels); 0 and 255 for pixels
        under "unit" scaling.
        """
        if self.scaling == "unit":
            return np.float32([0]), np.float32([255 if self.train_images.dtype == np.uint8 else 1])
        images = self.train_images[:, None] if self.train_images.ndim == 2 else self.train_images
        flat = images.reshape(*images.shape[:2], -1)
        size = flat.shape[0] * flat.shape[2]
        mean = np.einsum("ncp->c", flat, dtype=np.float64) / size
        square = np.einsum("ncp,ncp->c", flat, flat, dtype=np.float64) / size
        return mean.astype(np.float32), np.sqrt(square - mean**2).astype(np.float32)

    def standardise(self, images: np.ndarray) -> np.ndarray:
        """The images (any number of them) as float32 under this dataset's scaling; the shape is kept."""
        mean, deviation = (s.reshape(-1, *(1,) * (images.ndim - 2)) for s in self.statistics)
        standardised = images.astype(np.float32)
        standardised -= mean
        standardised /= deviation
        return standardised

    def inputs(self, split: str = "train", *, flat: bool = True) -> np.ndarray:
        """All inputs of a split ("train" or "test"), scaled float32: (n, features), or (n, *input_shape)."""
        standardised = self.standardise(self.images(split))
        return standardised.reshape(len(standardised), -1) if flat else standardised

    def images(self, split: str) -> np.ndarray:
        """The stored inputs of a split, "train" or "test"."""
        return {"train": self.train_images, "test": self.test_images}[_split(split)]

    def labels(self, split: str, kind: str = "classes") -> np.ndarray:
        """(n,) int64 labels of a split; kind "classes" keeps them, "parity" gives the label modulo 2."""
        labels = {"train": self.train_labels, "test": self.test_labels}[_split(split)]
        if kind not in ("classes", "parity"):
            raise ParameterError(f"labels={kind!r}: choose 'classes' or 'parity'.")
        return parity_labels(labels) if kind == "parity" else labels

    def subset(self, *, n_train: int | None = None, n_test: int | None = None, seed: int = 0) -> Dataset:
        """A random part with the classes in equal numbers (to within one), drawn with `seed`; None keeps a split.

        Raises ParameterError where a class has too few inputs.
        """
        keep = {}
        for split, n, stream in (("train", n_train, 0), ("test", n_test, 1)):
            if n is not None:
                labels = self.labels(split)
                index = balanced_indices(labels, n, np.random.default_rng([seed, stream]), f"n_{split}")
                keep |= {f"{split}_images": self.images(split)[index], f"{split}_labels": labels[index]}
        return replace(self, **keep)

    def only(self, classes: Sequence[int]) -> Dataset:
        """The inputs of these classes alone, which are numbered anew in the order given.

        Raises ParameterError for classes that are not there or come twice, and for fewer than two.
        """
        chosen = list(classes)
        if len(chosen) < 2 or len(set(chosen)) < len(chosen) or not set(chosen) <= set(range(len(self.classes))):
            raise ParameterError(f"classes={chosen}: need two or more different ones below {len(self.classes)}.")
        new = np.full(len(self.classes), -1)
        new[chosen] = np.arange(len(chosen))
        kept = {}
        for split in ("train", "test"):
            here = np.isin(self.labels(split), chosen)
            kept |= {f"{split}_images": self.images(split)[here], f"{split}_labels": new[self.labels(split)[here]]}
        return replace(self, classes=tuple(self.classes[k] for k in chosen), **kept)

    @cached_property
    def sha256(self) -> str:
        """Checksum of the four arrays, whatever file they came from."""
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"{array.shape}{array.dtype.str}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @property
    def provenance(self) -> dict[str, Any]:
        """What a record keeps: name, source, n_train, n_test, sha256, scaling, fallback."""
        record = {"name": self.name, "source": self.source}
        record |= {"n_train": len(self.train_labels), "n_test": len(self.test_labels), "sha256": self.sha256}
        return record | {"scaling": self.scaling, "fallback": self.fallback}


def _split(split: str) -> str:
    if split not in ("train", "test"):
        raise ParameterError(f"split={split!r}: choose 'train' or 'test'.")
    return split


def parity_labels(labels: np.ndarray) -> np.ndarray:
    """The two-class task of the paper's binarised data: the class index modulo 2."""
    return labels % 2


def balanced_indices(labels: np.ndarray, n: int, rng: np.random.Generator, name: str = "n") -> np.ndarray:
    """n indices into `labels` (n_inputs,), each class equally often to within one, in random order.

    Raises ParameterError, calling n by `name`, where a class has too few members.
    """
    classes = np.unique(labels)
    shares = np.full(len(classes), n // len(classes))
    shares[: n % len(classes)] += 1
    chosen = []
    for label, share in zip(classes, shares, strict=True):
        members = np.flatnonzero(labels == label)
        if n < 1 or share > len(members):
            raise ParameterError(f"{name}={n!r}: class {label} has {len(members)} inputs, {share} are wanted of it.")
        chosen.append(rng.permutation(members)[:share])
    return rng.permutation(np.concatenate(chosen))


def gaussian(
    *,
    n_train: int = 10_000,
    n_test: int = 2_000,
    features: int = 784,
    classes: int = 10,
    distance: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Independent N(0, 1) features; each class is moved by `distance` along a random direction of its own."""
    whole = {"n_train": n_train, "n_test": n_test, "features": features, "classes": classes}
    for argument, value in whole.items():
        if not isinstance(value, int) or value < 1:
            raise ParameterError(f"{argument}={value!r}: need a whole number, 1 or more.")
    if not math.isfinite(distance):
        raise ParameterError(f"distance={distance!r}: need a finite number.")
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((classes, features))
    centres *= distance / np.linalg.norm(centres, axis=1, keepdims=True)
    arrays = []
    for n in (n_train, n_test):
        labels = rng.permutation(np.arange(n) % classes)
        arrays += [(centres[labels] + rng.standard_normal((n, features))).astype(np.float32), labels]
    source = f"random numbers ({features} features, distance {distance:g}, seed {seed})"
    return Dataset("gaussian", *arrays, classes=tuple(str(k) for k in range(classes)), source=source)


def load(name: str, *, fallback: bool = False) -> Dataset:
    """The dataset of that name.

    name: "fashion-mnist", "fashion-mnist-subset" (shipped), "cifar10", "imagefolder:PATH" (pictures in
    PATH/{train,test}/<class>/), or "gaussian", with settings as in "gaussian:features=100,seed=1".
    fallback: if True and the data cannot be had, warn and give Fashion-MNIST in place of CIFAR-10, or the small subset
        of Fashion-MNIST that is shipped, marked as such.
    Raises ParameterError for an unknown name, DataMissing for absent or damaged files (damage never falls back).
    """
    kind, _, setting = str(name).partition(":")
    if kind == "imagefolder" and setting:
        folder = Path(setting).expanduser()
        return _from_folder(f"imagefolder:{folder.name}", folder, f"image folder {folder.name}")
    if kind == "gaussian":
        return gaussian(**_settings(name, setting))
    if name == "fashion-mnist-subset":
        return _shipped_subset()
    loaders: dict[str, Callable[[], Dataset]] = {"fashion-mnist": _fashion_mnist, "cifar10": _cifar10}
    if name not in loaders:
        near = difflib.get_close_matches(str(name), NAMES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ParameterError(f"name={name!r}: no such dataset; known are {', '.join(NAMES)}.{hint}")
    try:
        return loaders[name]()
    except data_files.NotAvailable as missing:
        if not fallback:
            raise
        stand_in = _stand_in(name)
        warnings.warn(
            f"THESE ARE NOT THE DATA ASKED FOR: {missing} Going on with {stand_in.name} ({stand_in.source}); results "
            "are marked as a fall-back.",
            stacklevel=2,
        )
        return replace(stand_in, fallback=True)


def _stand_in(name: str) -> Dataset:
    """Fashion-MNIST in place of other data, whole if it can be had, else the small subset shipped with igbrepro."""
    if name != "fashion-mnist":
        with contextlib.suppress(data_files.NotAvailable):
            return _fashion_mnist()
    return _shipped_subset()


def fetch(name: str) -> str:
    """Download a dataset anew into IGBREPRO_DATA, or the cache where that is unset; returns where it lies now.

    Raises ParameterError for a name that is not downloaded, DataMissing if the net or the check of the files fails.
    """
    if name not in data_files.FETCH:
        raise ParameterError(f"name={name!r}: only {' and '.join(data_files.FETCH)} are downloaded.")
    return str(data_files.FETCH[name]())


def _fashion_mnist() -> Dataset:
    arrays, source = data_files.fashion_mnist()
    return Dataset("fashion-mnist", *arrays, classes=FASHION_CLASSES, source=source)


def _shipped_subset() -> Dataset:
    arrays = data_files.read_idx_folder(data_files.SUBSET_FOLDER, data_files.SUBSET_SHA256, "reinstall igbrepro")
    return Dataset("fashion-mnist-subset", *arrays, classes=FASHION_CLASSES, source="shipped with igbrepro")


def _cifar10() -> Dataset:
    folder, source = data_files.cifar10_folder()
    if (folder / "train").is_dir():
        return _from_folder("cifar10", folder, f"{source} (image folder)")
    arrays, classes = data_files.read_cifar10_batches(folder)
    return Dataset("cifar10", *arrays, classes=classes, source=source)


def _from_folder(name: str, folder: Path, source: str) -> Dataset:
    arrays, classes = data_files.read_image_folder(folder)
    return Dataset(name, *arrays, classes=classes, source=source)


def _settings(name: str, text: str) -> dict[str, Any]:
    """The keywords of gaussian() written in a name: "features=100,seed=1"."""
    types = {"n_train": int, "n_test": int, "features": int, "classes": int, "distance": float, "seed": int}
    settings = {}
    for item in filter(None, text.split(",")):
        key, _, value = (part.strip() for part in item.partition("="))
        try:
            settings[key] = types[key](value)
        except (KeyError, ValueError):
            raise ParameterError(f"name={name!r}: {item!r} is not one of {', '.join(types)} with a number.") from None
    return settings
