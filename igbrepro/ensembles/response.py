"""Two probes of a finite random network: how a small deviation of q or c dies out, and how gradients travel back."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from igbrepro.ensembles.inputs import gaussian_inputs
from igbrepro.ensembles.settings import Measure
from igbrepro.ensembles.simulation import simulate
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec, build, preactivations
from igbrepro.theory import get_activation


def deviations(
    spec: MLPSpec, init: InitSpec, *, of: str, size: float, n_inputs: int, n_networks: int, seed: int
) -> NDArray[np.float64]:
    """How far q or c is from its fixed point, layer by layer, when it starts `size` away; (n_networks, depth + 1).

    Inputs are built to start on both sides of the fixed point: q0 = q*(1 ± size), or c0 = c* ± size at q0 = q*. Half
    the difference of the two runs is returned, in which all terms of even order in `size` cancel; both are drawn from
    the same normal numbers, so that most of the noise cancels too. Where c* = 1 only c0 = 1 - size exists, and 1 - c is
    returned.
    Raises ParameterError for another `of`, and where no finite fixed point exists or no inputs reach the start.
    """
    if of not in ("q", "c"):
        raise ParameterError(f'of={of!r}: need "q" or "c".')
    at = spec.mean_field(init).fixed_point()
    q, c = float(at.q), float(at.c)
    if not (np.isfinite(q) and q > init.sigma_b2):
        name = get_activation(spec.activation).name
        raise ParameterError(
            f"sigma_w2={init.sigma_w2}, sigma_b2={init.sigma_b2}: {name} has q* = {q:g}; deviations need a finite, "
            "positive fixed point."
        )

    def run(q0: float, c0: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        signal = q0 - init.sigma_b2  # what the weights of the first layer contribute
        if signal <= 0 or not -1 / n_inputs < (c0 * q0 - init.sigma_b2) / signal <= 1:
            raise ParameterError(f"size={size!r}: no {n_inputs} inputs start with q = {q0:.3g}, c = {c0:.3g}.")
        inputs = gaussian_inputs(
            n_inputs, spec.input_size, seed, (c0 * q0 - init.sigma_b2) / signal, signal / init.sigma_w2, exact=True
        )
        result = simulate(spec, init, inputs, n_networks=n_networks, seed=seed, measure=Measure(n_heads=1))
        return result.q, result.one_minus_c

    if of == "q":
        c0 = 1 - size if c == 1 else c
        return (run(q * (1 + size), c0)[0] - run(q * (1 - size), c0)[0]) / 2
    below = run(q, c - size)[1]
    return below if c == 1 else (below - run(q, c + size)[1]) / 2


def gradient_profile(
    spec: MLPSpec, init: InitSpec, inputs: ArrayLike, *, n_networks: int, seed: int, above_floor: bool = False
) -> NDArray[np.float64]:
    """Squared gradients |d f / d h^(l)|^2 of one logit f in random networks, mean over inputs; (n_networks, depth + 1).

    Index as everywhere: 0 is the first pre-activation, depth the logit itself (where it is 1).  inputs: (n, ...).
    Infinite width: the ratio of entries l and l + 1 is chi at the variance of layer l.
    above_floor: read f out with weights made orthogonal to each input's own last activations, so that f = 0. Without a
        bias, homogeneous networks obey h . df/dh = f in every layer, so that |df/dh|^2 >= f^2/|h|^2: a floor of order
        1/width under gradients that vanish, which this takes away.  The last entry, df/df, is 1 all the same.
    """
    x = torch.as_tensor(np.asarray(inputs), dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    squares = np.ones((n_networks, spec.depth + 1))
    for network in range(n_networks):
        model = build(spec, init, generator)
        h = preactivations(model, x)
        if above_floor:
            after = () if spec.post_activation else list(model.children())[-3 if spec.pool else -2 : -1]
            last = torch.nn.Sequential(*after)(h[-2])
            readout = torch.randn(last.shape, generator=generator) * math.sqrt(init.sigma_w2 / spec.fan_in)
            direction = torch.nn.functional.normalize(last.detach(), dim=1)
            readout -= (readout * direction).sum(1, keepdim=True) * direction
            gradients = torch.autograd.grad(last, h[:-1], readout)
        else:
            gradients = torch.autograd.grad(h[-1][:, 0].sum(), h)
        squares[network, : len(gradients)] = [float((g.double() ** 2).sum(1).mean()) for g in gradients]
    return squares
