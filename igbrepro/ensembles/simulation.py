"""Ensembles of finite random networks: what the theory's averages become at a width and a data size one can have.

>>> spec = MLPSpec("tanh", depth=30, width=1000, input_shape=(784,))
>>> result = simulate(spec, InitSpec(1.5, 0.1), gaussian_inputs(100, 784, seed=0), n_networks=20, seed=1)
>>> result.summary("gamma")          # one row a layer: mean, standard error, median and quantiles over networks
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from tqdm import tqdm

from igbrepro.checks import whole
from igbrepro.ensembles.inputs import Inputs, inputs_of_each
from igbrepro.ensembles.recorder import Recorder
from igbrepro.ensembles.results import EnsembleResult
from igbrepro.ensembles.sampler import DenseSampler, GramSampler, NormalStream, Preactivations, centre_
from igbrepro.ensembles.settings import Measure, Sampling
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.modules import torch_activation, torch_pool
from igbrepro.networks import MLPSpec

_MEASURE, _SAMPLING = Measure(), Sampling()


@torch.no_grad()
def simulate(
    spec: MLPSpec,
    init: InitSpec,
    inputs: Inputs,
    *,
    n_networks: int,
    seed: int,
    measure: Measure = _MEASURE,
    sampling: Sampling = _SAMPLING,
    progress: bool | None = None,
) -> EnsembleResult:
    """Draw `n_networks` random networks of `spec` under `init`, feed them `inputs`, and measure every layer.

    inputs: (n, ...) array with spec.input_size features each, n >= 2, the same for all networks; or a function of a
        NumPy generator that returns such an array, called once for each network.
    seed: network i depends on (seed, i) alone, not on n_networks. Numbers differ between methods and devices.
    measure: what is read out beside the statistics of the layers: heads, snapshots, quantiles.
    sampling: the sampler, device and precision; Sampling("dense") draws the weights themselves.
    progress: a bar on stderr; None shows it on a terminal only.

    Layer l of a network of post-activation units is h^(l+1), what the unit hands on.
    Returns an EnsembleResult (NumPy). Ctrl-C says how many networks were done.
    Raises ParameterError for a spec that is no MLPSpec, an init that is no InitSpec, sizes out of range, and inputs
    that are too few, misshapen or not finite.
    """
    if not isinstance(spec, MLPSpec):
        raise ParameterError(
            f"spec={spec!r}: need an MLPSpec, whose layers the samplers draw; head_ensemble takes networks of any kind."
        )
    if not isinstance(init, InitSpec):
        raise ParameterError(f"init={init!r}: need an InitSpec(sigma_w2, sigma_b2), whose law the samplers draw.")
    whole("n_networks", n_networks, 1)
    whole("seed", seed, 0)
    measure.check_room(spec)
    device, dtype = sampling.place()
    phi, pool = torch_activation(spec.activation), None if spec.pool is None else torch_pool(spec.pool)
    of_network = inputs_of_each(inputs, spec)
    sampler = recorder = None
    bar = tqdm(total=n_networks, unit="network", disable=None if progress is None else not progress)
    done = 0
    try:
        for network in range(n_networks):
            normal = NormalStream(seed, network, device)
            array = of_network(normal.inputs)
            if sampler is None or recorder is None:
                sampler = sampling.sampler(init, len(array))
                recorder = Recorder(spec, measure, n_networks, len(array))
            elif len(array) != sampler.n_inputs:
                raise ParameterError(f"inputs: {len(array)} for network {network}, {sampler.n_inputs} before it.")
            x = torch.tensor(array, device=device, dtype=dtype)
            stream = None
            for layer, nodes in enumerate(measure.nodes(spec)):
                pre = (
                    _windows(spec, sampler, x, nodes, normal) if layer < spec.depth else sampler.draw(x, nodes, normal)
                )
                if spec.residual is not None and layer < spec.depth:
                    stream = _add(stream, pre, spec.residual)
                    if spec.post_activation and layer > 0:
                        after = phi(stream.deviations.add_(stream.mean))
                        stream = Preactivations(centre_(after), after)
                    pre = Preactivations(stream.mean, stream.deviations.clone())
                h = recorder.record(network, layer, pre)
                if h is None:
                    break
                if not spec.post_activation:
                    h = phi(h)
                x = h if pool is None else pool(h)
            done += 1
            bar.update()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"simulate: stopped after {done} of {n_networks} networks") from None
    finally:
        bar.close()
    assert recorder is not None  # there is one network or more
    return recorder.result(init, sampling.method, seed)


def _windows(
    spec: MLPSpec, sampler: GramSampler | DenseSampler, x: Tensor, nodes: int, normal: NormalStream
) -> Preactivations:
    """One hidden layer; where the pool's nodes are correlated, each is made of one part of its own and a shared one."""
    pool = spec.pool
    if pool is None or pool.correlation == 0:
        return sampler.draw(x, nodes, normal)
    rho, k = pool.correlation, pool.k
    pre = sampler.draw(x, nodes + nodes // k, normal)

    def mix(values: Tensor) -> Tensor:
        shared = values[..., nodes:].repeat_interleave(k, dim=-1)
        return math.sqrt(1 - rho) * values[..., :nodes] + math.sqrt(rho) * shared

    return Preactivations(mix(pre.mean), mix(pre.deviations))


def _add(stream: Preactivations | None, block: Preactivations, scale: float) -> Preactivations:
    """stream + scale * block in tensors of its own; the block itself below the first residual layer."""
    if stream is None:
        return Preactivations(block.mean.clone(), block.deviations.clone())
    return Preactivations(*(old.add(new, alpha=scale) for old, new in zip(stream, block, strict=True)))
