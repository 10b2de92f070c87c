"""`igbrepro run`: names, parameters, paths as typed, what is said before and after, and how it fails."""

import json
import os
import re
from pathlib import Path

import pytest
from cli.conftest import printed, write_chapter

from igbrepro.claims import Record
from igbrepro.cli.run import in_words, typed
from igbrepro.publishing import NOTEBOOKS, chapter_names, notebook_path
from igbrepro.publishing.run import locate


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "goood"], "notebook='goood': there is none of that name; did you mean ch01_good?"),
        (["run", "good", "--preset", "smok"], "preset='smok': there is none of that name; did you mean smoke?"),
        (["run", "good", "-p", "sede", "3"], "parameter='sede': there is none of that name; did you mean seed?"),
        (["run", "good", "-p", "width", "x"], "width='x': need a whole number, like its default 64."),
    ],
)
def test_wrong_input_is_one_clear_line_and_exit_code_2(igbrepro, toys, tmp_path, arguments, words):
    code, out, err = igbrepro(*arguments, "--notebooks", toys, "--out", tmp_path / "out")
    assert code == 2 and words in err and not out
    assert len(err.splitlines()) == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--out", "--log"])
def test_a_place_that_cannot_be_written_is_refused_before_any_work(igbrepro, toys, tmp_path, option):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "below"
    code, _, err = igbrepro("run", "good", "--notebooks", toys, "--out", tmp_path, option, place)
    assert code == 2 and f"{option[2:]}='{tmp_path}/file" in err and "is a file" in err and "starts" not in err


def test_an_unforeseen_error_of_the_system_is_one_line(igbrepro, toys, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "results/ch01_good")

    monkeypatch.setattr("igbrepro.publishing.run_notebook", refuse)
    code, _, err = igbrepro("run", "good", "--notebooks", toys, "--out", tmp_path)
    assert code == 1 and err.splitlines()[-1] == "igbrepro: results/ch01_good: Permission denied"


@pytest.mark.parametrize("name", ["1", "ch1", "ch01", "good", "ch01_good"])
def test_run_tells_the_time_finds_the_chapter_and_says_where(igbrepro, toys, tmp_path, monkeypatch, name):
    record = Record("ch01_good", "laptop", {}, (), {}, 61.0)
    monkeypatch.setattr("igbrepro.publishing.run_notebook", lambda *_, **__: record)
    code, out, err = igbrepro("run", name, "-p", "width", "12", "--notebooks", toys, "--out", tmp_path)
    assert (
        code == 0
        and out
        == f"ch01_good: done in 61 seconds -> {tmp_path}/ch01_good/good.ipynb, record, figures and tables beside it\n"
    )
    told = "ch01_good starts: about 6 seconds on one idle core at the preset laptop, which has other width.\n"
    assert err == told


@pytest.mark.parametrize("name", ["12", "ch12", "pooling_in_cnns"])
def test_the_book_s_own_chapters_are_found_by_number_and_name(igbrepro, tmp_path, monkeypatch, name):
    asked = []
    record = Record("ch12_pooling_in_cnns", "laptop", {}, (), {}, 1.0)
    monkeypatch.setattr("igbrepro.publishing.run_notebook", lambda chapter, **_: asked.append(chapter) or record)
    assert igbrepro("run", name, "--out", tmp_path)[0] == 0 and asked == ["ch12_pooling_in_cnns"]


def test_minutes_are_told_in_the_unit_that_suits():
    assert [in_words(m) for m in (0.001, 0.33, 1.6, 42, 150)] == [
        "1 second",
        "20 seconds",
        "2 minutes",
        "42 minutes",
        "2.5 hours",
    ]


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("512", 1, 512),
        ("1e-5", 0.1, 1e-5),
        ("[a, b]", ["c"], ["a", "b"]),
        ("a,b", ["c"], ["a", "b"]),
        ("a", ["c"], ["a"]),
        ("['a', 'b']", ["c"], ["a", "b"]),
        ("[a, b]", None, ["a", "b"]),
        ("1,2", [0], [1, 2]),
        ("7", [0], [7]),
        ("imagefolder:a,b", "cifar10", "imagefolder:a,b"),
        ("none", None, None),
    ],
)
def test_lists_need_no_quotes(text, default, value):
    assert typed(text, default) == value


