"""Random initialisation of any network, and the head that goes with it.

InitSpec, the starts of training and the names of initialisations need no torch; what does is imported when it is first
asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from igbrepro.initialization.spec import InitSpec
from igbrepro.initialization.vocabulary import SCHEMES, TRACED, HeadStart, Init, SelectedStart, Start, check_init

if TYPE_CHECKING:
    from igbrepro.initialization.head_bias import center_head_, start_at_prior_
    from igbrepro.initialization.initialize import initialize_, seeded_by
    from igbrepro.initialization.layer_edge import (
        as_activation,
        edge_of_chaos,
        relative_gain,
        residual_factors,
        unit_moments,
    )

__all__ = [
    "SCHEMES",
    "TRACED",
    "HeadStart",
    "Init",
    "InitSpec",
    "SelectedStart",
    "Start",
    "as_activation",
    "center_head_",
    "check_init",
    "edge_of_chaos",
    "initialize_",
    "relative_gain",
    "residual_factors",
    "seeded_by",
    "start_at_prior_",
    "unit_moments",
]

_NEED_TORCH = {
    "as_activation": "layer_edge",
    "edge_of_chaos": "layer_edge",
    "relative_gain": "layer_edge",
    "residual_factors": "layer_edge",
    "unit_moments": "layer_edge",
    "center_head_": "head_bias",
    "start_at_prior_": "head_bias",
    "initialize_": "initialize",
    "seeded_by": "initialize",
}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_NEED_TORCH[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
