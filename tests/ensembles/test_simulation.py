"""Ensembles: estimators that can be checked exactly, theory against simulation, and every way to misuse them."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from igbrepro.ensembles import Measure, Sampling, gaussian_inputs, layer_statistics, simulate
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, build, preactivations
from igbrepro.theory import MaxPool, MeanField

ONE_HEAD = Measure(n_heads=1)


def net(activation, depth, width, features=16, n_classes=2):
    return MLPSpec(activation, depth=depth, width=width, n_classes=n_classes, input_shape=(features,))


def standard_error(values):
    return values.std(axis=0, ddof=1) / np.sqrt(len(values))


def assert_agrees(values, want, resolution, z_max=4.5):
    """The mean over networks (axis 0) lies within z_max standard errors of `want`, and those are small enough."""
    error = standard_error(values)
    want = np.broadcast_to(want, error.shape)
    assert (error < resolution * np.abs(want)).all(), f"too noisy to decide: {error / want}"
    z = (values.mean(axis=0) - want) / error
    assert np.abs(z).max() < z_max, f"z = {z}, measured {values.mean(axis=0)}, expected {want}"


# Inputs


def test_exact_inputs_have_their_norms_and_correlations():
    norm2 = np.linspace(0.5, 2, 6)
    x = gaussian_inputs(6, 50, seed=0, correlation=0.3, norm2=norm2, exact=True)
    wanted = 0.3 * np.sqrt(np.outer(norm2, norm2))
    np.fill_diagonal(wanted, norm2)
    assert_allclose(x @ x.T / 50, wanted, rtol=1e-12)


@pytest.mark.parametrize("correlation", [-0.2, 0.0, 0.6, 1.0])
def test_expected_norms_and_correlations(correlation):
    x = gaussian_inputs(5, 200_000, seed=0, correlation=correlation, norm2=1.5)
    wanted = np.full((5, 5), 1.5 * correlation)
    np.fill_diagonal(wanted, 1.5)
    assert_allclose(x @ x.T / 200_000, wanted, rtol=0, atol=4.5 * 1.5 * np.sqrt(2 / 200_000))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_post_activation_units_are_drawn_as_torch_builds_them(activation):
    """Both samplers and networks that `build` makes, of a width at which no limit holds: one mean in every layer."""
    spec = MLPSpec(activation, 5, 12, 8, (16,), residual=0.6, residual_unit="post-activation")
    init, x, n = InitSpec(1.8, 0.2), gaussian_inputs(3, 16, 0), 400
    models = [build(spec, init, torch.Generator().manual_seed(seed)) for seed in range(n)]
    layers = [preactivations(model, torch.as_tensor(x, dtype=torch.float32)) for model in models]
    built = np.array([[float(h.detach().double().square().mean()) for h in one] for one in layers])
    options = {"n_networks": n, "seed": 1, "measure": Measure(n_heads=1)}
    drawn = [simulate(spec, init, x, sampling=Sampling(method), **options).q for method in ("gram", "dense")]
    errors = [standard_error(q) for q in (built, *drawn)]
    assert max((error / q.mean(0)).max() for error, q in zip(errors, (built, *drawn), strict=True)) < 0.1
    for q, error in zip(drawn, errors[1:], strict=True):
        assert (np.abs(q.mean(0) - built.mean(0)) < 4.5 * np.hypot(error, errors[0])).all()


# Statistics of one layer


def test_layer_statistics_are_those_of_numpy():
    h = np.random.default_rng(0).standard_normal((6, 400)) + 1 + np.arange(6)[:, None] / 3
    mean, deviations = h.mean(0), h - h.mean(0)
    got = layer_statistics(mean @ mean / 400, deviations @ mean / 400, deviations @ deviations.T / 400, [0, 0.5, 1])
    norm = np.linalg.norm(h, axis=1)
    c = (h @ h.T / np.outer(norm, norm))[np.triu_indices(6, 1)]
    assert got["q"] == pytest.approx((h**2).mean(), rel=1e-12)
    assert got["sigma_y2"] == pytest.approx(h.var(axis=0, ddof=1).mean(), rel=1e-12)
    assert got["pair_one_minus_c"] == pytest.approx(1 - c.mean(), rel=1e-12)
    assert got["pair_c_std"] == pytest.approx(c.std(), rel=1e-10)
    assert_allclose(got["pair_c_quantiles"], np.quantile(c, [0, 0.5, 1]), rtol=1e-12)


@pytest.mark.parametrize("angle", [1e-3, 1e-7, 1e-14])
def test_pair_correlation_keeps_its_digits_next_to_one(angle):
    """Two vectors of lengths 1 and 1 + 3 angle at this angle: 1 - c = 1 - cos(angle) = 2 sin^2(angle / 2)."""
    length = 1 + 3 * angle
    difference = np.array([length * np.sin(angle), 3 * angle - 2 * length * np.sin(angle / 2) ** 2])  # h_2 - h_1
    mean, deviations = np.array([0.0, 1.0]) + difference / 2, np.outer([-0.5, 0.5], difference)
    got = layer_statistics(mean @ mean / 2, deviations @ mean / 2, deviations @ deviations.T / 2, [0.5])
    assert got["pair_one_minus_c"] == pytest.approx(2 * np.sin(angle / 2) ** 2, rel=1e-9)


@pytest.mark.parametrize("method", ["gram", "dense"])
def test_estimators_are_unbiased_at_every_number_of_inputs(method):
    """Independent inputs, mean square 1: sigma_y2 = sigma_w2 and sigma_mu2 = sigma_b2 in the first layer, for any n."""
    for n in (2, 20):
        options = {"n_networks": 400, "measure": ONE_HEAD, "sampling": Sampling(method)}
        fresh = lambda rng, n=n: gaussian_inputs(n, 16, rng)  # noqa: E731
        result = simulate(net("tanh", 1, 40), InitSpec(1.5, 0.3), fresh, seed=n, **options)
        assert_agrees(result.sigma_y2[:, 0], 1.5, resolution=0.03)
        assert_agrees(result.sigma_mu2[:, 0], 0.3, resolution=0.2)


def test_c_is_the_mean_pair_covariance_over_the_mean_variance_by_algebra():
    """An identity at any width and number of inputs: it tests the code, not the theorem."""
    spec, kept = net("relu", 3, 12), range(4)
    x = gaussian_inputs(5, 16, seed=2, correlation=0.2, norm2=np.arange(1.0, 6.0))
    result = simulate(spec, InitSpec(2.0, 0.1), x, n_networks=4, seed=1, measure=Measure(n_heads=1, keep_layers=kept))
    for layer in kept:
        snapshot, i, j = result.snapshots[layer], *np.triu_indices(5, 1)
        variances = np.diagonal(snapshot.covariance, axis1=1, axis2=2)
        pairs = snapshot.covariance[:, i, j].mean(1)
        assert_allclose(result.q[:, layer], variances.mean(1), rtol=1e-12)
        assert_allclose(result.sigma_mu2[:, layer], pairs, rtol=1e-10)
        assert_allclose(result.c[:, layer], pairs / variances.mean(1), rtol=1e-10)
        assert_allclose(result.gamma[:, layer] / (1 + result.gamma[:, layer]), result.c[:, layer], rtol=1e-12)
        assert_allclose(result.pair_c_mean[:, layer], snapshot.correlation[:, i, j].mean(1), rtol=1e-12)
        assert_allclose(result.sigma_y2[:, layer], snapshot.node_variance.mean(1), rtol=1e-12)
        biased = (snapshot.node_mean**2).mean(1) / result.q[:, layer]
        assert_allclose(biased - result.c[:, layer], (1 - result.c[:, layer]) / 5, rtol=1e-9)


# Theory against simulation

SHALLOW = {
    "tanh ordered": ("tanh", InitSpec(1.59, 0.1), 0.3),
    "tanh neutral": ("tanh", InitSpec(4.97, 0.1), 0.3),
    "relu edge": ("relu", InitSpec(2.0), 0.0),
    "gelu": ("gelu", InitSpec(1.8, 0.05), 0.5),
    "leaky relu": ("leaky_relu(0.2)", InitSpec(1.9, 0.1), -0.05),
}


@pytest.mark.parametrize("case", SHALLOW)
def test_shallow_layers_are_those_of_the_theory(case):
    """Unbiased at any width for the first two layers; after that a bias of order 1/width, here below the error."""
    activation, init, correlation = SHALLOW[case]
    spec, x = net(activation, 3, 600, features=32), gaussian_inputs(12, 32, 0, correlation=correlation, exact=True)
    result = simulate(spec, init, x, n_networks=200, seed=11, measure=ONE_HEAD)
    q0 = init.sigma_w2 + init.sigma_b2
    theory = spec.mean_field(init).trajectory(3, q0=q0, c0=(init.sigma_w2 * correlation + init.sigma_b2) / q0)
    assert_agrees(result.q, theory.q, resolution=0.01)
    assert_agrees(result.sigma_y2, theory.q * theory.one_minus_c, resolution=0.01)
    assert_agrees(result.sigma_mu2[:, 1:], (theory.q * theory.c)[1:], resolution=0.03)
    assert_agrees(result.pair_one_minus_c, theory.one_minus_c, resolution=0.01)


def test_each_pair_follows_its_own_norms_and_correlation():
    """Unequal norms: the second layer's covariance of every pair against the two-variance covariance map."""
    init, norm2 = InitSpec(1.5, 0.2), np.linspace(0.3, 3, 6)
    x = gaussian_inputs(6, 32, 1, correlation=0.4, norm2=norm2, exact=True)
    spec = net("relu", 1, 400, features=32)
    result = simulate(spec, init, x, n_networks=400, seed=2, measure=Measure(n_heads=1, keep_layers=[1]))
    first = init.sigma_w2 * x @ x.T / 32 + init.sigma_b2
    own = np.diagonal(first)
    wanted = MeanField("relu", sigma_w2=1.5, sigma_b2=0.2).cov_map(own[:, None], own[None, :], first)
    assert_agrees(result.snapshots[1].covariance.reshape(400, -1), wanted.ravel(), resolution=0.01)


