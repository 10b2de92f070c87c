"""Names, parameters and presets of notebooks; which files a notebook is made from."""

import nbformat
import pytest
from toys import write_notebook, write_preset

from igbrepro.errors import ParameterError
from igbrepro.publishing import chapters as sources


def test_every_literal_of_the_parameters_cell_is_read(tmp_path):
    cell = """
seed: int = 3  # comments and types are fine
widths = [
    64,
    128,
]
name = "relu"; lr = 1e-5
ratio = 2 / 3
nothing = None
declared: float
"""
    write_notebook(tmp_path / "a.ipynb", cell)
    assert sources.parameter_defaults(tmp_path / "a.ipynb") == {
        "seed": 3, "widths": [64, 128], "name": "relu", "lr": 1e-5, "ratio": "2 / 3", "nothing": None,
    }  # fmt: skip


def test_a_notebook_needs_exactly_one_parameters_cell(tmp_path):
    path = tmp_path / "a.ipynb"
    write_notebook(path, "seed = 1", "x = 1")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, path)
    with pytest.raises(ParameterError, match="2 cells have the tag 'parameters'; need exactly one"):
        sources.parameter_defaults(path)


@pytest.mark.parametrize("part", ["toy/01_good", "01_good", "good", "01", "notebooks/toy/01_good.ipynb"])
def test_any_unique_part_of_a_name_finds_the_notebook(toys, part):
    assert sources.find_notebook(part, toys) == "toy/01_good"


@pytest.mark.parametrize(
    ("part", "words"),
    [("goood", "notebook='goood'.*did you mean toy/01_good?"), ("toy", "fits toy/01_good, toy/02_other"), ("", "none")],
)
def test_unknown_and_ambiguous_notebooks(toys, part, words):
    with pytest.raises(ParameterError, match=words):
        sources.find_notebook(part, toys)


def test_a_name_that_is_whole_but_for_its_number_comes_first(toys):
    write_notebook(toys / "toy" / "03_good_in_parts.ipynb", "seed = 3")
    assert sources.find_notebook("good", toys) == "toy/01_good"
    assert sources.find_notebook("good_in", toys) == "toy/03_good_in_parts"


def test_a_folder_without_presets_is_refused(tmp_path):
    with pytest.raises(ParameterError, match=r"holds no presets/; run in a clone"):
        sources.notebook_names(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("toy/01_god: {minutes: 1, parameters: {}}", "notebook='toy/01_god'.*did you mean toy/01_good"),
        ("toy/01_good: {minutes: 1, parameters: {widht: 3}}", "parameter='widht'.*did you mean width"),
        (
            "toy/01_good: {minutes: 1, parameters: {width: wide}}",
            "width='wide': need a whole number, like its default 64",
        ),
        ("toy/01_good: {minutes: 1, parameters: {width: 2.5}}", "width=2.5: need a whole number"),
        ("toy/01_good: {minutes: 1, parameters: {lr: 1e-5}}", "lr='1e-5': need a number"),  # YAML reads a text here
        ("toy/01_good: {minutes: 1, parameters: {widths: 3}}", "widths=3: need a list"),
        ("toy/01_good: {minutes: 0, parameters: {}}", "minutes=0: need a number above 0"),
        ("toy/01_good: {minutes: 1, params: {}}", "need the keys `minutes` and `parameters`"),
        ("toy/01_good: [", "not readable as YAML"),
    ],
)
def test_slips_in_a_preset_are_named(toys, text, words):
    (toys / "presets" / "smoke.yml").write_text(text)
    with pytest.raises(ParameterError, match=words) as caught:
        sources.load_preset("smoke", toys)
    assert "presets/smoke.yml" in str(caught.value)


def test_unknown_preset(toys):
    with pytest.raises(ParameterError, match=r"preset='smok'.*did you mean smoke"):
        sources.load_preset("smok", toys)


def test_changes_come_over_the_preset_and_that_over_the_defaults(toys):
    injected, parameters = sources.resolve_parameters("toy/01_good", "smoke", {"seed": 9}, toys)
    assert injected == {"width": 8, "seed": 9}
    assert parameters == {"seed": 9, "width": 8, "lr": 1e-3, "widths": [1, 2]}
    assert sources.resolve_parameters("toy/01_good", "smoke", {"width": 4}, toys)[0] == {"width": 4}
    with pytest.raises(ParameterError, match="parameter='sede'"):
        sources.resolve_parameters("toy/01_good", "smoke", {"sede": 9}, toys)


def test_a_notebook_that_the_preset_leaves_out(toys):
    write_notebook(toys / "toy" / "03_new.ipynb", "seed = 1")
    with pytest.raises(ParameterError, match="Preset 'smoke' does not list it"):
        sources.resolve_parameters("toy/03_new", "smoke", {}, toys)
    write_preset(toys, "smoke")
    assert sources.resolve_parameters("toy/03_new", "smoke", {}, toys) == ({}, {"seed": 1})


def names(path):
    return {file.relative_to(sources.PACKAGE).as_posix() for file in sources.imported_files(path)}


def test_imports_are_followed_through_the_package(tmp_path):
    cell = "%matplotlib inline\nimport numpy as np\n\ndef later():\n    from igbrepro.claims import judge"
    write_notebook(tmp_path / "a.ipynb", "seed = 1", cell)
    found = names(tmp_path / "a.ipynb")
    assert {"__init__.py", "claims.py", "claims_register.py", "rules.py", "results.py", "errors.py"} <= found
    assert not {"workflow.py", "cli.py", "models.py"} & found
    assert "shipped/fashion_mnist_subset/SHA256SUMS.txt" in found  # data shipped in the package


@pytest.mark.parametrize(
    "code", ["from igbrepro import network", "import igbrepro.network as n", "import igbrepro.network"]
)
def test_all_forms_of_import_count(tmp_path, code):
    write_notebook(tmp_path / "a.ipynb", "seed = 1", code)
    assert {"network.py", "theory/__init__.py", "theory/activations.py"} <= names(tmp_path / "a.ipynb")


def test_a_notebook_without_this_package_depends_on_itself_alone(tmp_path):
    write_notebook(tmp_path / "a.ipynb", "seed = 1", "import json")
    assert sources.notebook_inputs("a", tmp_path) == [tmp_path / "a.ipynb"]


def test_only_its_own_claims_make_a_notebook_run_again(tmp_path):
    register = tmp_path / "register.py"

    def digests(first: str, second: str, head: str = "LEVEL = 3") -> tuple[str, str]:
        claims = f"Claim('one', notebook='a', {first}), Claim('two', notebook='b', {second})"
        register.write_text(f"{head}\nREGISTER = [{claims}]\n")
        return sources.register_digest("a", [register]), sources.register_digest("b", [register])

    a, b = digests("rule=exact('x'), expected=YES", "rule=exact('y'), expected=YES")
    assert a != b
    assert digests("rule=exact('x'), expected=NO", "rule=exact('y'), expected=NO") == (a, b)
    assert digests("rule=exact('z'), expected=YES", "rule=exact('y'), expected=YES")[0] != a
    assert digests("rule=exact('z'), expected=YES", "rule=exact('y'), expected=YES")[1] == b
    assert digests("rule=exact('x'), expected=YES", "rule=exact('y'), expected=YES", "LEVEL = 4") != (a, b)
