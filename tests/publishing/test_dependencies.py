"""Which code a notebook depends on: by name through the doors, words left out."""

import pytest
from toys import write_notebook

from igbrepro.publishing import chapters, dependencies

HOUSE = {
    "__init__.py": '"""A package."""\n\n__version__ = "1"\n',
    "errors.py": "class Bad(Exception):\n    pass\n",
    "theory/__init__.py": (
        '"""A door."""\n\nfrom pkg.theory.fields import Field\nfrom pkg.theory.phases import phase as classify\n'
        'from pkg.theory import table\n\n__all__ = ["Field", "classify"]\n'
    ),
    "theory/fields.py": (
        '"""Fields."""\n\nfrom typing import TYPE_CHECKING\n\nfrom pkg.errors import Bad\n\nif TYPE_CHECKING:\n'
        '    from pkg.theory.phases import phase\n\n\nclass Field:\n    """A field."""\n\n    one = Bad\n'
    ),
    "theory/phases.py": "def phase():\n    from ..theory.late import LATE\n\n    return LATE\n",
    "theory/late.py": "LATE = 1\n",
    "theory/table.py": "TABLE = {}\n",
    "lazy/__init__.py": (
        '"""A lazy door."""\n\nfrom importlib import import_module\nfrom typing import TYPE_CHECKING\n\n'
        "if TYPE_CHECKING:\n    from pkg.lazy.one import One\n    from pkg.lazy.two import Two\n\n"
        '__all__ = ["One", "Two"]\n_HOMES = {"One": "one", "Two": "two"}\n\n\ndef __getattr__(name):\n'
        '    return getattr(import_module(f"pkg.lazy.{_HOMES[name]}"), name)\n'
    ),
    "lazy/one.py": "class One:\n    pass\n",
    "lazy/two.py": "class Two:\n    pass\n",
    "claims/__init__.py": (
        "from pkg.claims.comparisons import compare\nfrom pkg.claims.judging import judge\n\n"
        '__all__ = ["compare", "judge"]\n'
    ),
    "claims/comparisons.py": "from pkg.claims.measurement import M\n\n\ndef compare():\n    return M\n",
    "claims/measurement.py": "M = 1\n",
    "claims/judging.py": "from pkg.claims.rules import R\n\n\ndef judge():\n    return R\n",
    "claims/rules.py": '"""Rules."""\n\nR = 1\n',
    "thick/__init__.py": "from pkg.errors import Bad\n\nHERE = Bad()\n",
    "thick/inner.py": "X = 1\n",
    "thick/shipped/data.txt": "1 2 3\n",
    "thick/templates/page.j2": "{{ page }}\n",
}


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A package of a few rooms in the place of this one."""
    package = tmp_path / "pkg"
    for name, text in HOUSE.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    monkeypatch.setattr(chapters, "PACKAGE", package)
    return package


def needed(tmp_path, code):
    folder = tmp_path / "notebooks" / "ch01_a"
    write_notebook(folder / "a.ipynb", "seed = 1", code)
    files = dependencies.imported_files(folder / "a.ipynb")
    return {path.relative_to(tmp_path / "pkg" if "pkg" in path.parts else folder).as_posix() for path in files}


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("import json", set()),
        # The module that defines the name, what that imports, and what the door imports for its effect; no door.
        ("from pkg.theory import Field", {"theory/fields.py", "errors.py", "theory/table.py"}),
        ("%time\nfrom pkg.theory import classify", {"theory/phases.py", "theory/late.py", "theory/table.py"}),
        ("def f():\n    from pkg.theory.late import LATE", {"theory/late.py", "theory/table.py"}),
        ("from pkg.lazy import One", {"lazy/one.py"}),
        ("from pkg.lazy import Two as T", {"lazy/two.py"}),
        ("from pkg import lazy", {"lazy/one.py", "lazy/two.py"}),
        ("import pkg.lazy as p", {"lazy/one.py", "lazy/two.py"}),
        ("from pkg.lazy import *", {"lazy/one.py", "lazy/two.py"}),
        ("from pkg.lazy import one", {"lazy/one.py"}),
        ("import pkg.lazy.two", {"lazy/two.py"}),
        ("from pkg import __version__", {"__init__.py"}),
        ("from pkg import errors", {"errors.py"}),
        ("from pkg.thick import inner", {"thick/__init__.py", "thick/inner.py", "errors.py"}),  # more than a door
    ],
)
def test_imports_are_followed_by_name(house, tmp_path, code, files):
    assert needed(tmp_path, code) == files


def test_the_chapters_own_code_counts_without_its_claims(house, tmp_path):
    folder = tmp_path / "notebooks" / "ch01_a"
    folder.mkdir(parents=True)
    (folder / "claims.py").write_text("from pkg.lazy import One\n")
    (folder / "lab.py").write_text("import claims\nfrom pkg.lazy import Two\n")
    assert needed(tmp_path, "import claims, lab") == {"lab.py", "lazy/two.py"}


def test_words_do_not_count_and_code_does(house, tmp_path):
    needed(tmp_path, "from pkg.theory import Field")

    def digest(old, new):
        path = house / "theory" / "fields.py"
        path.write_text(HOUSE["theory/fields.py"].replace(old, new))
        return dependencies.code_digest("ch01_a", tmp_path / "notebooks")

    same = digest("", "")
    assert digest('"""A field."""', '"""Quite another field."""') == same
    assert digest('"""Fields."""\n', "# a comment\n\n\n") == same
    assert digest("one = Bad", "one  =  (Bad)") == same
    assert digest("one = Bad", "two = Bad") != same
    (house / "lazy" / "one.py").write_text("class One:\n    x = 2\n")  # not imported
    assert digest("", "") == same


def test_rules_and_verdicts_make_nothing_run_again_and_comparisons_do(house, tmp_path):
    needed(tmp_path, "from pkg.claims import compare, judge")

    def digest(name, old, new):
        path = house / "claims" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        return dependencies.code_digest("ch01_a", tmp_path / "notebooks")

    same = digest("rules.py", "Rules.", "Other words.")
    assert digest("rules.py", "R = 1", "R = 2") == digest("judging.py", "return R", "return -R") == same
    after = digest("comparisons.py", "return M", "return -M")
    assert after != same and digest("measurement.py", "M = 1", "M = 2") not in (same, after)


def test_a_notebook_is_made_of_itself_and_the_data_its_code_ships(house, tmp_path):
    needed(tmp_path, "import pkg.thick.inner")
    files = dependencies.notebook_inputs("ch01_a", tmp_path / "notebooks")
    assert [path.name for path in files] == ["a.ipynb", "data.txt"]  # templates make pages only
    before = dependencies.module_digest("thick.inner")
    (house / "thick" / "templates" / "page.j2").write_text("{{ other }}\n")
    assert dependencies.module_digest("thick.inner") != before


def test_only_the_measurements_that_claims_need_make_a_notebook_run_again(toys):
    claims = toys / "ch01_good" / "claims.py"
    text = claims.read_text()

    def digest(old, new):
        claims.write_text(text.replace(old, new))
        return dependencies.needs_digest("ch01_good", toys)

    same = digest("", "")
    assert digest("A width is small.", "Widths are small indeed.") == same
    assert digest("0, 100", "0, 5") == same
    assert digest('MEASURED = "width"', 'MEASURED = "the width"') != same
    assert digest("toy-width", "toy-widths") != same


@pytest.mark.parametrize("name", chapters.chapter_names())
def test_every_notebook_here_depends_on_code_and_on_no_door(name):
    files = dependencies.code_files(name)
    of_claims = {path.name for path in files if path.parent == chapters.PACKAGE / "claims"}
    assert "measurement.py" in of_claims <= {"measurement.py", "comparisons.py"}
    assert not [path for path in files if path.name in ("__init__.py", "claims.py")]
    assert not [path for path in files if path.parent.name in ("publishing", "cli")]
