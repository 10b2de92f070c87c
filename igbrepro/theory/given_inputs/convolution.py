"""The theory of given images in a plain convolutional network of infinitely many channels.

A node is one channel at one position. Nodes of one position share their law over the weights, so there is a covariance
q_ab for every position: the activation maps each by itself, as in a fully connected layer, and a convolution with
independent weights averages it over its window. Source: Xiao et al. 2018, section 2; the head on all positions is the
window that holds them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import uniform_filter

from igbrepro.checks import finite, whole
from igbrepro.errors import ParameterError
from igbrepro.theory.given_inputs.dense import DataKernel, check_plain, next_covariance
from igbrepro.theory.mean_field import MeanField


def conv_kernel(
    mean_field: MeanField, images: ArrayLike, depth: int, *, kernel: int = 3, strides: Sequence[int] = ()
) -> DataKernel:
    """Covariances of every pair of images through `depth` convolutions with circular padding, and to the logits.

    images: (n, channels, height, width), n >= 2.  kernel: side of the windows, odd.  strides: of the first layers.
    Covariances are means over positions, (depth + 1, n, n): layer 0 is h^(1), the last the logits of a linear head on
    all positions.  O(depth n^2 positions) work.
    Raises ParameterError for inputs of another shape, and as `data_kernel` does.
    """
    x, depth = finite("images", images, -np.inf), whole("depth", depth, 1)
    if x.ndim != 4 or len(x) < 2:
        raise ParameterError(f"images: shape {x.shape}; need (n, channels, height, width) with n >= 2.")
    if whole("kernel", kernel, 1) % 2 == 0:
        raise ParameterError(f"kernel={kernel}: need an odd side.")
    check_plain(mean_field)
    steps = [whole("strides", stride, 1) for stride in strides]

    def convolve(covariance: np.ndarray, layer: int) -> np.ndarray:
        window: Any = (kernel, kernel, 1, 1)
        stride = steps[layer] if layer < len(steps) else 1
        return uniform_filter(covariance, window, mode="wrap")[::stride, ::stride]

    def activate(covariance: np.ndarray) -> np.ndarray:
        return np.array([[next_covariance(mean_field, position) for position in row] for row in covariance])

    products = np.einsum("nchw,mchw->hwnm", x, x) / x.shape[1]
    covariance = mean_field.sigma_w2 * convolve(products, 0) + mean_field.sigma_b2
    means = [covariance.mean((0, 1))]
    for layer in range(1, depth):
        covariance = convolve(activate(covariance), layer)
        means.append(covariance.mean((0, 1)))
    return DataKernel(np.array([*means, activate(covariance).mean((0, 1))]))
