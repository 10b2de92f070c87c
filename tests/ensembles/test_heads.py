"""Many heads on one body: what they see, and the laws of their favourite class, each by another way."""

import numpy as np
import pytest
import torch
from scipy.stats import binom, multivariate_normal
from torch import nn

from igbrepro.ensembles import heads
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec, initialize_
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, ViTSpec, build
from igbrepro.statistics import mean_max_of_counts
from igbrepro.theory import ClassFraction

INIT = InitSpec(1.7, 0.3)
IMAGES = np.random.default_rng(5).standard_normal((6, 1, 8, 8)).astype(np.float32)
SPECS = {
    "mlp": MLPSpec("tanh", 3, 12, n_classes=4, input_shape=(1, 8, 8)),
    "cnn": CNNSpec("relu", 3, 4, n_classes=4, input_shape=(1, 8, 8)),
    "resnet": ResNetSpec("relu", (1, 1), 4, n_classes=4, input_shape=(1, 8, 8), norm=False),
    "vit": ViTSpec("relu", 2, 8, heads=2, n_classes=4, input_shape=(1, 8, 8)),
}


def equal_pairs(n, c):
    return np.full((n, n), c) + (1 - c) * np.eye(n)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_head_on_the_features_gives_the_logits(spec):
    model = build(spec, INIT, torch.Generator().manual_seed(1))
    body, _ = heads.features(model, IMAGES)
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        logits = model.eval()(torch.as_tensor(IMAGES))
        torch.testing.assert_close(body @ last.weight.T + last.bias, logits, rtol=1e-4, atol=1e-5)


