"""Networks asked for their phase: each question against what is known without it."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.theory import Phase
from notebooks.ch04_phase_diagrams import lab as phase_probe
from notebooks.ch04_phase_diagrams.lab import ProbeSize

SMALL = ProbeSize(width=200, depth=30, n_inputs=20, n_networks=8, n_pair_networks=16)
FEW = replace(SMALL, n_networks=4, n_pair_networks=8)


def error(values):
    return np.std(values, ddof=1) / math.sqrt(len(values))


def test_same_answer_counts_pairs_of_different_inputs():
    answers = np.array([0, 0, 0, 1, 1])
    pairs = [answers[i] == answers[j] for i in range(5) for j in range(i)]
    assert phase_probe.same_answer([3 / 5, 2 / 5], 5) == pytest.approx(np.mean(pairs))


def test_two_thirds_is_where_a_uniform_share_would_be():
    share = (np.arange(100_000) + 0.5) / 100_000
    assert np.mean(share**2 + (1 - share) ** 2) == pytest.approx(phase_probe.UNIFORM_SAME, abs=1e-9)
    assert phase_probe.same_answer_theory(0.5) == pytest.approx(phase_probe.UNIFORM_SAME)


@pytest.mark.parametrize(
    ("name", "sigma_w2", "chi"), [("linear", 1.3, 1.3), ("relu", 3.0, 1.5), ("tanh", 2.48, 1.0963)]
)
def test_twins_part_by_chi_a_layer(name, sigma_w2, chi):
    growth = phase_probe.twin_growth(phase_probe.twins(name, InitSpec(sigma_w2, 0.1), SMALL, seed=3))
    assert error(growth) < 0.02 * chi
    assert abs(growth.mean() - chi) < 4 * error(growth) + 0.003


def test_twins_whose_distance_sinks_into_rounding_are_left_out():
    result = phase_probe.twins("relu", InitSpec(0.5, 0.1), SMALL, seed=3)
    layers = np.arange(result.sigma_y2.shape[1])
    d2 = np.full(result.sigma_y2.shape, 1e-8) * np.where(layers < phase_probe.SETTLE, 0.1, 0.25 ** (layers - 9.0))
    d2 = np.maximum(d2, 1e-30)  # what float64 makes of ever smaller distances
    seen = phase_probe.twin_growth(replace(result, sigma_y2=d2, q=np.full(d2.shape, 0.2)))
    np.testing.assert_allclose(seen, 0.25, rtol=1e-12)
    dead = phase_probe.twin_growth(replace(result, sigma_y2=np.full(d2.shape, 1e-30), q=np.full(d2.shape, 0.2)))
    assert np.isnan(dead).all()


def test_friends_drift_as_their_correlation_map_says():
    """A linear network keeps correlations; in ReLU without bias s -> s - A s^(3/2), A = 2 sqrt 2/(3 pi)."""
    kept = phase_probe.friend_drift("linear", InitSpec(1.0), SMALL, 1, variance=1.0)
    assert abs(kept.mean()) < 4 * error(kept)
    level, w2, b2, layers = 3.0, 0.5, 0.4, phase_probe.FRIEND_LAYERS
    biased = phase_probe.friend_drift("linear", InitSpec(w2, b2), SMALL, 1, variance=level)
    end = level * w2**layers + b2 * (1 - w2**layers) / (1 - w2)
    want = layers * math.log(w2) - math.log(end / level)
    assert error(biased) < 0.02 * abs(want) and abs(biased.mean() - want) < 4 * error(biased) + 0.01 * abs(want)
    drift = phase_probe.friend_drift("relu", InitSpec(2.0), replace(SMALL, width=800), 1, variance=1.0)
    start, slope = 1 - phase_probe.FRIEND_C, math.sqrt(2) / (3 * math.pi)
    want = -2 * math.log(1 + phase_probe.FRIEND_LAYERS * slope * math.sqrt(start))
    assert error(drift) < 0.2 * abs(want) and abs(drift.mean() - want) < 4 * error(drift) + 0.05 * abs(want)


def test_strangers_agree_as_often_as_their_correlation_says():
    """A linear network with bias adds sigma_b2 to q and to the covariance in every layer, so c is known at each."""
    mean, se = phase_probe.answers_by_layer("linear", InitSpec(1.0, 0.5), replace(SMALL, depth=3), seed=2)
    bias = 0.5 * np.arange(1, 5)
    want = 0.5 + np.arcsin(bias / (1 + bias)) / math.pi
    assert (se < 0.05).all() and (abs(mean - want) < 4 * se).all()
    again = phase_probe.stranger_agreement("linear", InitSpec(1.0, 0.5), replace(SMALL, depth=3), 2, variance=1.5)
    assert abs(again.mean() - want[-1]) < 4 * error(again)


@pytest.mark.parametrize(
    ("answers", "phase"),
    [
        ((0.9, np.nan, np.nan), Phase.ORDERED),
        ((np.nan, np.nan, np.nan), Phase.ORDERED),
        ((1.1, -0.2, np.nan), Phase.CHAOTIC_DEEP),
        ((1.1, 0.2, 0.7), Phase.PREJUDICE),
        ((1.1, 0.2, 0.6), Phase.NEUTRALITY),
    ],
)
def test_answers_name_a_phase(answers, phase):
    assert phase_probe.said_phase(*answers) is phase


def test_networks_in_the_middle_of_each_phase_name_it():
    table = phase_probe.probe_points("tanh", [[1.2, 0.2], [2.48, 0.1], [4.97, 0.1]], FEW, seed=1)
    assert table["phase"].tolist() == table["theory"].tolist() == [Phase.ORDERED, Phase.PREJUDICE, Phase.NEUTRALITY]
    assert table["drift"].isna().tolist() == [True, False, False]
    edge, line = 1.986073, 2.924766
    np.testing.assert_allclose(table["distance"][1:], [1 - 2.48 / line, 4.97 / line - 1], rtol=1e-5)
    assert table["distance"][1] < 2.48 / edge - 1 and (table["blur"] < 0.1).all()
    relu = phase_probe.probe_points("relu", [[1.5, 0.1], [3.0, 0.0]], FEW, seed=1)
    assert relu["phase"].tolist() == relu["theory"].tolist() == [Phase.ORDERED, Phase.CHAOTIC_DEEP]


@pytest.mark.parametrize(
    ("said", "line"), [(Phase.NEUTRALITY, 2.924766), (Phase.ORDERED, 1.986073), (Phase.CHAOTIC_DEEP, 1.986073)]
)
def test_a_disagreement_lies_as_far_as_the_line_between_the_two_phases(monkeypatch, said, line):
    """At 2 the edge is near, which excuses no network there that is called neutral."""
    answers = {"phase": said, "growth_error": 0.001, "same_error": 0.01}
    monkeypatch.setattr(phase_probe, "probe", lambda *args: answers)
    table = phase_probe.probe_points("tanh", [[2.0, 0.1]], FEW, seed=1)
    assert table["theory"][0] == Phase.PREJUDICE and table["distance"][0] == pytest.approx(abs(2 / line - 1), rel=1e-3)


def test_the_farthest_disagreement_comes_with_its_blur():
    phases = {"phase": [0, 3, 4, 3], "theory": [0, 0, 3, 3]}
    table = pd.DataFrame({**phases, "distance": [0.5, 0.01, 0.03, 0.4], "blur": [0.1, 0.2, 0.3, 0.4]})
    found = phase_probe.farthest_disagreement(table, "farthest")
    assert (found.value, found.std_error) == (0.03, 0.3)
    assert phase_probe.farthest_disagreement(table[table["phase"] == table["theory"]], "farthest").value == 0


def test_each_relu_network_has_an_edge_of_its_own():
    """log(edge/2) is normal with mean 5/(2N) and variance 5/(N L): a mean of N relative variances 2^2 (1/2) 3 - 1."""
    nodes, layers, n = 50, 2, 400
    logs = np.log(phase_probe.own_edges("relu", ProbeSize(nodes, n_pair_networks=n), 1, layers) / 2)
    assert abs(logs.mean() - 2.5 / nodes) < 4 * error(logs) < 2.5 / nodes
    assert logs.std() == pytest.approx(math.sqrt(5 / (nodes * layers)), rel=4 / math.sqrt(2 * n))
    with pytest.raises(ParameterError, match="activation='tanh': own edges need a homogeneous one"):
        phase_probe.own_edges("tanh", SMALL, 1, layers)


def test_points_spread_over_a_rectangle():
    points = phase_probe.spread_points(30, (1.0, 3.0), (0.0, 0.2), seed=5)
    assert points.shape == (30, 2)
    assert (points >= [1.0, 0.0]).all() and (points <= [3.0, 0.2]).all()
    quarters = {(w > 2, b > 0.1) for w, b in points}
    assert len(quarters) == 4
    np.testing.assert_array_equal(points, phase_probe.spread_points(30, (1.0, 3.0), (0.0, 0.2), seed=5))
    with pytest.raises(ParameterError, match="need increasing ranges"):
        phase_probe.spread_points(30, (3.0, 1.0), (0.0, 0.2), seed=5)


def test_points_on_both_sides_of_each_line():
    near = phase_probe.points_near_lines("tanh", [0.1], [0.02])
    np.testing.assert_allclose(sorted(near[:, 0]), np.outer([1.986073, 2.924766], [0.98, 1.02]).ravel(), rtol=1e-6)
    assert len(phase_probe.points_near_lines("relu", [0.1, 0.2], [0.02, 0.05])) == 8  # there is no second line


@pytest.mark.parametrize("field", ["width", "depth", "n_inputs", "n_networks", "n_pair_networks"])
def test_sizes_that_cannot_be_are_refused(field):
    with pytest.raises(ParameterError, match=f"{field}=0"):
        replace(SMALL, **{field: 0})
