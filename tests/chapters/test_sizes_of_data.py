"""Every chapter that takes a dataset checks at once that it is large enough, by the names of its own parameters."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def cells(path):
    """The sources of the code cells, that of the parameters first."""
    found = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    found.sort(key=lambda cell: "parameters" not in cell["metadata"].get("tags", []))
    return ["".join(cell["source"]) for cell in found]


CHAPTERS = [path for path in sorted(ROOT.glob("notebooks/*/*.ipynb")) if "\ndataset = " in f"\n{cells(path)[0]}"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_sizes_are_checked_where_the_data_are_loaded(path):
    parameters, *others = cells(path)
    loading = next(cell for cell in others if "load(dataset" in cell or "experiment.dataset(p)" in cell)
    checked = re.findall(r'(\w+)=\("(train|test|batch)", (\w+)\)', loading)
    assert checked and all(name == value for name, _, value in checked)
    assert all(re.search(rf"^{name} = ", parameters, re.MULTILINE) for name, _, _ in checked)
    drawn = set(re.findall(r"n_(?:train|test)=(n_\w+)", "\n".join(others))) | {"n_eval", "batch_size"}
    drawn = {name for name in drawn if re.search(rf"^{name} = ", parameters, re.MULTILINE)}
    assert drawn <= {name for name, _, _ in checked}


def test_there_are_such_chapters():
    assert len(CHAPTERS) >= 10
