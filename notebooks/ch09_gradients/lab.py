"""Gradients of the loss in an untrained network, class by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.nn import functional as F
from tqdm import trange

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec, build, preactivations
from igbrepro.theory import data_kernel, errors_of_networks, floor_per_overlap, sampled_logits


@dataclass(frozen=True)
class ClassGradients:
    """Squared gradients |dL_a/dh_a^(l)|^2 of every input's own cross-entropy L_a, summed over the nodes of a layer.

    squares: (n_networks, depth + 1, n_inputs); layer l is the pre-activation after l activations (depth: the logits).
    labels: (n_inputs,).  favoured: (n_networks,), the class that each network gives most inputs.
    """

    squares: NDArray[np.float64]
    labels: NDArray[np.integer]
    favoured: NDArray[np.integer]

    def mean(self, which: str = "all") -> NDArray[np.float64]:
        """Mean over inputs, (n_networks, depth + 1): of "all", or those labelled "favoured" or "unfavoured" class.

        nan in networks that favour a class without inputs.  Raises ParameterError for another name.
        """
        if which not in ("all", "favoured", "unfavoured"):
            raise ParameterError(f'which={which!r}: need "all", "favoured" or "unfavoured".')
        chosen = np.ones((len(self.favoured), len(self.labels)), dtype=bool)
        if which != "all":
            chosen = (self.labels == self.favoured[:, None]) == (which == "favoured")
        count = chosen.sum(1)[:, None]
        total = np.where(chosen[:, None, :], self.squares, 0).sum(-1)
        return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def class_gradients(
    spec: MLPSpec,
    init: InitSpec,
    inputs: ArrayLike,
    labels: ArrayLike,
    *,
    n_networks: int,
    seed: int,
    progress: bool | None = None,
) -> ClassGradients:
    """Backpropagate the cross-entropy of each input in `n_networks` random networks of dense weights (float64).

    inputs: (n, ...) with spec.input_size features.  labels: (n,), whole numbers below spec.n_classes.
    progress: a bar on stderr; None shows it on a terminal only.
    Raises ParameterError for labels that do not fit the inputs or the classes.
    """
    x = torch.as_tensor(np.asarray(inputs), dtype=torch.float64)
    y = np.asarray(labels)
    if y.shape != (len(x),) or y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= spec.n_classes:
        raise ParameterError(
            f"labels of shape {y.shape}, {y.dtype}: need {len(x)} whole numbers from 0 to {spec.n_classes - 1}."
        )
    generator, target = torch.Generator().manual_seed(seed), torch.as_tensor(y, dtype=torch.int64)
    squares = np.empty((n_networks, spec.depth + 1, len(x)))
    favoured = np.empty(n_networks, dtype=int)
    for network in trange(n_networks, unit="network", disable=None if progress is None else not progress):
        h = preactivations(build(spec, init, generator).double(), x)
        gradients = torch.autograd.grad(F.cross_entropy(h[-1], target, reduction="sum"), h)
        squares[network] = torch.stack([(g**2).sum(1) for g in gradients])
        favoured[network] = int(torch.bincount(h[-1].argmax(1)).argmax())
    return ClassGradients(squares, y, favoured)


@dataclass(frozen=True)
class PredictedGradients:
    """What ClassGradients.mean is in `n` sampled networks of infinite width, and the floor at a finite one.

    errors: mean (1 - p)^2 over inputs, (n,) for each of "all", "favoured", "unfavoured".
    overlaps: the same of (1 - p)^2 x^2, x the difference of the logits; its root is h . dL/dh.
    multiplier: (depth + 1,), the product of chi from a layer to the logits.
    per_overlap: (depth + 1,), what an overlap adds to a squared gradient; 0 at the logits, and everywhere in networks
        with bias vectors or an activation that is not homogeneous.
    """

    errors: dict[str, NDArray[np.float64]]
    overlaps: dict[str, NDArray[np.float64]]
    multiplier: NDArray[np.float64]
    per_overlap: NDArray[np.float64]

    def mean(self, which: str = "all", floor: bool = False) -> NDArray[np.float64]:
        """2 (1 - p)^2 prod chi, (n, depth + 1).

        floor: add what finite width does to first order in bias-free homogeneous networks (theory.floor_per_overlap).
        """
        squares = 2 * self.errors[which][:, None] * self.multiplier
        return squares + self.overlaps[which][:, None] * self.per_overlap if floor else squares


def predicted_class_gradients(
    spec: MLPSpec, init: InitSpec, inputs: ArrayLike, labels: ArrayLike, *, seed: int, n_networks: int = 10_000
) -> PredictedGradients:
    """The theory of class_gradients for two classes and inputs of one length: Gaussian logits, and chi.

    Plain networks: the logits have the covariance that the maps give to each pair of inputs. Networks with pools:
    every pair is given the mean correlation of the inputs.
    Raises ParameterError for other than two classes, residual layers and inputs of different lengths.
    """
    x = np.asarray(inputs, dtype=float).reshape(len(inputs), -1)
    products = x @ x.T / x.shape[1]
    square = np.diag(products)
    if spec.n_classes != 2 or spec.residual is not None:
        raise ParameterError(f"spec={spec!r}: the law of the two errors is known for two classes, no residual layers.")
    if np.ptp(square) > 1e-6 * square.mean():
        raise ParameterError("inputs: need inputs of one length, on which chi depends; scale them first.")
    n, length = len(x), square.mean()
    overlap = (products.sum() - square.sum()) / (n * (n - 1))
    q0 = init.sigma_w2 * length + init.sigma_b2
    path = spec.trajectory(init, q0, (init.sigma_w2 * overlap + init.sigma_b2) / q0)
    if spec.pool is None:
        covariance = data_kernel(spec.mean_field(init), x, spec.depth).covariance[-1]
    else:
        covariance = path.q[-1] * (path.c[-1] + path.one_minus_c[-1] * np.eye(n))
    logits = sampled_logits(covariance, n_networks, np.random.default_rng(seed))
    floor = np.zeros(spec.depth + 1)
    if spec.activation.homogeneous and init.sigma_b2 == 0:
        floor = floor_per_overlap(spec.activation, spec.pool, init.sigma_w2, path.q, path.chi, spec.fan_in)
    errors, overlaps = (errors_of_networks(logits, labels, power) for power in (0, 2))
    return PredictedGradients(errors, overlaps, np.append(np.cumprod(path.chi[-2::-1])[::-1], 1.0), floor)
