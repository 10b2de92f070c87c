"""Gradients of the loss in an untrained network, class by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.nn import functional as F
from tqdm import trange

from igbrepro.errors import ParameterError
from igbrepro.models import build, preactivations
from igbrepro.network import InitSpec, NetworkSpec


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
    spec: NetworkSpec, init: InitSpec, inputs: ArrayLike, labels: ArrayLike, *, n_networks: int, seed: int,
    progress: bool | None = None,
) -> ClassGradients:  # fmt: skip
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
