"""Training runs as data: declared sweeps, a store of what was computed, audits of what was shipped."""

from igbrepro.runs.auditing import Audit, audit, audit_claim, audit_run
from igbrepro.runs.cost import GPU_RATE, Pace, in_words, multiply_adds, work
from igbrepro.runs.declared import (
    PROTOCOL,
    DataFacts,
    Measured,
    Parameters,
    Run,
    Sweep,
    starts,
)
from igbrepro.runs.keys import NotStorable
from igbrepro.runs.results import (
    RESULTS,
    Declaration,
    Plan,
    Results,
    choose,
    compute,
    default_store,
    make_plan,
    obtain,
    obtain_all,
)
from igbrepro.runs.store import Store, StoredRun, StoreFull, StoreWarning, write_runs

__all__ = [
    "PROTOCOL",
    "Audit",
    "DataFacts",
    "Declaration",
    "GPU_RATE",
    "Measured",
    "NotStorable",
    "Pace",
    "Parameters",
    "Plan",
    "RESULTS",
    "Results",
    "Run",
    "Store",
    "StoreFull",
    "StoreWarning",
    "StoredRun",
    "Sweep",
    "audit",
    "audit_claim",
    "audit_run",
    "choose",
    "compute",
    "default_store",
    "in_words",
    "make_plan",
    "multiply_adds",
    "obtain",
    "obtain_all",
    "starts",
    "work",
    "write_runs",
]