def test_correlations_concentrate_like_one_over_the_root_of_the_width():
    x = gaussian_inputs(30, 64, 0, exact=True)
    widths = (100, 400, 1600)
    spread = [
        simulate(net("tanh", 4, w, 64), InitSpec(2.5, 0.1), x, n_networks=12, seed=w, measure=ONE_HEAD).pair_c_std[:, 4]
        for w in widths
    ]
    slope = np.polyfit(np.log(widths), [np.log(s).mean() for s in spread], 1)[0]
    assert -0.56 < slope < -0.44


def test_gap_to_theory_at_depth_is_one_over_the_width():
    """ReLU at the edge without bias: c - <gamma/(1+gamma)> = c K/width.

    K at layer 10 as a plain NumPy recursion of the 2 x 2 covariance gave it over 100,000 networks of each width;
    its limit for infinite width, by a second-order expansion in the noise of one layer, is 6.18.
    """
    expected_k = {64: (5.14, 0.03), 128: (5.65, 0.04), 256: (5.78, 0.08)}
    x = gaussian_inputs(2, 16, 0, exact=True)
    theory = net("relu", 10, 64).mean_field(InitSpec(2.0)).trajectory(10, q0=2.0, c0=0.0)
    gaps = []
    for width, (expected, uncertainty) in expected_k.items():
        c = simulate(net("relu", 10, width), InitSpec(2.0), x, n_networks=300, seed=width, measure=ONE_HEAD).c[:, 10]
        gaps.append(1 - c.mean() / theory.c[10])
        error = np.hypot(width * standard_error(c) / theory.c[10], uncertainty)
        assert error < 0.35 * expected, f"too noisy to decide: K = {width * gaps[-1]:.2f} +- {error:.2f}"
        assert abs(width * gaps[-1] - expected) < 3.5 * error, f"K = {width * gaps[-1]:.2f} +- {error:.2f}"
    assert -1.5 < np.polyfit(np.log(list(expected_k)), np.log(gaps), 1)[0] < -0.5, gaps


