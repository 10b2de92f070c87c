"""One notebook run into an executed copy and its record, and the whole workflow on toy chapters."""

import hashlib
import json
import shlex
import shutil

import nbformat
import pytest
from toys import CLAIMS, JUDGED, ROOT, snakemake, write_chapter, write_notebook, write_sizes

from igbrepro.claims import Outcome, Record, notebook_verdicts
from igbrepro.errors import ParameterError
from igbrepro.publishing import chapters as sources
from igbrepro.publishing import run as workflow
from igbrepro.publishing import stage as staging

DATA = """data = {"name": "fashion-mnist", "source": "system copy", "n_train": 60000, "fallback": False}
""" + JUDGED.replace("width)])", "width)], data=[data])")


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A toy run once with a verdict, a progress bar on stderr and a changed parameter."""
    root, out = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("out")
    where = "import igbrepro; print(igbrepro.__file__)"
    noise = "import sys; print('bar', file=sys.stderr); print('kept')"
    parameters = "seed = 5\nwidth = 64\nnames = ['a b']"
    folder = write_chapter(root, "ch01_good", parameters, noise, where, DATA, smoke={"width": 8})
    (folder / "claims.py").write_text(CLAIMS)
    record = workflow.run_notebook("ch01_good", preset="smoke", changes={"names": ["c d"]}, out=out, root=root)
    return record, out / "ch01_good" / "good.ipynb"


def streams(path):
    notebook = nbformat.read(path, as_version=4)
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    return "".join(out.text for out in outputs if out.output_type == "stream")


def test_the_record_holds_what_was_run_and_found(executed):
    record, path = executed
    assert record == Record.read(path.with_name("good.record.json"))
    assert (record.notebook, record.preset) == ("ch01_good", "smoke")
    assert record.parameters == {"seed": 5, "width": 8, "names": ["c d"]}
    assert record.changed == {"width": 8, "names": ["c d"]}
    (verdict,) = record.verdicts
    assert verdict.outcome is Outcome.REPRODUCED and verdict.measurements[0].value == 8
    assert [entry["name"] for entry in record.data] == ["fashion-mnist"]
    assert 0 < record.seconds < 120


def test_published_outputs_hold_no_progress_bars_and_no_traces_of_papermill(executed):
    _, path = executed
    assert "kept" in streams(path) and "bar" not in streams(path)
    raw = json.loads(path.read_text())
    assert "papermill" not in raw["metadata"] and not any("papermill" in cell["metadata"] for cell in raw["cells"])
    nbformat.validate(nbformat.read(path, as_version=4))


def test_the_kernel_imports_this_clone(executed):
    assert str(ROOT / "igbrepro" / "__init__.py") in streams(executed[1])


def test_the_page_ends_with_how_it_was_made(executed):
    text = nbformat.read(executed[1], as_version=4).cells[-1].source
    assert text.startswith("## How this page was made")
    rows = [
        "| preset | `smoke` with `width = 8`, `names = ['c d']` |",
        "| seed | 5 |",
        "| data | fashion-mnist, system copy",
    ]
    assert not [row for row in rows if row not in text]
    typed = ["igbrepro", "run", "ch01_good", "--preset", "smoke", "-p", "names", "['c d']"]
    assert shlex.split(text.split("```")[1])[1:] == typed
    assert str(ROOT) not in text


def test_the_rerun_command_survives_the_shell(executed):
    typed = shlex.split(workflow.rerun_command("a", "laptop", {"x": 1e-5, "name": "two words", "widths": [1, "b"]}))
    assert typed[:3] == ["igbrepro", "run", "a"]
    values = {typed[i + 1]: workflow.parse_value(typed[i + 2]) for i, word in enumerate(typed) if word == "-p"}
    assert values == {"x": 1e-5, "name": "two words", "widths": [1, "b"]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("512", 512),
        ("1e-5", 1e-5),
        ("[1, 2]", [1, 2]),
        ("true", True),
        ("None", None),
        ("relu", "relu"),
        ("imagefolder:a/b c", "imagefolder:a/b c"),
    ],
)
def test_values_typed_on_the_command_line(text, value):
    assert workflow.parse_value(text) == value and type(workflow.parse_value(text)) is type(value)


def test_a_notebook_that_raises_is_kept_with_its_traceback_and_named(toys, tmp_path):
    write_chapter(toys, "ch03_breaks", "seed = 1", "print('before')", "1 / 0", "print('after')")
    kept = tmp_path / "out" / "ch03_breaks" / "breaks.failed.ipynb"
    words = "ch03_breaks failed: ZeroDivisionError: division by zero"
    with pytest.raises(workflow.NotebookFailed, match=words) as caught:
        workflow.run_notebook("ch03_breaks", preset="smoke", out=tmp_path / "out", root=toys)
    assert str(kept) in str(caught.value)
    assert "before" in streams(kept) and "after" not in streams(kept)
    assert "ZeroDivisionError" in kept.read_text()
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_wrong_names_are_found_before_anything_runs(toys, tmp_path):
    for preset, changes in [("smok", {}), ("smoke", {"widht": 1})]:
        with pytest.raises(ParameterError, match="did you mean"):
            workflow.run_notebook("ch01_good", preset=preset, changes=changes, out=tmp_path / "out", root=toys)
    assert not (tmp_path / "out").exists()


class Toy:
    """The workflow on toy chapters: each run up to the generated pages, and which notebooks it ran."""

    def __init__(self, root, out):
        self.root, self.out, self.times = root, out, {}

    def snakemake(self, *options):
        page = f"{self.out}/src/book/generated/claims.md"
        return snakemake(page, *options, preset="smoke", notebooks=self.root, out=self.out)

    def run(self) -> list[str]:
        """Run without failures; returns the stems of the notebooks that ran."""
        done = self.snakemake()
        assert done.returncode == 0, done.stdout
        self.said = done.stdout
        before, self.times = self.times, self.now()
        return sorted(name for name, time in self.times.items() if time != before.get(name))

    def now(self) -> dict[str, int]:
        return {path.name.split(".")[0]: path.stat().st_mtime_ns for path in self.out.glob("executed/*/*.record.json")}

    def edit(self, file, old, new):
        path = self.root / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def page(self) -> str:
        return (self.out / "src/book/generated/claims.md").read_text()

    def staged(self):
        """The verdict on the page of the first chapter, with its box; the same as in the record beside it."""
        path = self.out / "src/notebooks/ch01_good/good.ipynb"
        notebook = json.loads(path.read_text())
        (verdict,) = notebook_verdicts(notebook)
        assert Record.read(path.with_name("good.record.json")).verdicts == (verdict,)
        outputs = [out for cell in notebook["cells"] for out in cell.get("outputs", ()) if "data" in out]
        return verdict, "".join(outputs[-1]["data"]["text/html"])


def tree(*folders) -> dict[str, str]:
    """A checksum of every file below the folders."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() + str(path.stat().st_mtime_ns) for path in files}


