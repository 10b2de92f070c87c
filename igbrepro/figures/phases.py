"""Figures of the phase diagram: its lines, networks laid over it, and the overview that the first page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from igbrepro.checks import finite
from igbrepro.ensembles import EnsembleResult
from igbrepro.errors import ParameterError
from igbrepro.figures.style import PHASE_COLORS, PHASE_MARKERS, panels, phase_legend, phase_map, theory_and_points
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.theory import Activation, ClassFraction, Phase, Pool, edge_line, neutral_sigma_w2, phase_grid

LINE_STYLES: dict[str, tuple[str, Any]] = {
    "edge of chaos": (PHASE_COLORS[Phase.EDGE], "-"),
    "neutrality line": ("black", "--"),
}


def plot_phase_diagram(
    activation: Activation | str,
    sigma_w2: Sequence[float] = (0.5, 5.0),
    sigma_b2: Sequence[float] = (0.0, 0.3),
    *,
    pool: Pool | None = None,
    size: int = 120,
    ax: Axes | None = None,
) -> Axes:
    """The phase diagram of any activation over two ranges: its phases, its lines and a legend.

    activation: an Activation, also one of your own, or a name.  ax: where to draw, by default a new figure.
    """
    if ax is None:
        _, ax = plt.subplots()
    phase_plane(ax, activation, sigma_w2, sigma_b2, size, pool)
    shown = np.unique(np.asarray(ax.collections[-1].get_array(), int))
    edge = [Phase.EDGE] if any(line.get_label() == "edge of chaos" for line in ax.lines) else []
    plane_legend(ax, sorted({*map(Phase, shown.tolist()), *edge}))
    return ax


def phase_plane(
    ax: Axes,
    activation: Activation | str,
    sigma_w2: Sequence[float],
    sigma_b2: Sequence[float],
    size: int = 120,
    pool: Pool | None = None,
) -> None:
    """The phases over the rectangle of the ranges sigma_w2 and sigma_b2, `size` points a side, with their lines.

    Raises ParameterError for a range that is no pair (low, high).
    """
    for name, ends in (("sigma_w2", sigma_w2), ("sigma_b2", sigma_b2)):
        if np.shape(ends) != (2,) or not finite(name, ends, 0)[0] < finite(name, ends, 0)[1]:
            raise ParameterError(f"{name}={ends!r}: need a range (low, high), low below high.")
    (low_w, high_w), (low_b, high_b) = sigma_w2, sigma_b2
    w2, b2 = np.linspace(low_w, high_w, size), np.linspace(low_b, high_b, size)
    phase_map(ax, w2, b2, phase_grid(activation, w2, b2, pool=pool).phase)
    phase_lines(ax, activation, b2, pool)
    ax.set(xlim=(low_w, high_w), ylim=(low_b, high_b))


def phase_lines(ax: Axes, activation: Activation | str, sigma_b2: ArrayLike, pool: Pool | None = None) -> list[Line2D]:
    """Draw the edge of chaos and, where there is one, the neutrality line at sigma_b2 (m,), on top of everything."""
    sigma_b2 = np.asarray(sigma_b2, float)
    edge, _ = edge_line(activation, sigma_b2, pool)
    lines = (edge, neutral_sigma_w2(activation, sigma_b2, pool=pool))
    drawn = []
    for (name, (color, style)), line in zip(LINE_STYLES.items(), lines, strict=True):
        if np.isfinite(line).any():
            drawn += ax.plot(line, sigma_b2, style, color=color, linewidth=2.2, label=name)
    return drawn


def plane_legend(ax: Axes, phases: Sequence[Phase]) -> None:
    """The legend of a phase plane, below it: `phases` by colour, and the neutrality line where it is drawn."""
    phase_legend(ax, phases)
    color, style = LINE_STYLES["neutrality line"]
    legend: Any = ax.get_legend()
    handles, names = list(legend.legend_handles), [text.get_text() for text in legend.get_texts()]
    if any(line.get_label() == "neutrality line" for line in ax.lines):
        handles.append(Line2D([], [], color=color, linestyle=style))
        names.append("neutrality line")
    ax.legend(handles, names, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, handlelength=1.6)


def asked_networks(ax: Axes, table: pd.DataFrame) -> list[PathCollection]:
    """The points of phase_probe.probe_points, marked by the phase that the networks said; disagreements are ringed."""
    drawn = []
    for phase in Phase:
        said = table[table.phase == phase]
        if len(said):
            look: dict[str, Any] = {"marker": PHASE_MARKERS[phase], "color": PHASE_COLORS[phase]}
            drawn.append(ax.scatter(said.sigma_w2, said.sigma_b2, s=42, edgecolor="white", zorder=4, **look))
    wrong = table[table.phase != table.theory]
    if len(wrong):
        ring: dict[str, Any] = {"facecolor": "none", "edgecolor": "black", "linewidth": 1.6}
        drawn.append(ax.scatter(wrong.sigma_w2, wrong.sigma_b2, s=150, zorder=5, **ring))
    return drawn


_PLACES = {
    Phase.ORDERED: ("ordered", (0.75, 0.265), "0.1", 0),
    Phase.EDGE: ("edge of chaos", (1.94, 0.155), "0.1", 79),
    Phase.PREJUDICE: ("prejudice", (2.62, 0.265), "white", 0),
    Phase.NEUTRALITY: ("neutrality", (4.0, 0.045), "0.1", 0),
}


def overview(results: Mapping[Phase, EnsembleResult], *, every: int = 8, size: int = 400) -> Figure:
    """The tanh phase diagram with the points of `results`, and beside it the largest class fraction against depth.

    results: for each phase, tanh networks with heads at every layer, of one depth; inputs unrelated, of mean square 1.
    every: draw each `every`-th layer of the networks.  size: points a side of the diagram.
    """
    fig, (plane, depth) = panels(2, height=3.9)
    phase_plane(plane, "tanh", (0.6, 5.4), (0.0, 0.3), size)
    for phase, result in results.items():
        name, place, ink, angle = _PLACES[phase]
        plane.text(*place, name, color=ink, rotation=angle, rotation_mode="anchor")
        marker, color = PHASE_MARKERS[phase], PHASE_COLORS[phase]
        plane.plot(
            result.init.sigma_w2, result.init.sigma_b2, marker, markersize=9.5, color="white", markeredgecolor="0.1"
        )
        line, table = _fraction_theory(result.spec, result.init), result.summary("max_fraction")
        points = table.iloc[1::every]
        depth.plot(line, color=color)
        depth.errorbar(points["layer"], points["mean"], points["std_error"], fmt=marker, color=color)
        depth.annotate(
            name.split(" of ")[0], (len(line) - 1, line[-1]), xytext=(5, 0), textcoords="offset points", va="center"
        )
    plane.set_title("How the weights are drawn ...")
    depth.set_title("... and what the network answers")
    depth.set(xlabel="depth", ylabel="largest class fraction", xlim=(0, 1.4 * result.spec.depth), ylim=(0.5, 1.02))
    depth.set_xticks(np.linspace(0, result.spec.depth, 5))
    theory_and_points(depth, loc="lower right", handlelength=1.2)
    return fig


def _fraction_theory(spec: MLPSpec, init: InitSpec) -> np.ndarray:
    """Mean largest class fraction of each layer, (depth + 1,), for unrelated inputs of mean square one."""
    q0 = init.sigma_w2 + init.sigma_b2
    gamma = spec.mean_field(init).trajectory(spec.depth, q0, init.sigma_b2 / q0).gamma
    return np.array([ClassFraction(g).mean_max() for g in gamma])