@pytest.mark.parametrize("activation, init", [("tanh", InitSpec(0.5, 0.1)), ("relu", InitSpec(0.6, 0.1))])
def test_ordered_phase_falls_at_the_rate_chi_down_to_the_last_digit(activation, init):
    """sigma_y2/sigma_mu2 = (1 - c)/c falls by chi a layer, through 28 decades and with no plateau."""
    spec, q0 = net(activation, 80, 1000, 64), init.sigma_w2 + init.sigma_b2
    theory = spec.mean_field(init).trajectory(80, q0=q0, c0=init.sigma_b2 / q0)
    layers = np.flatnonzero(theory.one_minus_c > 1e-28)
    assert theory.one_minus_c[layers[-1]] < 1e-27
    x = gaussian_inputs(8, 64, 0, exact=True)
    measured = np.log(simulate(spec, init, x, n_networks=16, seed=1, measure=ONE_HEAD).one_minus_c[:, layers])
    wanted = np.log(theory.one_minus_c[layers])
    error = standard_error(measured)
    assert error.max() < 0.1, f"too noisy to decide: {error.max()}"
    drift = 2 * layers / spec.width  # what a finite width adds, layer by layer
    assert (np.abs(measured.mean(0) - wanted) < 4.5 * error + drift).all(), (measured.mean(0) - wanted) / error


