"""Claims of chapter 6, learning."""

from __future__ import annotations

from igbrepro.claims import Claim, all_of, between, greater
from igbrepro.runs import audit_claim

# Names of measurements, as the notebook gives them.
EDGE_MINUS_RIVAL = "edge minus closest rival, final accuracy"
RIVAL_OVER_EDGE = "closest rival over edge, log10"
WORST_START = "measured minus predicted, worst network"
START_AT_EDGE = "largest class fraction at the start, edge"


LEARNING_EDGE_FIRST = {
    name: Claim(
        id=f"learning-edge-first-{name}",
        title=f"{label}: the edge of chaos learns first",
        statement=f"Of deep {label} networks that differ in the variance of their weights alone, those that start "
        "on the edge of chaos are the first to learn.",
        source="arXiv:2505.12096, abstract and figure of the training dynamics of MLPs",
        rule=greater(RIVAL_OVER_EDGE, 0.0, z=2),
    )
    for (name, label) in (("tanh", "tanh"), ("relu", "ReLU"))
}


LEARNING_BIAS_ABSORBED = {
    name: Claim(
        id=f"learning-bias-absorbed-{name}",
        title=f"{label}: the prejudice of the edge is deep and transient",
        statement=f"A deep {label} network on the edge of chaos starts by giving nearly every image the same "
        "class, and training rids it of this bias sooner than of that of any other phase that starts biased.",
        source="arXiv:2505.12096, abstract and figure of the training dynamics of MLPs",
        rule=all_of(
            between(START_AT_EDGE, 0.9, 1.0),
            greater(RIVAL_OVER_EDGE, 0.0, z=2),
        ),
    )
    for (name, label) in (("tanh", "tanh"), ("relu", "ReLU"))
}


LEARNING_START_PREDICTED = {
    name: Claim(
        id=f"learning-start-predicted-{name}",
        title=f"{label}: the bias at the start is predicted",
        statement=f"The mean largest class fraction of the untrained {label} networks on real images is the one "
        "the theory of infinite width predicts, to within 0.05 in every phase.",
        source="arXiv:2505.12096, phase diagram and figure of the training dynamics of MLPs",
        rule=between(WORST_START, -0.05, 0.05),
    )
    for (name, label) in (("tanh", "tanh"), ("relu", "ReLU"))
}


LEARNING_FINAL_ACCURACY_TANH = Claim(
    id="learning-final-accuracy-tanh",
    title="tanh: the edge is ahead at the end",
    statement="At the end of training, deep tanh networks that started on the edge of chaos have a higher test "
    "accuracy than those that started in any other phase.",
    source="arXiv:2505.12096, abstract and figure of the training dynamics of MLPs",
    rule=greater(EDGE_MINUS_RIVAL, 0.0, z=2),
)


AUDIT = audit_claim("learning")
