"""Your own pictures, in folders by class: `load("imagefolder:PATH")` reads PATH/{train,test}/<class>/<picture>."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from igbrepro.data.dataset import Dataset
from igbrepro.data.files import Arrays
from igbrepro.data.registry import register
from igbrepro.errors import DataMissing, ParameterError


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


def _read_pictures(samples: list[tuple[str, int]], mode: str | None) -> tuple[np.ndarray, np.ndarray, str | None]:
    from PIL import Image

    images: list[np.ndarray] = []
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


def _load(setting: str) -> Dataset:
    if not setting:
        raise ParameterError("name='imagefolder': say where the pictures are, imagefolder:PATH.")
    folder = Path(setting).expanduser()
    arrays, classes = read_image_folder(folder)
    name = f"imagefolder:{folder.name}"
    return Dataset(name, *arrays, classes=classes, source=f"image folder {folder.name}")


register("imagefolder", _load, setting="PATH")
