"""The errors a user of igbrepro can meet; each message names the argument, its value and the remedy."""

from __future__ import annotations

from collections.abc import Sequence


def some(names: Sequence[str]) -> str:
    """The first five names, and how many more there are, for a message."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


class IgbreproError(Exception):
    """Base class: `except IgbreproError` catches everything this package raises on purpose."""


class ParameterError(IgbreproError, ValueError):
    """An argument is outside the range in which the result is defined."""


class NotConverged(IgbreproError, RuntimeError):
    """An iteration ended without reaching its tolerance; the message gives the last gap."""


class DataMissing(IgbreproError, FileNotFoundError):
    """A data file is absent or damaged; the message gives the command that fetches it."""


class ClaimFailed(IgbreproError, AssertionError):
    """A claim's verdict differs from the committed register."""


class NoCommonEdge(UserWarning):
    """No sigma_w2 keeps both the signal and the gradient; the message gives the two values."""


class UnstableEdge(UserWarning):
    """A network on this edge of chaos does not stay there: the variance that has chi = 1 is not a stable one."""


class NoEdge(UserWarning):
    """An edge of chaos was asked for where there is none; the message says why the value is nan."""
