"""tools/gpu_check.py, on the CPU: all of its parts but the GPU's own."""

import importlib.util
import re
from pathlib import Path

import pytest

from igbrepro.publishing import plan_chapter
from igbrepro.runs import Store

PATH = Path(__file__).resolve().parents[2] / "tools" / "gpu_check.py"


@pytest.fixture
def gpu_check(monkeypatch, tmp_path):
    """The script, with small stacks, and a store of its own."""
    spec = importlib.util.spec_from_file_location("gpu_check", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "STACKS", (1, 2))
    monkeypatch.setenv("IGBREPRO_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("IGBREPRO_EVIDENCE", "off")
    return module


def test_it_compares_times_and_stores_runs_tanh_first(gpu_check, capsys, tmp_path):
    arguments = "--minutes 5 --device cpu --chapters 6 --preset smoke".split()
    assert gpu_check.main(arguments) == 0
    out = capsys.readouterr().out
    gaps = dict(re.findall(r"^  ([\w ]+): ([\d.e+-]+)$", out, re.MULTILINE))
    assert set(gaps) == {"MLP", "residual MLP", "CNN", "ResNet", "ViT"} and not any(map(float, gaps.values()))
    for precision in ("float32", "bfloat16"):
        rates = re.findall(rf"^  ([\w ]+), {precision}, ([12]): ", out, re.MULTILINE)
        assert rates and (len(rates) == 10 or "half of the time is gone" in out)
    stored = list(Store(tmp_path / "store").all())
    asked = plan_chapter("ch06_learning", "smoke", Store(tmp_path / "empty")).plans
    assert (
        len(stored) == sum(len(plan.missing) for plan in asked.values())
        and f"{len(stored)} runs stored; `igbrepro runs ship" in out
    )
    told = [line for line in out.splitlines() if "training, seed" in line]
    assert [line.split(":")[0][-1] for line in told] == ["0", "1", "0", "1"]  # the seeds of tanh, then of ReLU
    assert told[0].endswith("; 4 runs stored")
    assert gpu_check.main(arguments) == 0 and "\n0 runs stored" in capsys.readouterr().out


def test_a_limit_that_is_over_stores_nothing_and_an_unknown_chapter_is_told(gpu_check, monkeypatch, capsys):
    monkeypatch.setattr(gpu_check, "early_gaps", lambda *_: [])
    monkeypatch.setattr(gpu_check, "speeds", lambda *_: [])
    assert gpu_check.main("--minutes 0 --device cpu --chapters 6 --preset smoke".split()) == 0
    assert "\n0 runs stored" in capsys.readouterr().out
    assert gpu_check.main("--device cpu --chapters nowhere".split()) == 2
    assert "nowhere" in capsys.readouterr().err