def test_a_failure_spares_the_others_and_is_told_last(toys, tmp_path):
    """A failure spares the others; mended, only it runs; then nothing; one changed parameter runs one notebook."""
    toy = Toy(toys, tmp_path / "out")
    write_chapter(toys, "ch03_breaks", "seed = 1", "raise RuntimeError('planted')")
    first = toy.snakemake()
    assert first.returncode != 0
    assert "3 notebooks, 0.3 minutes of computing" in first.stdout
    named, kept = first.stdout.rstrip().splitlines()[-2:]
    assert named == "notebook ch03_breaks FAILED: RuntimeError: planted"
    assert kept.endswith(f"{toy.out}/log/ch03_breaks.ipynb")
    assert "planted" in (toy.out / "log" / "ch03_breaks.ipynb").read_text()
    toy.times = toy.now()
    assert set(toy.times) == {"good", "other"} and not list(toy.out.glob("executed/*/breaks*"))

    write_notebook(toys / "ch03_breaks" / "breaks.ipynb", "seed = 1", "print('mended')")
    assert toy.run() == ["breaks"]
    assert staging.failure_report(toy.out, sources.chapter_names(toys)) == ""
    assert toy.run() == [] and "Nothing to be done" in toy.said and "minutes of computing" not in toy.said

    write_sizes(toys / "ch02_other", smoke={"seed": 7})
    assert toy.run() == ["other"]
    assert Record.read(toy.out / "executed/ch02_other/other.record.json").parameters == {"seed": 7}


