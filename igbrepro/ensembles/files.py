"""Results of ensembles as files: NumPy archives of plain arrays and one text of JSON, so that nothing is unpickled."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.theory import Activation, Pool, get_activation

if TYPE_CHECKING:
    from igbrepro.ensembles.results import EnsembleResult, Snapshot

FORMAT = "igbrepro ensemble 1"
_SPEC = ("depth", "width", "n_classes", "input_shape", "residual", "residual_unit")  # older files have no residual_unit
_ARRAYS = ("q", "sigma_y2", "sigma_mu2", "pair_one_minus_c", "pair_c_std", "pair_c_quantiles", "class_fractions")
_POINTS = np.array([-5.0, -2.0, -1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 2.0, 5.0])


def save_ensemble(result: EnsembleResult, path: str | Path) -> Path:
    """Write `result`; returns the path, which must end in .npz and be one that can be written."""
    path = Path(path)
    if path.suffix != ".npz":
        raise ParameterError(f"path={str(path)!r}: need a name that ends in .npz.")
    spec, activation = result.spec, get_activation(result.spec.activation)
    told = {
        "format": FORMAT,
        "activation": activation.name,
        "built_in": _is_built_in(activation),
        "phi": _fingerprint(activation),
        "spec": {name: getattr(spec, name) for name in _SPEC},
        "pool": None if spec.pool is None else _class(type(spec.pool)) | asdict(spec.pool),
        "init": asdict(result.init),
        "quantile_levels": [float(level) for level in result.quantile_levels],
        **{name: getattr(result, name) for name in ("method", "seed", "n_inputs")},
    }
    arrays = {name: getattr(result, name) for name in _ARRAYS}
    if result.layer_class_fractions is not None:
        arrays["layer_class_fractions"] = result.layer_class_fractions
    for layer, snapshot in result.snapshots.items():
        arrays |= {f"snapshot {layer} {one.name}": getattr(snapshot, one.name) for one in fields(snapshot)}
    try:
        np.savez_compressed(path, told=np.array(json.dumps(told, default=int)), **arrays)
    except OSError as error:
        raise ParameterError(f"path={str(path)!r}: cannot be written ({error}).") from error
    return path


def load_ensemble(
    path: str | Path,
    activation: Activation | None,
    result: type[EnsembleResult],
    snapshot: type[Snapshot],
) -> EnsembleResult:
    """Read what `save_ensemble` wrote into the classes `result` and `snapshot`; see EnsembleResult.load."""
    told, arrays = _read(Path(path))
    name = told["activation"]
    if activation is None:
        if not told["built_in"]:
            raise ParameterError(
                f"path={str(path)!r}: its networks have the activation {name!r}, which is not built in; "
                "load(path, activation=...) takes the Activation itself."
            )
        activation = get_activation(name)
    elif activation.name != name:
        raise ParameterError(f"activation={activation.name!r}: the networks of {str(path)!r} have {name!r}.")
    if "phi" in told and not np.allclose(told["phi"], _fingerprint(activation), rtol=1e-9, atol=0, equal_nan=True):
        raise ParameterError(
            f"activation={activation.name!r}: another function than that of {str(path)!r}, which has the same name; "
            "load(path, activation=...) takes the Activation that the networks had."
        )
    kept: dict[int, dict[str, np.ndarray]] = {}
    for key in [key for key in arrays if key.startswith("snapshot ")]:
        _, layer, part = key.split(" ")
        kept.setdefault(int(layer), {})[part] = arrays.pop(key)
    spec = told["spec"] | {"input_shape": tuple(told["spec"]["input_shape"])}
    return result(
        spec=MLPSpec(activation, pool=_pool(told["pool"]), **spec),
        init=InitSpec(**told["init"]),
        quantile_levels=tuple(told["quantile_levels"]),
        snapshots={layer: snapshot(**parts) for layer, parts in kept.items()},
        **{key: told[key] for key in ("method", "seed", "n_inputs")},
        **arrays,
    )


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    wrong = f"path={str(path)!r}: not a file that EnsembleResult.save wrote, or a damaged one; simulate and save again."
    try:
        with np.load(path, allow_pickle=False) as file:
            told = json.loads(str(file["told"][()]))
            arrays = {name: file[name] for name in file.files if name != "told"}
    except FileNotFoundError:
        raise ParameterError(f"path={str(path)!r}: no such file.") from None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        EOFError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        raise ParameterError(f"{wrong} ({type(error).__name__})") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT or not set(_ARRAYS) <= set(arrays):
        raise ParameterError(wrong)
    return told, arrays


def _is_built_in(activation: Activation) -> bool:
    """Whether its name stands for this very function, and not for another or none."""
    try:
        known = get_activation(activation.name)
    except ParameterError:
        return False
    return known is activation or (known == activation and activation.slope is not None)  # slopes tell all of those


def _fingerprint(activation: Activation) -> list[float]:
    """Values of phi on a few points, by which a function is told from another one of its name."""
    with np.errstate(all="ignore"):
        return np.asarray(activation(_POINTS), float).tolist()


def _class(kind: type[Pool]) -> dict[str, str]:
    """Where a class of pools stands, by which it is told from another one of its name."""
    return {"module": kind.__module__, "kind": kind.__qualname__}


def _pool(told: dict[str, Any] | None) -> Pool | None:
    if told is None:
        return None
    place = {name: told[name] for name in ("module", "kind") if name in told}  # older files have no module
    kinds, waiting = [], [Pool]
    while waiting:
        kind = waiting.pop()
        if place.items() <= _class(kind).items():
            kinds.append(kind)
        waiting += kind.__subclasses__()
    if not kinds:
        name = ".".join(place.values())
        raise ParameterError(f"pool {name!r} of the file: no such pool here; define or import its class first.")
    return kinds[-1](**{name: value for name, value in told.items() if name not in place})