def test_batch_norm_uses_the_statistics_of_the_inputs_and_the_model_is_left_as_it_was():
    model = build(ResNetSpec("relu", (1, 1), 4, input_shape=(1, 8, 8)), INIT, torch.Generator().manual_seed(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    body, _ = heads.features(model, IMAGES)
    scaled, _ = heads.features(model, 1000 * IMAGES)
    torch.testing.assert_close(body, scaled, rtol=1e-3, atol=1e-3)  # up to the epsilon of the normalisation
    assert model.training and all(torch.equal(before[k], v) for k, v in model.state_dict().items())


@pytest.mark.parametrize(
    "spec",
    [SPECS["mlp"], SPECS["vit"], MLPSpec("tanh", 2, 4, input_shape=(1, 8, 8))],
    ids=["more features than inputs", "vit, whose head has a gain", "fewer features than inputs"],
)
def test_covariance_of_a_node_is_that_of_heads_drawn_by_initialize(spec):
    model = build(spec, INIT, torch.Generator().manual_seed(1))
    body, gain = heads.features(model, IMAGES)
    want = heads.head_covariance(body, INIT, gain)
    wide = nn.Linear(body.shape[1], 40_000)
    wide.gain = gain
    initialize_(wide, INIT, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        nodes = {"initialize_": wide(body).numpy()}
    nodes["head_nodes"] = heads.head_nodes(body, INIT, 40_000, torch.Generator().manual_seed(3), gain)
    for name, drawn in nodes.items():
        assert np.abs(drawn @ drawn.T / 40_000 / want - 1).max() < 0.06, name


def test_max_fractions_by_hand():
    # two heads of two classes, one node left over; or one head of five
    nodes = np.array([[1, 0, 0, 2, 1], [7, 1, 5, 6, 1], [0, 1, 7, 6, 9]])
    assert heads.max_fractions(nodes, 2).tolist() == pytest.approx([2 / 3, 2 / 3])
    assert heads.max_fractions(nodes, 5).tolist() == pytest.approx([1 / 3])
    with pytest.raises(ParameterError, match="more than the 5 nodes"):
        heads.max_fractions(nodes, 6)


@pytest.mark.parametrize(("n_classes", "c"), [(2, 0.37), (10, 0.37), (10, 0.93)])
def test_law_of_one_number_agrees_with_counts_drawn_outright(n_classes, c):
    law = heads.OneNumberLaw(n_classes, 30, np.random.default_rng(1), 3000)
    want, error = mean_max_of_counts(ClassFraction(c / (1 - c), n_classes), 30, np.random.default_rng(2), 20_000)
    assert error < 0.003
    assert law(c) == pytest.approx(want, abs=0.004 + 3 * error)


def test_law_of_one_number_in_its_limits():
    rng = np.random.default_rng(3)
    many = heads.OneNumberLaw(2, 1000, rng)
    gamma = np.array([0.25, 1, 9, 1e12])
    np.testing.assert_allclose(many(gamma / (1 + gamma)), 0.5 + np.arctan(np.sqrt(gamma)) / np.pi, atol=2e-3)
    k = np.arange(1001)
    coin = binom.pmf(k, 1000, 0.5) @ np.maximum(k, 1000 - k) / 1000  # c = 0: every input is the toss of a coin
    assert many(0.0) == pytest.approx(coin, abs=1e-6)
    assert heads.OneNumberLaw(10, 1, rng)([0.0, 0.7]) == pytest.approx([1, 1], abs=0.03)  # one input has one class
    assert many(-0.1) == many(0.0)


def test_matrix_law_of_three_inputs_is_an_orthant_probability():
    correlation = np.array([[1, 0.8, 0.1], [0.8, 1, 0.3], [0.1, 0.3, 1]])
    alone = 2 * multivariate_normal(cov=correlation).cdf(np.zeros(3))  # two classes: all three differences of one sign
    laws = {2: heads.OneNumberLaw(2, 3, np.random.default_rng(0))}
    mean, error = heads.matrix_law(correlation * 7.0, laws, 100_000, np.random.default_rng(1))[2]
    assert error < 0.002
    assert mean == pytest.approx(alone + (1 - alone) * 2 / 3, abs=4 * error + 0.002)


def test_matrix_law_of_equal_pairs_is_the_law_of_one_number():
    rng = np.random.default_rng(0)
    laws = {k: heads.OneNumberLaw(k, 20, rng) for k in (2, 10)}
    for k, (mean, error) in heads.matrix_law(equal_pairs(20, 0.6), laws, 4000, rng).items():
        assert mean == pytest.approx(float(laws[k](0.6)), abs=1e-3) and error < 1e-3


def test_clusters_have_a_favourite_that_the_mean_correlation_does_not_see():
    rng = np.random.default_rng(0)
    correlation = np.kron(
        np.eye(4), np.ones((5, 5))
    )  # four unrelated groups of equal inputs: a class gets whole groups
    law = heads.OneNumberLaw(100, 20, rng, 200)
    mean, error = heads.matrix_law(correlation, {100: law}, 200_000, rng)[100]
    some_share = 1 - 99 * 98 * 97 / 100**3  # two of the four groups have one class; three have one with odds of 4e-4
    want = 0.25 + 0.25 * some_share
    assert mean == pytest.approx(want, abs=0.005 + 4 * error)
    assert mean > 1.2 * float(law(heads.mean_correlation(correlation)))


@pytest.mark.parametrize(
    ("spec", "inputs"),
    [
        (MLPSpec("relu", 3, 1500, input_shape=(20,), residual=0.5), IMAGES.reshape(6, 64)[:, :20]),
        (MLPSpec("tanh", 3, 1500, input_shape=(20,)), IMAGES.reshape(6, 64)[:, :20]),
        (CNNSpec("relu", 3, 200, input_shape=(1, 8, 8)), IMAGES),
    ],
    ids=["residual", "plain", "cnn"],
)
def test_infinite_covariance_is_the_limit_of_wide_networks(spec, inputs):
    want = heads.infinite_covariance(spec, INIT, inputs)
    generator = torch.Generator().manual_seed(4)
    found = []
    for _ in range(30):
        body, gain = heads.features(build(spec, INIT, generator), inputs)
        found.append(heads.head_covariance(body, INIT, gain))
    error = np.std(found, axis=0, ddof=1) / np.sqrt(30)
    assert (error < 0.03 * want.max()).all()
    assert (np.abs(np.mean(found, 0) - want) < 4.5 * error + 0.01 * want.max()).all()


def test_post_activation_units_have_no_such_covariance():
    spec = MLPSpec("tanh", 6, 10, input_shape=(4,), residual=0.7, residual_unit="post-activation")
    with pytest.raises(ParameterError, match=r"residual_unit='post-activation'.*spec\.trajectory"):
        heads.infinite_covariance(spec, INIT, np.eye(4))


def test_residual_covariance_of_two_inputs_is_that_of_the_trajectory():
    spec = MLPSpec("tanh", 6, 10, input_shape=(4,), residual=0.7)
    x = np.array([[1.0, 1, 1, 1], [1, 1, 1, -1]])
    q0, c0 = 1.7 + 0.3, (1.7 * 0.5 + 0.3) / 2.0
    path = spec.trajectory(INIT, q0=q0, c0=c0)
    want = path.q[-1] * np.array([[1, path.c[-1]], [path.c[-1], 1]])
    np.testing.assert_allclose(heads.infinite_covariance(spec, INIT, x), want, rtol=1e-6)


def test_an_ensemble_is_its_networks_and_its_seed():
    options = {"n_networks": 3, "n_nodes": 40, "seed": 7}
    one, two = (heads.head_ensemble(SPECS["mlp"], INIT, IMAGES, (2, 10), **options) for _ in range(2))
    assert one.fractions[10].shape == one.c.shape == one.c_variances.shape == (3,)
    np.testing.assert_array_equal(one.fractions[10], two.fractions[10])
    np.testing.assert_allclose(np.diagonal(one.correlation), 1)
    assert heads.mean_correlation(one.correlation) == pytest.approx(one.c.mean())


def test_refuses_what_it_cannot_do():
    with pytest.raises(ParameterError, match="64 positions"):
        heads.features(nn.Conv2d(1, 1, 1), IMAGES)
    with pytest.raises(ParameterError, match="not finite"):
        heads.features(build(SPECS["mlp"], InitSpec(1e30, 0), torch.Generator().manual_seed(0)), np.inf * IMAGES)
    with pytest.raises(ParameterError, match="need an MLPSpec or CNNSpec"):
        heads.infinite_covariance(SPECS["vit"], INIT, IMAGES)
    with pytest.raises(ParameterError, match="variances > 0"):
        heads.mean_correlation(np.zeros((3, 3)))
    with pytest.raises(ParameterError, match=r"mean correlation -0\.2"):
        heads.matrix_law(equal_pairs(3, -0.2), {}, 10, np.random.default_rng(0))


def test_every_module_gets_back_the_mode_it_had():
    model = build(ResNetSpec(stages=(1,), width=2, input_shape=(1, 4, 4)), InitSpec(2.0)).train()
    frozen = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d)).eval()
    heads.features(model, torch.zeros(2, 1, 4, 4))
    assert model.training and not frozen.training
