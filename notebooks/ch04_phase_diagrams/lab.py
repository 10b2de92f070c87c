"""Which phase a finite network is in, asked of the network itself.

Three questions, each answered by counting or by a distance between outputs, and none by mean-field theory:

1. twins: does the distance between two almost equal inputs grow from layer to layer? If not, the network is ordered.
2. friends: do inputs that are already very alike become less alike, relative to their length? If not, everything
   becomes one in the end, and the network is chaotic with deep prejudice.
3. strangers: how often does a random two-class head give two unrelated inputs the same answer? Above 2/3 is prejudice,
   below is neutrality: 2/3 is what a share G_0 gives that is uniform on [0, 1].

Each is asked only where those before it leave the phase open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import qmc

from igbrepro.checks import whole
from igbrepro.claims import Measurement
from igbrepro.ensembles import EnsembleResult, Measure, gaussian_inputs, simulate
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.statistics import Estimate
from igbrepro.theory import Activation, MeanField, Phase, classify, critical_sigma_w2, get_activation, neutral_sigma_w2

SETTLE = 10  # layers in which the variance finds its level
TWIN_LAYERS = 30
TWIN_GAP = 1e-8  # 1 - c of the twins
FRIEND_LAYERS = 20
FRIEND_C = 0.98  # a network whose gamma* exceeds 49 brings its friends together
UNIFORM_SAME = 2 / 3
_FLOOR = 1e-28  # of a squared distance relative to a squared length: below it float64 activations hold no distance


@dataclass(frozen=True)
class ProbeSize:
    """Size of the networks asked: `width` nodes, `depth` layers for strangers, of whom there are `n_inputs`.

    n_networks: networks that answer strangers.  n_pair_networks: networks in which twins and friends are watched.
    Raises ParameterError for sizes below 2 (depth below 1).
    """

    width: int = 600
    depth: int = 40
    n_inputs: int = 40
    n_networks: int = 12
    n_pair_networks: int = 32

    def __post_init__(self) -> None:
        for name, least in (("width", 2), ("depth", 1), ("n_inputs", 2), ("n_networks", 2), ("n_pair_networks", 2)):
            whole(name, getattr(self, name), least)


def same_answer(class_fractions: ArrayLike, n_inputs: int) -> NDArray[np.float64]:
    """Share of pairs of different inputs that get the same answer, unbiased at every n_inputs.

    class_fractions: (..., n_classes), shares of n_inputs inputs.  Returns (...).
    """
    counts = np.asarray(class_fractions, float) * n_inputs
    return (counts * (counts - 1)).sum(-1) / (n_inputs * (n_inputs - 1))


def twins(activation: Activation | str, init: InitSpec, size: ProbeSize, seed: int) -> EnsembleResult:
    """Two inputs of correlation 1 - TWIN_GAP through TWIN_LAYERS layers; their squared distance is 2 width sigma_y2."""
    return _pairs(activation, init, size, seed, depth=TWIN_LAYERS, n_inputs=2, c=1 - TWIN_GAP)


def twin_growth(result: EnsembleResult) -> NDArray[np.float64]:
    """Growth of the twins' squared distance a layer in each network, (n_networks,): an estimate of chi.

    The mean ratio of squared distances over the layers from SETTLE on. Layers in which the distance has sunk into
    rounding are left out; nan where that happened within SETTLE layers.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = result.sigma_y2[:, 1:] / result.sigma_y2[:, :-1]
        visible = result.sigma_y2[:, 1:] > _FLOOR * result.q[:, 1:]
    ratio, visible = ratio[:, SETTLE:], visible[:, SETTLE:]
    count = visible.sum(1)
    return np.where(visible, ratio, 0).sum(1) / np.where(count, count, np.nan)


def own_edges(activation: Activation | str, size: ProbeSize, seed: int, layers: int) -> NDArray[np.float64]:
    """The sigma_w2 at which each network's own twins keep their distance over `layers` layers, (n_networks,).

    For homogeneous activations and no bias, where sigma_w2 is a factor of every layer, so that one value tells of all.
    Raises ParameterError for other activations.
    """
    activation = get_activation(activation)
    if not activation.homogeneous:
        raise ParameterError(f"activation={activation.name!r}: own edges need a homogeneous one, such as relu.")
    init = InitSpec(critical_sigma_w2(activation))
    result = _pairs(activation, init, size, seed, depth=layers, n_inputs=2, c=1 - TWIN_GAP)
    growth = np.log(result.sigma_y2[:, -1] / result.sigma_y2[:, 0]) / layers
    return init.sigma_w2 * np.exp(-growth)


