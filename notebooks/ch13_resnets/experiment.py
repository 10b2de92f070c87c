"""The runs of chapter 13: residual CNNs with batch normalisation, without, and with scaled branches."""

from __future__ import annotations

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import Init, InitSpec
from igbrepro.networks import ResNetSpec, Spec
from igbrepro.runs import DataFacts, Parameters, Sweep
from igbrepro.training import TrainSettings, log_steps


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True)


def _networks(p: Parameters, data: DataFacts) -> dict[str, tuple[Spec, Init]]:
    """Every kind of block at every sigma_w2, "plain 0.5", and by PyTorch's default, "plain default"."""
    if min(len(p.norm_sigma_w2), len(p.plain_sigma_w2)) < 2:
        raise ParameterError("norm_sigma_w2, plain_sigma_w2: need two values or more of each.")
    if not set(p.norm_sigma_w2) & set(p.plain_sigma_w2):
        raise ParameterError("norm_sigma_w2, plain_sigma_w2: need a value in common, at which the two are compared.")
    shape = {"stages": tuple(p.stages), "width": p.width, "input_shape": data.input_shape}
    kinds = {
        "norm": ([*p.norm_sigma_w2, "default"], True, None),
        "plain": ([*p.plain_sigma_w2, "default"], False, None),
        "scaled": (p.scaled_sigma_w2, False, "depth"),
    }
    found: dict[str, tuple[Spec, Init]] = {}
    for kind, (values, norm, scale) in kinds.items():
        spec = ResNetSpec("relu", **shape, n_classes=len(data.classes), norm=norm, scale=scale)
        for value in values:
            named = value == "default"
            found[f"{kind} {value}" if named else f"{kind} {value:g}"] = spec, value if named else InitSpec(value)
    return found


def training(p: Parameters, data: DataFacts) -> Sweep:
    """All of them, at one learning rate; test images are normalised by their own statistics."""
    settings = TrainSettings(
        p.steps,
        p.batch_size,
        p.lr,
        labels="classes",
        n_eval=p.n_eval,
        eval_points=log_steps(p.steps, 16),
        batch_statistics=True,
    )
    return Sweep(_networks(p, data), settings, p.seeds)
