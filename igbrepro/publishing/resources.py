"""What a job asks of the machine that runs it: memory, time, accelerators, in the words of the workflow engine.

A cluster holds a job to them.  One machine runs as many jobs as it has cores, whatever they ask for, unless Snakemake
is told its limits (--resources gpu=1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

MEMORY_GB = 4.0  # of a job whose sizes do not say
SLACK = 3  # times the minutes: for a slower core
START = 10  # minutes more: for Python and its packages to come off a busy file system


class Sized(Protocol):
    """Whatever knows its size, such as a chapter's Entry of a preset."""

    @property
    def minutes(self) -> float: ...
    @property
    def memory_gb(self) -> float: ...
    @property
    def gpu(self) -> int: ...


def resources(minutes: float, memory_gb: float = MEMORY_GB, gpu: int = 0) -> dict[str, int]:
    """The `resources:` of a job: runtime in minutes, with slack, mem_mb in MB, and the number of GPUs.

    minutes: of one core, as expected.  memory_gb: at most in use at once, GB of 1,000 MB.
    """
    return {
        "runtime": math.ceil(SLACK * minutes) + START,
        "mem_mb": math.ceil(1000 * memory_gb),
        "gpu": gpu,
    }


def minutes_of(runtime: float) -> float:
    """The minutes that a job of this `runtime` is expected to take, without the slack."""
    return (runtime - START) / SLACK


def resources_of(sized: Callable[[Any], Sized]) -> Mapping[str, Callable[[Any], int]]:
    """The same for a rule with wildcards, whose job has the size `sized(wildcards)`."""

    def asked(resource: str) -> Callable[[Any], int]:
        def value(wildcards: Any) -> int:
            size = sized(wildcards)
            return resources(size.minutes, size.memory_gb, size.gpu)[resource]

        return value

    return {resource: asked(resource) for resource in resources(0)}
