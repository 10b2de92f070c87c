"""What any torch model does to its inputs: its trace, its layers, what its head reads."""

from igbrepro.probes.head import features
from igbrepro.probes.layers import layer_table, signal
from igbrepro.probes.modes import batch_of, batch_statistics, evaluating, fresh_norms, undisturbed
from igbrepro.probes.tracing import WEIGHTED, Elementwise, Feed, Node, Trace, carrier, trace

__all__ = [
    "Elementwise",
    "Feed",
    "Node",
    "Trace",
    "WEIGHTED",
    "batch_of",
    "batch_statistics",
    "carrier",
    "evaluating",
    "features",
    "fresh_norms",
    "layer_table",
    "signal",
    "trace",
    "undisturbed",
]
