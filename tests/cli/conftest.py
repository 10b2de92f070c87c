"""The command run in this process, and two toy chapters for it."""

import json

import pytest
import yaml
from toys import write_notebook

from igbrepro.cli import main


@pytest.fixture
def igbrepro(monkeypatch, capsys):
    """Run the command in this process; gives (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["igbrepro", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


def write_chapter(root, name, parameters, *cells, minutes=0.1, claims="", expected=None, **presets):
    """A chapter: its notebook, claims and sizes; presets: changed parameters by preset, such as smoke={"width": 8}."""
    folder = root / name
    write_notebook(folder / f"{name.partition('_')[2]}.ipynb", parameters, *cells)
    names = ("smoke", "laptop", "study", "paper")
    sizes = {preset: {"minutes": minutes, "parameters": presets.get(preset, {})} for preset in names}
    (folder / "sizes.yml").write_text(yaml.safe_dump(sizes))
    (folder / "expected.yml").write_text(yaml.safe_dump(expected or {}))
    (folder / "claims.py").write_text(claims)


@pytest.fixture
def toys(tmp_path):
    """A folder of two toy chapters."""
    root = tmp_path / "notebooks"
    parameters = 'seed = 1\nwidth = 64\nlr = 1e-3\nwidths = [1, 2]\nclasses = ["a"]\nnames = None'
    write_chapter(root, "ch01_good", parameters, "print(width, classes, names)", smoke={"width": 8})
    write_chapter(root, "ch02_other", "seed = 2", "print(seed)")
    return root


def printed(path):
    """What the cells of an executed notebook printed."""
    cells = json.loads(path.read_text())["cells"]
    return "".join("".join(out.get("text", ())) for cell in cells for out in cell.get("outputs", ()))
