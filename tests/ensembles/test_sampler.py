"""The two samplers draw from one law: the factor against exact arithmetic, and two-sample tests on whole networks."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from igbrepro.ensembles import (
    DenseSampler,
    GramSampler,
    Measure,
    NormalStream,
    Sampling,
    gaussian_inputs,
    simulate,
)
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec, build

CPU = torch.device("cpu")


def gram_sampler(init, n):
    return GramSampler(init, n, CPU, torch.float64)


def covariance(sampler, x):
    """The covariance of one node over inputs that `factor` stands for, and that of its deviations."""
    scale, factor = (part.numpy() for part in sampler.factor(torch.tensor(x)))
    whole = factor.copy()
    whole[:, 0] += scale
    return whole @ whole.T, factor @ factor.T


def exact_deviation_covariance(x, sigma_w2):
    """sigma_w2 D D^T / fan_in of the float64 numbers in x, in rational arithmetic."""
    rows = [[Fraction(float(value)) for value in row] for row in x]
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    rows = [[value - m for value, m in zip(row, mean, strict=True)] for row in rows]
    scale = Fraction(sigma_w2) / len(mean)
    return np.array([[float(scale * sum(u * v for u, v in zip(a, b, strict=True))) for b in rows] for a in rows])


RNG = np.random.default_rng(0)
BATCHES = {
    "independent": RNG.standard_normal((7, 40)),
    "positive": np.abs(RNG.standard_normal((7, 40))),
    "fewer features than inputs": RNG.standard_normal((7, 4)),
    "a repeated input": RNG.standard_normal((7, 40))[[0, 1, 2, 3, 4, 5, 0]],
    "one direction": np.outer(np.arange(1.0, 8.0), RNG.standard_normal(40)),
    "mean zero": np.concatenate([RNG.standard_normal((3, 40))] * 2) * np.repeat([[1], [-1]], 3, axis=0),
    "all zero": np.zeros((7, 40)),
}


@pytest.mark.parametrize("sigma_b2", [0.0, 0.3])
@pytest.mark.parametrize("name", BATCHES)
def test_factor_is_a_root_of_the_covariance(name, sigma_b2):
    x = BATCHES[name]
    got, deviations = covariance(gram_sampler(InitSpec(1.7, sigma_b2), len(x)), x)
    np.testing.assert_allclose(got, 1.7 * x @ x.T / x.shape[1] + sigma_b2, rtol=0, atol=1e-13 * max(got.max(), 1))
    centre = np.eye(len(x)) - 1 / len(x)
    np.testing.assert_allclose(deviations, centre @ got @ centre, rtol=0, atol=1e-13 * max(got.max(), 1))


@pytest.mark.parametrize("spread", [1e-3, 1e-8, 1e-13])
@pytest.mark.parametrize("sigma_b2", [0.0, 0.3])
def test_deviations_keep_their_digits_beside_a_mean_that_dwarfs_them(spread, sigma_b2):
    x = RNG.standard_normal(30) + spread * RNG.standard_normal((6, 30))
    _, got = covariance(gram_sampler(InitSpec(1.5, sigma_b2), 6), x)
    np.testing.assert_allclose(got, exact_deviation_covariance(x, 1.5), rtol=0, atol=1e-12 * got.max())


def test_a_small_part_of_the_deviations_survives_a_large_one_along_the_mean():
    direction = RNG.standard_normal(30)
    small = 1e-9 * RNG.standard_normal((6, 30))
    small -= small.mean(0)
    small -= np.outer(small @ direction, direction) / (direction @ direction)
    x = np.outer(1 + np.arange(6) / 10, direction) + small
    _, factor = gram_sampler(InitSpec(1.0, 0.0), 6).factor(torch.tensor(x))
    np.testing.assert_allclose(factor[:, 1:] @ factor[:, 1:].T, small @ small.T / 30, rtol=0, atol=1e-24)


def test_thin_qr_takes_over_where_cholesky_would_lose_digits():
    x = RNG.standard_normal((6, 30))
    x[1] = x[0] + 1e-7 * RNG.standard_normal(30)
    sampler = gram_sampler(InitSpec(1.0, 0.0), 6)
    _, got = covariance(sampler, x)
    assert sampler.n_qr == 1
    distance2 = got[0, 0] + got[1, 1] - 2 * got[0, 1]
    assert distance2 < 1e-12
    _, factor = sampler.factor(torch.tensor(x))
    difference = (factor[0] - factor[1]).numpy()
    assert difference @ difference == pytest.approx(np.sum((x[0] - x[1]) ** 2) / 30, rel=1e-5)


def node_statistics(result):
    """One number a network of several kinds, so that different networks are independent observations."""
    snapshot = result.snapshots[result.spec.depth]
    first = snapshot.preactivations[:, 0]
    return {
        "q, middle": result.q[:, result.spec.depth // 2],
        "q, last": result.q[:, -1],
        "gamma, first": result.gamma[:, 0],
        "gamma, middle": result.gamma[:, result.spec.depth // 2],
        "gamma, last": result.gamma[:, -1],
        "spread of c over pairs": result.pair_c_std[:, -1],
        "one node": first[:, 0],
        "difference of two inputs": first[:, 0] - first[:, 1],
        "deviation times mean": (first[:, 0] - first.mean(1)) * first.mean(1),
        "two nodes": first[:, 0] * snapshot.preactivations[:, 1, 1],
        "class fraction": result.class_fractions[:, 0, 0],
    }


CASES = {
    "ordered": (MLPSpec("tanh", depth=3, width=24, input_shape=(16,)), InitSpec(1.2, 0.1)),
    "edge": (MLPSpec("relu", depth=3, width=24, input_shape=(16,)), InitSpec(2.0)),
    "narrow": (MLPSpec("gelu", depth=3, width=6, input_shape=(5,)), InitSpec(2.5, 0.2)),
}


@pytest.mark.parametrize("case", CASES)
def test_gram_and_dense_networks_have_one_law(case):
    spec, init = CASES[case]
    x = gaussian_inputs(10, spec.input_size, seed=3, correlation=0.3, norm2=np.linspace(0.5, 2, 10))
    options = {"n_networks": 700, "measure": Measure(n_heads=1, keep_layers=[spec.depth], keep_nodes=2)}
    gram = node_statistics(simulate(spec, init, x, seed=5, **options))
    dense = node_statistics(simulate(spec, init, x, seed=6, sampling=Sampling("dense"), **options))
    p = {name: ks_2samp(gram[name], dense[name]).pvalue for name in gram}
    assert min(p.values()) > 1e-3 / len(p), p


def test_dense_networks_are_the_torch_models():
    """The reference itself against an independent build: the modules that are trained."""
    spec, init = CASES["ordered"]
    x = gaussian_inputs(10, spec.input_size, seed=3, correlation=0.3)
    options = {"measure": Measure(n_heads=1, keep_layers=[3]), "sampling": Sampling("dense")}
    result = simulate(spec, init, x, n_networks=700, seed=5, **options)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        batch = torch.tensor(x, dtype=torch.float32)
        logits = np.stack([build(spec, init, generator=generator)(batch).numpy() for _ in range(400)])
    ours = result.snapshots[3].preactivations.transpose(0, 2, 1)
    pairs = {
        "one input": (ours[:, 0, 0], logits[:, 0, 0]),
        "mean": (ours[..., 0].mean(1), logits[..., 0].mean(1)),
        "deviation": (np.log(ours[..., 0].std(1)), np.log(logits[..., 0].std(1))),
    }
    p = {name: ks_2samp(*samples).pvalue for name, samples in pairs.items()}
    assert min(p.values()) > 1e-3 / len(p), p


def test_normals_are_normal_and_streams_are_independent():
    draws = np.stack(
        [NormalStream(1, i, CPU).fill_(torch.empty(20_000, dtype=torch.float64)).numpy() for i in range(3)]
    )
    assert np.abs(draws.mean(1)).max() < 4.5 / np.sqrt(20_000)
    assert np.abs((draws**2).mean(1) - 1).max() < 4.5 * np.sqrt(2 / 20_000)
    assert np.abs(np.corrcoef(draws)[np.triu_indices(3, 1)]).max() < 4.5 / np.sqrt(20_000)
    again = NormalStream(1, 2, CPU).fill_(torch.empty(20_000, dtype=torch.float64))
    np.testing.assert_array_equal(draws[2], again)


def test_the_size_of_the_weight_blocks_changes_nothing(monkeypatch):
    x = torch.tensor(BATCHES["independent"])

    def draw():
        h = DenseSampler(InitSpec(1.5, 0.2), 7, CPU, torch.float64).draw(x.clone(), 25, NormalStream(1, 0, CPU))
        return (h.mean + h.deviations).numpy()

    whole = draw()
    monkeypatch.setattr("igbrepro.ensembles.sampler.DENSE_BLOCK", 3 * 40)
    np.testing.assert_allclose(draw(), whole, rtol=1e-12, atol=1e-14)
