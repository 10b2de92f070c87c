"""The book's sources hang together, and a slip in them stops the build with the right words."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from igbrepro.publishing import chapter_names, load_register, notebook_path
from igbrepro.publishing.chapters import chapter_number

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
PAGES = sorted(path for path in BOOK.rglob("*.md") if path.parent.name != "generated")
NOTEBOOKS = [notebook_path(name) for name in chapter_names()]
GENERATED = {f"book/generated/{page}" for page in ("claims", "costs", "figures", "runs")}


def toc_files() -> list[str]:
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text())
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *(page["file"] for chapter in chapters for page in [chapter, *chapter.get("sections", [])])]


def markdown(path: Path) -> str:
    """The prose of a page or of a notebook, with the captions of its figures."""
    if path.suffix == ".md":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return "\n".join([*texts, *(settings["figure"].get("caption", "") for _, settings in figures(path))])


def figures(notebook: Path) -> list[tuple[str, dict]]:
    """The source and the `mystnb` settings of every code cell that makes a figure."""
    cells = json.loads(notebook.read_text())["cells"]
    found = [("".join(cell["source"]), cell["metadata"].get("mystnb", {})) for cell in cells]
    return [(source, settings) for source, settings in found if "figure" in settings]


def number(notebook: Path) -> str:
    return f"{chapter_number(notebook.parent.name):02}"


def test_contents_list_every_page_and_notebook_once_and_nothing_else():
    listed = toc_files()
    pages = {page.relative_to(ROOT).with_suffix("").as_posix() for page in PAGES}
    chapters = {path.relative_to(ROOT).with_suffix("").as_posix() for path in NOTEBOOKS}
    assert Counter(listed) == Counter(pages | chapters | GENERATED)


def test_every_citation_is_in_the_list_of_references():
    keys = set(re.findall(r"^@\w+\{(\w+),", (BOOK / "references.bib").read_text(), re.MULTILINE))
    cited = {
        key.strip(): path.name
        for path in [*PAGES, *NOTEBOOKS]
        for group in re.findall(r"\{cite(?:[:\w]*)\}`([^`]+)`", markdown(path))
        for key in group.split(",")
    }
    assert cited and not {key: page for key, page in cited.items() if key not in keys}


def test_every_code_name_of_the_notation_exists():
    rows = re.findall(r"^\|[^|]+\|([^|]+)\|", (BOOK / "notation.md").read_text(), re.MULTILINE)
    names = {
        name for cell in rows for code in re.findall(r"`([^`]+)`", cell) for name in re.findall(r"[A-Za-z]\w*", code)
    }
    source = "\n".join(path.read_text() for path in (ROOT / "igbrepro").rglob("*.py"))
    assert len(names) > 20
    assert not {name for name in names if not re.search(rf"\b{name}\b", source)}


def test_first_page_says_what_bias_means():
    text = " ".join((BOOK / "intro.md").read_text().split())
    assert "no social or ethical judgement" in text and "generated/abstract.md" in text


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_figures_have_name_caption_and_alternative_text(notebook):
    for source, settings in figures(notebook):
        figure, alt = settings["figure"], settings.get("image", {}).get("alt", "")
        assert figure.get("name", "").startswith(f"fig-{number(notebook)}-"), source[:80]
        assert len(figure.get("caption", "")) >= 40 and len(alt) >= 20, figure
        assert alt not in figure["caption"], "the alternative text says what is seen, the caption what it means"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_labels_carry_the_number_of_their_chapter(notebook):
    text = markdown(notebook)
    labels = re.findall(r"^:label:\s*(\S+)", text, re.MULTILINE) + re.findall(
        r"^\$\$\s*\(([\w-]+)\)", text, re.MULTILINE
    )
    assert labels
    assert not [label for label in labels if f"-{number(notebook)}-" not in label]


def test_theorems_exercises_equations_and_citations_work_together(small_book):
    theorem = "```{prf:theorem} Name\n:label: thm-00-a\nText.\n```\n\n```{prf:lemma}\n:label: lem-00-b\nText.\n```"
    exercise = "```{exercise}\n:label: ex-00-a\nText.\n```\n\n```{solution} ex-00-a\n:class: dropdown\nText.\n```"
    uses = "$$\na = b\n$$ (eq-00-a)\n\n{prf:ref}`thm-00-a`, {eq}`eq-00-a`, {cite}`molder2021,cho2009`"
    run, page = small_book("\n\n".join([theorem, exercise, uses]))
    assert run.returncode == 0, run.stderr
    words = re.sub(r"<[^>]+>", "", page).replace("\xa0", " ")
    assert "[Cho and Saul, 2009, Mölder et al., 2021]" in words  # in the text
    assert "[Cho and Saul, 2009]" in words and "[Mölder et al., 2021]" in words  # in the list
    assert "unpkg.com" not in page  # where Thebe would be fetched from
    ids = Counter(re.findall(r'\bid="([^"]+)"', page))
    assert not [name for name, n in ids.items() if n > 1]


def test_broken_links_stop_the_build_and_each_is_named(small_book):
    slips = {
        "{cite}`nobody1999`": "nobody1999",
        "{ref}`nowhere`": "nowhere",
        "[text](missing.md)": "missing.md",
        "{eq}`eq-00-lost`": "eq-00-lost",
        "{prf:ref}`thm-00-lost`": "thm-00-lost",
    }
    run, _ = small_book("\n\n".join(slips))
    told = [line for line in run.stderr.splitlines() if "WARNING" in line]
    assert run.returncode != 0
    assert not [words for words in slips.values() if not any(words in line for line in told)]


def test_the_built_book_has_every_page_and_every_claim(smoke_book):
    assert not [file for file in toc_files() if not (smoke_book / f"{file}.html").exists()]
    claims = (smoke_book / "book/generated/claims.html").read_text()
    ids = [claim_id for register in load_register().values() for claim_id in register]
    assert not [claim_id for claim_id in ids if f'id="claim-{claim_id}"' not in claims]
