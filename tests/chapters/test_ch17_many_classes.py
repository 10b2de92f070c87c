"""Chapter 17 measures what it says, each run by itself, and its table holds what the runs say."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from toys import smoke_parameters

from igbrepro.ensembles import head_ensemble, infinite_covariance, max_fractions, mean_correlation
from igbrepro.errors import ParameterError
from igbrepro.runs import DataFacts
from igbrepro.theory import ClassFraction, critical_sigma_w2
from notebooks.ch17_many_classes import claims, experiment, lab

parameters = partial(smoke_parameters, "ch17_many_classes")


@pytest.fixture(scope="module")
def data():
    return experiment.dataset(parameters())


def run_of(sweep, data, name, **changes):
    p = parameters(**changes)
    (run,) = (run for run in sweep(p, DataFacts.of(data)).runs if run.name == name)
    return p, run


def numbers(run, data):
    return run.settings.numbers(run, data).set_index(["metric", "split", "step"])["value"]


def test_depth_is_varied_on_the_edge_and_sigma_w2_at_the_middle_depth(data):
    p, facts = parameters(), DataFacts.of(data)
    points, networks = experiment.points(p, facts), experiment.networks(p, facts)
    assert list(points)[:3] == [f"MLP, tanh, depth {d}, ratio {r}" for d, r in ((2, "1"), (4, "1"), (4, "2.5"))]
    assert len(points) == 6 * 3 + 4 * 2 and list(networks) == list(points)
    spec, init = networks["CNN, ReLU, depth 4, ratio 2.5"]
    assert (spec.depth, spec.channels, init.sigma_b2) == (4, 6, 0.1)
    assert init.sigma_w2 == pytest.approx(2.5 * critical_sigma_w2("relu", 0.1))
    assert networks["residual MLP, tanh, depth 2, ratio 1"][0].residual == 0.5
    assert networks["MLP, tanh, depth 2, ratio 1"][0].residual is None
    assert [networks[f"{kind}, depth 1, ratio 1"][0].norm for kind in ("ResNet, no norm", "ViT, simplified")] == [
        False
    ] * 2
    assert [networks[f"{kind}, depth 1, ratio 1"][0].norm for kind in ("ResNet, batch norm", "ViT")] == [True] * 2
    with pytest.raises(ParameterError, match=r"ratios=\[2\.5\]: need 1\.0, the edge"):
        experiment.untrained(parameters(ratios=[2.5]), facts)


def test_the_sweeps_and_their_sizes(data):
    p, facts = parameters(), DataFacts.of(data)
    untrained, theory, channels = (
        one(p, facts) for one in (experiment.untrained, experiment.theory, experiment.channels)
    )
    assert list(theory.networks) == [name for name in untrained.networks if name[:3] not in ("Res", "ViT")]
    sizes = {name: untrained.settings_of(name).arguments for name in untrained.networks}
    assert sizes["ViT, depth 1, ratio 1"]["n_networks"] == 3 and sizes["MLP, tanh, depth 2, ratio 1"]["n_networks"] == 4
    assert sizes["MLP, tanh, depth 2, ratio 1"]["n_nodes"] == 400
    assert list(channels.networks) == ["3 channels", "6 channels"] and channels.seeds == (18,)
    assert channels.networks["6 channels"] == untrained.networks["CNN, ReLU, depth 4, ratio 2.5"]
    assert channels.settings_of("3 channels").arguments["classes"] == [100] and experiment.CLASSES == claims.CLASSES


@pytest.mark.parametrize("name", ["CNN, tanh, depth 2, ratio 1", "ResNet, batch norm, depth 1, ratio 2.5"])
def test_an_ensemble_and_what_the_laws_make_of_it(data, name):
    p, run = run_of(experiment.untrained, data, name)
    found = numbers(run, data)
    n = run.settings.arguments["n_networks"]
    images = data.subset(n_test=p.n_images, seed=p.seed).inputs("test", flat=False)
    whole = head_ensemble(run.spec, run.init, images, [2, 10, 100], n_networks=n, n_nodes=1600 // n, seed=17)
    shares = whole.fractions[10]
    assert found["share", "mean", 10] == pytest.approx(shares.mean())
    assert found["share", "error", 10] == pytest.approx(shares.std(ddof=1) / n**0.5)
    assert found["c", "mean", 0] == pytest.approx(whole.c.mean())
    assert found["c of variances", "mean", 0] == pytest.approx(whole.c_variances.mean())
    # The law of two classes is exact: 1/2 + arctan(sqrt(gamma))/pi, and a little more for counts of 16 images.
    law = np.array([ClassFraction(c / (1 - c), 2).mean_max() for c in whole.c])
    assert 0 < found["one number", "mean", 2] - law.mean() < 0.06
    gap = whole.fractions[2] - law
    assert found["one number", "error", 2] == pytest.approx(gap.std(ddof=1) / n**0.5, rel=0.15)
    nodes = np.random.default_rng(0).multivariate_normal(np.zeros(p.n_images), whole.correlation, 100_000).T
    for k in (2, 10, 100):
        sampled = max_fractions(nodes, k).mean()
        assert found["matrix", "mean", k] == pytest.approx(sampled, abs=4 * found["matrix", "error", k] + 0.01)


def test_theory_on_the_same_images(data):
    p, run = run_of(experiment.theory, data, "MLP, ReLU, depth 4, ratio 1", n_law_nodes=20_000, n_law_draws=40_000)
    found = numbers(run, data)
    images = data.subset(n_test=p.n_images, seed=p.seed).inputs("test", flat=False)
    covariance = infinite_covariance(run.spec, run.init, images)
    c = mean_correlation(covariance)
    alone = ClassFraction(c / (1 - c), 2).mean_max()
    assert 0 <= found["limit, one number", "mean", 2] - alone < 0.03
    scale = np.sqrt(np.diag(covariance))
    rng, correlation = np.random.default_rng(0), covariance / np.outer(scale, scale)
    nodes = rng.multivariate_normal(np.zeros(p.n_images), correlation, 200_000).T
    for k in (2, 10, 100):
        sampled = max_fractions(nodes, k).mean()
        assert found["limit", "mean", k] == pytest.approx(sampled, abs=4 * found["limit", "error", k] + 0.005)


def test_a_run_gives_its_numbers_whatever_is_computed_before_it(data):
    _, first = run_of(experiment.untrained, data, "ViT, depth 1, ratio 1")
    _, second = run_of(experiment.untrained, data, "ViT, depth 1, ratio 2.5")
    one = numbers(first, data)
    other = numbers(second, data)
    lab.one_number_law.cache_clear()
    assert numbers(second, data).equals(other) and numbers(first, data).equals(one)
    assert lab._own(first).integers(2**60) != lab._own(second).integers(2**60)


def test_the_table_of_gaps_by_hand():
    rows = [("c", "mean", 0, 0.5), ("c of variances", "mean", 0, 0.4)]
    rows += [
        ("share", "mean", 2, 0.70),
        ("share", "error", 2, 0.03),
        ("matrix", "mean", 2, 0.72),
        ("matrix", "error", 2, 0.04),
    ]
    rows += [("one number", "mean", 2, 0.75), ("one number", "error", 2, 0.03)]
    rows += [("variances", "mean", 2, 0.6), ("variances", "error", 2, 0.05)]
    limits = [("limit", "mean", 2, 0.66), ("limit", "error", 2, 0.04), ("limit, one number", "mean", 2, 0.65)]
    columns = ["metric", "split", "step", "value"]
    untrained = pd.concat([pd.DataFrame(rows, columns=columns).assign(run=run) for run in ("a", "b")])
    theory = pd.DataFrame(limits, columns=columns).assign(run="a")
    found = lab.gaps(untrained, theory)
    assert list(found.index) == [("a", 2), ("b", 2)]
    wanted = {"c": 0.5, "measured": 0.7, "std_error": 0.03, "predicted": 0.66, "predicted, one number": 0.65}
    wanted |= {"gap one number": -0.05, "gap variances": 0.1, "gap matrix": -0.02, "gap predicted": 0.04}
    wanted |= {"error one number": 0.03, "error variances": 0.05, "error matrix": 0.05, "error predicted": 0.05}
    assert found.loc[("a", 2), list(wanted)].to_dict() == pytest.approx(wanted)
    assert found.loc[("b", 2)].isna()[["predicted", "gap predicted", "error predicted"]].all()
    assert found.loc[("b", 2), "gap matrix"] == pytest.approx(-0.02)
