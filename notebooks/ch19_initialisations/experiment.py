"""The runs of chapter 19: four networks from six initialisations by name, untrained and trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.networks import CNNSpec, ResNetSpec, Spec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep
from igbrepro.training import TrainSettings

CALLED = {"edge-of-chaos": "edge", "he": "He", "xavier": "Xavier", "orthogonal": "orthogonal", "lsuv": "LSUV"}
CALLED |= {"default": "default"}

ALL_STORED = True  # the notebook needs the data for nothing but these runs


def dataset(p: Parameters) -> Dataset:
    """What is trained on: every thin-th pixel of rows and columns."""
    full = load(p.dataset, fallback=True)
    if p.thin == 1:
        return full
    kept = {f"{split}_images": full.images(split)[:, :, :: p.thin, :: p.thin] for split in ("train", "test")}
    return replace(full, name=f"{full.name}, one pixel in {p.thin**2}", **kept)


def specs(p: Parameters, data: DataFacts) -> dict[str, Spec]:
    """The four networks by name."""
    shape = {"n_classes": len(data.classes), "input_shape": data.input_shape}
    return {
        "ReLU CNN": CNNSpec("relu", p.depth, p.channels, strides=tuple(p.strides), **shape),
        "tanh CNN": CNNSpec("tanh", p.depth, p.channels, strides=tuple(p.strides), **shape),
        "ResNet": ResNetSpec("relu", tuple(p.stages), p.width, norm=False, **shape),
        "ResNet with norm": ResNetSpec("relu", tuple(p.stages), p.width, norm=True, **shape),
    }


def networks(p: Parameters, data: DataFacts) -> dict[str, tuple[Spec, str]]:
    """Every network from every initialisation, by names such as "ResNet, He"."""
    if set(p.schemes) - set(CALLED) or not set(CALLED) - {"default"} <= set(p.schemes):
        raise ParameterError(f"schemes={p.schemes}: need all of {', '.join(CALLED)}; only 'default' may be left out.")
    found = specs(p, data)
    return {f"{name}, {CALLED[scheme]}": (found[name], scheme) for name in found for scheme in p.schemes}


def start(run: Run, dataset: Dataset, n_images: int, seed: int) -> pd.DataFrame:
    """What `diagnose` says of an untrained network on test images, and which pixels its logits depend on.

    gradient: of the squared gradient by stage, the step, over that at the last.  growth: of it from the last stage to
    the first.  pixels: share of them that the logits depend on.  ratio, cosine: of the logits of He's rule, to those of
    the edge of chaos for the same seed, in length and direction.
    """
    import torch

    from igbrepro.diagnosis import diagnose
    from igbrepro.training import train

    settings = TrainSettings(0, 1, labels="classes", n_eval=len(dataset.classes))
    images = torch.from_numpy(dataset.subset(n_test=n_images, seed=seed).inputs("test", flat=False))

    def drawn(init: str) -> torch.nn.Module:
        return train(run.spec, init, dataset, settings, seed=run.seed, device="cpu", progress=False).model

    model = drawn(run.init)
    found = diagnose(model, images)
    rows = [("gradient", stage, value) for stage, value in enumerate(found.layers["gradient"], 1)]
    pixels = images.clone().requires_grad_()
    logits = model(pixels)
    logits.square().sum().backward()
    rows.append(("growth", 0, np.exp(found.log_growth)))
    rows.append(("pixels", 0, float((pixels.grad != 0).any(0).double().mean())))
    if run.init == "he":
        with torch.no_grad():
            pair = logits.flatten().double(), drawn("edge-of-chaos")(images).flatten().double()
        rows.append(("ratio", 0, float(pair[0].norm() / pair[1].norm())))
        rows.append(("cosine", 0, float(torch.cosine_similarity(*pair, dim=0))))
    return pd.DataFrame(rows, columns=["metric", "step", "value"])


def untrained(p: Parameters, data: DataFacts) -> Sweep:
    """Every network before its first step, on n_images test images."""
    settings = Measured(start, {"n_images": p.n_images, "seed": p.seed}, inputs=8 * p.n_images)
    return Sweep(networks(p, data), settings, p.seeds)


def training(p: Parameters, data: DataFacts) -> Sweep:
    """The same networks trained, the CNNs and the ResNets each at a learning rate of their own."""
    plans = {}
    for kind, steps, lr in (("CNN", p.cnn_steps, p.cnn_lr), ("ResNet", p.resnet_steps, p.resnet_lr)):
        points = np.geomspace(max(1, steps // 16), steps, p.n_points).round().astype(int).tolist()
        plans[kind] = TrainSettings(
            steps,
            p.batch_size,
            lr,
            labels="classes",
            n_eval=p.n_eval,
            eval_points=points,
            batch_statistics=True,
            precision=p.precision,
        )
    every = networks(p, data)
    settings = {name: plans["CNN" if isinstance(spec, CNNSpec) else "ResNet"] for name, (spec, _) in every.items()}
    return Sweep(every, settings, p.seeds)
