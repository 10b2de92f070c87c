"""House style of the figures and the few shapes of figure that return in several chapters.

Sizes suit both a 1,400-pixel screen and a phone, where a figure shrinks to about 350 pixels: one panel is 5.6 inches
wide with 11-point text. Theory is drawn as lines, measurements as points with standard errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from igbrepro.theory import Phase

PANEL = (5.6, 3.7)

PHASE_COLORS = {
    Phase.ORDERED: "#9bbcff",
    Phase.EDGE: "#a14646",
    Phase.CHAOTIC_DEEP: "#4861c1",
    Phase.PREJUDICE: "#6346a1",
    Phase.NEUTRALITY: "#a08bdd",
}
# Lines and points of a phase also differ by shape, for those who do not tell its colour from the others.
PHASE_MARKERS = {
    Phase.ORDERED: "s",
    Phase.EDGE: "o",
    Phase.CHAOTIC_DEEP: "D",
    Phase.PREJUDICE: "^",
    Phase.NEUTRALITY: "v",
}

OTHER_DASHES = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))  # of runs that start in no known phase

_STYLE = {
    "figure.figsize": PANEL,
    "figure.dpi": 96,
    "figure.constrained_layout.use": True,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 11,
    "font.family": "DejaVu Sans",
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "mathtext.fontset": "dejavusans",
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}


def use_style() -> None:
    """Set the house style; in a notebook, store figures as PNG at twice the screen's resolution (small and sharp)."""
    sns.set_theme(style="ticks", palette="colorblind", rc=_STYLE)
    try:
        from IPython.core.getipython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("retina", metadata={"Software": None})


