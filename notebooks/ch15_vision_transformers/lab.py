"""How alike the tokens of a vision transformer are, after every encoder block."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.vision_transformer import EncoderBlock

from igbrepro.errors import ParameterError
from igbrepro.probes import evaluating, recording


@torch.no_grad()
def token_table(model: nn.Module, inputs: ArrayLike | Tensor) -> pd.DataFrame:
    """Mean correlations between tokens, one row for what the first encoder block reads and one for each block's output.

    inputs: (n, ...), n >= 2, on which the model runs once in eval mode; it is left as it was.
    Columns: block (0: what the first block reads); within: mean cosine of two tokens of one image; between: mean cosine
    of the tokens at one place of two images.  The class token counts as a token.
    Raises ParameterError for fewer than two inputs, or a model without encoder blocks.
    """
    x = torch.as_tensor(inputs)
    blocks = [module for module in model.modules() if isinstance(module, EncoderBlock)]
    if not blocks or len(x) < 2:
        raise ParameterError(f"model, inputs: {len(blocks)} encoder blocks, {len(x)} inputs; need one and two or more.")
    with evaluating(model), recording([("", block) for block in blocks]) as calls:
        model(x)
    seen = [calls[0].given, *(call.out for call in calls)]
    rows = [(k, _mean_cosine(h, 1), _mean_cosine(h, 0)) for k, h in enumerate(seen)]
    return pd.DataFrame(rows, columns=["block", "within", "between"])


def _mean_cosine(h: Tensor, axis: int) -> float:
    """Mean cosine over pairs along one of the first two axes of h (n, tokens, width), and over the other; nan if 0."""
    h = h.double()
    norm = h.norm(dim=-1, keepdim=True)
    if (norm == 0).any():
        return np.nan
    unit = F.normalize(h, dim=-1, eps=0.0)
    m = unit.shape[axis]
    return float((unit.sum(axis).square().sum(-1) - m).mean() / (m * (m - 1)))
