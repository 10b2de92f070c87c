"""`igbrepro list` and the help."""

import json
import subprocess
import sys

from cli.conftest import write_chapter
from toys import ROOT


def test_list_shows_names_minutes_and_changes(igbrepro, toys):
    code, out, _ = igbrepro("list", "--preset", "smoke", "--notebooks", toys)
    assert code == 0 and "Preset smoke: 2 chapters, 0.2 minutes" in out
    assert "ch01_good" in out and "Toy good" in out and "width=8" in out


def test_list_is_in_the_order_of_chapters_and_one_line_each_when_piped(igbrepro, toys):
    name = "ch10_" + "a_long_name_" * 12 + "indeed"
    write_chapter(toys, name, "seed = 1\nwidths = [1]", laptop={"widths": list(range(60))})
    code, out, _ = igbrepro("list", "--notebooks", toys)
    lines = out.splitlines()
    assert code == 0 and len(lines) == 2 + 3
    assert [line.split()[0] for line in lines[2:]] == ["ch01_good", "ch02_other", name]
    assert lines[-1].endswith("58, 59]") and lines == [line.rstrip() for line in lines]


def test_list_as_json(igbrepro, toys):
    code, out, _ = igbrepro("list", "--preset", "smoke", "--json", "--notebooks", toys)
    first = {"chapter": "ch01_good", "title": "Toy good", "minutes": 0.1, "parameters": {"width": 8}}
    assert code == 0 and json.loads(out)[0] == first and len(json.loads(out)) == 2


def test_the_help_loads_nothing_heavy():
    heavy = ("numpy", "torch", "pandas", "papermill", "nbformat", "matplotlib", "rich", "yaml")
    code = f"import sys; import igbrepro.cli; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
