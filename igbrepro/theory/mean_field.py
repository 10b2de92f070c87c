"""Signal propagation in wide random networks: variance q, correlation c and gradient multiplier chi, layer by layer.

Poole et al. 2016, Schoenholz et al. 2017; the correlation is carried as 1 - c, which in the ordered phase falls far
below the spacing of floating-point numbers next to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize.elementwise import find_minimum, find_root

from igbrepro.checks import finite, whole
from igbrepro.errors import ParameterError
from igbrepro.theory.activations import Activation, get_activation
from igbrepro.theory.plots import plot_cobweb, plot_trajectory
from igbrepro.theory.pools.pool import Pool, pooled_kernel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALLEST_Q = 1e-200  # below this phi is linear, and the correlation map is taken here
MARGIN = 1e-12  # how far chi must exceed 1 for a correlation fixed point below 1
MARCH = 1.5  # steps in log q of the search for a fixed point
ROUNDING = 1e-14  # relative growth of q that cannot be told from none


class _Correlated:
    """What follows from 1 - c."""

    one_minus_c: np.ndarray

    @property
    def c(self) -> np.ndarray:
        """Correlation of the pre-activations of two inputs."""
        return 1 - self.one_minus_c

    @property
    def gamma(self) -> np.ndarray:
        """IGB's gamma = sigma_mu^2 / sigma_y^2 = c / (1 - c); infinite at c = 1."""
        with np.errstate(divide="ignore"):
            return np.divide(1 - self.one_minus_c, self.one_minus_c)


@dataclass(frozen=True)
class FixedPoint(_Correlated):
    """q, one_minus_c, chi (and c, gamma) that depth leads to; arrays of the common shape of the parameters."""

    q: np.ndarray
    one_minus_c: np.ndarray
    chi: np.ndarray


@dataclass(frozen=True)
class Trajectory(_Correlated):
    """q, one_minus_c, chi (and c, gamma) along the layers, shape (depth + 1, ...); index 0 is the start."""

    q: np.ndarray
    one_minus_c: np.ndarray
    chi: np.ndarray

    def plot(self, axes: Sequence[Axes] | None = None, **look: Any) -> np.ndarray:
        """Draw q, 1 - c and chi against the layer, a line for each point of the parameters; returns the three axes.

        axes: three to draw on, by default of a new figure.  look: of the lines, as Matplotlib's `plot` takes it.
        """
        return plot_trajectory(self, axes, **look)


@dataclass(frozen=True)
class DepthScales:
    """e-folding depths of the variance (xi_q), the correlation (xi_c), the gradient (xi_gradient); inf at an edge.

    xi_c is inf wherever c follows a power of depth: at an edge, and for ReLU without bias or above its edge too.
    Where the variance diverges, xi_q is the depth over which it grows by a factor e.
    """

    xi_q: np.ndarray
    xi_c: np.ndarray
    xi_gradient: np.ndarray


def _one(name: str, value: float) -> float:
    number = finite(name, value, 0, open_low=True)
    if number.size != 1:
        raise ParameterError(f"{name}={value!r}: need one number; make one MeanField for each.")
    return number.item()