# Class fractions


def test_class_fraction_of_two_classes_scatters_as_the_arcsine_law_says():
    """Var G_0 = 1/(4n) + (1 - 1/n) arcsin(c)/(2 pi) over heads, exact for the first layer: its heads share no body."""
    n, c0, init = 25, 0.7, InitSpec(1.5, 0.3)
    x = gaussian_inputs(n, 32, 0, correlation=c0, exact=True)
    spec = net("tanh", 1, 600, features=32)
    measure = Measure(n_heads=300, heads_at_every_layer=True)
    result = simulate(spec, init, x, n_networks=30, seed=1, measure=measure)
    c = (1.5 * c0 + 0.3) / 1.8
    squares = (result.layer_class_fractions[:, 0, :, 0] - 0.5) ** 2
    assert_agrees(squares.mean(1), 1 / (4 * n) + (1 - 1 / n) * np.arcsin(c) / (2 * np.pi), resolution=0.02)


def test_max_fraction_of_a_wide_network_is_that_of_its_gamma():
    """E[max(G_0, 1 - G_0)] = 1/2 + arcsin(sqrt c)/pi for many inputs; n = 400 shifts it by less than the tolerance."""
    init, depth = InitSpec(2.5, 0.1), 6
    spec = net("tanh", depth, 500, features=500)
    x = gaussian_inputs(400, 500, 0, exact=True)
    result = simulate(spec, init, x, n_networks=8, seed=1, measure=Measure(n_heads=250))
    theory = spec.mean_field(init).trajectory(depth, q0=2.6, c0=0.1 / 2.6)
    wanted = 0.5 + np.arcsin(np.sqrt(theory.c[depth])) / np.pi
    assert result.max_fraction[:, -1].mean() == pytest.approx(wanted, abs=0.012)
    assert np.isnan(result.max_fraction[:, :-1]).all()


def test_class_fractions_are_the_argmax_of_the_logits():
    spec = net("relu", 2, 30, n_classes=3)
    x = gaussian_inputs(11, 16, 0)
    measure = Measure(n_heads=10, heads_at_every_layer=True, keep_layers=[1, 2], keep_nodes=30)
    result = simulate(spec, InitSpec(2.0), x, n_networks=3, seed=1, measure=measure)
    assert result.class_fractions.shape == (3, 10, 3) and result.layer_class_fractions.shape == (3, 3, 10, 3)
    for layer in (1, 2):
        heads = result.snapshots[layer].preactivations.reshape(3, 10, 3, 11)
        counts = (heads.argmax(2)[:, :, None, :] == np.arange(3)[:, None]).mean(-1)
        assert_array_equal(result.layer_class_fractions[:, layer], counts)
    assert_array_equal(result.layer_class_fractions[:, 2], result.class_fractions)
    assert_allclose(result.class_fractions.sum(-1), 1)


def test_more_heads_than_nodes_widen_the_last_layer_only():
    spec = net("tanh", 2, 10)
    measure = Measure(n_heads=50, keep_layers=[1, 2])
    result = simulate(spec, InitSpec(2.0, 0.1), gaussian_inputs(5, 16, 0), n_networks=2, seed=1, measure=measure)
    assert result.class_fractions.shape == (2, 50, 2)
    assert [result.snapshots[layer].node_mean.shape[1] for layer in (1, 2)] == [10, 100]


# Seeds, devices, and what happens at the ends of the range


def run(n_networks=3, seed=4, inputs=None, progress=None, spec=None, **settings):
    """A small ensemble; settings: fields of Sampling and of Measure."""
    inputs = gaussian_inputs(6, 16, 0) if inputs is None else inputs
    sampling = Sampling(**{name: settings.pop(name) for name in ("method", "device", "dtype") if name in settings})
    options = {"measure": Measure(**settings), "sampling": sampling, "progress": progress}
    return simulate(spec or net("tanh", 3, 20), InitSpec(1.5, 0.1), inputs, n_networks=n_networks, seed=seed, **options)


