"""Finite networks from their descriptions: `build(spec, init)` is a torch module, ready to train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igbrepro.errors import ParameterError
from igbrepro.networks.spec import Spec

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike
    from torch import nn

    from igbrepro.initialization import Init


def build(
    spec: Spec,
    init: Init = "default",
    generator: torch.Generator | None = None,
    example_input: ArrayLike | torch.Tensor | None = None,
) -> nn.Module:
    """The network of `spec`, a module that maps (n, *input_shape) to logits (n, n_classes).

    init: draws the parameters by `initialize_`, with numbers from `generator`, of which "edge-of-chaos", "he", "xavier"
        and an InitSpec make the same use; "default" leaves what PyTorch and torchvision draw, from a seed that
        `generator` gives (None: from torch's global state).
    example_input: (n, *input_shape), what "edge-of-chaos", "orthogonal" and "lsuv" run the network on; by default 64
        inputs of independent normal numbers, always the same.  "lsuv" scales each layer to unit variance on these, and
        pools let through more of real images, whose neighbouring pixels are alike: give some where you have them.
    Raises ParameterError for a spec or init of another kind, and as `spec.module` does.
    """
    import torch

    from igbrepro.initialization import TRACED, check_init, initialize_, seeded_by

    if isinstance(spec, type) or not isinstance(spec, Spec):
        raise ParameterError(
            f'spec={spec!r}: need the description of a network, such as MLPSpec("tanh", depth=10, width=100): an '
            "object with activation, n_classes, input_shape, depth and module()."
        )
    init = check_init(init)
    if init != "default" and init not in TRACED:
        with torch.device("meta"):  # so that nothing is drawn twice
            model = spec.module()
        return initialize_(model.to_empty(device="cpu"), init, generator=generator)
    # Those that run the network draw all of it anew, with the same numbers as the other names.
    with seeded_by(generator if init == "default" else torch.Generator().manual_seed(0)):
        model = spec.module()
    if init == "default":
        return model
    if example_input is None:
        example_input = torch.randn(64, *spec.input_shape, generator=torch.Generator().manual_seed(0))
    return initialize_(model, init, example_input=example_input, generator=generator)
