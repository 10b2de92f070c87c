"""What any torch model does to its inputs: its trace, its layers, what its head reads."""

from igbrepro.probes.head import features, head_of, last_layer
from igbrepro.probes.layers import layer_table, signal
from igbrepro.probes.modes import (
    batch_of,
    batch_statistics,
    evaluating,
    fresh_norms,
    logits_of,
    norms_by_batch,
    undisturbed,
)
from igbrepro.probes.recording import Call, recording
from igbrepro.probes.tracing import WEIGHTED, Elementwise, Feed, Node, Trace, carrier, trace

__all__ = [
    "WEIGHTED",
    "Call",
    "Elementwise",
    "Feed",
    "Node",
    "Trace",
    "batch_of",
    "batch_statistics",
    "carrier",
    "evaluating",
    "features",
    "fresh_norms",
    "head_of",
    "last_layer",
    "layer_table",
    "logits_of",
    "norms_by_batch",
    "recording",
    "signal",
    "trace",
    "undisturbed",
]