def friend_drift(
    activation: Activation | str, init: InitSpec, size: ProbeSize, seed: int, variance: float
) -> NDArray[np.float64]:
    """log of (1 - c) after FRIEND_LAYERS layers over (1 - c) before, in each network, (n_networks,): above 0 they part.

    variance: of the first pre-activations, so that the network starts where it will stay.
    """
    norm2 = _norm2(variance, init)
    result = _pairs(activation, init, size, seed, depth=FRIEND_LAYERS, n_inputs=10, c=FRIEND_C, norm2=norm2)
    return np.log(result.one_minus_c[:, -1] / result.one_minus_c[:, 0])


def stranger_agreement(
    activation: Activation | str, init: InitSpec, size: ProbeSize, seed: int, variance: float
) -> NDArray[np.float64]:
    """Share of pairs of unrelated inputs with the same answer at depth size.depth, in each network, (n_networks,).

    variance: of the first pre-activations, as in friend_drift.
    """
    return _answers(activation, init, size, seed, _norm2(variance, init), everywhere=False)


def answers_by_layer(activation: Activation | str, init: InitSpec, size: ProbeSize, seed: int) -> Estimate:
    """Share of pairs of unrelated inputs with the same answer from heads at each layer, (depth + 1,), over networks.

    The inputs have mean square 1.
    """
    return Estimate.of_mean(_answers(activation, init, size, seed, 1.0, everywhere=True))


def same_answer_theory(c: ArrayLike) -> NDArray[np.float64]:
    """Chance that two inputs of correlation c get the same of two answers from a random head: 1/2 + arcsin(c)/pi."""
    return 0.5 + np.arcsin(c) / np.pi


