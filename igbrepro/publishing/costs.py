"""What every chapter costs at every preset, before anything is run (no torch)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from igbrepro.data import remembering, without_download
from igbrepro.publishing.chapters import NOTEBOOKS, chapter_names, load_preset
from igbrepro.publishing.sweeps import has_experiment, plan_chapter
from igbrepro.runs import GPU_RATE, Pace, Store, work


@dataclass(frozen=True)
class Cost:
    """Of one chapter at one preset.

    notebook: minutes of one core for all but the runs.  runs: how many it asks for; shipped: how many of them are here.
    training: minutes of one core for all of them, shipped or not.  gpu: hours of a GPU for them, a guess.
    """

    notebook: float
    runs: int = 0
    shipped: int = 0
    training: float = 0.0
    gpu: float = 0.0

    @property
    def minutes(self) -> float:
        """Of one core, for all."""
        return self.notebook + self.training


def costs(presets: Sequence[str], store: Store, root: Path | str = NOTEBOOKS) -> dict[str, dict[str, Cost]]:
    """By chapter and preset; runs take as long as stored ones of their kind took."""
    entries = {preset: load_preset(preset, root) for preset in presets}
    pace = Pace(store.all(numbers=False))
    with remembering(), without_download():  # these are of plans, not of data
        return {
            name: {preset: _cost(name, preset, entries[preset][name].minutes, store, pace, root) for preset in presets}
            for name in chapter_names(root)
        }


def _cost(name: str, preset: str, minutes: float, store: Store, pace: Pace, root: Path | str) -> Cost:
    if not has_experiment(name, root):
        return Cost(minutes)
    plans = plan_chapter(name, preset, store, root=root).plans.values()
    runs = [run for plan in plans for run in plan.sweep.runs]
    shipped = sum(key in store.shipped for plan in plans for key in plan.stored.values())
    gpu = sum(map(work, runs)) / GPU_RATE / 3600
    return Cost(minutes, len(runs), shipped, sum(map(pace.seconds, runs)) / 60, gpu)
