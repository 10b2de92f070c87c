"""Where the data files lie, how they are read and verified, and how they are fetched again."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import socket
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import platformdirs

from igbrepro.errors import DataMissing

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
# SHA-256 of the uncompressed files: the same for the original, Debian's repacked and torchvision's unpacked copies.
FASHION_SHA256 = (
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

SYSTEM_SHARES = ("/usr/local/share", "/usr/share")

_DAMAGE = (OSError, EOFError, ValueError, zlib.error)
_TIMEOUT_SECONDS = 20


class NotAvailable(DataMissing):
    """No copy of the dataset is here and none could be downloaded."""


def cache_folder() -> Path:
    """Where downloads are kept: IGBREPRO_CACHE, or the user's cache folder."""
    return Path(os.environ.get("IGBREPRO_CACHE") or platformdirs.user_cache_path("igbrepro"))


def places() -> Iterator[tuple[str, Path]]:
    """The folders that may hold datasets, first choice first, each with its name in a record."""
    if own := os.environ.get("IGBREPRO_DATA"):
        yield "IGBREPRO_DATA", Path(own).expanduser()
    yield "cache", cache_folder()
    shares = [*os.environ.get("XDG_DATA_DIRS", "").split(os.pathsep), *SYSTEM_SHARES]
    for share in dict.fromkeys(filter(None, shares)):
        yield "system", Path(share) / "datasets"


def read_idx_folder(folder: Path, sha256: tuple[str, ...], remedy: str) -> Arrays:
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
    except _DAMAGE as error:
        raise DataMissing(f"{path}: the file is damaged ({error}); {remedy}.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataMissing(f"{path}: the file is damaged (wrong checksum); {remedy}.")
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape).copy()


def _idx_path(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)


def _fashion_copies() -> Iterator[tuple[str, Path]]:
    """Folders that hold at least one of the Fashion-MNIST files, in this package's layout or torchvision's."""
    for place, root in places():
        for folder in (root / "fashion-mnist", root / "FashionMNIST" / "raw"):
            if any(_idx_path(folder, name) for name in IDX_FILES):
                yield place, folder


def fashion_mnist() -> tuple[Arrays, str]:
    """The four arrays of Fashion-MNIST from the first place that has it (downloaded if none), and that place's name."""
    remedy = "fetch it again with: igbrepro data fetch fashion-mnist"
    for place, folder in _fashion_copies():
        return read_idx_folder(folder, FASHION_SHA256, remedy), f"{place} copy"
    return read_idx_folder(fetch_fashion_mnist(), FASHION_SHA256, remedy), "download"


def fetch_fashion_mnist() -> Path:
    """Download the four files (torchvision's address and checksums) into fashion-mnist/; only good files are kept."""
    from torchvision.datasets import FashionMNIST

    folder = _download_root() / "fashion-mnist"
    with tempfile.TemporaryDirectory(dir=_made(folder)) as temporary:
        for name, (resource, md5) in zip(IDX_FILES, FashionMNIST.resources, strict=True):
            _download("fashion-mnist", [mirror + resource for mirror in FashionMNIST.mirrors], Path(temporary), md5)
            os.replace(Path(temporary) / resource, folder / f"{name}.gz")
    return folder


def _download_root() -> Path:
    own = os.environ.get("IGBREPRO_DATA")
    return Path(own).expanduser() if own else cache_folder()


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotAvailable(f"{folder}: cannot be made ({error}); set IGBREPRO_CACHE to another folder.") from error
    return folder


def _download(dataset: str, urls: list[str], folder: Path, md5: str) -> None:
    """One file from the first address that answers; a net that is down is a clear error within seconds."""
    from torchvision.datasets.utils import download_url

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    reasons = []
    try:
        for url in urls:
            try:
                return download_url(url, folder, md5=md5)
            except (OSError, RuntimeError) as error:
                reasons.append(f"{url}: {error}")
    finally:
        socket.setdefaulttimeout(before)
    raise NotAvailable(
        f"{dataset}: no copy in IGBREPRO_DATA, the cache or the system's share folders, and the download failed "
        f"({'; '.join(reasons)}); with a net connection: igbrepro data fetch {dataset}."
    )


def _cifar10_copies() -> Iterator[tuple[str, Path]]:
    """Folders that hold CIFAR-10: cifar10/{train,test} of pictures, or the batches as torchvision unpacks them."""
    for place, root in places():
        own = root / "cifar10"
        if (own / "train").is_dir():
            yield place, own
        yield from ((place, folder) for folder in (own, root) if (folder / "cifar-10-batches-py").is_dir())


def cifar10_folder() -> tuple[Path, str]:
    """The folder of the first CIFAR-10 copy (downloaded if there is none), and its place."""
    for place, folder in _cifar10_copies():
        return folder, f"{place} copy"
    return fetch_cifar10(), "download"


