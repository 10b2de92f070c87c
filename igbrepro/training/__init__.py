"""Training from given initialisations, one run or many, and what is read off it."""

from igbrepro.training.metrics import max_class_fraction
from igbrepro.training.milestones import (
    bootstrap_interval,
    interval_text,
    log_ratio,
    log_ratios,
    steps_until,
    training_table,
    values_at,
)
from igbrepro.training.run import log_steps
from igbrepro.training.training import History, train, train_many, train_module

__all__ = [
    "History",
    "bootstrap_interval",
    "interval_text",
    "log_ratio",
    "log_ratios",
    "log_steps",
    "max_class_fraction",
    "steps_until",
    "train",
    "train_many",
    "train_module",
    "training_table",
    "values_at",
]
