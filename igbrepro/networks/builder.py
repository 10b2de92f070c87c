"""Finite networks from their descriptions: `build(spec, init)` is a torch module, ready to train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igbrepro.errors import ParameterError
from igbrepro.networks.spec import Spec

if TYPE_CHECKING:
    import torch
    from torch import nn

    from igbrepro.initialization import InitSpec


def build(spec: Spec, init: InitSpec | str = "default", generator: torch.Generator | None = None) -> nn.Module:
    """The network of `spec`, a module that maps (n, *input_shape) to logits (n, n_classes).

    init: draws the parameters by `initialize_`, with numbers from `generator`; "default" leaves what PyTorch and
        torchvision draw, from a seed that `generator` gives (None: from torch's global state).
    Raises ParameterError for a spec or init of another kind, and as `spec.module` does.
    """
    import torch

    from igbrepro.initialization import check_init, initialize_, seeded_by

    if isinstance(spec, type) or not isinstance(spec, Spec):
        raise ParameterError(
            f'spec={spec!r}: need the description of a network, such as MLPSpec("tanh", depth=10, width=100): an '
            "object with activation, n_classes, input_shape, depth and module()."
        )
    if check_init(init) != "default":
        with torch.device("meta"):  # so that nothing is drawn twice
            model = spec.module()
        return initialize_(model.to_empty(device="cpu"), init, generator=generator)
    with seeded_by(generator):
        return spec.module()
