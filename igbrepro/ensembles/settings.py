"""What `simulate` reads out of its networks, and how it draws them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Integral

import torch

from igbrepro.checks import whole
from igbrepro.ensembles.sampler import SAMPLERS, DenseSampler, GramSampler
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec

_TYPES = {"float64": torch.float64, "float32": torch.float32}


@dataclass(frozen=True)
class Measure:
    """What is read out of every network of an ensemble, beside the statistics of its layers.

    n_heads: independent heads of spec.n_classes nodes on each body. The last layer has max(width, n_heads * n_classes)
        nodes of the law of the logits (with a pool, the next multiple of its k), of which the heads are the first.
    heads_at_every_layer: read heads out of each layer too, from groups of its own nodes.
    keep_layers: layers (0..depth) of which a Snapshot is kept, with the pre-activations of `keep_nodes` nodes.
    quantile_levels: of the correlations c_ab over pairs of inputs.
    Raises ParameterError for sizes below 1 and levels outside [0, 1]; `simulate` for what its networks lack room for.
    """

    n_heads: int = 100
    heads_at_every_layer: bool = False
    keep_layers: Iterable[int] = ()
    keep_nodes: int = 16
    quantile_levels: Iterable[float] = (0.05, 0.25, 0.5, 0.75, 0.95)

    def __post_init__(self) -> None:
        whole("n_heads", self.n_heads, 1)
        whole("keep_nodes", self.keep_nodes, 1)
        for name in ("keep_layers", "quantile_levels"):
            value = getattr(self, name)
            if not isinstance(value, Iterable):
                raise ParameterError(f"{name}={value!r}: need a list of numbers, such as [{value!r}].")
            object.__setattr__(self, name, tuple(value))
        if not all(0 <= level <= 1 for level in self.quantile_levels):
            raise ParameterError(f"quantile_levels={self.quantile_levels!r}: need levels between 0 and 1.")

    def check_room(self, spec: MLPSpec) -> None:
        """Raises ParameterError for layers or heads that networks of `spec` do not have."""
        if any(not isinstance(layer, Integral) or not 0 <= layer <= spec.depth for layer in self.keep_layers):
            raise ParameterError(f"keep_layers={self.keep_layers!r}: layers are integers, 0 to depth={spec.depth}.")
        if self.heads_at_every_layer and self.n_heads * spec.n_classes > spec.width:
            raise ParameterError(
                f"n_heads={self.n_heads}: heads of {spec.n_classes} classes at every layer of width {spec.width} "
                f"leave room for n_heads <= {spec.width // spec.n_classes}."
            )

    def nodes(self, spec: MLPSpec) -> list[int]:
        """How many nodes are drawn in each layer, depth + 1 numbers."""
        last, k = max(spec.width, self.n_heads * spec.n_classes), 1 if spec.pool is None else spec.pool.k
        return [spec.width] * spec.depth + [-(-last // k) * k]  # whole windows of the pool

    def head_layers(self, spec: MLPSpec) -> list[int]:
        """The layers that heads are read out of."""
        return list(range(spec.depth + 1)) if self.heads_at_every_layer else [spec.depth]


@dataclass(frozen=True)
class Sampling:
    """How the networks of an ensemble are drawn.

    method: "gram", the exact sampler of pre-activations, or "dense", which draws the weights. They sample one law;
        "gram" is the faster by about width / n, and for widths below n the slower.
    device: None is the CPU.  dtype: "float64" or "float32"; at any depth sigma_y2/sigma_mu2 is right down to the square
        of its precision, about 1e-31 or 1e-14.
    Raises ParameterError for unknown names, and a device that is not there or does not hold the dtype.
    """

    method: str = "gram"
    device: str | torch.device | None = None
    dtype: str | torch.dtype = "float64"

    def __post_init__(self) -> None:
        if self.method not in SAMPLERS:
            close = "".join(f"; did you mean {name!r}?" for name in get_close_matches(str(self.method), SAMPLERS, n=1))
            raise ParameterError(f"method={self.method!r}: need 'gram' or 'dense'{close}")
        self.place()

    def place(self) -> tuple[torch.device, torch.dtype]:
        """The device and dtype in torch's own terms."""
        name = str(self.dtype).removeprefix("torch.")
        if name not in _TYPES:
            raise ParameterError(f"dtype={self.dtype!r}: need 'float64' or 'float32'.")
        dtype = _TYPES[name]
        try:
            device = torch.device("cpu" if self.device is None else self.device)
            torch.empty(0, device=device, dtype=dtype)
        except (RuntimeError, AssertionError, TypeError) as error:
            raise ParameterError(
                f"device={self.device!r}: no {dtype} there ({error}); device=None is the CPU."
            ) from error
        return device, dtype

    def sampler(self, init: InitSpec, n_inputs: int) -> GramSampler | DenseSampler:
        """A sampler of layers under `init`, for n_inputs inputs."""
        return SAMPLERS[self.method](init, n_inputs, *self.place())
