"""Covariances of images in CNNs of infinitely many channels: against those of inputs, loops over windows, and CNNs."""

import numpy as np
import pytest
import torch

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, build
from igbrepro.probes import layer_table
from igbrepro.theory import AveragePool, MeanField, conv_kernel, data_kernel


def pictures(n, *shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, *shape)) * np.linspace(0.5, 1.5, n)[:, None, None, None] + 0.3


@pytest.mark.parametrize(("name", "w2", "b2"), [("relu", 2.0, 0.0), ("tanh", 1.7, 0.1), ("gelu", 1.8, 0.1)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_images_of_one_position_are_inputs_of_a_dense_network(name, w2, b2, kernel):
    mf, x = MeanField(name, sigma_w2=w2, sigma_b2=b2), pictures(4, 6, 1, 1)
    found = conv_kernel(mf, x, 5, kernel=kernel).covariance
    np.testing.assert_allclose(found, data_kernel(mf, x, 5).covariance, rtol=1e-12)


def test_windows_of_one_position_are_dense_networks_side_by_side():
    mf, x = MeanField("tanh", sigma_w2=1.7, sigma_b2=0.1), pictures(3, 4, 2, 3)
    want = np.mean([data_kernel(mf, x[:, :, i, j], 3).covariance for i, j in np.ndindex(2, 3)], axis=0)
    np.testing.assert_allclose(conv_kernel(mf, x, 3, kernel=1).covariance, want, rtol=1e-12)


@pytest.mark.parametrize(("kernel", "strides"), [(3, ()), (3, (2,)), (5, (2, 2)), (3, (1, 3))])
def test_two_layers_are_loops_over_positions_and_windows(kernel, strides):
    """ReLU's covariance map is written out; the first window holds pixels, the second activations."""
    mf, x = MeanField("relu", sigma_w2=1.6, sigma_b2=0.2), pictures(3, 2, 6, 6)

    def windows(values, stride):
        """Means over the window of each position, of values (height, width, n, n)."""
        height, width = values.shape[:2]
        reach = range(-(kernel // 2), kernel // 2 + 1)
        return np.array(
            [
                [
                    np.mean([values[(i + a) % height, (j + b) % width] for a in reach for b in reach], axis=0)
                    for j in range(0, width, stride)
                ]
                for i in range(0, height, stride)
            ]
        )

    def activated(k):
        norm = np.sqrt(np.einsum("hwaa,hwbb->hwab", k, k))
        c = np.clip(k / norm, -1, 1)
        return 1.6 * norm / (2 * np.pi) * (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) + 0.2

    steps = [*strides, 1, 1]
    pixels = np.array([[x[:, :, i, j] @ x[:, :, i, j].T / 2 for j in range(6)] for i in range(6)])
    first = 1.6 * windows(pixels, steps[0]) + 0.2
    second = windows(activated(first), steps[1])
    want = [k.mean((0, 1)) for k in (first, second, activated(second))]
    np.testing.assert_allclose(conv_kernel(mf, x, 2, kernel=kernel, strides=strides).covariance, want, rtol=1e-9)


@pytest.mark.parametrize(
    ("spec", "init"),
    [
        (CNNSpec("relu", 3, 128, 300, (2, 8, 8), strides=(2,)), InitSpec(1.8, 0.1)),
        (CNNSpec("tanh", 3, 64, 300, (2, 7, 5), kernel=5, strides=(1, 2)), InitSpec(2.5, 0.05)),
    ],
    ids=["relu", "tanh"],
)
def test_finite_networks(spec, init):
    """The head has 300 classes, so that one network already averages over many of its nodes."""
    x = pictures(6, *spec.input_shape, seed=1)
    want = conv_kernel(spec.mean_field(init), x, 3, kernel=spec.kernel, strides=spec.strides)
    columns = ["q", "sigma_mu2", "sigma_y2"]
    draws = (build(spec, init, torch.Generator().manual_seed(seed)) for seed in range(40))
    found = np.array([layer_table(model, x)[columns] for model in draws])
    want = np.stack([getattr(want, column) for column in columns], axis=1)
    mean, error = found.mean(0), found.std(0, ddof=1) / np.sqrt(40)
    assert (error < 0.05 * want).all(), f"too noisy to decide: {error / want}"
    assert np.abs((mean - want) / error).max() < 4.5, f"z: {(mean - want) / error}"


def test_bad_input_is_named():
    mf, x = MeanField("relu", sigma_w2=2.0), pictures(2, 1, 4, 4)
    for images in (x[:1], x[0], x.reshape(2, -1)):
        with pytest.raises(ParameterError, match=r"images: shape .*need \(n, channels, height, width\) with n >= 2"):
            conv_kernel(mf, images, 2)
    with pytest.raises(ParameterError, match="images"):
        conv_kernel(mf, x * np.nan, 2)
    with pytest.raises(ParameterError, match="kernel=2: need an odd side"):
        conv_kernel(mf, x, 2, kernel=2)
    with pytest.raises(ParameterError, match="depth=0"):
        conv_kernel(mf, x, 0)
    with pytest.raises(ParameterError, match="plain layers only"):
        conv_kernel(MeanField("relu", sigma_w2=2.0, pool=AveragePool(2)), x, 2)
    with pytest.raises(ParameterError, match="need one"):
        conv_kernel(MeanField("relu", sigma_w2=[1.0, 2.0]), x, 2)
