"""A dataset: labelled inputs in two splits, how they are scaled, and parts of them."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from igbrepro.checks import whole
from igbrepro.errors import ParameterError

Labels = str | ArrayLike | Callable[[np.ndarray], ArrayLike]  # of a task: see Dataset.relabelling


class Moments(NamedTuple):
    """Mean and deviation of the training inputs as they were loaded, float32, one number a channel, and how many."""

    mean: np.ndarray
    deviation: np.ndarray
    n_inputs: int


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled inputs in two splits.

    train_images, test_images: (n, channels, height, width) uint8 pictures, or (n, features) floats.
    train_labels, test_labels: (n,) int64, indices into `classes`.
    source: where the data came from, in words.  fallback: True if they stand in for data that could not be had.
    scaling: what `standardise` does: "standard", to mean 0 and variance 1 over the training split, per channel; or
        "unit", pixels divided by 255 and floats as they are.  The choice sets how correlated inputs are to begin with.
    moments: of the training split as it was loaded; None takes them of train_images.  Every part keeps those of the
        whole, so that an image is the same input in all of them.
    Raises ParameterError for another scaling, and for inputs that are not finite.
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
    moments: Moments | None = None

    def __post_init__(self) -> None:
        if self.scaling not in ("standard", "unit"):
            raise ParameterError(f"scaling={self.scaling!r}: choose 'standard' or 'unit'.")
        for split in ("train", "test"):
            images = self.images(split)
            if images.dtype.kind == "f" and (bad := images.size - np.count_nonzero(np.isfinite(images))):
                raise ParameterError(
                    f"{split}_images: {bad} of the {images.size} numbers are nan or infinite; "
                    "leave those inputs out or put numbers in their place."
                )
        if self.moments is None:
            object.__setattr__(self, "moments", _moments(self.train_images))

    def scaled(self, scaling: str) -> Dataset:
        """The same data with another `scaling` of the inputs."""
        return self if scaling == self.scaling else replace(self, scaling=scaling)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, as MLPSpec wants it."""
        return self.train_images.shape[1:]

    @property
    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """What is taken off the inputs and what they are then divided by, float32, one number a channel.

        Mean and deviation of the training inputs as they were loaded (over all features, if there are no channels), 1
        for a channel that never varies; 0 and 255 for pixels under "unit" scaling.
        """
        if self.scaling == "unit":
            largest = 255 if self.train_images.dtype == np.uint8 else 1
            return np.zeros(1, np.float32), np.full(1, largest, np.float32)
        mean, deviation, _ = self.moments or _moments(self.train_images)
        return mean, np.where(deviation > 0, deviation, np.float32(1))

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

    def labels(self, split: str, kind: Labels = "classes") -> np.ndarray:
        """(n,) int64 labels of a split, by the rule `kind`; see `relabelling`."""
        labels = {"train": self.train_labels, "test": self.test_labels}[_split(split)]
        return labels if isinstance(kind, str) and kind == "classes" else self.relabelling(kind)[labels]

    def relabelling(self, kind: Labels) -> np.ndarray:
        """The label that each class gets, (n_classes,) int64.

        kind: "classes", each its own; "parity", the class number modulo 2, as in the paper's binarised data; an array
            with the new label of each class; or a function of the class numbers, `lambda k: k >= 5`.
        Warns where the parity of an odd number of classes makes two classes of unequal size.
        Raises ParameterError for anything else, and unless the labels are 0, 1, ... with none left out, two or more.
        """
        numbers = np.arange(len(self.classes))
        if isinstance(kind, str):
            if kind not in ("classes", "parity"):
                raise ParameterError(
                    f"labels={kind!r}: choose 'classes' or 'parity', or give the new label of each class."
                )
            if kind == "parity" and len(numbers) % 2:
                even, odd = (len(numbers) + 1) // 2, len(numbers) // 2
                warnings.warn(
                    f"labels='parity': the {len(numbers)} classes of {self.name} make labels of {even}:{odd} classes; "
                    "always to guess the first is right more often than not.",
                    stacklevel=3,
                )
            return numbers % 2 if kind == "parity" else numbers
        table = np.asarray(kind(numbers) if callable(kind) else kind)
        whole_numbers = table.dtype.kind in "biu" and table.shape == numbers.shape
        if not whole_numbers or len(set(table.tolist())) < 2 or set(table.tolist()) != set(range(int(table.max()) + 1)):
            raise ParameterError(
                f"labels={table.tolist()}: need one label for each of the {len(numbers)} classes of {self.name}, "
                "whole numbers from 0 up with none left out."
            )
        return table.astype(np.int64)

    def check(self, **sizes: tuple[str, int]) -> Dataset:
        """The same data, once it is sure that they are large enough.

        sizes: by the name of your own parameter, what is to be drawn and how many: ("train", n) or ("test", n), a part
            of that split as `subset` draws it, or ("batch", n), a batch of the training split.
        Raises ParameterError, calling the size by that name, where there are too few inputs.
        """
        for name, (what, n) in sizes.items():
            if what == "batch":
                whole(name, n, 1)
                if n > len(self.train_labels):
                    raise ParameterError(f"{name}={n}: {self.name} has only {len(self.train_labels)} training inputs.")
            else:
                _shares(self.labels(what), n, name)
        return self

    def subset(self, *, n_train: int | None = None, n_test: int | None = None, seed: int = 0) -> Dataset:
        """A random part with the classes in equal numbers (to within one), drawn with `seed`; None keeps a split.

        Its inputs are scaled as they are in the whole.  Raises ParameterError where a class has too few inputs.
        """
        keep = {}
        for split, n, stream in (("train", n_train, 0), ("test", n_test, 1)):
            if n is not None:
                labels = self.labels(split)
                index = balanced_indices(labels, n, np.random.default_rng([seed, stream]), f"n_{split}")
                keep |= {f"{split}_images": self.images(split)[index], f"{split}_labels": labels[index]}
        return replace(self, **keep)

    def only(self, classes: Sequence[int]) -> Dataset:
        """The inputs of these classes alone, scaled as in the whole; classes are numbered anew in the order given.

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
        """What a record keeps: name, source, n_train, n_test, sha256, scaling, scaled_by, fallback."""
        record = {"name": self.name, "source": self.source}
        record |= {"n_train": len(self.train_labels), "n_test": len(self.test_labels), "sha256": self.sha256}
        return record | {"scaling": self.scaling, "scaled_by": self.scaled_by, "fallback": self.fallback}

    @property
    def scaled_by(self) -> str:
        """In words, whose mean and deviation the inputs are scaled by."""
        if self.scaling == "unit" or self.moments is None:
            return "the range of the numbers"
        return f"all {self.moments.n_inputs} training inputs as loaded"


def _split(split: str) -> str:
    if split not in ("train", "test"):
        raise ParameterError(f"split={split!r}: choose 'train' or 'test'.")
    return split


def _moments(images: np.ndarray) -> Moments:
    """Of inputs (n, channels, height, width), by channel, or (n, features), over all features."""
    flat = images.reshape(len(images), 1 if images.ndim == 2 else images.shape[1], -1)
    size = flat.shape[0] * flat.shape[2]
    mean = np.einsum("ncp->c", flat, dtype=np.float64) / size
    square = np.einsum("ncp,ncp->c", flat, flat, dtype=np.float64) / size
    variance = square - mean**2
    constant = (flat == flat[:1, :, :1]).all((0, 2)) & (len(flat) > 0)  # exactly, whatever the rounding of sums
    variance[constant], mean[constant] = 0, flat[:1, constant, 0].ravel()
    return Moments(mean.astype(np.float32), np.sqrt(variance).astype(np.float32), len(images))


def balanced_indices(labels: np.ndarray, n: int, rng: np.random.Generator, name: str = "n") -> np.ndarray:
    """n indices into `labels` (n_inputs,), each class equally often to within one, in random order.

    Raises ParameterError, calling n by `name`, where a class has too few members.
    """
    chosen = [rng.permutation(members)[:share] for members, share in _shares(labels, n, name)]
    return rng.permutation(np.concatenate(chosen))


def _shares(labels: np.ndarray, n: int, name: str) -> list[tuple[np.ndarray, int]]:
    """The members of each class, and how many of them make their share of n; raises as `balanced_indices` does."""
    whole(name, n, 1)
    classes = np.unique(labels)
    found = []
    for place, label in enumerate(classes):
        members, share = np.flatnonzero(labels == label), n // len(classes) + (place < n % len(classes))
        if share > len(members):
            raise ParameterError(f"{name}={n!r}: class {label} has {len(members)} inputs, {share} are wanted of it.")
        found.append((members, share))
    return found
