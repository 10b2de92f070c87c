"""Finite networks from their descriptions: `build(spec, init)` is a torch module, ready to train."""

from __future__ import annotations

import torch
from torch import nn

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec, check_init, initialize_, seeded_by
from igbrepro.networks.cnn import CNNSpec, cnn
from igbrepro.networks.mlp import MLPSpec, mlp
from igbrepro.networks.resnet import ResNetSpec, resnet
from igbrepro.networks.vit import ViTSpec, vit

Architecture = CNNSpec | ResNetSpec | ViTSpec
Spec = MLPSpec | Architecture

_BUILDERS = {CNNSpec: cnn, ResNetSpec: resnet, ViTSpec: vit}


def build(spec: Spec, init: InitSpec | str = "default", generator: torch.Generator | None = None) -> nn.Module:
    """The network of `spec`, a module that maps (n, *input_shape) to logits (n, n_classes).

    init: draws the parameters by `initialize_`, with numbers from `generator`; "default" leaves what PyTorch and
        torchvision draw, from a seed that `generator` gives (None: from torch's global state).
    Raises ParameterError for a spec or init of another kind, and as `mlp` does.
    """
    make = mlp if isinstance(spec, MLPSpec) else _BUILDERS.get(type(spec))
    if make is None:
        names = ", ".join(kind.__name__ for kind in (MLPSpec, *_BUILDERS))
        raise ParameterError(f"spec={spec!r}: need one of {names}.")
    if check_init(init) != "default":
        with torch.device("meta"):  # so that nothing is drawn twice
            model = make(spec)
        return initialize_(model.to_empty(device="cpu"), init, generator=generator)
    with seeded_by(generator):
        return make(spec)
