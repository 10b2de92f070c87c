"""The names of initialisations, the same wherever a network is drawn (no torch here)."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TypeAlias

from igbrepro.errors import ParameterError
from igbrepro.initialization.spec import InitSpec
from igbrepro.theory import Design

Init: TypeAlias = InitSpec | Design | str

SCHEMES = ("default", "he", "xavier")
TRACED = ("edge-of-chaos", "orthogonal", "lsuv")  # those that run the model to see what feeds its layers

# What other libraries call them, for the error that names the close match.
ALIASES = {
    "kaiming": "he",
    "kaiming-normal": "he",
    "glorot": "xavier",
    "glorot-normal": "xavier",
    "eoc": "edge-of-chaos",
}


def check_init(init: Init, name: str = "init") -> InitSpec | str:
    """The initialisation meant by `init`: an InitSpec (also of a Design), or one of the names TRACED and SCHEMES.

    Raises ParameterError, which calls the argument `name`, for anything else.
    """
    if isinstance(init, Design):
        return InitSpec(init.sigma_w2, init.sigma_b2)
    known = TRACED + SCHEMES
    if isinstance(init, InitSpec) or (isinstance(init, str) and init in known):
        return init
    close = []
    if isinstance(init, str):
        spelt = init.strip().lower().replace("_", "-").replace(" ", "-")
        said = {one: one for one in known} | ALIASES
        close = [said[one] for one in get_close_matches(spelt, said, 1)]
    meant = f" Did you mean {close[0]!r}?" if close else ""
    raise ParameterError(
        f"{name}={init!r}: need an InitSpec(sigma_w2, sigma_b2), what theory.design gives, or one of "
        f"{', '.join(known)}.{meant}"
    )
