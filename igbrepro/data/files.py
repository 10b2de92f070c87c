"""Where the files of datasets lie, how they are downloaded, and what is wrong with them."""

from __future__ import annotations

import os
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import platformdirs

from igbrepro.errors import DataMissing

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # images and labels, of train, then of test

SYSTEM_SHARES = ("/usr/local/share", "/usr/share")
DAMAGE = (OSError, EOFError, ValueError, zlib.error)  # what readers make of a damaged file

SWITCH = "IGBREPRO_DOWNLOAD"

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


def download_folder() -> Path:
    """Where downloads go: IGBREPRO_DATA, or the cache where that is unset."""
    own = os.environ.get("IGBREPRO_DATA")
    return Path(own).expanduser() if own else cache_folder()


def made(folder: Path) -> Path:
    """The folder, made if it was not there; raises NotAvailable where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotAvailable(f"{folder}: cannot be made ({error}); set IGBREPRO_CACHE to another folder.") from error
    return folder


def allow_download(dataset: str) -> None:
    """Raises NotAvailable where IGBREPRO_DOWNLOAD=off; called first of all that a download takes."""
    if os.environ.get(SWITCH, "on").strip().lower() == "off":
        raise NotAvailable(
            f"{dataset}: no copy in IGBREPRO_DATA, the cache or the system's share folders, and nothing is downloaded "
            f"here ({SWITCH}=off); with a net connection: igbrepro data fetch {dataset}."
        )


@contextmanager
def without_download() -> Iterator[None]:
    """Within, in this process and those it starts, nothing is downloaded."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "off"
    try:
        yield
    finally:
        os.environ.pop(SWITCH, None)
        if before is not None:
            os.environ[SWITCH] = before


def download(dataset: str, urls: list[str], folder: Path, md5: str) -> None:
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