def test_what_jobs_ask_of_a_cluster_holds_none_back_here(toys, tmp_path):
    """Two jobs that want more than any machine has, each waiting for the other, run side by side."""
    parameters = f"seed = 1\nmine = ''\nother = ''\nfolder = {str(tmp_path)!r}"
    meet = """import time, pathlib
(pathlib.Path(folder) / mine).touch()
until = time.monotonic() + 60
while not (pathlib.Path(folder) / other).exists():
    assert time.monotonic() < until, f"{mine} waited for {other} in vain"
    time.sleep(0.1)"""
    for name, mine, other in (("ch01_good", "one", "two"), ("ch02_other", "two", "one")):
        shutil.rmtree(toys / name)
        write_chapter(toys, name, parameters, meet)
        asks = {"minutes": 100_000, "memory_gb": 1e6, "gpu": 8}
        write_sizes(toys / name, asks, smoke={"mine": mine, "other": other})
    done = snakemake("executed", "--cores", "2", preset="smoke", notebooks=toys, out=tmp_path / "out")
    assert done.returncode == 0, done.stdout


def test_words_run_nothing_and_rules_judge_what_was_measured(toys, tmp_path):
    toy = Toy(toys, tmp_path / "out")
    assert toy.run() == ["good", "other"]
    assert toy.staged()[0].outcome is Outcome.REPRODUCED

    toy.edit("ch01_good/lab.py", '"""Words."""', '"""Other words."""  # and more')
    toy.edit("ch01_good/expected.yml", "toy-width: reproduced", "toy-width: not reproduced")
    assert toy.run() == [] and "Nothing to be done" in toy.said

    toy.edit("ch01_good/claims.py", "A width is small.", "A width is <tiny>.")
    toy.edit("ch01_good/claims.py", "Claims of a toy.", "Toy claims.")
    assert toy.run() == []
    assert "A width is &lt;tiny&gt;." in toy.page() and "A width is &lt;tiny&gt;." in toy.staged()[1]

    toy.edit("ch01_good/claims.py", "0, 100", "0, 5")
    assert toy.run() == []
    verdict, box = toy.staged()
    assert verdict.outcome is Outcome.NOT_REPRODUCED and "not reproduced" in box and "not reproduced" in toy.page()

    toy.edit("ch01_good/claims.py", '"width"', '"the width"')
    assert toy.run() == ["good"]
    assert toy.staged()[0].measurements[0].name == "the width"

    toy.edit("ch01_good/lab.py", "2 * x", "x + x")
    assert toy.run() == ["good"]


def test_a_dry_run_writes_nothing_and_a_damaged_record_is_made_again(toys, tmp_path):
    toy = Toy(toys, tmp_path / "out")
    assert toy.run() == ["good", "other"]
    damaged = toy.out / "executed/ch02_other/other.record.json"
    damaged.write_text("{")
    toy.times = toy.now()
    before = tree(toys, toy.out)
    plan = toy.snakemake("--dry-run")
    assert plan.returncode == 0 and tree(toys, toy.out) == before
    assert "run the notebook of ch02_other" in plan.stdout and "ch01_good" not in plan.stdout.split("Reason")[0]

    assert toy.run() == ["other"]
    warnings = [line for line in toy.said.splitlines() if "Warning" in line and "record" in line]
    assert len(warnings) == 1 and str(damaged) in warnings[0] and "made again" in warnings[0]
    assert damaged.with_name("other.record.json.1").read_text() == "{"
    assert toy.run() == [] and "Nothing to be done" in toy.said


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"preset": "smok"}, "preset='smok': there is none of that name; did you mean smoke?"),
        ({"notebooks": "nowhere"}, "notebooks='nowhere': holds no chapters"),
    ],
)
def test_the_workflow_refuses_unknown_names(tmp_path, config, words):
    run = snakemake("executed", out=tmp_path, **config)
    assert run.returncode != 0 and words in run.stdout


@pytest.mark.parametrize(("preset", "checked"), [("study", True), ("smoke", False)])
def test_a_dry_run_lists_its_jobs_and_only_the_study_preset_is_held_to_the_register(toys, tmp_path, preset, checked):
    plan = snakemake("html", "--dry-run", preset=preset, notebooks=toys, out=tmp_path)
    assert plan.returncode == 0, plan.stdout
    jobs = {line.partition(": ")[2] for line in plan.stdout.splitlines() if line.startswith("Job ")}
    compared = {"compare the verdicts with the committed ones"} if checked else set()
    notebooks = {"run the notebook of ch01_good", "run the notebook of ch02_other"}
    assert jobs == {*notebooks, "make the pages from the records", "build the html of the book"} | compared
