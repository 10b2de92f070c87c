"""What the last layer of a model reads."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from igbrepro.errors import ParameterError
from igbrepro.probes.modes import batch_statistics, evaluating


@torch.no_grad()
def features(model: nn.Module, inputs: ArrayLike | Tensor) -> tuple[Tensor, float]:
    """What the last Linear layer of a model reads, (n, fan_in), and the `gain` of that layer (1 where it has none).

    inputs: (n, ...).  Batch normalisation uses the statistics of these inputs; the model is left as it was.
    Raises ParameterError for a model without a Linear layer, or features that are not finite.
    """
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ParameterError("model: has no Linear layer, so no head to read.")
    seen: list[Tensor] = []
    hook = linear[-1].register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(1)))
    try:
        with evaluating(model), batch_statistics(model):
            model(torch.as_tensor(inputs))
    finally:
        hook.remove()
    if not seen[-1].isfinite().all():
        raise ParameterError("model: its features are not finite; take a smaller sigma_w2 or depth.")
    return seen[-1], float(getattr(linear[-1], "gain", 1.0))
