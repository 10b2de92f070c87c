"""Claims of chapter 24, the two sentences of the summary."""

from __future__ import annotations

from math import log10

from igbrepro.claims import Claim, all_of, between, greater
from igbrepro.runs import audit_claim

# What is compared with the proposed initialisation, and on which networks.
COMPETITORS = ("default", "He", "Xavier", "orthogonal")
PLAIN = ("shallow CNN", "deep CNN")
NORM_FREE = (*PLAIN, "pooled CNN", "ResNet")
NORMED = "ResNet with norm"
SAME = "He"  # its plain networks are those of the edge, but for the size of the logits

LEAST_TIME = log10(1.5)  # the least lead that means anything: a factor of 1.5 in steps
LEAST_ACCURACY = 0.02


# Names of measurements, as the notebook gives them.
def faster(network: str, competitor: str) -> str:
    """How many times the steps of the proposed start the competitor takes to the level."""
    return f"{network}: {competitor} over proposed, steps, log10"


def better(network: str, competitor: str) -> str:
    """The lead of the proposed start at the end of the budget."""
    return f"{network}: proposed minus {competitor}, final accuracy"


CLOSEST = "closest other"


def compared(competitor: str) -> tuple[str, ...]:
    """The networks on which a competitor is judged: those without norm where it is another start."""
    return tuple(name for name in NORM_FREE if competitor != SAME or name not in PLAIN)


_TITLES = {
    "default": "PyTorch's default",
    "He": "He's rule",
    "Xavier": "Xavier's rule",
    "orthogonal": "orthogonal weights",
}
_DO = {name: f"{title} {'do' if name == 'orthogonal' else 'does'}" for name, title in _TITLES.items()}
_SOURCE = "the project's summary of the paper; not in its code or reviews"
_WHERE = {
    name: "the pooled ReLU CNN and the ReLU ResNet without normalisation (in a plain ReLU CNN it is the same start)"
    if name == SAME
    else "each of the ReLU networks without normalisation, CNNs of two depths, pooled CNN and ResNet"
    for name in COMPETITORS
}


SUMMARY_FASTER = {
    name: Claim(
        id=f"summary-faster-{name.lower()}",
        title=f"Significantly accelerated convergence: against {_TITLES[name]}",
        statement=f"In {_WHERE[name]}, each start with its own tuned learning rate, the proposed initialisation "
        f"reaches the level of test accuracy in fewer steps than {_DO[name]}.",
        source=_SOURCE,
        rule=all_of(*(greater(faster(network, name), 0.0, z=2, matters=LEAST_TIME) for network in compared(name))),
    )
    for name in COMPETITORS
}


SUMMARY_BETTER = {
    name: Claim(
        id=f"summary-better-{name.lower()}",
        title=f"Improved final test accuracy: against {_TITLES[name]}",
        statement=f"In {_WHERE[name]}, each start with its own tuned learning rate, the proposed initialisation "
        f"ends the same number of steps with a higher test accuracy than {_DO[name]}.",
        source=_SOURCE,
        rule=all_of(*(greater(better(network, name), 0.0, z=2, matters=LEAST_ACCURACY) for network in compared(name))),
    )
    for name in COMPETITORS
}


SUMMARY_SAME = Claim(
    id="summary-he-is-proposed",
    title="In plain ReLU CNNs He's rule is the proposed initialisation",
    statement="In plain ReLU CNNs of both depths He's rule, each with its own tuned learning rate, takes as many steps "
    "to the level as the proposed initialisation, to within a factor of two, and ends with the same test accuracy, to "
    "within 0.05.",
    source="ours; follows from the phase diagram of arXiv:2505.12096",
    rule=all_of(
        *(between(faster(network, SAME), -log10(2), log10(2)) for network in PLAIN),
        *(between(better(network, SAME), -0.05, 0.05) for network in PLAIN),
    ),
)


SUMMARY_NORM_FASTER = Claim(
    id="summary-norm-faster",
    title="Significantly accelerated convergence: with batch normalisation",
    statement="In a ReLU ResNet with batch normalisation, each start with its own tuned learning rate, the proposed "
    "initialisation reaches the level of test accuracy in fewer steps than any of four others.",
    source=_SOURCE,
    rule=greater(faster(NORMED, CLOSEST), 0.0, z=2, matters=LEAST_TIME),
)


SUMMARY_NORM_BETTER = Claim(
    id="summary-norm-better",
    title="Improved final test accuracy: with batch normalisation",
    statement="In a ReLU ResNet with batch normalisation, each start with its own tuned learning rate, the proposed "
    "initialisation ends the same number of steps with a higher test accuracy than any of four others.",
    source=_SOURCE,
    rule=greater(better(NORMED, CLOSEST), 0.0, z=2, matters=LEAST_ACCURACY),
)


AUDIT = audit_claim("two_sentences")