@pytest.mark.parametrize("method", ["gram", "dense"])
def test_a_network_depends_on_its_seed_and_number_alone(method):
    three, five = run(3, method=method), run(5, method=method, keep_layers=[2], progress=False, n_heads=3)
    for name in ("q", "sigma_y2", "sigma_mu2", "pair_one_minus_c"):
        assert_array_equal(getattr(five, name)[:3, :3], getattr(three, name)[:, :3])
        assert len(np.unique(getattr(five, name)[:, 1])) == 5
    assert not np.isclose(run(3, seed=5, method=method).q, three.q).any()
    assert_array_equal(run(3, method=method).class_fractions, three.class_fractions)


def test_fresh_inputs_for_every_network():
    seen = []

    def fresh(rng):
        seen.append(gaussian_inputs(6, 16, rng))
        return seen[-1]

    result = run(2, inputs=fresh)
    assert not np.isclose(seen[0], seen[1]).any()
    assert_array_equal(run(1, inputs=seen[0]).q[0], result.q[0])


def test_inputs_are_left_as_they_were_and_may_be_images():
    x = gaussian_inputs(6, 16, 0)
    before, images = x.copy(), x.reshape(6, 4, 4)
    spec = MLPSpec("tanh", depth=1, width=20, input_shape=(4, 4))
    flat = simulate(spec, InitSpec(1.5), x, n_networks=1, seed=0)
    assert_array_equal(simulate(spec, InitSpec(1.5), images, n_networks=1, seed=0).q, flat.q)
    assert_array_equal(x, before)


@pytest.mark.parametrize("method", ["gram", "dense"])
def test_float32_gives_the_same_statistics(method):
    options = {"n_networks": 300, "method": method, "n_heads": 1}
    single, double = run(dtype="float32", **options), run(dtype=torch.float64, seed=5, **options)
    for name in ("q", "sigma_y2", "sigma_mu2"):
        a, b = getattr(single, name), getattr(double, name)
        assert (np.abs(a.mean(0) - b.mean(0)) < 4.5 * np.hypot(standard_error(a), standard_error(b))).all()


@pytest.mark.parametrize("method", ["gram", "dense"])
def test_a_signal_that_overflows_is_infinite_from_there_on(method):
    result = simulate(
        net("relu", 60, 20),
        InitSpec(1e8),
        gaussian_inputs(4, 16, 0),
        n_networks=2,
        seed=0,
        measure=Measure(keep_layers=[60]),
        sampling=Sampling(method),
    )
    finite = np.isfinite(result.q)
    assert finite[:, :30].all() and not finite[:, 50:].any()
    assert np.isposinf(result.q[~finite]).all() and np.isnan(result.gamma[~finite]).all()
    assert np.isnan(result.class_fractions).all() and np.isnan(result.snapshots[60].node_mean).all()
    table = result.summary("q")
    assert np.isposinf(table["mean"].iloc[-1]) and np.isposinf(table["median"].iloc[-1])


@pytest.mark.parametrize("method", ["gram", "dense"])
def test_inputs_that_became_one_have_infinite_gamma(method):
    x = np.tile(gaussian_inputs(2, 16, 0)[:1], (5, 1))
    result = run(2, inputs=x, method=method)
    assert (result.gamma > 1e30).all() and (result.c == 1).all()
    if method == "gram":
        assert np.isposinf(result.gamma).all() and (result.sigma_y2 == 0).all() and (result.pair_one_minus_c == 0).all()
    assert_array_equal(result.class_fractions.max(-1), 1)


def test_dead_networks_have_no_gamma_and_are_left_out_of_the_table():
    spec = net("relu", 12, 2)
    result = simulate(spec, InitSpec(2.0), gaussian_inputs(4, 16, 0), n_networks=40, seed=0, measure=ONE_HEAD)
    dead = result.q[:, -1] == 0
    assert 5 < dead.sum() < 40
    table = result.summary("gamma").set_index("layer")
    assert table.loc[0, "n_networks"] == 40 and table.loc[12, "n_networks"] == 40 - dead.sum()


def test_ctrl_c_says_how_far_it_came():
    calls = []

    def interrupted(rng):
        calls.append(rng)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return gaussian_inputs(6, 16, rng)

    with pytest.raises(KeyboardInterrupt, match="2 of 10 networks"):
        run(10, inputs=interrupted)


