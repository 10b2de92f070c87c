"""Quick looks show the numbers of the theory."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

from igbrepro.errors import ParameterError
from igbrepro.theory import MeanField


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_trajectory_is_drawn_layer_by_layer():
    path = MeanField("tanh", sigma_w2=[1.5, 2.5], sigma_b2=0.1).trajectory(6)
    axes = path.plot(color="k")
    for ax, value in zip(axes, (path.q, path.one_minus_c, path.chi), strict=True):
        np.testing.assert_array_equal(np.array([line.get_ydata() for line in ax.lines]).T, value)
        assert ax.get_xlabel() == "layer"
    assert path.plot(axes)[0] is axes[0]
    with pytest.raises(ParameterError, match="need three"):
        path.plot(axes[:2])


@pytest.mark.parametrize("of", ["q", "c"])
def test_the_staircase_of_a_cobweb_is_the_trajectory(of):
    field = MeanField("tanh", sigma_w2=2.0, sigma_b2=0.1)
    q0 = 1.0 if of == "q" else field.fixed_point().q
    walk = getattr(field.trajectory(4, q0=q0), of)
    ax = field.plot_cobweb(of, steps=4)
    curve, diagonal, stairs = ax.lines
    np.testing.assert_allclose(stairs.get_xdata()[::2], walk, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(stairs.get_ydata()[1::2], walk[1:], rtol=1e-9)
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert curve.get_ydata()[-1] == pytest.approx(float(field.q_map(curve.get_xdata()[-1])) if of == "q" else 1)


def test_a_cobweb_is_of_one_map_that_exists():
    for field, of in (
        (MeanField("tanh", sigma_w2=[1.0, 2.0]), "q"),
        (MeanField("tanh", sigma_w2=0.5), "c"),
        (MeanField("tanh", sigma_w2=1.0), "chi"),
    ):
        with pytest.raises(ParameterError):
            field.plot_cobweb(of)
