"""House style of all figures, and the shapes that recur."""

from igbrepro.figures.phases import asked_networks, overview, phase_lines, phase_plane, plane_legend, plot_phase_diagram
from igbrepro.figures.style import (
    OTHER_DASHES,
    PHASE_COLORS,
    PHASE_MARKERS,
    class_profile,
    law,
    layer_curves,
    learning_curves,
    panels,
    phase_legend,
    phase_line,
    phase_map,
    theory_and_points,
    use_style,
)

__all__ = [
    "OTHER_DASHES",
    "PHASE_COLORS",
    "PHASE_MARKERS",
    "asked_networks",
    "class_profile",
    "law",
    "layer_curves",
    "learning_curves",
    "overview",
    "panels",
    "phase_legend",
    "phase_line",
    "phase_lines",
    "phase_map",
    "phase_plane",
    "plane_legend",
    "plot_phase_diagram",
    "theory_and_points",
    "use_style",
]
