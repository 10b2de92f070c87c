"""`igbrepro diagnose`: what it writes, and how it refuses models, data and places."""

import json
import subprocess
import sys

import pytest

DATA = ("--data", "fashion-mnist-subset")
NETS = """
import torch
from torch import nn

def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))

def small():
    return nn.Sequential(nn.Linear(14 * 14, 50), nn.ReLU(), nn.Linear(50, 10))

def coloured():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))

def three():
    return 3

def raising():
    raise RuntimeError("no weights here")

class Picky(nn.Linear):
    def __init__(self):
        super().__init__(784, 10)

    def forward(self, inputs):
        raise KeyError("mask")

class Leaving(Picky):
    def forward(self, inputs):
        raise SystemExit(3)
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """The folder of the caller, with a file of models."""
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "typo.py").write_text("def net(:\n    pass\n")
    (tmp_path / "stops.py").write_text("import nets\nraise RuntimeError('needs a licence')\n")
    (tmp_path / "exits.py").write_text("import sys\nsys.exit('usage: exits DATA')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_diagnose_prints_the_verdict_and_writes_json_and_figure(igbrepro, nets):
    outputs = ["--json", "d.json", "--figure", "d.png"]
    code, out, err = igbrepro("diagnose", "nets.py:net", *DATA, "-n", 50, *outputs)
    words = " ".join(out.split())
    assert code == 0, err
    assert "Gradients keep their size" in words and "of the 50 inputs to class" in words
    found = json.loads((nets / "d.json").read_text())
    assert [row["layer"] for row in found["layers"]] == ["1", "3"] and len(found["head"]["class_gradient"]) == 10
    assert (nets / "d.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("nets.py:nett", "has no attribute 'nett'"),
        ("nets.py:three", "gives int, not a torch module"),
        ("absent.py:net", "need MODULE:FACTORY or FILE.py:FACTORY"),
        ("net", "name what makes the model too"),
        ("nets.py:raising", "making the model raises RuntimeError (nets.py, line 18: no weights here)"),
        ("typo.py:net", "typo.py, line 1: "),
        ("stops.py:net", "making the model raises RuntimeError (stops.py, line 2: needs a licence)"),
        ("exits.py:net", "making the model ends the program (exits.py, line 2: sys.exit, 'usage: exits DATA')"),
        ("nets.py:Leaving", "the model fails on inputs (1, 28, 28) (SystemExit: 3)"),
        ("nets.py:Picky", "the model fails on inputs (1, 28, 28) (KeyError: 'mask')"),
        ("nets.py:small", "takes vectors: try --flat"),
        ("nets.py:coloured", "its first convolution takes 3 channels and these images have 1"),
        ("torchvision.models:alexnet", "its first convolution takes 3 channels and these images have 1"),
    ],
)
def test_diagnose_refuses_what_it_cannot_run(igbrepro, nets, factory, words):
    code, out, err = igbrepro("diagnose", factory, *DATA)
    assert code == 2 and words in err and not out
    assert "try another --size" not in err


def test_images_are_resized_before_they_are_made_flat(igbrepro, nets):
    code, _, err = igbrepro("diagnose", "nets.py:small", *DATA, "--size", 14, "--flat", "-n", 20)
    assert code == 0, err
    code, _, err = igbrepro("diagnose", "nets.py:coloured", *DATA, "--flat", "-n", 20)
    assert code == 2 and "leave out --flat" in err


@pytest.mark.parametrize("option", ["--json", "--figure"])
def test_diagnose_checks_where_results_go_before_it_works(igbrepro, nets, monkeypatch, option):
    monkeypatch.setattr("igbrepro.cli.diagnose.made", lambda factory: pytest.fail("worked first"))
    code, _, err = igbrepro("diagnose", "nets.py:net", *DATA, option, "no/such/dir/f.png")
    assert code == 2 and f"{option[2:]}='no/such/dir/f.png': there is no folder 'no/such/dir'; make it first." in err


def test_diagnose_checks_the_name_of_the_figure_before_it_works(igbrepro, nets):
    code, _, err = igbrepro("diagnose", "a:b", *DATA, "--figure", "d.xyz")
    assert code == 2 and "need a name that ends in .png, .svg or .pdf" in err


def test_a_file_that_is_no_python_is_refused_before_torch_is_there(nets):
    code = (
        "import sys; from igbrepro.cli.diagnose import check_syntax; from igbrepro.errors import ParameterError\n"
        "try: check_syntax('typo.py:net')\n"
        "except ParameterError as error: print(error)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "typo.py, line 1: " in done.stdout
