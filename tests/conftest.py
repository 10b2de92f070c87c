"""Fixtures that several test files share: toy chapters, the book built from the smoke preset, a browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toys import CLAIMS, JUDGED, making_smoke_book, snakemake, write_chapter

# The folders whose tests take longest, in this order.
LONGEST = ("cluster", "publishing", "chapters", "cli", "runs", "book", "networks", "training")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no core waits for them at the end where files are tested side by side.

    Files that look at the smoke book come after these: another process may still be making it.
    """
    looking = {item.path for item in items if {"smoke_book", "browser"} & set(getattr(item, "fixturenames", ()))}

    def rank(item: pytest.Item) -> int:
        if item.path in looking:
            return len(LONGEST)
        inside = (k for k, name in enumerate(LONGEST) if Path(__file__).with_name(name) in item.path.parents)
        return next(inside, len(LONGEST) + 1)

    items.sort(key=rank)


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    """A folder of two toy chapters: "good" settles a claim and imports a lab, "other" does neither."""
    root = tmp_path / "notebooks"
    parameters = "seed = 1\nwidth = 64\nlr = 1e-3\nwidths = [1, 2]"
    folder = write_chapter(
        root, "ch01_good", parameters, "import lab\nprint(lab.twice(width))", JUDGED, smoke={"width": 8}
    )
    (folder / "lab.py").write_text('"""A lab."""\n\n\ndef twice(x):\n    """Words."""\n    return 2 * x\n')
    (folder / "claims.py").write_text(CLAIMS)
    (folder / "expected.yml").write_text("toy-width: reproduced\n")
    write_chapter(root, "ch02_other", "seed = 2", "print(seed)")
    return root


@pytest.fixture(scope="session")
def smoke_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site built from the smoke preset by the real workflow, or the site at IGBREPRO_BOOK_HTML."""
    if given := os.environ.get("IGBREPRO_BOOK_HTML"):
        return Path(given).resolve()
    with making_smoke_book(tmp_path_factory) as out:
        if not (out / "html" / "index.html").exists():
            run = snakemake("html", preset="smoke", out=out)
            assert run.returncode == 0, f"the smoke book does not build:\n{run.stdout[-6000:]}"
        return out / "html"


# The last flag keeps Chromium from reaching any other server; what a page asks for there is recorded all the same.
FLAGS = [
    *"--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking".split(),
    *"--disable-component-update --disable-sync".split(),
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        message = "no Chromium on this machine (Debian: apt install chromium): the pages were not opened in a browser"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """A running headless Chromium with an empty profile."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as engine:
        running = engine.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()