def fetch_cifar10() -> Path:
    """Download and unpack the 170 MB of CIFAR-10 (its licence is unclear: for your own use) into cifar10/."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import extract_archive

    folder = _download_root() / "cifar10"
    with tempfile.TemporaryDirectory(dir=_made(folder)) as temporary:
        _download("cifar10", [CIFAR10.url], Path(temporary), CIFAR10.tgz_md5)
        extract_archive(str(Path(temporary) / CIFAR10.filename), str(folder))
    return folder


FETCH = {"fashion-mnist": fetch_fashion_mnist, "cifar10": fetch_cifar10}


def read_cifar10_batches(folder: Path) -> tuple[Arrays, tuple[str, ...]]:
    """Images (n, 3, 32, 32), labels and class names from torchvision's verified copy of the original batches."""
    from torchvision.datasets import CIFAR10

    try:
        train, test = CIFAR10(str(folder), train=True), CIFAR10(str(folder), train=False)
    except (RuntimeError, *_DAMAGE, pickle.UnpicklingError) as error:
        where, remedy = folder / CIFAR10.base_folder, "fetch it again with: igbrepro data fetch cifar10"
        raise DataMissing(f"{where}: a file is missing or damaged ({error}); {remedy}.") from error
    images = [np.ascontiguousarray(split.data.transpose(0, 3, 1, 2)) for split in (train, test)]
    labels = [np.asarray(split.targets, np.int64) for split in (train, test)]
    return (images[0], labels[0], images[1], labels[1]), tuple(train.classes)


def read_image_folder(folder: Path) -> tuple[Arrays, tuple[str, ...]]:
    """Images (n, channels, height, width), labels and class names from folder/{train,test}/<class>/<picture>.

    All pictures must have one size; they are read in colour unless the first is grey.
    Raises DataMissing if the folders are not there, hold different classes, or a picture is damaged.
    """
    from torchvision.datasets import ImageFolder

    parts, classes = [], []
    for split in ("train", "test"):
        try:
            listing = ImageFolder(str(folder / split))
        except (FileNotFoundError, NotADirectoryError) as error:
            layout = "PATH/{train,test}/<class>/<picture>"
            raise DataMissing(f"{folder / split}: no image folder laid out as {layout} ({error}).") from error
        classes.append(tuple(listing.classes))
        mode = parts[0][2] if parts else None
        parts.append(_read_pictures(listing.samples, mode))
    if classes[0] != classes[1]:
        raise DataMissing(f"{folder}: train has the classes {classes[0]}, test {classes[1]}; they must be the same.")
    (train_images, train_labels, _), (test_images, test_labels, _) = parts
    if train_images.shape[1:] != test_images.shape[1:]:
        raise DataMissing(
            f"{folder}: train pictures are {train_images.shape[1:]}, test {test_images.shape[1:]}; they must be alike."
        )
    return (train_images, train_labels, test_images, test_labels), classes[0]


def _read_pictures(samples: list[tuple[str, int]], mode: str | None) -> tuple[np.ndarray, np.ndarray, str]:
    from PIL import Image

    images = []
    for path, _ in samples:
        try:
            with Image.open(path) as picture:
                mode = mode or ("L" if picture.mode in ("1", "L") else "RGB")
                images.append(np.asarray(picture.convert(mode)))
        except (OSError, SyntaxError) as error:
            raise DataMissing(f"{path}: the picture is damaged ({error}); put a good copy in its place.") from error
        if images[-1].shape != images[0].shape:
            raise DataMissing(f"{path}: {images[-1].shape[:2]} pixels where the first has {images[0].shape[:2]}.")
    stacked = np.stack(images)
    stacked = stacked[:, None] if mode == "L" else np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))
    return stacked, np.array([label for _, label in samples], np.int64), mode


def status() -> pd.DataFrame:
    """One row per copy that is here: dataset, place, state ("verified", "present" or what is damaged), folder."""
    rows = [("fashion-mnist", place, _idx_state(folder, FASHION_SHA256), folder) for place, folder in _fashion_copies()]
    rows.append(("fashion-mnist-subset", "shipped", _idx_state(SUBSET_FOLDER, SUBSET_SHA256), SUBSET_FOLDER))
    rows += [("cifar10", place, "present", folder) for place, folder in _cifar10_copies()]
    here = {row[0] for row in rows}
    rows += [(name, "-", f"absent; igbrepro data fetch {name}", "-") for name in FETCH if name not in here]
    return pd.DataFrame([map(str, row) for row in rows], columns=["dataset", "place", "state", "folder"])


def _idx_state(folder: Path, sha256: tuple[str, ...]) -> str:
    try:
        read_idx_folder(folder, sha256, "fetch it again")
    except DataMissing as error:
        return str(error)
    return "verified"
