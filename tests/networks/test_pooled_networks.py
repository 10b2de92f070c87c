"""Pools, correlated windows and residual layers in finite networks: the same law from both samplers and from theory."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torch import nn

from igbrepro.ensembles import Measure, Sampling, gaussian_inputs, gradient_profile, simulate
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec, initialize_
from igbrepro.modules import ResidualBlock
from igbrepro.networks import MLPSpec, build, preactivations
from igbrepro.theory import AveragePool, MaxPool, MeanField, mean_class_errors
from notebooks.ch09_gradients.lab import class_gradients

INPUTS = gaussian_inputs(12, 32, seed=0, correlation=0.3, exact=True)
DEPTH = 5
NETS = {
    "relu max": MLPSpec("relu", DEPTH, 900, pool=MaxPool(3), input_shape=(32,)),
    "tanh average": MLPSpec("tanh", DEPTH, 900, pool=AveragePool(3), input_shape=(32,)),
    "relu average, correlated": MLPSpec("relu", DEPTH, 900, pool=AveragePool(2, 0.4), input_shape=(32,)),
    "tanh residual": MLPSpec("tanh", DEPTH, 600, residual=1.0, input_shape=(32,)),
    "relu residual, scaled": MLPSpec("relu", DEPTH, 600, residual=1 / math.sqrt(DEPTH), input_shape=(32,)),
    "relu residual max": MLPSpec("relu", DEPTH, 600, pool=MaxPool(2), residual=0.5, input_shape=(32,)),
}
EACH = pytest.mark.parametrize("spec", NETS.values(), ids=NETS)
INIT = InitSpec(1.6, 0.1)


def ensemble(spec, method="gram", n_networks=60, seed=1, **more):
    options = {"measure": Measure(n_heads=20, **more), "sampling": Sampling(method), "progress": False}
    return simulate(spec, INIT, INPUTS, n_networks=n_networks, seed=seed, **options)


@EACH
def test_layers_follow_the_infinite_width_maps(spec):
    result, theory = ensemble(spec, n_networks=100), spec.trajectory(INIT, q0=1.7, c0=(1.6 * 0.3 + 0.1) / 1.7)
    for measured, predicted in ((result.q, theory.q), (result.one_minus_c, theory.one_minus_c)):
        error = measured.std(0, ddof=1) / 10
        assert (error < 0.03 * predicted).all()
        gap = np.abs(measured.mean(0) - predicted)
        assert (gap < 4.5 * error + 0.004 * predicted).all(), (gap / error, gap / predicted)  # 1/width on top of noise


@EACH
def test_both_samplers_have_one_law(spec):
    gram, dense = ensemble(spec), ensemble(spec, "dense", seed=2)
    for statistic in ("q", "one_minus_c", "pair_one_minus_c"):
        for layer in (1, DEPTH):
            a, b = (getattr(result, statistic)[:, layer] for result in (gram, dense))
            assert ks_2samp(a, b).pvalue > 1e-4
    assert ks_2samp(gram.class_fractions[..., 0].ravel(), dense.class_fractions[..., 0].ravel()).pvalue > 1e-4


@pytest.mark.parametrize("name", ["relu max", "tanh average", "tanh residual", "relu residual max"])
def test_the_model_is_the_network_that_the_sampler_draws(name):
    spec, generator = NETS[name], torch.Generator().manual_seed(0)
    x = torch.as_tensor(INPUTS, dtype=torch.float32)
    with torch.no_grad():
        h = [preactivations(build(spec, INIT, generator), x) for _ in range(60)]
    sampled = ensemble(spec)
    for layer in range(DEPTH):
        squares = np.array([float((layers[layer] ** 2).mean()) for layers in h])
        assert ks_2samp(squares, sampled.q[:, layer]).pvalue > 1e-4
    assert [len(layers) for layers in h] == [DEPTH + 1] * 60 and h[0][-1].shape == (12, 2)


def test_correlated_windows_have_their_correlation():
    spec = MLPSpec("relu", 1, 4000, pool=AveragePool(2, 0.4), input_shape=(32,))
    snapshot = ensemble(spec, n_networks=1, keep_layers=[0], keep_nodes=4000).snapshots[0]
    one, two = snapshot.preactivations[0].reshape(2000, 2, 12).transpose(1, 0, 2)
    assert (one * two).mean() / (one**2).mean() == pytest.approx(0.4, abs=0.05)
    assert (one * one[:, ::-1]).mean() == pytest.approx((1.6 * 0.3 + 0.1), abs=0.1)


def test_replicated_pooling_is_the_same_law():
    """Handing every pooled value on in k copies, so that the layer keeps its width, changes nothing in law."""
    spec, x = NETS["relu max"], torch.as_tensor(INPUTS[:1], dtype=torch.float32)
    generator = torch.Generator().manual_seed(3)

    class Copies(nn.Module):
        def forward(self, x):
            return x.repeat_interleave(3, dim=-1)

    def statistics(model):
        h = preactivations(model, x)
        gradients = torch.autograd.grad(h[-1][0, 0], h)
        return [float((h[-2] ** 2).mean().detach()), float((gradients[0] ** 2).sum())]

    plain = np.array([statistics(build(spec, INIT, generator)) for _ in range(80)])
    copied = []
    for _ in range(80):
        model = nn.Sequential()
        for module in build(spec, INIT, generator):
            after_pool = isinstance(module, nn.Linear) and module.in_features == spec.fan_in
            model.extend([Copies(), nn.Linear(900, module.out_features)] if after_pool else [module])
        copied.append(statistics(initialize_(model, INIT, generator=generator)))
    for a, b in zip(plain.T, np.array(copied).T, strict=True):
        assert ks_2samp(a, b).pvalue > 1e-4


def test_residual_model_adds_its_block():
    spec = MLPSpec("relu", 3, 8, residual=0.5, input_shape=(4,))
    model = build(spec, INIT, torch.Generator().manual_seed(0))
    x = torch.randn(5, 4)
    one, two, three, _ = preactivations(model, x)
    block = next(module for module in model if isinstance(module, ResidualBlock))
    torch.testing.assert_close(two, one + 0.5 * block.block[-1](torch.relu(one)))
    assert three.shape == (5, 8)


# --- gradients --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pool", "chi"),
    [(AveragePool(2), math.pi / (math.pi + 1)), (MaxPool(2), 3 * math.pi / (3 * math.pi + 2))],
    ids=["average", "max"],
)
def test_chi_of_pooled_relu_shows_above_the_floor_only(pool, chi):
    """At the published critical values: the naive profile runs into its floor, of order 1/width, the other does not."""
    spec = MLPSpec("relu", 20, 600, pool=pool, input_shape=(32,))
    init = InitSpec(chi * {AveragePool: 4, MaxPool: 4 / 3}[type(pool)])
    growth, error = {}, {}
    for above_floor in (False, True):
        squares = gradient_profile(spec, init, INPUTS[:3], n_networks=40, seed=1, above_floor=above_floor)
        rate = np.log(squares[:, 0] / squares[:, 16]) / 16
        growth[above_floor] = np.exp(rate.mean())
        error[above_floor] = growth[above_floor] * rate.std(ddof=1) / np.sqrt(40)
    assert error[True] < 0.01 and abs(growth[True] - chi) < 4 * error[True] + 0.002
    assert growth[False] > chi + 6 * error[False]


def test_residual_gradients_grow_by_one_more_than_their_block():
    spec, init = MLPSpec("relu", 6, 600, residual=0.6, input_shape=(32,)), InitSpec(1.5)
    squares = gradient_profile(spec, init, INPUTS[:3], n_networks=40, seed=1)
    rate = np.log(squares[:, 0] / squares[:, 5]) / 5
    chi = float(spec.mean_field(init).chi(1.0))
    assert chi == pytest.approx(1 + 0.36 * 0.75)
    assert abs(np.exp(rate.mean()) - chi) < 4.5 * chi * rate.std(ddof=1) / np.sqrt(40) + 0.003


def test_class_gradients_follow_the_law_of_the_error():
    """Tanh in the prejudice phase, random labels: 2 (1 - p)^2 at the logits and chi a layer below them."""
    spec, init = MLPSpec("tanh", 8, 500, input_shape=(32,)), InitSpec(2.48, 0.1)
    labels = np.arange(30) % 2
    x = gaussian_inputs(30, 32, seed=5, correlation=0.6, norm2=0.5, exact=True)
    found = class_gradients(spec, init, x, labels, n_networks=150, seed=1, progress=False)
    theory = spec.trajectory(init, 2.48 * 0.5 + 0.1, (2.48 * 0.3 + 0.1) / (2.48 * 0.5 + 0.1))
    multiplier = np.cumprod(np.append(theory.chi[:-1], 1)[::-1])[::-1]
    for which, error in zip(("favoured", "unfavoured"), mean_class_errors(theory.q[-1], theory.c[-1]), strict=True):
        measured, predicted = found.mean(which), 2 * error * multiplier
        noise = np.nanstd(measured, axis=0, ddof=1) / np.sqrt(150)
        assert (noise < 0.12 * predicted).all()
        assert (np.abs(np.nanmean(measured, axis=0) - predicted) < 4.5 * noise + 0.02 * predicted).all()


def test_class_means_leave_out_what_they_should():
    spec = MLPSpec("tanh", 2, 20, input_shape=(32,))
    found = class_gradients(spec, INIT, INPUTS, np.zeros(12, dtype=int), n_networks=9, seed=1, progress=False)
    np.testing.assert_allclose(found.mean("all"), found.squares.mean(-1))
    np.testing.assert_array_equal(np.isnan(found.mean("favoured")[:, 0]), found.favoured == 1)
    with pytest.raises(ParameterError, match="which='both'"):
        found.mean("both")
    with pytest.raises(ParameterError, match="labels"):
        class_gradients(spec, INIT, INPUTS, np.full(12, 2), n_networks=1, seed=1)


# --- misuse -----------------------------------------------------------------------------------------------------


def test_bad_networks_are_one_clear_error():
    for make, words in (
        (lambda: MLPSpec("relu", 2, 10, pool=MaxPool(3)), "width=10: need a multiple of the pool's k=3"),
        (lambda: MLPSpec("relu", 2, 10, pool="max"), "pool='max'"),
        (lambda: MLPSpec("relu", 2, 10, residual=0.0), "residual=0.0"),
        (lambda: build(MLPSpec("relu", 2, 10, pool=MaxPool(2, 0.5))), "independent"),
        (lambda: MeanField("tanh", sigma_w2=1.0, residual=1.0).fixed_point(), "use trajectory"),
    ):
        with pytest.raises(ParameterError, match=words):
            make()
