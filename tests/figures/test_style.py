"""The recurring figures show the numbers they are given."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from igbrepro.figures import (
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
    use_style,
)
from igbrepro.theory import Phase


@pytest.fixture
def ax():
    with matplotlib.rc_context():
        use_style()
        _, ax = plt.subplots()
        yield ax
        plt.close("all")


def test_phase_colours_are_those_of_the_published_diagram():
    assert [PHASE_COLORS[p] for p in Phase] == ["#9bbcff", "#a14646", "#4861c1", "#6346a1", "#a08bdd"]
    assert len(set(PHASE_MARKERS.values())) == len(PHASE_MARKERS) == len(Phase)


def test_phase_map_paints_each_point_in_the_colour_of_its_phase(ax):
    phase = np.array([[Phase.ORDERED, Phase.EDGE, Phase.PREJUDICE], [Phase.NEUTRALITY, Phase.CHAOTIC_DEEP, Phase.EDGE]])
    mesh = phase_map(ax, [1.0, 2.0, 3.0], [0.0, 0.1], phase)
    ax.figure.canvas.draw()
    assert [to_hex(c) for c in mesh.get_facecolors()] == [PHASE_COLORS[p] for p in phase.ravel()]
    assert ax.get_xlabel() == r"$\sigma_w^2$" and ax.get_ylabel() == r"$\sigma_b^2$"


def test_layer_curves_draw_theory_as_line_and_measurements_as_points_with_errors(ax):
    theory, mean, error = np.array([0.0, 0.5, 0.6, 0.7]), np.array([0.1, 0.4, 0.7, 0.6]), np.array([0.1, 0.2, 0.3, 0.4])
    color = layer_curves(ax, theory, mean, error, layers=[2, 4, 6, 8], every=2, label="tanh")
    line, points = ax.lines[0], ax.containers[0]
    np.testing.assert_array_equal(line.get_xydata(), np.c_[[2, 4, 6, 8], theory])
    np.testing.assert_array_equal(points[0].get_xydata(), [[2, 0.1], [6, 0.7]])
    np.testing.assert_allclose(points[2][0].get_segments(), [[[2, 0.0], [2, 0.2]], [[6, 0.4], [6, 1.0]]])
    assert points[0].get_color() == color == line.get_color() and ax.get_legend_handles_labels()[1] == ["tanh"]


@pytest.mark.parametrize(("scale", "want"), [("log", 10.0), ("linear", 50.0)])
def test_law_is_labelled_where_asked_on_either_scale(ax, scale, want):
    ax.set(xscale=scale)
    law(ax, np.arange(1.0, 101.0), np.ones(100), "one", at=0.5)
    assert ax.texts[0].get_text() == "one" and abs(ax.texts[0].xy[0] - want) <= 0.5


def test_panels_are_two_in_a_row(ax):
    fig, axes = panels(3)
    assert axes.shape == (3,) and len(fig.axes) == 3 and fig.get_figheight() > fig.get_figwidth() / 2


def test_phase_legend_and_lines_name_their_phase(ax):
    ax.plot([0, 1], [0, 1], **phase_line(Phase.PREJUDICE))
    phase_legend(ax, [Phase.ORDERED, Phase.EDGE])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [Phase.ORDERED.label, Phase.EDGE.label]
    assert ax.lines[0].get_label() == "prejudice" and to_hex(ax.lines[0].get_color()) == PHASE_COLORS[Phase.PREJUDICE]


def test_class_profile_draws_theory_points_and_the_band_without_empty_networks(ax):
    networks = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0], [np.nan] * 3])
    class_profile(ax, networks, 2 * networks, np.mean, Phase.EDGE, every=2)
    line, points = ax.lines
    np.testing.assert_allclose(line.get_ydata(), [4, 6, 8])
    np.testing.assert_allclose(points.get_xydata(), [[0, 2], [2, 4]])
    assert points.get_label() == Phase.EDGE.label and len(ax.collections) == 1


def test_learning_curves_tell_runs_without_a_phase_apart(ax):
    values = {"edge": 0.9, "default": 0.7, "he": 0.6, "not shown": 0.1}
    rows = [
        {
            "run": run,
            "seed": seed,
            "step": step,
            "split": "test",
            "metric": metric,
            "class": None,
            "value": value + 0.1 * seed + (metric == "accuracy"),
        }
        for run, value in values.items()
        for seed in (0, 1)
        for step in (0, 1, 10)
        for metric in ("accuracy", "max_class_fraction")
    ]
    phases = {"default": None, "edge": Phase.EDGE, "he": None}
    _, axes = plt.subplots(1, 2)
    learning_curves(axes, pd.DataFrame(rows), phases, {"he": "He"})
    assert [line.get_label() for line in axes[0].lines] == ["default", f"edge: {Phase.EDGE.label}", "He"]
    default, edge, he = axes[1].lines
    for line, value in ((default, 0.75), (edge, 0.95), (he, 0.65)):
        np.testing.assert_allclose(line.get_xydata(), [[0, value], [1, value], [10, value]])
    assert to_hex(edge.get_color()) == PHASE_COLORS[Phase.EDGE] and edge.get_linestyle() == "-"
    assert default.get_color() == he.get_color() == "0.35"
    assert [default.get_linestyle(), he.get_linestyle()] == list(OTHER_DASHES[:2])
    low, high = axes[0].collections[0].get_paths()[0].get_extents().get_points()[:, 1]
    assert (low, high) == pytest.approx((1.7, 1.8))
