"""One notebook run into an executed copy and its record, and the whole workflow on toy notebooks."""

import json
import shlex

import nbformat
import pytest
from toys import ROOT, snakemake, write_notebook, write_preset

from igbrepro.claims import Outcome, Record
from igbrepro.errors import ParameterError
from igbrepro.publishing import chapters as sources
from igbrepro.publishing import run as workflow
from igbrepro.publishing import stage as staging

VERDICT = """
from igbrepro.results import Measurement, Outcome, Verdict
data = {"name": "fashion-mnist", "source": "system copy", "n_train": 60000, "fallback": False}
Verdict("toy", "A toy", "A toy holds.", "Section 1", "toy/01_good", Outcome.REPRODUCED, Outcome.REPRODUCED, "it agrees",
        (Measurement("width", width),), (data,))
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A toy run once with a verdict, a progress bar on stderr and a changed parameter."""
    root, out = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("out")
    where = "import igbrepro; print(igbrepro.__file__)"
    noise = "import sys; print('bar', file=sys.stderr); print('kept')"
    write_notebook(root / "toy" / "01_good.ipynb", "seed = 5\nwidth = 64\nnames = ['a b']", noise, where, VERDICT)
    write_preset(root, "smoke", **{"01_good": {"width": 8}})
    record = workflow.run_notebook("toy/01_good", preset="smoke", changes={"names": ["c d"]}, out=out, root=root)
    return record, out / "toy" / "01_good.ipynb"


def streams(path):
    notebook = nbformat.read(path, as_version=4)
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    return "".join(out.text for out in outputs if out.output_type == "stream")


def test_the_record_holds_what_was_run_and_found(executed):
    record, path = executed
    assert record == Record.read(path.with_name("01_good.record.json"))
    assert (record.notebook, record.preset) == ("toy/01_good", "smoke")
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
    assert shlex.split(text.split("```")[1])[1:] == [
        "igbrepro", "run", "toy/01_good", "--preset", "smoke", "-p", "names", "['c d']",
    ]  # fmt: skip
    assert str(ROOT) not in text


def test_the_rerun_command_survives_the_shell(executed):
    typed = shlex.split(workflow.rerun_command("a", "laptop", {"x": 1e-5, "name": "two words", "widths": [1, "b"]}))
    assert typed[:3] == ["igbrepro", "run", "a"]
    values = {typed[i + 1]: workflow.parse_value(typed[i + 2]) for i, word in enumerate(typed) if word == "-p"}
    assert values == {"x": 1e-5, "name": "two words", "widths": [1, "b"]}


@pytest.mark.parametrize(
    ("text", "value"),
    [("512", 512), ("1e-5", 1e-5), ("[1, 2]", [1, 2]), ("true", True), ("None", None), ("relu", "relu"),
     ("imagefolder:a/b c", "imagefolder:a/b c")],
)  # fmt: skip
def test_values_typed_on_the_command_line(text, value):
    assert workflow.parse_value(text) == value and type(workflow.parse_value(text)) is type(value)


def test_a_notebook_that_raises_is_kept_with_its_traceback_and_named(toys, tmp_path):
    write_notebook(toys / "toy" / "03_breaks.ipynb", "seed = 1", "print('before')", "1 / 0", "print('after')")
    write_preset(toys, "smoke")
    kept = tmp_path / "out" / "toy" / "03_breaks.failed.ipynb"
    with pytest.raises(
        workflow.NotebookFailed, match="toy/03_breaks failed: ZeroDivisionError: division by zero"
    ) as caught:
        workflow.run_notebook("toy/03_breaks", preset="smoke", out=tmp_path / "out", root=toys)
    assert str(kept) in str(caught.value)
    assert "before" in streams(kept) and "after" not in streams(kept)
    assert "ZeroDivisionError" in kept.read_text()
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_wrong_names_are_found_before_anything_runs(toys, tmp_path):
    for name, preset, changes in [("toy/01_good", "smok", {}), ("toy/01_good", "smoke", {"widht": 1})]:
        with pytest.raises(ParameterError, match="did you mean"):
            workflow.run_notebook(name, preset=preset, changes=changes, out=tmp_path / "out", root=toys)
    assert not (tmp_path / "out").exists()


def test_the_whole_workflow_on_toys(toys, tmp_path):
    """A failure spares the others; mended, only it runs; then nothing; one changed parameter re-runs one notebook."""
    out = tmp_path / "out"
    broken = [toys / "toy" / f"{name}.ipynb" for name in ("00_breaks", "03_breaks")]
    for path in broken:
        write_notebook(path, "seed = 1", f"raise RuntimeError('planted in {path.stem}')")
    write_preset(toys, "smoke")

    def run():
        return snakemake("executed", preset="smoke", notebooks=toys, out=out)

    def times():
        return {p.name.split(".")[0]: p.stat().st_mtime_ns for p in out.rglob("*.record.json")}

    first = run()
    assert first.returncode != 0
    assert "4 notebooks, 0.4 minutes of computing" in first.stdout
    last = first.stdout.rstrip().splitlines()[-4:]
    for (named, kept), path in zip((last[:2], last[2:]), broken, strict=True):
        assert named == f"notebook toy/{path.stem} FAILED: RuntimeError: planted in {path.stem}"
        assert kept.endswith(f"{out}/log/toy/{path.name}")
        assert "planted" in (out / "log" / "toy" / path.name).read_text()
    before = times()
    assert set(before) == {"01_good", "02_other"}
    assert not list(out.glob("src/**/*_breaks*"))

    for path in broken:
        write_notebook(path, "seed = 1", "print('mended')")
    mended = run()
    assert mended.returncode == 0, mended.stdout
    after = times()
    assert set(after) == {"01_good", "02_other", "00_breaks", "03_breaks"}
    assert {name: after[name] for name in before} == before

    again = run()
    assert again.returncode == 0 and "Nothing to be done" in again.stdout
    assert "minutes of computing" not in again.stdout

    write_preset(toys, "smoke", **{"02_other": {"seed": 7}})
    changed = run()
    assert changed.returncode == 0, changed.stdout
    final = times()
    assert [name for name in final if final[name] != after[name]] == ["02_other"]
    assert Record.read(out / "src/notebooks/toy/02_other.record.json").parameters == {"seed": 7}
    assert staging.failure_report(out, sources.notebook_names(toys)) == ""


@pytest.mark.parametrize(
    ("config", "words"),
    [({"preset": "smok"}, "preset='smok': there is none of that name; did you mean smoke?"),
     ({"notebooks": "nowhere"}, "notebooks='nowhere': holds no presets/")],
)  # fmt: skip
def test_the_workflow_refuses_unknown_names(tmp_path, config, words):
    run = snakemake("executed", out=tmp_path, **config)
    assert run.returncode != 0 and words in run.stdout


@pytest.mark.parametrize(("preset", "checked"), [("laptop", True), ("smoke", False)])
def test_only_the_laptop_preset_is_held_to_the_register(toys, tmp_path, preset, checked):
    plan = snakemake("html", "--dry-run", "--quiet", "host", preset=preset, notebooks=toys, out=tmp_path)
    assert plan.returncode == 0, plan.stdout
    steps = {line.split()[1].rstrip(":") for line in plan.stdout.splitlines() if line.startswith("rule ")}
    assert steps == {"notebook", "pages", "html"} | ({"register"} if checked else set())
