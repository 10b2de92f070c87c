"""Claims of chapter 6, learning."""

from __future__ import annotations

from math import inf

from igbrepro.claims import Claim, all_of, between, greater
from igbrepro.runs import audit_claim

# Names of measurements, as the notebook gives them.
EDGE_MINUS_ORDERED = "edge minus order, final accuracy"
BEST_CHAOTIC = "final accuracy, best chaotic network"
PREJUDICE_AT_START = "largest class fraction at the start, prejudice"
PREJUDICE_AT_END = "largest class fraction at the end, prejudice"
PREJUDICE_ACCURACY = "final accuracy, prejudice"
MEMORISED = "accuracy on the training images, prejudice"
NOT_UNDERSTOOD = "training minus test accuracy, prejudice"
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


_FIGURE = "arXiv:2505.12096, figure of the training dynamics of MLPs (tanh; at step 10,000: "


LEARNING_LEAVES_CHANCE = {
    name: Claim(
        id=f"learning-leaves-chance-{name}",
        title=f"{label}: the edge of chaos is the first to leave chance",
        statement=f"Of deep {label} networks that differ in the variance of their weights alone, those that start on "
        "the edge of chaos are the first to guess more than six test images in ten rightly.",
        source="arXiv:2505.12096, figure of the training dynamics of MLPs (tanh: the edge leaves chance after 10 to "
        "20 steps, order after 60 to 100)",
        rule=greater(RIVAL_OVER_EDGE, 0.0, z=2),
    )
    for (name, label) in (("tanh", "tanh"), ("relu", "ReLU"))
}


LEARNING_ENDS_ALIKE = Claim(
    id="learning-ends-alike",
    title="tanh: edge and order end alike",
    statement="At the end of training, tanh networks that started on the edge of chaos and in the ordered phase have "
    "the same test accuracy, to within 0.03.",
    source=_FIGURE + "edge 0.96, order 0.98)",
    rule=between(EDGE_MINUS_ORDERED, -0.03, 0.03),
)


LEARNING_CHAOS_AT_CHANCE = Claim(
    id="learning-chaos-at-chance",
    title="tanh: chaos ends near chance",
    statement="At the end of training, tanh networks that started in the chaotic phase guess at most six test images "
    "in ten rightly, with prejudice at the start and without.",
    source=_FIGURE + "prejudice 0.55, neutrality 0.50)",
    rule=between(BEST_CHAOTIC, 0.4, 0.6),
)


LEARNING_BIAS_LOST = Claim(
    id="learning-bias-lost",
    title="tanh: chaos loses its bias without learning",
    statement="tanh networks that start chaotic and prejudiced lose most of their bias in training, and do not learn: "
    "at the end the favourite class of test images has at most 0.65 of them, and at most six in ten are guessed "
    "rightly.",
    source=_FIGURE + "prejudice starts at a largest fraction of 0.89 and ends at an accuracy of 0.55)",
    rule=all_of(
        between(PREJUDICE_AT_START, 0.7, 1.0),
        between(PREJUDICE_AT_END, 0.5, 0.65),
        between(PREJUDICE_ACCURACY, 0.4, 0.6),
    ),
)


LEARNING_MEMORISES = Claim(
    id="learning-prejudice-memorises",
    title="tanh: prejudice memorises",
    statement="Trained on few images for many epochs, tanh networks that start chaotic and prejudiced learn them by "
    "heart, at least nine in ten, and their test accuracy stays 0.25 or more behind.",
    source=_FIGURE + "prejudice 1.00 on training images and 0.55 on test images)",
    rule=all_of(between(MEMORISED, 0.9, inf), between(NOT_UNDERSTOOD, 0.25, 1.0)),
)


AUDIT = audit_claim("learning")
