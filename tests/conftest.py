"""Fixtures that several test files share: toy notebooks, and the book built from the smoke preset."""

import os
from pathlib import Path

import pytest
from toys import snakemake, write_notebook, write_preset


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    """A folder of two toy notebooks with the presets smoke and laptop."""
    root = tmp_path / "notebooks"
    write_notebook(root / "toy" / "01_good.ipynb", "seed = 1\nwidth = 64\nlr = 1e-3\nwidths = [1, 2]", "print(width)")
    write_notebook(root / "toy" / "02_other.ipynb", "seed = 2", "print(seed)")
    write_preset(root, "laptop")
    write_preset(root, "smoke", **{"01_good": {"width": 8}})
    return root


@pytest.fixture(scope="session")
def smoke_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site built from the smoke preset by the real workflow, or the site at IGBREPRO_BOOK_HTML."""
    if given := os.environ.get("IGBREPRO_BOOK_HTML"):
        return Path(given).resolve()
    out = tmp_path_factory.mktemp("smoke") / "book"
    run = snakemake("html", preset="smoke", out=out)
    assert run.returncode == 0, f"the smoke book does not build:\n{run.stdout[-6000:]}"
    return out / "html"
