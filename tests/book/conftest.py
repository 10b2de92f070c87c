"""A small book with the settings of the real one."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"


def build(source: Path) -> subprocess.CompletedProcess:
    command = [Path(sys.executable).parent / "jupyter-book", "build", source, "-W", "-n", "--keep-going"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def small_book(tmp_path: Path) -> Callable[[str], tuple[subprocess.CompletedProcess, str]]:
    """A book of one page with the settings of the real one: a function from the page's text to the finished build."""
    if not (Path(sys.executable).parent / "jupyter-book").exists():
        pytest.skip("jupyter-book is not installed: small books were not built")
    source = tmp_path / "src"
    ignore = shutil.ignore_patterns("*.md", "generated")
    shutil.copytree(BOOK, source / "book", ignore=ignore)
    (source / "book/_config.yml").rename(source / "_config.yml")
    (source / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n")

    def make(text: str) -> tuple[subprocess.CompletedProcess, str]:
        references = "\n\n```{bibliography}\n:style: author_year\n```\n"
        (source / "book/intro.md").write_text(f"# Page\n\n{text}{references}")
        run = build(source)
        page = source / "_build/html/book/intro.html"
        return run, page.read_text() if page.exists() else ""

    return make