def panels(n: int, *, height: float = 3.3, **kwargs: Any) -> tuple[Figure, np.ndarray]:
    """A figure of `n` panels, two in a row (side by side they stay readable on a phone); axes as an array (n,)."""
    columns = min(n, 2)
    rows = -(-n // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(3.7 * columns, height * rows), squeeze=False, **kwargs)
    for spare in axes.ravel()[n:]:
        spare.remove()
    return fig, axes.ravel()[:n]


def layer_curves(
    ax: Axes,
    theory: ArrayLike,
    mean: ArrayLike | None = None,
    error: ArrayLike | None = None,
    *,
    layers: ArrayLike | None = None,
    every: int = 1,
    **look: Any,
) -> Any:
    """Theory as a line and measured means ± standard errors as points, against the layer index; returns the colour.

    theory, mean, error: (layers,).  layers: their indices, default 0, 1, ...  every: draw each `every`-th point only.
    look: color, label and marker, the last of the points.
    """
    marker, look["label"] = look.pop("marker", "o"), look.get("label") or None
    theory = np.asarray(theory, float)
    x = np.arange(len(theory)) if layers is None else np.asarray(layers)
    (line,) = ax.plot(x, theory, **look)
    if mean is not None:
        bars = None if error is None else np.asarray(error, float)[::every]
        ax.errorbar(
            x[::every], np.asarray(mean, float)[::every], yerr=bars, fmt=marker, color=line.get_color(), capsize=2
        )
    return line.get_color()


def law(ax: Axes, x: ArrayLike, y: ArrayLike, text: str, *, at: float = 0.6, above: bool = True) -> None:
    """A dashed asymptote through (x, y) with its formula beside it at the fraction `at` (set the scales first).

    x, y: (n,), x increasing.  above: write above the line, else below.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    ax.plot(x, y, "--", color="0.25", linewidth=1.2, zorder=1)
    goal = x[0] * (x[-1] / x[0]) ** at if ax.get_xscale() == "log" else x[0] + at * (x[-1] - x[0])
    k = int(np.abs(x - goal).argmin())
    offset = (5, 5) if above else (-5, -5)
    side: dict[str, Any] = {"ha": "left", "va": "bottom"} if above else {"ha": "right", "va": "top"}
    ax.annotate(text, (x[k], y[k]), xytext=offset, textcoords="offset points", color="0.25", fontsize=9.5, **side)


def theory_and_points(ax: Axes, **kwargs: Any) -> None:
    """A legend that says what lines and points are, in grey, beside whatever the colours mean."""
    handles = [
        Line2D([], [], color="0.4", label="theory"),
        Line2D([], [], color="0.4", marker="o", linestyle="", label="finite networks ± s.e."),
    ]
    ax.add_artist(ax.legend(handles=handles, **kwargs))


def phase_line(phase: Phase) -> dict[str, Any]:
    """Colour, marker and label of a phase, for `ax.plot(x, y, **phase_line(phase))`."""
    phase = Phase(phase)
    return {"color": PHASE_COLORS[phase], "marker": PHASE_MARKERS[phase], "label": phase.label}


def phase_map(ax: Axes, sigma_w2: ArrayLike, sigma_b2: ArrayLike, phase: ArrayLike) -> QuadMesh:
    """Colour the plane (sigma_w2, sigma_b2) by phase and label the axes.

    sigma_w2: (n,).  sigma_b2: (m,).  phase: (m, n) of Phase, as `phase_grid(...).phase`.
    """
    ax.set(xlabel=r"$\sigma_w^2$", ylabel=r"$\sigma_b^2$")
    ax.grid(False)
    return ax.pcolormesh(
        np.asarray(sigma_w2, float),
        np.asarray(sigma_b2, float),
        np.asarray(phase, int),
        cmap=ListedColormap([PHASE_COLORS[p] for p in Phase]),
        norm=BoundaryNorm(np.arange(len(Phase) + 1) - 0.5, len(Phase)),
        shading="nearest",
        rasterized=True,
    )


def phase_legend(ax: Axes, phases: Iterable[Phase] = tuple(Phase), **kwargs: Any) -> None:
    """A legend of coloured patches, below the axes, where it hides nothing and fits a phone."""
    handles = [
        Line2D([], [], color=color, label=p.label) if p is Phase.EDGE else Patch(color=color, label=p.label)
        for p, color in ((p, PHASE_COLORS[p]) for p in map(Phase, phases))
    ]
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 2, "handlelength": 1.2}
    ax.legend(handles=handles, **{**place, **kwargs})


def class_profile(
    ax: Axes,
    measured: ArrayLike,
    predicted: ArrayLike,
    statistic: Callable[..., np.ndarray],
    phase: Phase,
    every: int = 1,
) -> None:
    """Gradients over the layers in the colour of a phase: theory (line), networks (points, each `every`-th layer).

    measured, predicted: (networks, layers); statistic: over networks, np.mean or np.median.  Networks with nan are left
    out. The band holds nine tenths of the measured networks.
    """
    measured, predicted = (v[np.isfinite(v).all(1)] for v in map(np.asarray, (measured, predicted)))
    look, layers = phase_line(phase), np.arange(measured.shape[1])
    ax.plot(statistic(predicted, axis=0), color=look["color"])
    ax.fill_between(layers, *np.quantile(measured, [0.05, 0.95], axis=0), color=look["color"], alpha=0.2, linewidth=0)
    ax.plot(layers[::every], statistic(measured, axis=0)[::every], linestyle="", **look)


def learning_curves(
    axes: Sequence[Axes],
    frame: pd.DataFrame,
    phases: Mapping[str, Phase | None],
    labels: Mapping[str, str] | None = None,
    split: str = "test",
) -> None:
    """Accuracy (first axes) and largest class fraction (second) against the training step; split: "test" or "train".

    frame: the table of `training.train_many`.  phases: the runs to show, in order, with the phase each starts in; None
        for one that has none, such as PyTorch's default, drawn in grey with a dash of its own.
    labels: texts of the legend, by default the run and its phase.
    Lines are means over seeds, shades the range over seeds; steps on a log axis which begins at step 0.
    """
    shown = {"accuracy": f"{split} accuracy", "max_class_fraction": "largest class fraction"}
    others = [run for run, phase in phases.items() if phase is None]
    look: dict[str, Any]
    for ax, (metric, label) in zip(axes, shown.items(), strict=True):
        rows: Any = frame[(frame["metric"] == metric) & (frame["split"] == split) & frame["run"].isin(list(phases))]
        for run, phase in phases.items():
            values = rows[rows["run"] == run].pivot(index="step", columns="seed", values="value")
            if phase is None:
                look = {"color": "0.35", "linestyle": OTHER_DASHES[others.index(run) % len(OTHER_DASHES)]}
            else:
                look = {"color": PHASE_COLORS[phase]}
            text = (labels or {}).get(run) or (run if phase is None else f"{run}: {phase.label}")
            ax.plot(values.index, values.mean(axis=1), label=text, **look)
            low, high = values.min(axis=1), values.max(axis=1)
            ax.fill_between(values.index, low, high, color=look["color"], alpha=0.2, linewidth=0)
        ax.set_xscale("symlog", linthresh=1, linscale=0.3)
        ax.set(xlabel="training step", ylabel=label, xlim=(0, None))
    axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
