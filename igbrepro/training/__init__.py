"""Training from given initialisations, one run or many, and what is read off it."""

from igbrepro.training.history import Histories, History
from igbrepro.training.many import train_many
from igbrepro.training.metrics import max_class_fraction
from igbrepro.training.milestones import (
    bootstrap_interval,
    interval_text,
    log_ratios,
    steps_until,
    training_table,
    values_at,
)
from igbrepro.training.settings import TrainSettings, log_steps
from igbrepro.training.training import train, train_module

__all__ = [
    "Histories",
    "History",
    "TrainSettings",
    "bootstrap_interval",
    "interval_text",
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
