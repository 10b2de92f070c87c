"""Figures of the phase diagram, and the one that the README shows."""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from igbrepro.ensembles import Measure, gaussian_inputs, simulate
from igbrepro.errors import ParameterError
from igbrepro.figures import PHASE_COLORS, plot_phase_diagram
from igbrepro.figures import phases as phase_figures
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.theory import Activation, Phase


@pytest.fixture
def ax():
    _, ax = plt.subplots()
    yield ax
    plt.close("all")


def test_lines_are_where_the_reference_values_are(ax):
    edge, neutral = phase_figures.phase_lines(ax, "tanh", [0.05, 0.1])
    np.testing.assert_allclose(edge.get_xdata(), [1.760955, 1.986073], rtol=1e-6)
    np.testing.assert_allclose(neutral.get_xdata(), [2.378266, 2.924766], rtol=1e-6)
    assert [line.get_label() for line in phase_figures.phase_lines(ax, "relu", [0.0, 0.1])] == ["edge of chaos"]


def test_the_legend_names_the_neutrality_line_where_it_is_drawn(ax):
    phase_figures.phase_plane(ax, "tanh", (1, 3), (0.0, 0.1), size=4)
    phase_figures.plane_legend(ax, [Phase.ORDERED])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ordered, deep prejudice", "neutrality line"]
    _, other = plt.subplots()
    phase_figures.phase_plane(other, "relu", (1, 3), (0.0, 0.1), size=4)
    phase_figures.plane_legend(other, [Phase.ORDERED])
    assert len(other.get_legend().get_texts()) == 1


def test_networks_are_marked_by_what_they_said_and_errors_ringed(ax):
    table = pd.DataFrame(
        {"sigma_w2": [1.0, 2.0, 3.0], "sigma_b2": 0.1, "phase": [0, 3, 3], "theory": [0, 0, 3], "distance": 0.1}
    )
    ordered, prejudice, rings = phase_figures.asked_networks(ax, table)
    np.testing.assert_array_equal(ordered.get_offsets(), [[1.0, 0.1]])
    np.testing.assert_array_equal(prejudice.get_offsets(), [[2.0, 0.1], [3.0, 0.1]])
    assert to_hex(prejudice.get_facecolor()[0]) == PHASE_COLORS[Phase.PREJUDICE]
    np.testing.assert_array_equal(rings.get_offsets(), [[2.0, 0.1]])


def test_the_overview_draws_theory_and_networks_of_each_phase():
    spec = MLPSpec("tanh", depth=6, width=30, input_shape=(20,))
    inputs = gaussian_inputs(10, 20, 1, exact=True)
    places = {Phase.ORDERED: InitSpec(1.59, 0.1), Phase.NEUTRALITY: InitSpec(4.97, 0.1)}
    measure = Measure(n_heads=5, heads_at_every_layer=True)
    results = {phase: simulate(spec, at, inputs, n_networks=3, seed=1, measure=measure) for phase, at in places.items()}
    fig = phase_figures.overview(results, every=2, size=10)
    plane, depth = fig.axes
    theory = depth.lines[0].get_ydata()
    first = 0.5 + np.arctan(np.sqrt(0.1 / 1.59)) / np.pi  # c = 0.1/1.69, so gamma = 0.1/1.59
    assert theory[0] == pytest.approx(first) and (np.diff(theory) > 0).all()
    measured = depth.containers[0][0].get_xydata()
    want = results[Phase.ORDERED].summary("max_fraction")["mean"]
    np.testing.assert_allclose(measured, [[layer, want[layer]] for layer in (1, 3, 5)])
    assert {text.get_text() for text in plane.texts} == {"ordered", "neutrality"}
    plt.close(fig)


def test_the_figure_of_the_readme_is_fit_to_show():
    path = Path(__file__).parents[2] / "book" / "_assets" / "readme.png"
    with Image.open(path) as image:
        assert 1200 <= image.width <= 1600
    assert path.stat().st_size < 250_000


def test_a_phase_diagram_of_an_activation_of_ones_own(ax):
    arctan = Activation("arctan", np.arctan, lambda x: 1 / (1 + x**2))
    assert plot_phase_diagram(arctan, (0.5, 4.0), (0.0, 0.2), size=6, ax=ax) is ax
    assert ax.get_xlim() == (0.5, 4.0) and ax.get_ylim() == (0.0, 0.2)
    names = {text.get_text() for text in ax.get_legend().get_texts()}
    assert {"ordered, deep prejudice", "edge of chaos", "neutrality line"} <= names
    edge = next(line for line in ax.lines if line.get_label() == "edge of chaos")
    assert edge.get_xdata()[0] == pytest.approx(1, rel=1e-9)  # slope 1 at zero


@pytest.mark.parametrize("ends", [(1, 2, 3), 2, (3, 1), "ab"])
def test_a_range_that_is_none_is_refused(ends):
    with pytest.raises(ParameterError, match=r"sigma_w2=.*need a range"):
        plot_phase_diagram("relu", ends)
    plt.close("all")
