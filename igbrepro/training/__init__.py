"""Training from given initialisations, one run or many, and what is read off it.

Settings and what is read off tables need no torch; what does is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from igbrepro.training.milestones import (
    bootstrap_interval,
    by_favour,
    interval_text,
    log_ratios,
    steps_until,
    training_table,
    values_at,
)
from igbrepro.training.settings import Conduct, TrainSettings, log_steps

if TYPE_CHECKING:
    from igbrepro.training.history import Histories, History
    from igbrepro.training.many import Part, Task, in_parts, train_many, train_parts
    from igbrepro.training.metrics import max_class_fraction
    from igbrepro.training.training import train, train_module

__all__ = [
    "Conduct",
    "Histories",
    "History",
    "Part",
    "Task",
    "TrainSettings",
    "bootstrap_interval",
    "by_favour",
    "in_parts",
    "interval_text",
    "log_ratios",
    "log_steps",
    "max_class_fraction",
    "steps_until",
    "train",
    "train_many",
    "train_module",
    "train_parts",
    "training_table",
    "values_at",
]

_NEED_TORCH = {
    "Histories": "history",
    "History": "history",
    "Part": "many",
    "Task": "many",
    "in_parts": "many",
    "max_class_fraction": "metrics",
    "train": "training",
    "train_many": "many",
    "train_module": "training",
    "train_parts": "many",
}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_NEED_TORCH[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
