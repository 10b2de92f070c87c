"""The pages of the package: every room, every name, their words as written, and the chapters that use them."""

import importlib.util
import inspect
import json
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from docutils.core import publish_doctree
from docutils.parsers.rst import roles

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "book/api").glob("*.md"))


@pytest.fixture(scope="module")
def api() -> ModuleType:
    """The extension that makes the pages."""
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("igbrepro_api", ROOT / "book/_ext/igbrepro_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(lines: list[str]) -> str:
    """The words of reST as a reader sees them; anything that docutils reports fails."""

    def role(name, rawtext, text, lineno, inliner, options=None, content=None):
        return [roles.nodes.literal(text, text.partition(" <")[0])], []

    roles.register_local_role("py:obj", role)
    tree = publish_doctree("\n".join(lines), settings_overrides={"report_level": 1, "halt_level": 1})
    return " ".join(tree.astext().split())


def test_every_room_has_a_page_in_the_contents(api):
    assert [page.stem for page in PAGES] == sorted(api.ROOMS)
    assert not [page for page in PAGES if f".. automodule:: igbrepro.{page.stem}\n" not in page.read_text()]
    toc = yaml.safe_load((ROOT / "book/_toc.yml").read_text())
    sections = [s["file"] for part in toc["parts"] for chapter in part["chapters"] for s in chapter.get("sections", [])]
    assert sections == [f"book/api/{room}" for room in api.ROOMS]


def test_every_docstring_of_the_doors_keeps_its_words(api):
    """Nothing that reST would read as markup is lost: the words shown are the words written."""
    letters = re.compile(r"[^\W_]+")
    for room in api.ROOMS:
        module = import_module(f"igbrepro.{room}")
        for name in module.__all__:
            doc = api._own_doc(getattr(module, name))
            if doc and ">>>" not in doc:
                told = shown(api.plain_to_rst(doc.splitlines(), api._names(getattr(module, name))))
                assert letters.findall(told) == letters.findall(doc), f"{room}.{name}"


def test_lines_of_parameters_become_a_list_and_signs_stay_signs(api):
    doc = (
        "|x|^2 of *all* `n` inputs_, x_a and design(1, 2).\n\nn: how many.  seed, other: of it,\n  and more.\nRaises X."
    )
    lines = api.plain_to_rst(doc.splitlines(), ["n", "seed", "other"])
    words = "|x|^2 of *all* n inputs_, x_a and design(1, 2). n: how many. seed, other: of it, and more. Raises X."
    assert shown(lines) == words
    assert [line[:12] for line in lines if line.startswith("*")] == ["* ``n``: how", "* ``seed, ot", "*Raises*\\  \\"]
    assert ":py:obj:`design(1, 2) <igbrepro.theory.design>`" in lines[0]


def test_a_name_lists_the_chapters_that_import_it(api, tmp_path):
    code = {"cell_type": "code", "source": ["%matplotlib inline\n", "from igbrepro.theory import RELU, design\n"]}
    for chapter in ("ch02_b", "ch10_a"):
        (tmp_path / chapter).mkdir()
        (tmp_path / chapter / f"{chapter[5:]}.ipynb").write_text(json.dumps({"cells": [code] * (chapter == "ch02_b")}))
    (tmp_path / "ch10_a/lab.py").write_text("def f():\n    from igbrepro.theory import RELU as r\n")
    used = api.chapters_that_use(tmp_path)
    assert used == {("theory", "RELU"): ["ch02_b", "ch10_a"], ("theory", "design"): ["ch02_b"]}
    documents = {"notebooks/ch10_a/a"}
    assert api._chapter_links(used["theory", "RELU"], documents) == "chapters 2, :doc:`10 </notebooks/ch10_a/a>`"


def test_signatures_show_types_as_written_and_link_those_of_a_door(api):
    from igbrepro.ensembles import EnsembleResult, simulate
    from igbrepro.theory import Phase

    text, returns = api.process_signature(None, "function", "", simulate, None, "()", None)
    assert text.startswith("(spec: ~igbrepro.networks.MLPSpec, init: ~igbrepro.initialization.InitSpec, inputs: Inputs")
    assert returns == "~igbrepro.ensembles.EnsembleResult"
    assert "<" not in api.process_signature(None, "class", "", EnsembleResult, None, "()", None)[0]
    assert api.process_signature(None, "class", "", Phase, None, "()", None) == ("", None)


def test_a_page_of_a_room_builds(api, small_book):
    run, page = small_book("```{eval-rst}\n.. automodule:: igbrepro.statistics\n```")
    # this book of one page lacks the other rooms, which some texts link to
    told = [line for line in run.stderr.splitlines() if "WARNING" in line and "target not found: igbrepro." not in line]
    assert not told
    for name in import_module("igbrepro.statistics").__all__:
        assert f'id="igbrepro.statistics.{name}"' in page, name
    assert inspect.getdoc(import_module("igbrepro.statistics")).partition(",")[0] in page
