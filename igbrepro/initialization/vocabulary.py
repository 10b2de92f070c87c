"""What a network may start from, the same wherever one is drawn: names, variances, heads set afterwards (no torch)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Real
from typing import TypeAlias

from igbrepro.checks import whole
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
    if isinstance(init, HeadStart):
        raise ParameterError(
            f"{name}={init!r}: only where a network is trained is its head set for you; here give what it is drawn by, "
            "and then call center_head_ or start_at_prior_."
        )
    if isinstance(init, SelectedStart):
        raise ParameterError(
            f"{name}={init!r}: only where a network is trained is it drawn until it fits; here give its `init`."
        )
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


@dataclass(frozen=True)
class HeadStart:
    """A start of training whose last bias vector is set after the draw; the body stays as `init` draws it.

    init: what the network is drawn by.
    head: "centred", so that every logit has mean 0 (`center_head_`); or the share of the first guesses that each class
        is to get, (1, 0) for all in the first one (`start_at_prior_`).
    n_inputs: training inputs over which this holds, evenly spread over the split, the same for every seed.
    Raises ParameterError for anything else; shares of another number of classes are refused when the network is drawn.
    """

    init: Init
    head: str | tuple[float, ...] = "centred"
    n_inputs: int = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "init", check_init(self.init))
        object.__setattr__(self, "n_inputs", whole("n_inputs", self.n_inputs, 1))
        if isinstance(self.head, str) and self.head == "centred":
            return
        shares = tuple(self.head) if isinstance(self.head, Iterable) and not isinstance(self.head, str) else ()
        numbers = [float(one) for one in shares if isinstance(one, Real)]
        if len(numbers) < max(2, len(shares)) or not (min(numbers) >= 0 and abs(sum(numbers) - 1) < 1e-6):
            raise ParameterError(
                f'head={self.head!r}: need "centred", or one share for each class, 0 or more, that sum to 1.'
            )
        object.__setattr__(self, "head", tuple(numbers))


@dataclass(frozen=True)
class SelectedStart:
    """A start of training that is drawn again until its favourite class has about the share asked for.

    As the paper's code chooses the starts of its training runs. Each seed gives a sequence of networks; taken is the
    first one whose largest class fraction is within `within` of `share`.

    init: what the network is drawn by.  share: of inputs in the favourite class, from 0 to 1.
    n_inputs: training inputs that are counted, evenly spread over the split, the same for every seed.
    Raises ParameterError for anything else; a share that no network comes near is refused when it is drawn.
    """

    init: Init
    share: float
    within: float = 0.05
    n_inputs: int = 1000

    def __post_init__(self) -> None:
        object.__setattr__(self, "init", check_init(self.init))
        object.__setattr__(self, "n_inputs", whole("n_inputs", self.n_inputs, 1))
        for name in ("share", "within"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) <= 1:
                raise ParameterError(f"{name}={value!r}: need a share, above 0 and at most 1.")


Start: TypeAlias = Init | HeadStart | SelectedStart
