"""Quick looks at trajectories and maps; Matplotlib is imported when one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from igbrepro.checks import whole
from igbrepro.errors import ParameterError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from igbrepro.theory.mean_field import MeanField, Trajectory


def plot_trajectory(trajectory: Trajectory, axes: Sequence[Axes] | None = None, **look: Any) -> np.ndarray:
    """q, 1 - c and chi against the layer; arguments and result as Trajectory.plot has them."""
    if axes is None:
        import matplotlib.pyplot as plt

        _, axes = plt.subplots(1, 3, figsize=(10.5, 3.2), layout="constrained")
    panels = np.asarray(axes, dtype=object).ravel()
    if len(panels) != 3:
        raise ParameterError(f"axes: {len(panels)} given; need three, for q, 1 - c and chi.")
    values = (trajectory.q, trajectory.one_minus_c, trajectory.chi)
    names = ("variance $q$", r"$1 - c$", r"gradient multiplier $\chi$")
    for ax, value, name in zip(panels, values, names, strict=True):
        ax.plot(value.reshape(len(value), -1), **look)
        positive = value[np.isfinite(value)] > 0
        ax.set(xlabel="layer", ylabel=name, yscale="log" if positive.any() else "linear")
    return panels


def plot_cobweb(field: MeanField, of: str, start: float | None, steps: int, ax: Axes | None) -> Axes:
    """The map, the diagonal and the staircase of `steps` layers; arguments and result as MeanField.plot_cobweb."""
    if of not in ("q", "c"):
        raise ParameterError(f'of={of!r}: choose "q" or "c".')
    if field.shape:
        raise ParameterError(f"sigma_w2, sigma_b2 of shape {field.shape}: need one point, a cobweb is of one map.")
    steps = whole("steps", steps, 1)
    first = (1.0 if of == "q" else 0.0) if start is None else float(start)
    at = None
    if of == "c":
        at = 1.0 if field.residual is not None else float(field.fixed_point().q)
        if not (np.isfinite(at) and at > 0):
            raise ParameterError(f"{field!r}: its variance goes to {at:g}, where there is no correlation map to draw.")

    def layer(x: np.ndarray | float) -> np.ndarray:
        return field.q_map(x) if at is None else field.c_map(x, at)

    walk = [first]
    for _ in range(steps):
        walk.append(float(layer(walk[-1])))
    if not np.isfinite(walk).all():
        raise ParameterError(f"steps={steps}: the variance overflows on the way; take fewer.")
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(4, 4), layout="constrained")
    low, high = (0.0, 1.1 * max(walk)) if of == "q" else (min(0.0, *walk), 1.0)
    x = np.linspace(low, high, 200)
    ax.plot(x, layer(x), label="map")
    ax.plot(x, x, ":", color="0.4")
    corners = np.repeat(walk, 2)
    ax.plot(corners[:-1], np.append(low, corners[2:]), color="0.2", linewidth=0.9, label=f"{steps} layers")
    ax.set(xlabel=f"${of}$ of a layer", ylabel=f"${of}$ one layer on")
    return ax
