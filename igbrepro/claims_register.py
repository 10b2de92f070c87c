"""The committed register: every claim once, in the order of the book.

`expected` is what the claim's rule says at the laptop preset. A run that says otherwise stops the build
(`igbrepro.claims.check_register`); change the entry in a commit that says why.
"""

from __future__ import annotations

import math

from igbrepro.results import Outcome
from igbrepro.rules import Claim, agrees, all_of, between, exact, greater
from igbrepro.theory import Phase

REGISTER: list[Claim] = [
    Claim(
        id="signals-maps",
        title="Layer maps of q and c",
        statement="In the first layers of wide random networks with ReLU, tanh and GELU, the variance of a signal and "
        "the correlation of two signals are those of two deterministic maps.",
        source="arXiv:2505.12096, mean-field background; Poole et al. 2016, eqs. (3) and (5)",
        notebook="theory/01_signals",
        rule=all_of(
            agrees("farthest from theory", max_z=4.2, resolution=0.02), agrees("least precise", 4.2, resolution=0.02)
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="signals-width",
        title="The gap to theory is of order 1/width",
        statement="In deep layers the correlation in finite networks misses the maps by an amount inversely proportional "
        "to the width; continued to infinite width it meets them in every layer.",
        source="implied by arXiv:2505.12096, mean-field background (limit of infinite width); the rate is ours",
        notebook="theory/01_signals",
        rule=all_of(
            agrees("exponent of the gap", max_z=3, resolution=0.1, slack=0.1),
            agrees("farthest from theory: at infinite width", max_z=4.2, resolution=0.05, slack=0.01),
            agrees("least precise: at infinite width", max_z=4.2, resolution=0.05, slack=0.01),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="signals-scales",
        title="Depth scales of q and c",
        statement="Small deviations of the variance and of the correlation from their fixed points die out exponentially "
        "with depth, over the scales that the slopes of the maps predict, in the ordered and in the chaotic phase.",
        source="arXiv:2505.12096, mean-field background; Schoenholz et al. 2017, eqs. (7) to (9)",
        notebook="theory/01_signals",
        rule=all_of(
            *(
                agrees(f"{which}: {phase} phase", max_z=4.2, resolution=0.05)
                for phase in ("ordered", "chaotic")
                for which in ("farthest from theory", "least precise")
            )
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="signals-gradients",
        title="χ is the gradient multiplier",
        statement="The mean squared gradient changes by the factor χ from layer to layer, the slope of the covariance map "
        "for equal inputs: it vanishes in the ordered phase and explodes in the chaotic phase.",
        source="arXiv:2505.12096, mean-field background; Schoenholz et al. 2017, section on gradients",
        notebook="theory/01_signals",
        rule=all_of(
            agrees("farthest from theory", max_z=4.0, resolution=0.01), agrees("least precise", 4.0, resolution=0.01)
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="guess-node-law",
        title="The law of a node",
        statement="Over independent inputs, the values of a node of a wide random network are Gaussian around its "
        "mean, with the same variance in all nodes; the means of the nodes are Gaussian too, and both "
        "variances are those that the correlation of two inputs predicts.",
        source="arXiv:2505.12096, background on the initial guessing bias; Francazi et al. 2024",
        notebook="theory/02_guessing",
        rule=all_of(
            between("distance of node means", -math.inf, 0.03),
            between("distance of values", -math.inf, 0.03),
            between("distance if σ_μ² were double", 0.03, math.inf),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="guess-class-fraction",
        title="The law of the class fraction",
        statement="The share of inputs that an untrained network gives to one of two classes is distributed over "
        "networks like Φ(√γ z) with z standard normal: one peak at one half for γ below 1, uniform at 1, "
        "two peaks at 0 and 1 above.",
        source="arXiv:2505.12096, background on the initial guessing bias; Francazi et al. 2024",
        notebook="theory/02_guessing",
        rule=all_of(
            between("distance of class fractions", -math.inf, 0.04),
            between("distance if γ were double", 0.04, math.inf),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="guess-max-fraction",
        title="Mean share of the favourite class",
        statement="With two classes, the favourite of an untrained network gets the share 1/2 + arcsin(√c)/π of the "
        "inputs on average, c = γ/(1 + γ), and the variance of a class's share is arcsin(c)/2π.",
        source="follows from the law of the class fraction in arXiv:2505.12096; closed forms ours",
        notebook="theory/02_guessing",
        rule=all_of(
            agrees("farthest from theory: mean largest fraction", max_z=3.5, resolution=0.01),
            agrees("least precise: mean largest fraction", max_z=3.5, resolution=0.01),
            agrees("farthest from theory: variance", max_z=3.5, resolution=0.06),
            agrees("least precise: variance", max_z=3.5, resolution=0.06),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="guess-ten-classes",
        title="Ten classes",
        statement="With ten classes too, the mean share of the favourite class follows from γ alone, by the law of "
        "ten independent nodes.",
        source="arXiv:2505.12096, background on the initial guessing bias (many classes); Francazi et al. 2024",
        notebook="theory/02_guessing",
        rule=all_of(
            agrees("farthest from theory", max_z=3.5, resolution=0.04), agrees("least precise", 3.5, resolution=0.04)
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="guess-images",
        title="The law of the class fraction on real images",
        statement="On real images, correlated and of unequal length, the class fractions of untrained networks follow "
        "the same law, with the γ that their logits show.",
        source="arXiv:2505.12096, experiments on initial predictions; the check by pairs of images is ours",
        notebook="theory/02_guessing",
        rule=all_of(
            between("distance of class fractions, tanh", -math.inf, 0.04),
            between("distance, ReLU", -math.inf, 0.04),
            agrees("farthest from theory: variance from pairs", max_z=4, resolution=0.06),
            agrees("least precise: variance from pairs", max_z=4, resolution=0.06),
            also=between("distance, ReLU, γ as defined", -math.inf, 0.04),
        ),
        expected=Outcome.CAVEAT,
    ),
    Claim(
        id="phases-lines",
        title="Where the lines of the tanh diagram are",
        statement="For tanh the edge of chaos (χ = 1) and the neutrality line (c* = 1/2) divide the plane into an "
        "ordered, a prejudiced and a neutral phase, in which the published training points lie as stated.",
        source="arXiv:2505.12096, phase diagram of tanh; training points of its tanh figure",
        notebook="theory/04_phase_diagrams",
        rule=all_of(
            *(
                exact(f"{line} at σ_b² = {b2}", 1e-8)
                for b2 in (0.01, 0.05, 0.1, 0.2)
                for line in ("edge", "neutrality")
            ),
            *(exact(f"{what} at σ_w² = {w2}", 1e-8) for w2 in (1.59, 2.48, 4.97) for what in ("χ", "c*")),
            *(exact(f"largest class fraction at σ_w² = {w2}", 1e-8) for w2 in (2.48, 4.97)),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="phases-tanh",
        title="Tanh networks are in the phases that the diagram names",
        statement="Finite tanh networks, asked for their phase without use of the theory, name the one of the diagram "
        "everywhere but within 5 % of a line.",
        source="arXiv:2505.12096, phase diagram of tanh; the test is ours",
        notebook="theory/04_phase_diagrams",
        rule=all_of(
            between("farthest disagreement from a line", -math.inf, 0.05),
            between("points in the least visited phase", 2, math.inf),
            also=between("share of points that agree", 0.9, math.inf),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="phases-relu",
        title="ReLU has no neutral phase",
        statement="ReLU networks end with c* = 1 on both sides of the edge at σ_w² = 2, for every σ_b²: in the chaotic "
        "phase signals explode, but inputs do not part relative to them, and there is no neutrality.",
        source="arXiv:2505.12096, phase diagram of ReLU; the proof and the test are ours",
        notebook="theory/04_phase_diagrams",
        rule=all_of(
            exact("networks in which friends part", 0),
            between("largest drift of friends", -math.inf, 0),
            between("farthest disagreement from a line", -math.inf, 0.05),
            also=between("share of points that agree", 0.9, math.inf),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="phases-published",
        title="First guesses at the published training points",
        statement="At the four published training points deep untrained tanh networks give two unrelated inputs the "
        "same answer as often as the theory says: almost always in the ordered phase, least often in the neutral phase.",
        source="arXiv:2505.12096, training figure of tanh (initial values); the measure is ours",
        notebook="theory/04_phase_diagrams",
        rule=all_of(
            *(
                agrees(f"equal answers, {phase.label}", max_z=4, resolution=0.02, slack=0.01)
                for phase in (Phase.ORDERED, Phase.EDGE, Phase.PREJUDICE, Phase.NEUTRALITY)
            )
        ),
        expected=Outcome.REPRODUCED,
    ),
    *(
        Claim(
            id=f"learning-edge-first-{name}",
            title=f"{label}: the edge of chaos learns first",
            statement=f"Of deep {label} networks that differ in the variance of their weights alone, those that start on "
            "the edge of chaos are the first to learn.",
            source="arXiv:2505.12096, abstract and figure of the training dynamics of MLPs",
            notebook="experiments/06_learning",
            rule=greater("hardest rival over edge, log10", 0.0, z=3),
            expected=Outcome.REPRODUCED,
        )
        for name, label in (("tanh", "tanh"), ("relu", "ReLU"))
    ),
    *(
        Claim(
            id=f"learning-bias-absorbed-{name}",
            title=f"{label}: the prejudice of the edge is deep and transient",
            statement=f"A deep {label} network on the edge of chaos starts by giving nearly every image the same class, "
            "and training rids it of this bias sooner than of that of any other phase that starts biased.",
            source="arXiv:2505.12096, abstract and figure of the training dynamics of MLPs",
            notebook="experiments/06_learning",
            rule=all_of(
                between("largest class fraction at the start, edge", 0.95, 1.001),
                greater("hardest rival over edge, log10", 0.0, z=3),
            ),
            expected=Outcome.REPRODUCED,
        )
        for name, label in (("tanh", "tanh"), ("relu", "ReLU"))
    ),
    *(
        Claim(
            id=f"learning-start-predicted-{name}",
            title=f"{label}: the bias at the start is predicted",
            statement=f"The mean largest class fraction of the untrained {label} networks on real images is the one the "
            "theory of infinite width predicts, to within 0.05 in every phase.",
            source="arXiv:2505.12096, phase diagram and figure of the training dynamics of MLPs",
            notebook="experiments/06_learning",
            rule=between("measured minus predicted, worst network", -0.05, 0.05),
            expected=Outcome.REPRODUCED,
        )
        for name, label in (("tanh", "tanh"), ("relu", "ReLU"))
    ),
    *(
        Claim(
            id=f"learning-final-accuracy-{name}",
            title=f"{label}: the edge is ahead at the end",
            statement=f"At the end of training, deep {label} networks that started on the edge of chaos have a higher "
            "test accuracy than those that started in any other phase.",
            source="arXiv:2505.12096, abstract and figure of the training dynamics of MLPs",
            notebook="experiments/06_learning",
            rule=greater("edge minus hardest rival, final accuracy", 0.0, z=3),
            expected=Outcome.REPRODUCED,
        )
        for name, label in (("tanh", "tanh"), ("relu", "ReLU"))
    ),
]