def test_a_run_from_another_folder_takes_paths_as_typed_and_publishes_them_so(igbrepro, tmp_path, monkeypatch):
    root, here = tmp_path / "clone" / "notebooks", tmp_path / "elsewhere"
    (here / "pics").mkdir(parents=True)
    parameters = 'seed = 1\ndataset = "cifar10"\nkept_folder = None\nweights_file = None\nscaling = "unit"'
    cell = (
        "import os\nfrom pathlib import Path\nassert Path(dataset.partition(':')[2]).is_dir(), dataset\n"
        "Path(kept_folder).mkdir()\nassert Path(os.environ['IGBREPRO_DATA']).is_dir()\nprint(scaling)"
    )
    write_chapter(root, "ch01_paths", parameters, cell)
    monkeypatch.chdir(here)
    monkeypatch.setenv("IGBREPRO_DATA", "pics")
    typed_in = {"dataset": "imagefolder:pics", "kept_folder": "kept", "scaling": "pics"}
    options = [word for key, value in typed_in.items() for word in ("-p", key, value)]
    code, _, err = igbrepro("run", "paths", *options, "--notebooks", root, "--out", "out", "--log", "logs/run.ipynb")
    assert code == 0, err
    assert (here / "kept").is_dir() and os.environ["IGBREPRO_DATA"] == "pics"
    executed = here / "out" / "ch01_paths" / "paths.ipynb"
    assert printed(executed) == "pics\n"
    record = Record.read(executed.with_suffix(".record.json"))
    assert {key: record.parameters[key] for key in typed_in} == typed_in == record.changed
    assert str(tmp_path) not in executed.read_text() and "imagefolder:pics" in executed.read_text()


def test_every_parameter_of_the_book_that_names_a_path_is_taken_from_the_caller_s_folder():
    told = {}
    for chapter in chapter_names():
        cells = json.loads(notebook_path(chapter, NOTEBOOKS).read_text())["cells"]
        (cell,) = [c for c in cells if "parameters" in c["metadata"].get("tags", ())]
        told |= {
            name: chapter for name in re.findall(r"(?m)^(\w+) = .*# .*\b(?:folder|file)\b", "".join(cell["source"]))
        }
    assert "weights_file" in told
    assert all(Path(locate(name, "a")).is_absolute() for name in told), told
    assert locate("dataset", "imagefolder:~/pics") == f"imagefolder:{Path.home()}/pics"
    assert locate("dataset", "cifar10") == "cifar10" and locate("labels", "classes") == "classes"


def test_a_notebook_is_called_failed_only_once_it_has_failed(igbrepro, toys, tmp_path):
    out = tmp_path / "out"
    watch = f"from pathlib import Path\nprint(sorted(p.name for p in Path({str(out)!r}).rglob('*.ipynb')))\n1 / 0"
    write_chapter(toys, "ch03_breaks", "seed = 1", watch)
    code, _, err = igbrepro("run", "breaks", "--notebooks", toys, "--out", out)
    assert code == 1 and "igbrepro: notebook ch03_breaks failed: ZeroDivisionError: division by zero" in err
    kept = out / "ch03_breaks" / "breaks.failed.ipynb"
    assert str(kept) in err and [p.name for p in out.rglob("*.ipynb")] == [kept.name]
    assert printed(kept).startswith("['breaks.unfinished.ipynb']\n")


@pytest.mark.parametrize(("log", "text"), [("good.ipynb", "good.txt"), ("good.txt", "good.txt.txt")])
def test_with_a_log_all_that_is_said_goes_beside_it_and_one_line_is_printed(
    igbrepro, toys, tmp_path, monkeypatch, log, text
):
    def noisy(*_, **__):
        print("printed")
        os.system("echo of a process; echo its errors >&2")
        return Record("ch01_good", "laptop", {}, (), {}, 61.0)

    monkeypatch.setattr("igbrepro.publishing.run_notebook", noisy)
    options = ["--notebooks", toys, "--out", tmp_path, "--log", tmp_path / "log" / log]
    assert igbrepro("run", "good", *options) == (0, "ch01_good: no verdicts (61 s)\n", "")
    said = (tmp_path / "log" / text).read_text().splitlines()
    assert said[0].startswith("ch01_good starts: about 6 seconds") and said[-1].startswith("ch01_good: done in 61")
    assert said[1:-1] == ["printed", "of a process", "its errors"]
