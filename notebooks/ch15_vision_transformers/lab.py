"""Untrained vision transformers: how alike their tokens are after every encoder block, their sizes, their guesses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.vision_transformer import EncoderBlock

from igbrepro.data import Dataset
from igbrepro.ensembles import head_nodes, max_fractions
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import build
from igbrepro.probes import features, layer_table, norms_by_batch, recording, undisturbed
from igbrepro.runs import Run


def start(run: Run, dataset: Dataset, n_images: int, n_networks: int, n_heads: int) -> pd.DataFrame:
    """What n_networks untrained networks make of n_images test images, network by network; columns as of a stored run.

    Metrics: max_class_fraction, its mean over n_heads random heads; and, unless the start is a scheme, whose head may
    be one of zeros: q and gradient of `layer_table`, step 0 being the patches and the last one the head; within and
    between of `token_table`, step 0 being what the first block reads.
    """
    images, rows = dataset.subset(n_test=n_images, seed=run.seed).inputs("test", flat=False), []
    for network in range(n_networks):
        generator = torch.Generator().manual_seed(run.seed * 10_000 + network)
        model = build(run.spec, run.init, generator)
        body, gain = features(model, images)
        nodes = head_nodes(body, InitSpec(1.0), run.spec.n_classes * n_heads, generator, gain)
        found = [("max_class_fraction", [max_fractions(nodes, run.spec.n_classes).mean()])]
        if isinstance(run.init, InitSpec):
            tables = layer_table(model, images, seed=network), token_table(model, images)
            columns = ("q", "gradient"), ("within", "between")
            found += [(name, table[name]) for table, names in zip(tables, columns, strict=True) for name in names]
        rows += [
            (step, f"network {network}", metric, value) for metric, values in found for step, value in enumerate(values)
        ]
    return pd.DataFrame(rows, columns=["step", "split", "metric", "value"])


@torch.no_grad()
def token_table(model: nn.Module, inputs: ArrayLike | Tensor) -> pd.DataFrame:
    """Mean correlations between tokens, one row for what the first encoder block reads and one for each block's output.

    inputs: (n, ...), n >= 2; the model is run and left as in `layer_table`.
    Columns: block (0: what the first block reads); within: mean cosine of two tokens of one image; between: mean cosine
    of the tokens at one place of two images.  The class token counts as a token.
    Raises ParameterError for fewer than two inputs, or a model without encoder blocks.
    """
    x = torch.as_tensor(inputs)
    blocks = [module for module in model.modules() if isinstance(module, EncoderBlock)]
    if not blocks or len(x) < 2:
        raise ParameterError(f"model, inputs: {len(blocks)} encoder blocks, {len(x)} inputs; need one and two or more.")
    with undisturbed(model, norms_by_batch(model)), recording([("", block) for block in blocks]) as calls:
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
