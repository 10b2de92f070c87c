"""Names, parameters, sizes, claims and committed verdicts of chapters."""

import nbformat
import pytest
import yaml
from toys import write_chapter, write_notebook

from igbrepro.errors import ParameterError
from igbrepro.publishing import chapters


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
    read = {"seed": 3, "widths": [64, 128], "name": "relu", "lr": 1e-5, "ratio": "2 / 3", "nothing": None}
    assert chapters.parameter_defaults(tmp_path / "a.ipynb") == read


def test_a_notebook_needs_exactly_one_parameters_cell(tmp_path):
    path = tmp_path / "a.ipynb"
    write_notebook(path, "seed = 1", "x = 1")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, path)
    with pytest.raises(ParameterError, match="2 cells have the tag 'parameters'; need exactly one"):
        chapters.parameter_defaults(path)


@pytest.mark.parametrize("part", ["ch01_good", "good", "1", "01", "ch1", "goo", "notebooks/ch01_good/good.ipynb"])
def test_any_unique_part_of_a_name_finds_the_chapter(toys, part):
    assert chapters.find_chapter(part, toys) == "ch01_good"


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("goood", "notebook='goood'.*did you mean ch01_good?"),
        ("o", "fits ch01_good, ch02_other"),
        ("7", "there is none of that name"),
        ("", "there is none of that name"),
    ],
)
def test_unknown_and_ambiguous_chapters(toys, part, words):
    with pytest.raises(ParameterError, match=words):
        chapters.find_chapter(part, toys)


def test_a_name_that_is_whole_but_for_its_number_comes_first(toys):
    write_chapter(toys, "ch03_good_in_parts", "seed = 3")
    assert chapters.find_chapter("good", toys) == "ch01_good"
    assert chapters.find_chapter("good_in", toys) == "ch03_good_in_parts"


def test_chapters_come_in_the_order_of_their_numbers(toys):
    write_chapter(toys, "ch10_ten", "seed = 3")
    write_chapter(toys, "ch9_nine", "seed = 3")
    assert chapters.chapter_names(toys) == ["ch01_good", "ch02_other", "ch9_nine", "ch10_ten"]


def test_a_folder_without_chapters_is_refused(tmp_path):
    with pytest.raises(ParameterError, match=r"holds no chapters chNN_name/name\.ipynb; run in a clone"):
        chapters.chapter_names(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{minutes: 1, parameters: {widht: 3}}", "parameter='widht'.*did you mean width"),
        ("{minutes: 1, parameters: {width: wide}}", "width='wide': need a whole number, like its default 64"),
        ("{minutes: 1, parameters: {width: 2.5}}", "width=2.5: need a whole number"),
        ("{minutes: 1, parameters: {lr: 1e-5}}", "lr='1e-5': need a number"),  # YAML reads a text here
        ("{minutes: 1, parameters: {widths: 3}}", "widths=3: need a list"),
        ("{minutes: 0, parameters: {}}", "minutes=0: need a number above 0"),
        ("{minutes: .inf, parameters: {}}", "minutes=inf: need a number above 0, of one core"),
        ("{minutes: 1, params: {}}", "need the keys `minutes` and `parameters`"),
        ("{minutes: 1, parameters: {}, memory: 8}", r"key='memory'.*did you mean memory_gb\?"),
        ("{minutes: 1, parameters: {}, memory_gb: 8 GB}", "memory_gb='8 GB': need a number above 0, in GB"),
        ("{minutes: 1, parameters: {}, memory_gb: 0}", "memory_gb=0: need a number above 0, in GB"),
        ("{minutes: 1, parameters: {}, gpu: true}", "gpu=True: need the number of GPUs, 0"),
        ("{minutes: 1, parameters: {}, gpu: -1}", "gpu=-1: need the number of GPUs, 0"),
        ("[", "not readable as YAML"),
    ],
)
def test_slips_in_sizes_are_named(toys, text, words):
    (toys / "ch01_good" / "sizes.yml").write_text(f"smoke: {text}")
    with pytest.raises(ParameterError, match=words) as caught:
        chapters.load_preset("smoke", toys)
    assert "ch01_good/sizes.yml" in str(caught.value)


def test_memory_and_gpus_are_said_where_they_are_not_the_usual(toys):
    text = "smoke: {minutes: 1, parameters: {width: 3}, memory_gb: 0.5, gpu: 2}"
    (toys / "ch01_good" / "sizes.yml").write_text(text)
    good, other = chapters.load_preset("smoke", toys).values()
    assert good == chapters.Entry(1, {"width": 3}, 0.5, 2)
    assert (other.memory_gb, other.gpu) == (4, 0)


def test_unknown_preset(toys):
    with pytest.raises(ParameterError, match=r"preset='smok'.*did you mean smoke"):
        chapters.load_preset("smok", toys)


def test_every_chapter_needs_every_preset(toys):
    (toys / "ch02_other" / "sizes.yml").write_text(yaml.safe_dump({"laptop": {"minutes": 1, "parameters": {}}}))
    with pytest.raises(ParameterError, match=r"ch02_other/sizes\.yml: has no preset 'smoke'"):
        chapters.load_preset("smoke", toys)
    (toys / "ch02_other" / "sizes.yml").unlink()
    with pytest.raises(ParameterError, match=r"ch02_other: has no sizes\.yml"):
        chapters.load_preset("smoke", toys)


def test_changes_come_over_the_preset_and_that_over_the_defaults(toys):
    injected, parameters = chapters.resolve_parameters("ch01_good", "smoke", {"seed": 9}, toys)
    assert injected == {"width": 8, "seed": 9}
    assert parameters == {"seed": 9, "width": 8, "lr": 1e-3, "widths": [1, 2]}
    assert chapters.resolve_parameters("ch01_good", "smoke", {"width": 4}, toys)[0] == {"width": 4}
    with pytest.raises(ParameterError, match="parameter='sede'"):
        chapters.resolve_parameters("ch01_good", "smoke", {"sede": 9}, toys)


def test_claims_are_read_in_order_and_an_id_is_there_once(toys):
    claims = toys / "ch01_good" / "claims.py"
    assert list(chapters.load_claims("ch01_good", toys)) == ["toy-width"]
    assert chapters.load_claims("ch02_other", toys) == {}
    assert not (claims.parent / "__pycache__").exists()  # reading writes nothing
    (toys / "ch02_other" / "claims.py").write_text(claims.read_text())
    with pytest.raises(ParameterError, match="'toy-width' stands in ch01_good and ch02_other; rename one"):
        chapters.load_register(toys)
    claims.write_text(claims.read_text() + "\nAGAIN = Claim('toy-width', 'A', 'B.', 'C', between('x', 0, 1))\n")
    with pytest.raises(ParameterError, match="'toy-width' comes twice"):
        chapters.load_claims("ch01_good", toys)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("toy-widht: reproduced", "claim='toy-widht'.*did you mean toy-width"),
        ("toy-width: perfect", "toy-width: 'perfect': need one of reproduced"),
    ],
)
def test_slips_in_committed_verdicts_are_named(toys, text, words):
    (toys / "ch01_good" / "expected.yml").write_text(text)
    with pytest.raises(ParameterError, match=words) as caught:
        chapters.load_expected("ch01_good", toys)
    assert "ch01_good/expected.yml" in str(caught.value)
