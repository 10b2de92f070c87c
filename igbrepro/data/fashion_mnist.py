"""Fashion-MNIST: 60,000 training and 10,000 test pictures of clothes, and the small subset shipped with igbrepro."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from igbrepro.data import files
from igbrepro.data.dataset import Dataset
from igbrepro.data.registry import Copy, register
from igbrepro.errors import DataMissing

CLASSES = tuple("T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(","))
IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
# SHA-256 of the uncompressed files: the same for the original, Debian's repacked and torchvision's unpacked copies.
SHA256 = (
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
)
SUBSET_FOLDER = Path(__file__).parent / "shipped" / "fashion_mnist_subset"
SUBSET_SHA256 = (
    "d33512cfdc636a0d8972818e6659995be209a88891df7fa2109d7895922c8985",
    "620cb8e3b9348037c5ff9a07b02d773ab165330e072dfd19e0d21c59f8042dcf",
    "15a92dd1e9b16ea361928086e77df4dfa890c255c00b5a8c8162c1040ce8eef1",
    "234596aeb6eb48133ec99a62541f90bc0728c9559a681f1e0638037462458f2c",
)


def read_idx_folder(folder: Path, sha256: tuple[str, ...], remedy: str) -> files.Arrays:
    """Images (n, 1, 28, 28) and labels (n,) of both splits, from four verified idx files, gzipped or not.

    Raises DataMissing, naming the file, if one of the four is absent, damaged or another than `sha256` says.
    """
    train_images, train_labels, test_images, test_labels = (
        _read_idx(folder, name, digest, remedy) for name, digest in zip(IDX_FILES, sha256, strict=True)
    )
    return (
        train_images[:, None],
        train_labels.astype(np.int64),
        test_images[:, None],
        test_labels.astype(np.int64),
    )


def _read_idx(folder: Path, name: str, sha256: str, remedy: str) -> np.ndarray:
    path = _idx_path(folder, name)
    if path is None:
        raise DataMissing(f"{folder / name}[.gz]: the file is missing; {remedy}.")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except files.DAMAGE as error:
        raise DataMissing(f"{path}: the file is damaged ({error}); {remedy}.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataMissing(f"{path}: the file is damaged (wrong checksum); {remedy}.")
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape).copy()


def _idx_path(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)


def _folders() -> Iterator[tuple[str, Path]]:
    """Folders that hold at least one of the Fashion-MNIST files, in this package's layout or torchvision's."""
    for place, root in files.places():
        for folder in (root / "fashion-mnist", root / "FashionMNIST" / "raw"):
            if any(_idx_path(folder, name) for name in IDX_FILES):
                yield place, folder


def fetch() -> Path:
    """Download the four files (torchvision's address and checksums) into fashion-mnist/; only good files are kept."""
    files.allow_download("fashion-mnist")
    from torchvision.datasets import FashionMNIST

    folder = files.download_folder() / "fashion-mnist"
    with tempfile.TemporaryDirectory(dir=files.made(folder)) as temporary:
        for name, (resource, md5) in zip(IDX_FILES, FashionMNIST.resources, strict=True):
            files.download(
                "fashion-mnist", [mirror + resource for mirror in FashionMNIST.mirrors], Path(temporary), md5
            )
            os.replace(Path(temporary) / resource, folder / f"{name}.gz")
    return folder


def _load() -> Dataset:
    """From the first place that has it, or downloaded."""
    remedy = "fetch it again with: igbrepro data fetch fashion-mnist"
    place, folder = next(_folders(), (None, None))
    arrays = read_idx_folder(folder or fetch(), SHA256, remedy)
    return Dataset("fashion-mnist", *arrays, classes=CLASSES, source=f"{place} copy" if place else "download")


def _load_subset() -> Dataset:
    arrays = read_idx_folder(SUBSET_FOLDER, SUBSET_SHA256, "reinstall igbrepro")
    return Dataset("fashion-mnist-subset", *arrays, classes=CLASSES, source="shipped with igbrepro")


def _copies() -> Iterator[Copy]:
    for place, folder in _folders():
        yield Copy(place, _state(folder, SHA256), folder)


def _subset_copies() -> Iterator[Copy]:
    yield Copy("shipped", _state(SUBSET_FOLDER, SUBSET_SHA256), SUBSET_FOLDER)


def _state(folder: Path, sha256: tuple[str, ...]) -> str:
    try:
        read_idx_folder(folder, sha256, "fetch it again")
    except DataMissing as error:
        return str(error)
    return "verified"


register("fashion-mnist", _load, fetch=fetch, copies=_copies)
register("fashion-mnist-subset", _load_subset, copies=_subset_copies)
