"""Pools in torch: their own forms, or a clear refusal."""

import math

import numpy as np
import pytest
import torch

from igbrepro.errors import ParameterError
from igbrepro.modules import WindowPool, torch_pool
from igbrepro.theory import AveragePool, MaxPool, Pool


class MedianPool(Pool):
    """The median of phi: a kind that this package does not know."""

    def _kernel(self, activation):
        return activation.kernel


class TorchMedianPool(MedianPool):
    def torch_function(x, dim):
        return x.median(dim).values


X = torch.tensor([0.0, 1.0, 5.0, 4.0, 3.0, 8.0])


def test_pools_over_neighbouring_nodes():
    assert torch_pool(MaxPool(3))(X).tolist() == [5, 8]
    assert torch_pool(AveragePool(3))(X).tolist() == [2, 5]
    assert torch_pool(TorchMedianPool(3))(X).tolist() == [1, 4]


def test_a_pool_without_a_torch_form_is_refused_and_not_averaged():
    for make in (torch_pool, lambda pool: WindowPool(pool, 2, 2)):
        for pool in (MedianPool(4), None, "max"):
            with pytest.raises(ParameterError, match=r"^pool="):
                make(pool)


def test_a_pool_with_a_theory_of_its_own_takes_no_torch_form_from_its_parent():
    class Median(AveragePool):
        def _kernel(self, activation):
            raise NotImplementedError

    class Pair(MedianPool):
        torch_function = "torch.median"  # gives values and indices

    with pytest.raises(ParameterError, match="has no torch form"):
        torch_pool(Median(3))
    with pytest.raises(ParameterError, match=r"need a tensor \(2,\)"):
        torch_pool(Pair(3))


@pytest.mark.parametrize("stride", [1, 2])
def test_square_windows_of_a_new_pool_are_made_of_its_one_function(stride):
    class Largest(MedianPool):
        torch_function = "torch.amax"

    images = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(WindowPool(Largest(4), 2, stride)(images), WindowPool(MaxPool(4), 2, stride)(images))
    square = torch.tensor([[[[0.0, 1.0], [5.0, 4.0]]]])
    assert WindowPool(TorchMedianPool(4), 2, 2)(square).item() == 1  # torch's median is the lower of the two


@pytest.mark.parametrize("pool", [MaxPool(4), AveragePool(4), MaxPool(9), AveragePool(9)], ids=repr)
@pytest.mark.parametrize("overlap", [True, False])
def test_window_pools_are_loops_over_windows(pool, overlap):
    side = math.isqrt(pool.k)
    x = torch.randn(2, 3, 6, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    step = 1 if overlap else side
    reduce = np.max if isinstance(pool, MaxPool) else np.mean
    want = np.empty((2, 3, 6 // step, 12 // step))
    for i, j in np.ndindex(want.shape[2:]):
        rows, columns = (step * i + np.arange(side)) % 6, (step * j + np.arange(side)) % 12
        want[..., i, j] = reduce(x.numpy()[:, :, rows][..., columns], axis=(2, 3))
    np.testing.assert_allclose(WindowPool(pool, side, step)(x), want, rtol=1e-13, atol=1e-15)
