"""The command: what it prints, and how it refuses."""

import json

import pytest
from toys import write_notebook, write_preset

from igbrepro.claims import Claim, Measurement, Outcome, Record, Verdict
from igbrepro.cli import main as cli


@pytest.fixture
def igbrepro(monkeypatch, capsys):
    """Run the command in this process; gives (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["igbrepro", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "goood"], "notebook='goood': there is none of that name; did you mean toy/01_good?"),
        (["run", "good", "--preset", "smok"], "preset='smok': there is none of that name; did you mean smoke?"),
        (["run", "good", "-p", "sede", "3"], "parameter='sede': there is none of that name; did you mean seed?"),
        (["run", "good", "-p", "width", "x"], "width='x': need a whole number, like its default 64."),
    ],
)
def test_wrong_input_is_one_clear_line_and_exit_code_2(igbrepro, toys, tmp_path, arguments, words):
    code, out, err = igbrepro(*arguments, "--notebooks", toys, "--out", tmp_path / "out")
    assert code == 2 and words in err and not out
    assert len(err.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_run_writes_the_notebook_and_says_where(igbrepro, toys, tmp_path):
    code, out, _ = igbrepro("run", "good", "-p", "width", "12", "--notebooks", toys, "--out", tmp_path)
    assert code == 0 and f"{tmp_path}/toy/01_good.ipynb" in out
    assert Record.read(tmp_path / "toy" / "01_good.record.json").parameters["width"] == 12


def test_a_failed_notebook_is_exit_code_1(igbrepro, toys, tmp_path):
    write_notebook(toys / "toy" / "03_breaks.ipynb", "seed = 1", "1 / 0")
    write_preset(toys, "laptop")
    code, _, err = igbrepro("run", "breaks", "--notebooks", toys, "--out", tmp_path)
    assert code == 1 and "igbrepro: notebook toy/03_breaks failed: ZeroDivisionError: division by zero" in err
    assert f"{tmp_path}/toy/03_breaks.failed.ipynb" in err


def test_list_shows_names_minutes_and_changes(igbrepro, toys):
    code, out, _ = igbrepro("list", "--preset", "smoke", "--notebooks", toys)
    assert code == 0 and "Preset smoke: 2 notebooks, 0.2 minutes" in out
    assert "toy/01_good" in out and "Toy 01_good" in out and "width=8" in out


@pytest.fixture
def records(tmp_path, monkeypatch):
    """Writes a record in which one registered claim came out as told."""
    claim = Claim("toy", "A toy", "A toy holds.", "Section 1", "toy/01_good", lambda m: (outcome, "so"), "reproduced")
    outcome = Outcome.REPRODUCED
    monkeypatch.setattr("igbrepro.claims.CLAIMS", {"toy": claim})
    for module in ("cli", "pages", "staging"):
        monkeypatch.setattr(f"igbrepro.{module}.CLAIMS", {"toy": claim})

    def write(outcome):
        verdict = Verdict("toy", "A toy", "A toy holds.", "Section 1", "toy/01_good", outcome, outcome, "it says so",
                          (Measurement("width", 8.0),))  # fmt: skip
        verdicts = () if outcome is None else (verdict,)
        Record("toy/01_good", "laptop", {}, verdicts, {}, 1.0).write(tmp_path / "toy" / "01_good.record.json")
        return tmp_path

    return write


def test_claims_shows_verdicts_and_passes_an_unchanged_register(igbrepro, records):
    code, out, _ = igbrepro("claims", "--check", "--records", records(Outcome.REPRODUCED))
    assert code == 0 and "reproduced" in out and "A toy holds." in out


def test_a_changed_verdict_fails_the_check_with_both_verdicts_and_the_remedy(igbrepro, records):
    code, _, err = igbrepro("claims", "--check", "--records", records(Outcome.NOT_REPRODUCED))
    assert code == 1
    assert "claim 'toy' (toy/01_good): was reproduced, is now not reproduced" in err and "claims_register.py" in err


def test_a_claim_that_its_notebook_no_longer_judges_fails_the_check(igbrepro, records):
    code, _, err = igbrepro("claims", "--check", "--records", records(None))
    assert code == 1 and "no verdict on 'toy' (toy/01_good)" in err


def test_a_missing_folder_of_records_is_named_with_its_remedy(igbrepro, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, _, err = igbrepro("claims", "--check")
    assert code == 2 and "build/laptop/src/notebooks" in err and "make book" in err


def test_claims_without_any_run_says_that_nothing_was_run(igbrepro, records, monkeypatch, tmp_path):
    records(Outcome.REPRODUCED)
    monkeypatch.chdir(tmp_path)
    code, out, _ = igbrepro("claims")
    assert code == 0 and "not run here" in out


def test_data_status_names_the_shipped_subset(igbrepro):
    code, out, _ = igbrepro("data", "status")
    assert code == 0 and "fashion-mnist-subset" in out and "verified" in out


def test_data_fetch_refuses_unknown_names(igbrepro):
    code, _, err = igbrepro("data", "fetch", "fashion-mnits")
    assert code == 2 and "fashion-mnits" in err and len(err.splitlines()) == 1


NETS = """
from torch import nn

def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))

def three():
    return 3
"""


def test_diagnose_prints_the_verdict_and_writes_json_and_figure(igbrepro, tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    outputs = ["--json", tmp_path / "d.json", "--figure", tmp_path / "d.png"]
    code, out, _ = igbrepro("diagnose", f"{tmp_path}/nets.py:net", "--data", "fashion-mnist-subset", "-n", 50, *outputs)
    words = " ".join(out.split())
    assert code == 0 and "Gradients keep their size" in words and "of the 50 inputs to class" in words
    found = json.loads((tmp_path / "d.json").read_text())
    assert [row["layer"] for row in found["layers"]] == ["1", "3"] and len(found["head"]["class_gradient"]) == 10
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("factory, words", [
    ("nets.py:nett", "has no attribute 'nett'"), ("nets.py:three", "gives int, not a torch module"),
    ("absent.py:net", "need MODULE:FACTORY or FILE.py:FACTORY"), ("net", "name what makes the model too"),
    ("torchvision.models:alexnet", "the model fails on inputs (1, 28, 28)"),
])  # fmt: skip
def test_diagnose_refuses_what_it_cannot_run(igbrepro, tmp_path, monkeypatch, factory, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(NETS)
    code, out, err = igbrepro("diagnose", factory, "--data", "fashion-mnist-subset")
    assert code == 2 and words in err and not out


def test_diagnose_checks_the_name_of_the_figure_before_it_works(igbrepro, tmp_path):
    code, _, err = igbrepro("diagnose", "a:b", "--data", "fashion-mnist-subset", "--figure", tmp_path / "d.xyz")
    assert code == 2 and "need a name that ends in .png, .svg or .pdf" in err
