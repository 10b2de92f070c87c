"""Chapter 14: the paper's residual layer is trained as its code does, and what the theorems say of it in numbers."""

import json
import math

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from igbrepro.claims import Measurement, Outcome, over_seeds
from igbrepro.data import gaussian
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.publishing import notebook_path, resolve_parameters
from igbrepro.runs import DataFacts, Parameters, Run
from igbrepro.theory import RELU, TANH, MeanField, critical_sigma_w2, post_activation_trajectory
from igbrepro.training import TrainSettings
from notebooks.ch14_residual_mlps import claims, experiment

FACTS = DataFacts.of(gaussian(n_train=60, n_test=40, features=20, classes=4, distance=2.0, seed=1))


def paper(preset):
    _, values = resolve_parameters("ch14_residual_mlps", preset)
    return experiment.paper_training(Parameters(values), FACTS)


def text():
    cells = json.loads(notebook_path("ch14_residual_mlps").read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def test_the_paper_preset_is_what_the_papers_code_trains():
    sweep = paper("paper")
    ratios = {"tanh": (0.8, 1, 1.25, 2.5), "relu": (0.75, 1, 1.25)}
    assert set(sweep.networks) == {f"{name} {ratio:g}" for name in ratios for ratio in ratios[name]}
    for name, (spec, init) in sweep.networks.items():
        activation, ratio = name.split()
        assert spec == MLPSpec(
            activation, 100, 1000, 2, FACTS.input_shape, residual=0.1, residual_unit="post-activation"
        )
        assert init == InitSpec(float(ratio) * float(critical_sigma_w2(activation, 0.1)), 0.1)
    settings = sweep.settings
    assert isinstance(settings, TrainSettings) and (settings.steps, settings.batch_size, settings.lr) == (
        10_000,
        100,
        1e-7,
    )
    assert settings.optimizer == "adam" and settings.labels == "parity" and settings.n_eval == 10_000
    assert settings.precision == "bfloat16" and sweep.scaling == "standard"
    study = paper("study")
    assert {(spec.depth, spec.width) for spec, _ in study.networks.values()} == {(100, 200)}
    assert study.settings.lr == 1e-5 and len(study.seeds) == 8  # as in chapter 6


def test_numbers_of_the_tanh_limit():
    """E[y^2] of exp(-y^4/6); and the lowest level by shooting from far out, where the solution that decays is known."""
    weight = [quad(lambda y, n=n: y**n * math.exp(-(y**4) / 6), 0, 8)[0] for n in (0, 2)]
    assert f"{weight[1] / weight[0]:.3f}" == "0.828"

    def slope_at_zero(level):
        """Of log f, f'' = 2 (V - level) f, as w' = 2 (V - level) - w^2 downwards from w = -sqrt(2 V)."""
        start = -math.sqrt(2 * (6**6 / 18 + 54))
        found = solve_ivp(
            lambda y, w: 2 * (y**6 / 18 + 1.5 * y**2 - level) - w**2,
            (6, 0),
            [start],
            rtol=1e-9,
            atol=1e-9,
            method="LSODA",
        )
        return found.y[0, -1]

    assert slope_at_zero(0.8835) < 0 < slope_at_zero(0.8845)
    for number in ("0.828", "0.884"):
        assert number in text()


@pytest.mark.parametrize(("activation", "falls"), [(RELU, False), (TANH, True)], ids=["relu", "tanh"])
def test_no_ratio_has_a_phase_of_its_own(activation, falls):
    """Twice the depth: gradients as they were for ReLU at every ratio, and smaller by one factor for tanh at all."""
    ratios = (0.75, 1.0, 1.25) if activation is RELU else (0.8, 1.0, 1.25, 2.5)
    growth = []
    for ratio in ratios:
        w2 = ratio * float(critical_sigma_w2(activation, 0.1))
        field = MeanField(activation, sigma_w2=w2, sigma_b2=0.1)
        paths = [
            post_activation_trajectory(field, depth, residual=depth**-0.5, q0=w2 + 0.1, c0=0.3) for depth in (80, 160)
        ]
        growth.append([np.prod(path.chi[: len(path.chi) - 2]) for path in paths])
    ratio = np.divide(*np.array(growth).T[::-1])
    assert ((0.2 < ratio) & (ratio < 0.5)).all() if falls else ((0.85 < ratio) & (ratio < 1.05)).all()
    assert np.ptp(np.log(np.array(growth)[:, 0])) < 0.7


def outcome(claim, *measurements):
    return claim.rule({m.name: m for m in measurements})[0]


def test_runs_that_never_leave_chance_decide_nothing():
    claim = claims.RESMLP_PAPER_LEAVES_CHANCE["tanh"]
    alike = Measurement(claims.FARTHEST_TIME, 0.0, 0.02, n=8)
    assert outcome(claim, alike, over_seeds(claims.ROOM, [0.0] * 8, rounding=math.sqrt(6))) is Outcome.UNDECIDED
    assert outcome(claim, alike, over_seeds(claims.ROOM, [0.9, 1.0] * 4, rounding=0.08)) is Outcome.REPRODUCED
    late = Measurement(claims.FARTHEST_TIME, 0.7, 0.05, n=8)
    assert outcome(claim, late, over_seeds(claims.ROOM, [0.9, 1.0] * 4, rounding=0.08)) is Outcome.NOT_REPRODUCED


def test_untrained_networks_give_one_number_each_and_means_by_layer():
    data = gaussian(n_train=60, n_test=40, features=20, classes=2, distance=2.0, seed=1)
    spec = MLPSpec("relu", 4, 16, 2, (20,), residual=0.5, residual_unit="post-activation")
    run = Run("relu 1", spec, InitSpec(2.0, 0.1), 3, paper("smoke").settings)
    found = experiment.start(run, data, n_images=12, n_networks=5, n_heads=7, n_gradients=3)
    counts = found.groupby("metric").size().to_dict()
    assert counts == {"share": 5, "growth": 3, "one_minus_c": 5, "gradient": 4}
    parts = dict(list(found.groupby("metric")))
    assert parts["share"]["value"].between(0.5, 1).all() and (parts["share"]["step"] == 0).all()
    gradient = parts["gradient"].sort_values("step")["value"].to_numpy()
    assert gradient[-1] == 1 and gradient[0] == pytest.approx(parts["growth"]["value"].mean())