def _answers(
    activation: Activation | str, init: InitSpec, size: ProbeSize, seed: int, norm2: float, everywhere: bool
) -> NDArray[np.float64]:
    """same_answer of unrelated inputs, mean over heads: (n_networks, depth + 1) if `everywhere`, else (n_networks,)."""
    dim = max(size.n_inputs, 64)
    spec = MLPSpec(activation, depth=size.depth, width=size.width, input_shape=(dim,))
    x = gaussian_inputs(size.n_inputs, dim, seed, norm2=norm2, exact=True)
    measure = Measure(n_heads=size.width // 2, heads_at_every_layer=everywhere)
    result = simulate(spec, init, x, n_networks=size.n_networks, seed=seed, measure=measure, progress=False)
    fractions = result.layer_class_fractions if everywhere else result.class_fractions
    return same_answer(fractions, size.n_inputs).mean(-1)


def _pairs(
    activation: Activation | str,
    init: InitSpec,
    size: ProbeSize,
    seed: int,
    *,
    depth: int,
    n_inputs: int,
    c: float,
    norm2: float = 1.0,
) -> EnsembleResult:
    """A few inputs, each pair of correlation c, through size.n_pair_networks networks."""
    spec = MLPSpec(activation, depth=depth, width=size.width, input_shape=(64,))
    x = gaussian_inputs(n_inputs, 64, seed, correlation=c, norm2=norm2, exact=True)
    measure = Measure(n_heads=1)
    return simulate(spec, init, x, n_networks=size.n_pair_networks, seed=seed, measure=measure, progress=False)


def _norm2(variance: float, init: InitSpec) -> float:
    return max(variance - init.sigma_b2, 1e-12) / init.sigma_w2


def probe(activation: Activation | str, sigma_w2: float, sigma_b2: float, size: ProbeSize, seed: int) -> dict:
    """Ask one kind of network: the answers with standard errors (nan where not asked) and the `phase` they say."""
    init = InitSpec(sigma_w2, sigma_b2)
    pair = twins(activation, init, size, seed)
    growth, level = twin_growth(pair), float(np.median(pair.q[:, -1]))
    row = {"sigma_w2": init.sigma_w2, "sigma_b2": init.sigma_b2}
    row |= _mean("growth", growth) | _mean("drift", None) | _mean("same", None)
    if row["growth"] > 1:
        row |= _mean("drift", friend_drift(activation, init, size, seed, level))
    if row["drift"] > 0:
        row |= _mean("same", stranger_agreement(activation, init, size, seed, level))
    return row | {"phase": said_phase(row["growth"], row["drift"], row["same"])}


def _mean(name: str, values: NDArray | None) -> dict[str, float]:
    seen = np.empty(0) if values is None else values[~np.isnan(values)]
    if len(seen) < 2:
        return {name: np.nan, f"{name}_error": np.nan}
    return {name: float(seen.mean()), f"{name}_error": float(seen.std(ddof=1) / np.sqrt(len(seen)))}


def said_phase(growth: float, drift: float, same: float) -> Phase:
    """The phase that the three answers say; a growth of nan is a distance that died at once."""
    if not growth > 1:
        return Phase.ORDERED
    if not drift > 0:
        return Phase.CHAOTIC_DEEP
    return Phase.PREJUDICE if same > UNIFORM_SAME else Phase.NEUTRALITY


def probe_points(activation: Activation | str, points: ArrayLike, size: ProbeSize, seed: int) -> pd.DataFrame:
    """`probe` at each of the points (m, 2) of (sigma_w2, sigma_b2), with fresh networks at each; one row a point.

    Columns beside the answers, from theory, to compare with: `theory`, the phase at infinite width and depth;
    `distance`, see line_distance, to the nearer line, or where the two disagree to the farthest one that lies between
    the phases; `blur`, what the standard error of the answer about that line amounts to as a distance.
    """
    points = np.atleast_2d(np.asarray(points, float))
    w2, b2 = points.T
    seeds = np.random.SeedSequence(seed).generate_state(len(points))
    rows = [probe(activation, *point, size, int(s)) for point, s in zip(points, seeds, strict=True)]
    table = pd.DataFrame(rows)
    table["theory"] = classify(activation, sigma_w2=w2, sigma_b2=b2)
    to_edge, to_neutral = line_distance(activation, w2, b2)
    neutral, ordered = (
        (table["phase"] == line) != (table["theory"] == line) for line in (Phase.NEUTRALITY, Phase.ORDERED)
    )  # whether the two phases lie on different sides of the neutrality line, of the edge
    farther = neutral & ~(ordered & (to_edge > to_neutral))
    by_neutral = np.where(table["phase"] == table["theory"], to_neutral < to_edge, farther)
    table["distance"] = np.where(by_neutral, to_neutral, to_edge)
    at = MeanField(activation, sigma_w2=w2, sigma_b2=b2).fixed_point()
    with np.errstate(divide="ignore", invalid="ignore"):
        edge_blur = to_edge * table["growth_error"] / np.abs(at.chi - 1)
        neutral_blur = to_neutral * table["same_error"] / np.abs(same_answer_theory(at.c) - UNIFORM_SAME)
    table["blur"] = np.where(by_neutral & neutral_blur.notna(), neutral_blur, edge_blur)
    return table


def farthest_disagreement(table: pd.DataFrame, name: str) -> Measurement:
    """Of a table of probe_points: the distance of the farthest point called otherwise than by theory, with its blur.

    0 where none disagrees.  name: of the measurement.
    """
    wrong, note = table[table["phase"] != table["theory"]], "relative distance in σ_w²; 0 if none"
    if wrong.empty:
        return Measurement(name, 0.0, note=note)
    worst = wrong.loc[wrong["distance"].idxmax()]
    return Measurement(name, worst["distance"], worst["blur"], note=note)


def line_distance(
    activation: Activation | str, sigma_w2: ArrayLike, sigma_b2: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """|sigma_w2 / line - 1| to the edge of chaos and to the neutrality line at the same sigma_b2; nan if none."""
    sigma_w2 = np.asarray(sigma_w2, float)
    lines = critical_sigma_w2(activation, sigma_b2), neutral_sigma_w2(activation, sigma_b2)
    return tuple(np.abs(sigma_w2 / line - 1) for line in lines)


def spread_points(n: int, sigma_w2: tuple[float, float], sigma_b2: tuple[float, float], seed: int) -> NDArray:
    """n points (n, 2) spread evenly over the rectangle of the two ranges, by a scrambled Sobol sequence."""
    whole("n", n, 1)
    (low_w, high_w), (low_b, high_b) = sigma_w2, sigma_b2
    if not (0 < low_w < high_w and 0 <= low_b < high_b):
        raise ParameterError(f"sigma_w2={sigma_w2!r}, sigma_b2={sigma_b2!r}: need increasing ranges of variances.")
    sobol = qmc.Sobol(2, rng=np.random.default_rng(seed))
    unit = sobol.random(2 ** int(np.ceil(np.log2(n))))[:n]
    return qmc.scale(unit, (low_w, low_b), (high_w, high_b))


def points_near_lines(
    activation: Activation | str, sigma_b2: Iterable[float], offsets: Iterable[float]
) -> NDArray[np.float64]:
    """Points (m, 2) at sigma_w2 = line (1 + offset), on both sides of each line that the activation has."""
    bias = np.asarray(list(sigma_b2), float)
    both = [sign * offset for offset in offsets for sign in (-1, 1)]
    lines = [critical_sigma_w2(activation, bias), neutral_sigma_w2(activation, bias)]
    near = [np.column_stack([line * (1 + offset), bias]) for line in lines for offset in both]
    points = np.concatenate(near)
    return points[np.isfinite(points).all(axis=1)]
