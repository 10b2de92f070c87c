"""What only chapter 23 needs: rows of the maps, very deep networks, and the border of what learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import nn

from igbrepro.data import Dataset
from igbrepro.ensembles import OneNumberLaw, head_nodes, infinite_covariance, max_fractions, mean_correlation
from igbrepro.networks import MLPSpec, build
from igbrepro.probes import features
from igbrepro.runs import Run
from igbrepro.training import TrainSettings, log_steps, train, train_module


def row(
    run: Run,
    dataset: Dataset,
    depths: list[int],
    steps: int,
    batch_size: int,
    lr: float,
    optimizer: str,
    n_eval: int,
    n_images: int,
    n_heads: int,
    epsilon: float = 1e-8,
) -> pd.DataFrame:
    """One network of each depth, before and after training on two classes; see `experiment.learned`."""
    settings = TrainSettings(
        steps, batch_size, lr, optimizer=optimizer, n_eval=n_eval, eval_points=(steps,), epsilon=epsilon
    )
    some = dataset.subset(n_test=n_images, seed=run.seed)
    images = some.inputs("test", flat=isinstance(run.spec, MLPSpec))
    law = OneNumberLaw(2, n_images, np.random.default_rng(0))
    found = []
    for depth in depths:
        spec = replace(run.spec, depth=depth)
        history = train(spec, run.init, dataset, settings, seed=run.seed, progress=False)
        last = history.frame.query("split == 'test' and metric == 'accuracy'")
        found.append((depth, "accuracy", float(last["value"].iloc[-1])))
        generator = torch.Generator().manual_seed(run.seed)
        model = build(spec, run.init, generator).double()  # signals may outgrow single precision
        body, gain = features(model, torch.from_numpy(images).double())
        nodes = head_nodes(body, run.init, 2 * n_heads, generator, gain)
        found.append((depth, "max_class_fraction", float(max_fractions(nodes, 2).mean())))
        if spec.pool is None and getattr(spec, "residual", None) is None:
            c = mean_correlation(infinite_covariance(spec, run.init, images))
            found.append((depth, "predicted", float(law(c))))
    return pd.DataFrame(found, columns=["step", "metric", "value"])


def train_deep(
    run: Run, dataset: Dataset, batch_size: int, n_eval: int, steps: int, lr: float, orthogonal: bool
) -> pd.DataFrame:
    """Accuracy by step of one network, its square matrices orthogonal if asked for; see `experiment.deepest`."""
    generator = torch.Generator().manual_seed(run.seed)
    model = build(run.spec, run.init, generator)
    if orthogonal:
        make_orthogonal_(model, run.init.sigma_w2, generator)
    settings = TrainSettings(steps, batch_size, lr, n_eval=n_eval, eval_points=log_steps(steps, 8))
    frame = train_module(model, dataset, settings, seed=run.seed, progress=False).frame
    return frame.query("split == 'test' and metric == 'accuracy'")[["step", "split", "metric", "value"]]


@torch.no_grad()
def make_orthogonal_(model: nn.Module, sigma_w2: float, generator: torch.Generator) -> None:
    """Square matrices become sigma_w times an orthogonal one; of convolutions the middle alone, the rest is zero."""
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, nn.Linear | nn.Conv2d) and weight.shape[0] == weight.shape[1]:
            drawn = torch.empty(weight.shape[:2])
            nn.init.orthogonal_(drawn, gain=sigma_w2**0.5, generator=generator)
            middle = tuple(size // 2 for size in weight.shape[2:])
            weight.zero_()
            weight[(slice(None), slice(None), *middle)] = drawn


def border(accuracy: pd.Series, level: float) -> tuple[float, bool]:
    """The depth at which the accuracy falls through the level, and whether the depths of the row enclose it.

    accuracy: by depth.  It is where the straight line over the logarithm of the depth between the last depth before
    which all learn and the next one passes the level; where all or none learn, the end of the row, and False.
    """
    depths, values = accuracy.sort_index().index.to_numpy(float), accuracy.sort_index().to_numpy()
    fails = np.flatnonzero(values < level)
    if not len(fails):
        return float(depths[-1]), False
    k = int(fails[0])
    if k == 0:
        return float(depths[0]), False
    t = (values[k - 1] - level) / (values[k - 1] - values[k])
    return float(np.exp(np.log(depths[k - 1]) + t * np.log(depths[k] / depths[k - 1]))), True