class MeanField:
    """The infinite-width maps of one layer h' = W g(h) + b, W_ij ~ N(0, sigma_w2/fan_in), b_i ~ N(0, sigma_b2).

    activation: an Activation or its name.
    sigma_w2 > 0, sigma_b2 >= 0: raw variances; arrays broadcast with each other and with every method's arguments.
    pool: None, g = phi of each node, or a Pool, such as MaxPool(k) or AveragePool(k), g = the maximum or mean of phi
        over k nodes.
    residual: None, or the scale r > 0 of a residual layer h' = h + r (W g(h) + b).
    Raises ParameterError for values outside these ranges or not finite, or shapes that do not broadcast. Methods take
    variances up to 1e8 (1e100 for activations with closed forms); larger results count as infinite.
    Source: Poole et al. 2016, eqs. (3) and (5); Schoenholz et al. 2017, eqs. (3) to (9).
    """

    def __init__(
        self,
        activation: Activation | str,
        *,
        sigma_w2: ArrayLike,
        sigma_b2: ArrayLike = 0.0,
        pool: Pool | None = None,
        residual: float | None = None,
    ) -> None:
        self.activation, self.pool = get_activation(activation), pool
        self.kernel = pooled_kernel(self.activation, pool)
        self.residual = residual if residual is None else _one("residual", residual)
        self.sigma_w2 = finite("sigma_w2", sigma_w2, 0, open_low=True)
        self.sigma_b2 = finite("sigma_b2", sigma_b2, 0)
        try:
            self.shape = np.broadcast_shapes(self.sigma_w2.shape, self.sigma_b2.shape)
        except ValueError:
            raise ParameterError(
                f"sigma_w2 of shape {self.sigma_w2.shape}, sigma_b2 of shape {self.sigma_b2.shape}: "
                "need shapes that broadcast, such as (n,) and (m, 1)."
            ) from None
        # h' = keep h + block: the block of a residual layer is one of variances r^2 sigma_w2, r^2 sigma_b2
        self._keep, scale = (0.0, 1.0) if self.residual is None else (1.0, self.residual)
        self._w2, self._b2 = scale**2 * self.sigma_w2, scale**2 * self.sigma_b2

    def __repr__(self) -> str:
        extra = "".join(f", {name}={getattr(self, name)}" for name in ("pool", "residual") if getattr(self, name))
        return f"MeanField({self.activation.name}, sigma_w2={self.sigma_w2}, sigma_b2={self.sigma_b2}{extra})"

    def q_map(self, q: ArrayLike) -> np.ndarray:
        """Variance after one more layer, sigma_w2 E[g^2] + sigma_b2, from the variance q >= 0."""
        return self._q_map(finite("q", q, 0, self._largest_q))

    def cov_map(self, q_a: ArrayLike, q_b: ArrayLike, cov: ArrayLike) -> np.ndarray:
        """Covariance after one more layer for two inputs of variances q_a, q_b and covariance cov.

        Raises ParameterError unless |cov| <= sqrt(q_a q_b).
        """
        top = self._largest_q
        q_a, q_b, cov = finite("q_a", q_a, 0, top), finite("q_b", q_b, 0, top), finite("cov", cov, -np.inf)
        excess = np.abs(cov) - np.sqrt(q_a) * np.sqrt(q_b) * (1 + 1e-12)
        if np.any(excess > 0):
            worst = float(np.broadcast_to(cov, excess.shape)[excess > 0].flat[0])
            raise ParameterError(f"cov={worst!r}: a covariance is at most sqrt(q_a q_b) in size; pass cov, not c.")
        return self._keep * cov + self._w2 * self.kernel.covariance(q_a, q_b, cov) + self._b2

    def c_map(self, c: ArrayLike, q: ArrayLike | None = None) -> np.ndarray:
        """Correlation after one more layer, for two inputs of correlation c in [-1, 1] and equal variances q > 0.

        q may be left out where the map does not depend on it: homogeneous activations without bias.
        Raises ParameterError where it does.
        """
        if q is None:
            if not self.activation.homogeneous or np.any(self.sigma_b2):
                raise ParameterError(
                    "q: needed, since this correlation map depends on the variance; after many layers it is "
                    "fixed_point().q."
                )
            q = 1.0
        c, q = finite("c", c, -1, 1), np.maximum(finite("q", q, 0, self._largest_q, open_low=True), SMALLEST_Q)
        after = self._q_map(q)
        high = 1 - self._gap(q, 1 - c) / after
        if not np.all(c > 0.5):
            high = np.where(c > 0.5, high, self.cov_map(q, q, c * q) / after)
        return np.clip(high, -1, 1)

    def chi(self, q: ArrayLike) -> np.ndarray:
        """Gradient multiplier sigma_w2 sum_i E[(d_i g)^2] at q in [0, inf]: mean squared gradients grow by it a layer.

        It is the slope of the covariance map at c = 1; one more than that of its block for a residual layer.
        """
        q = finite("q", np.minimum(q, self._largest_q), 0)
        return self._keep + self._w2 * self.kernel.square_slope(q)

    def trajectory(self, depth: int, q0: ArrayLike = 1.0, c0: ArrayLike = 0.0) -> Trajectory:
        """q, c, gamma and chi through `depth` more layers, for two inputs that start with q0 and c0.

        depth >= 1; q0 >= 0 and c0 in [-1, 1] broadcast with the parameters to shape (...,).
        Returns arrays of shape (depth + 1, ...), index 0 the start.  Raises ParameterError outside these ranges.
        """
        depth, q0, c0 = whole("depth", depth, 1), finite("q0", q0, 0, self._largest_q), finite("c0", c0, -1, 1)
        shape = np.broadcast_shapes(self.shape, q0.shape, c0.shape)
        q, s = np.empty((depth + 1, *shape)), np.empty((depth + 1, *shape))
        q[0], s[0] = q0, 1 - c0
        for layer in range(depth):
            q[layer + 1], s[layer + 1] = self._step(q[layer], s[layer])
        return Trajectory(q, s, self.chi(q))

    def fixed_point(self, q0: ArrayLike = 1.0) -> FixedPoint:
        """Where depth leads from the starting variance q0 > 0: q, c, gamma and chi there.

        q is inf where the variance diverges and 0 where it vanishes. Where no layer singles out a correlation (a linear
        network, or tanh without bias at sigma_w2 <= 1, whose q vanishes) every c is kept; c is then given as its limit
        for sigma_b2 -> 0, which is 1. Homogeneous activations without bias keep q0 where they keep the variance.
        Raises ParameterError for residual layers, whose variance grows with every layer.
        """
        if self.residual is not None:
            raise ParameterError(
                f"residual={self.residual!r}: every residual layer adds to the variance, so there is no fixed point; "
                "use trajectory."
            )
        q0 = finite("q0", q0, 0, self._largest_q, open_low=True)
        shape = np.broadcast_shapes(self.shape, q0.shape)
        q0, w2, b2 = (np.broadcast_to(v, shape) for v in (q0, self.sigma_w2, self.sigma_b2))
        flat = MeanField(self.activation, sigma_w2=w2.ravel(), sigma_b2=b2.ravel(), pool=self.pool)
        q = flat._fixed_q(q0.ravel())
        chi, one_minus_c = flat.chi(q), np.zeros(q.shape)
        inside = np.isfinite(q) & (q > 0) & (chi > 1 + MARGIN)
        if not self.activation.homogeneous and np.any(inside):
            bias = flat.sigma_b2[inside] / flat.sigma_w2[inside]
            one_minus_c[inside] = self.kernel.gap_root(q[inside], bias)
        return FixedPoint(q.reshape(shape), one_minus_c.reshape(shape), chi.reshape(shape))

    def depth_scales(self) -> DepthScales:
        """Depths over which q and c approach their fixed point, and gradients grow or fall, by a factor e.

        -1/log of the slopes of the q-map and of the normalised c-map there, and 1/|log chi|. Where q* > 0 is finite and
        c* = 1, the slope of the c-map is chi; where q vanishes or diverges, as ReLU's may, it is chi q / q_map(q).
        Source: Schoenholz et al. 2017, eqs. (7) to (9).
        """
        at = self.fixed_point()
        kernel = self.kernel
        q = np.clip(at.q, SMALLEST_Q, self._largest_q)
        q_slope = self.sigma_w2 * kernel.variance_slope(q)
        after = self.sigma_w2 * kernel.second_moment(q) + self.sigma_b2
        c_slope = self.sigma_w2 * q * kernel.slope_covariance(q, at.one_minus_c) / after

        def scale(slope: np.ndarray) -> np.ndarray:
            rate = np.abs(np.log(slope))
            return np.divide(1, rate, out=np.full(rate.shape, np.inf), where=rate > MARGIN)

        return DepthScales(scale(q_slope), scale(c_slope), scale(at.chi))

    def plot_cobweb(
        self, of: str = "q", start: float | None = None, *, steps: int = 12, ax: Axes | None = None
    ) -> Axes:
        """Draw the map of the variance (of="q") or of the correlation (of="c") and the staircase that layers climb.

        start: of the staircase, by default q = 1 or c = 0.  The correlation map is that at the fixed point's variance
        (at 1 for residual layers).  ax: where to draw, by default a new figure; it is returned.
        Raises ParameterError for arrays of parameters, and where the variance vanishes or diverges.
        """
        return plot_cobweb(self, of, start, steps, ax)

    @property
    def _largest_q(self) -> float:
        return self.kernel.largest_q

    def _gap(self, q: np.ndarray, s: np.ndarray) -> np.ndarray:
        """q (1 - c) after one more layer."""
        return self._keep * q * s + self._w2 * self.kernel.deviation(q, s)

    def _q_map(self, q: np.ndarray) -> np.ndarray:
        within = np.minimum(q, self._largest_q)
        after = self._keep * within + self._w2 * self.kernel.second_moment(within) + self._b2
        return np.where(q >= self._largest_q, np.inf, after)

    def _step(self, q: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(q, 1 - c) one layer on; 1 - c is kept where the variance has vanished."""
        now = np.minimum(np.maximum(q, SMALLEST_Q), self._largest_q)
        after = self._keep * now + self._w2 * self.kernel.second_moment(now) + self._b2
        gap = self._gap(now, s) / after
        if (now != q).any():
            after = self._q_map(q)
            gap = np.where(after > 0, gap, s)
        return after, gap

    def _fixed_q(self, q0: np.ndarray) -> np.ndarray:
        """The fixed point of the q-map that iteration from q0 runs into; all arrays have shape (m,)."""
        w2, b2, kernel = self.sigma_w2, self.sigma_b2, self.kernel
        if self.activation.homogeneous:
            gain = w2 * kernel.second_moment(np.ones(()))
            with np.errstate(divide="ignore", invalid="ignore"):
                settled = np.where(gain < 1, b2 / (1 - gain), np.inf)
            return np.where((b2 == 0) & (np.abs(gain - 1) < MARGIN), q0, settled)

        sign = np.where(w2 * kernel.second_moment(q0) + b2 > q0, 1.0, -1.0)

        def pace(x: np.ndarray, sign: np.ndarray, w2: np.ndarray, b2: np.ndarray) -> np.ndarray:
            """Relative growth of q = exp(sign x), positive while iteration moves towards larger x."""
            q = np.exp(sign * x)
            return sign * ((w2 * kernel.second_moment(q) + b2) / q - 1)

        start, end = sign * np.log(q0), np.where(sign > 0, np.log(self._largest_q), -np.log(1e-30))
        q, moving = np.where(sign > 0, np.inf, 0.0), np.arange(q0.size)
        low, high, found = start.copy(), end.copy(), np.zeros(q.shape, dtype=bool)
        back, here = start - MARCH, start
        pace_back, pace_here = (pace(x, sign, w2, b2) for x in (back, here))
        while moving.size:  # march until the pace changes sign, or touches zero in a dip between three steps
            args = sign[moving], w2[moving], b2[moving]
            front = np.minimum(here + MARCH, end[moving])
            pace_front = pace(front, *args)
            crossed = pace_front < -ROUNDING
            low[moving], high[moving] = here, front
            dip = np.flatnonzero(~crossed & (pace_here <= pace_back) & (pace_here < pace_front - ROUNDING))
            if dip.size:
                bottom = find_minimum(pace, (back[dip], here[dip], front[dip]), args=tuple(v[dip] for v in args))
                through = (bottom.f_x < -ROUNDING) & (bottom.x > start[moving[dip]])
                dip, x = dip[through], bottom.x[through]
                low[moving[dip]] = np.where(x > here[dip], here[dip], np.maximum(back[dip], start[moving[dip]]))
                high[moving[dip]], crossed[dip] = x, True
            found[moving[crossed]] = True
            on = ~crossed & (front < end[moving])
            back, pace_back, here, pace_here, moving = here[on], pace_here[on], front[on], pace_front[on], moving[on]
        args = sign[found], w2[found], b2[found]
        root = find_root(pace, (low[found], high[found]), args=args, tolerances={"xatol": 1e-15})
        q[found] = np.exp(args[0] * np.where(root.success, root.x, low[found]))
        return q