def test_progress_is_silent_where_there_is_no_terminal(capsys):
    run(2)
    assert capsys.readouterr().err == ""
    run(2, progress=True)
    assert "2/2" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "gramm"}, "method='gramm'.*did you mean 'gram'"),
        ({"n_networks": 0}, "n_networks=0"),
        ({"n_networks": 2.0}, "n_networks=2.0"),
        ({"seed": -1}, "seed=-1"),
        ({"n_heads": 0}, "n_heads=0"),
        ({"n_heads": 11, "heads_at_every_layer": True}, "n_heads=11.*n_heads <= 10"),
        ({"keep_layers": [4]}, "keep_layers=.*0 to depth=3"),
        ({"keep_layers": [1], "keep_nodes": 0}, "keep_nodes=0"),
        ({"keep_layers": 1}, r"keep_layers=1: need a list of numbers, such as \[1\]"),
        ({"quantile_levels": [0.5, 1.5]}, "quantile_levels"),
        ({"spec": CNNSpec("tanh", 2, 4)}, r"spec=CNNSpec\(.*need an MLPSpec"),
        ({"dtype": "float16"}, "dtype='float16'"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"inputs": np.zeros((6, 15))}, r"inputs: shape \(6, 15\), need \(n, 16\)"),
        ({"inputs": np.zeros(16)}, r"inputs: shape \(16,\)"),
        ({"inputs": np.zeros((1, 16))}, "inputs: 1 of them"),
        ({"inputs": np.full((6, 16), np.nan)}, "inputs: 96 values are not finite"),
        (
            {"inputs": lambda rng: gaussian_inputs(int(rng.integers(2, 2**20)) % 97 + 2, 16, rng)},
            "inputs: .* before it",
        ),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        run(**options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n": 1}, "n=1"),
        ({"dim": 0}, "dim=0"),
        ({"norm2": 0.0}, "norm2"),
        ({"norm2": [1.0, 2.0]}, "norm2"),
        ({"correlation": -0.3}, "correlation=-0.3: .*-0.25 to 1"),
        ({"correlation": 1.1}, "correlation=1.1"),
        ({"dim": 4, "exact": True}, "dim=4"),
    ],
)
def test_bad_inputs_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        gaussian_inputs(**{"n": 5, "dim": 8, "seed": 0, **options})


# Tables


def test_summary_is_that_of_numpy():
    result = run(7)
    table = result.summary("gamma", quantiles=(0.1, 0.9))
    assert list(table) == ["layer", "n_networks", "mean", "std_error", "median", "q10", "q90"]
    assert_allclose(table["mean"], result.gamma.mean(0))
    assert_allclose(table["std_error"], standard_error(result.gamma))
    assert_allclose(table["median"], np.median(result.gamma, axis=0))
    assert_allclose(table["q90"], np.quantile(result.gamma, 0.9, axis=0))


def test_summary_takes_infinities_as_they_are():
    result = run(4)
    result.sigma_y2[:3, 2] = 0.0
    result.sigma_y2[:1, 3] = 0.0
    row = result.summary("gamma").set_index("layer").loc
    assert np.isposinf(row[2, "mean"]) and np.isnan(row[2, "std_error"]) and np.isposinf(row[2, "median"])
    assert np.isposinf(row[3, "q95"]) and row[3, "median"] == pytest.approx(np.median(result.gamma[:, 3]))
    assert run(1).summary("q")["std_error"].isna().all()


@pytest.mark.parametrize("name", ["gama", "spec", "q "])
def test_unknown_statistic_is_named(name):
    with pytest.raises(ParameterError, match=f"name='{name}'.*Known: q,"):
        run(1).summary(name)
    with pytest.raises(ParameterError, match="quantiles"):
        run(1).summary("q", quantiles=[2])


def test_heads_with_more_nodes_than_a_pooled_layer():
    spec = MLPSpec("relu", 3, 9, input_shape=(16,), pool=MaxPool(3))
    result = simulate(spec, InitSpec(1.0), gaussian_inputs(5, 16, 0), n_networks=2, seed=0)
    assert result.class_fractions.shape == (2, 100, 2) and np.isfinite(result.q).all()


@pytest.mark.parametrize("init", ["he", (1.5, 0.1)])
def test_an_init_without_a_law_is_refused(init):
    with pytest.raises(ParameterError, match=r"init=.*need an InitSpec"):
        simulate(net("relu", 2, 8), init, gaussian_inputs(5, 16, 0), n_networks=2, seed=0)
