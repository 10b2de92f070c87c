"""The committed register: every claim once, in the order of the book.

`expected` is what the claim's rule says at the laptop preset. A run that says otherwise stops the build
(`igbrepro.claims.check_register`); change the entry in a commit that says why.
"""

from __future__ import annotations

import math

from igbrepro.claims_cnn import CNN
from igbrepro.claims_cnn_pooling import CNN_POOLING
from igbrepro.claims_pooled import POOLED
from igbrepro.claims_practice import PRACTICE
from igbrepro.claims_residual import RESIDUAL
from igbrepro.claims_start import START
from igbrepro.claims_vit import VIT
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
        statement="In deep layers the mean correlation in finite networks misses the maps by an amount inversely "
        "proportional to the width, and of the size that the curvature of the maps predicts.",
        source="implied by arXiv:2505.12096, mean-field background (limit of infinite width); the first order is ours",
        notebook="theory/01_signals",
        rule=all_of(
            agrees("exponent of the gap", max_z=3, resolution=0.1, slack=0.1),
            agrees("farthest from theory: with first order in 1/width", max_z=4.5, resolution=0.05, slack=0.01),
            agrees("least precise: with first order in 1/width", max_z=4.5, resolution=0.05, slack=0.01),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="signals-scales",
        title="Depth scales of q and c",
        statement="Small deviations of the variance and of the correlation from their fixed points die out "
        "exponentially with depth, over the scales that the slopes of the maps predict, in order and in chaos.",
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
        statement="The mean squared gradient changes by the factor χ from layer to layer, the slope of the covariance "
        "map for equal inputs: it vanishes in the ordered phase and explodes in the chaotic phase.",
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
            also=[
                between("distance, ReLU, γ as defined", -math.inf, 0.04),
                agrees("ten classes, first layer", max_z=3.5, resolution=0.04),
            ],
        ),
        expected=Outcome.CAVEAT,
    ),
    Claim(
        id="bridge-identity",
        title="What no data can refute",
        statement="For any table of numbers, the unbiased γ/(1 + γ) of its rows equals the mean product of different "
        "columns over the mean square; plain estimates exceed it by (1 − c)/n. Agreement of the two is no "
        "evidence.",
        source="ours; it bounds what the numerical checks of the theorem in arXiv:2505.12096 can show",
        notebook="theory/03_two_theories",
        rule=all_of(
            exact("largest gap of the identity", 0.0, atol=1e-9),
            exact("excess of the plain estimates", 1e-6),
            between("spread of c over these tables", 0.2, math.inf),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="bridge-theorem",
        title="c = γ/(1 + γ)",
        statement="In every layer of wide random networks, γ/(1 + γ) from variances and the correlation found by "
        "counting guesses are the c of the mean-field recursion; the gap of finite networks is inversely "
        "proportional to the width.",
        source="arXiv:2505.12096, main theorem",
        notebook="theory/03_two_theories",
        rule=all_of(
            agrees("farthest from theory: c from variances", max_z=4.2, resolution=0.06),
            agrees("least precise: c from variances", max_z=4.2, resolution=0.06),
            agrees("farthest from theory: c from guesses", max_z=4.2, resolution=0.12),
            agrees("least precise: c from guesses", max_z=4.2, resolution=0.12),
            agrees("exponent of the gap", max_z=3, resolution=0.1, slack=0.1),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="bridge-pairs",
        title="One correlation for all pairs",
        statement="The correlations of all pairs of inputs that start alike gather around one value in every layer; "
        "their scatter falls like one over the root of the width.",
        source="arXiv:2505.12096, main theorem (limit of infinite width); the rate is ours",
        notebook="theory/03_two_theories",
        rule=all_of(
            agrees("farthest from theory: exponent of the scatter", max_z=4.2, resolution=0.1, slack=0.05),
            agrees("least precise: exponent of the scatter", max_z=4.2, resolution=0.1, slack=0.05),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="bridge-data",
        title="Average over data and average over weights",
        statement="For correlated inputs, inputs of unequal length and real images too, γ/(1 + γ) measured over the "
        "data is what mean-field theory says of two inputs, averaged over pairs; one trajectory stands for "
        "all of them.",
        source="arXiv:2505.12096, main theorem and its checks on data; the average over all pairs is ours",
        notebook="theory/03_two_theories",
        rule=all_of(
            agrees("farthest from theory: all pairs", max_z=4.2, resolution=0.12),
            agrees("least precise: all pairs", max_z=4.2, resolution=0.12),
            also=agrees("farthest from theory: one trajectory", max_z=4.2, resolution=0.12, slack=0.05),
        ),
        expected=Outcome.CAVEAT,
    ),
    Claim(
        id="bridge-lengths",
        title="Where γ stops, the guesses go on",
        statement="In deep ReLU networks of finite width γ stops growing because the lengths of signals scatter; the "
        "correlations of pairs and the share of the favourite class follow the theory of infinite width.",
        source="ours; a limit of γ in arXiv:2505.12096 as a measure of prejudice",
        notebook="theory/03_two_theories",
        rule=all_of(
            agrees("1 − c from pairs", max_z=3.5, resolution=0.2),
            greater("1 − c from variances", "1 − c from pairs", z=5),
            greater("largest class fraction", "largest fraction if γ were right", z=3),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="phases-lines",
        title="Where the lines of the tanh diagram are",
        statement="For tanh the edge of chaos (χ = 1) and the neutrality line (c* = 1/2) divide the plane into an "
        "ordered, a prejudiced and a neutral phase, in which the published training points lie as stated.",
        source="arXiv:2505.12096, phase diagram of tanh; training points of its tanh figure",
        notebook="theory/04_phase_diagrams",
        rule=all_of(exact("largest relative gap", 0, atol=1e-8), exact("points in the phase stated", 0)),
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
        "same answer as often as the theory says: almost always in the ordered phase, least often in neutrality.",
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
    Claim(
        id="edge-power-laws",
        title="Power laws at the edge of chaos",
        statement="At infinite width and at the edge, one minus the correlation falls like (9π²/2)/(l + 3/2 log l)² "
        "for ReLU and like β/l for tanh with bias vectors, with β = 2 E[φ′²] / (q* E[φ″²]).",
        source="arXiv:2505.12096, transient deep prejudice; Hayou et al. 2019; the constants are derived here",
        notebook="theory/05_edge",
        rule=all_of(
            exact("ReLU: κ", 1e-3), exact("ReLU: coefficient of log l", 0.03), exact("tanh: fitted β / derived β", 1e-3)
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="edge-phases",
        title="Transient at the edge, exponential in order, finite in chaos",
        statement="In tanh networks γ grows with depth as the power law at the edge, exponentially with the predicted "
        "depth scale in the ordered phase, and stops at its fixed point in the chaotic phases.",
        source="arXiv:2505.12096, phases of the initial guessing bias",
        notebook="theory/05_edge",
        rule=all_of(
            *(
                agrees(f"{which}: {phase}", max_z=4.2, resolution=0.05, slack=0.01)
                for phase in ("edge", "ordered", "chaotic")
                for which in ("farthest from theory", "least precise")
            )
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="edge-fractions",
        title="The largest class fraction, layer by layer",
        statement="In tanh networks of every phase and ReLU networks at the edge the mean largest class fraction "
        "follows 1/2 + arcsin(√c)/π in every layer: to one quickly in order, slowly at the edge, not at all in chaos.",
        source="arXiv:2505.12096, initial guessing bias and its phases",
        notebook="theory/05_edge",
        rule=all_of(
            agrees("farthest from theory", max_z=4.2, resolution=0.02, slack=0.005),
            agrees("least precise", max_z=4.2, resolution=0.02, slack=0.005),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="edge-odd",
        title="No deep prejudice at the end of the edge of tanh",
        statement="For tanh without bias vectors at σ_w² = 1 the signal dies like 1/(2l) and the correlation tends to "
        "a limit that depends on the start: there the edge carries no growing prejudice, though χ = 1.",
        source="an exception to arXiv:2505.12096, transient deep prejudice at the edge; found here",
        notebook="theory/05_edge",
        rule=all_of(
            exact("2 l q_l in the last layer", 0.01),
            exact("fall of log(odds of c) / fall of q", 0.03),
            between("spread of c over starts, without bias vectors", 0.5, 1),
            between("spread of c over starts, with bias vectors", -0.01, 0.01),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="edge-width-gap",
        title="Finite width caps γ",
        statement="In ReLU networks at the edge the mean of γ/(1+γ) falls short of infinite width by K_l/N, with "
        "numbers K_l that follow from the maps and tend to 10.65, so γ saturates near N/K instead of growing as l².",
        source="finite-width limit of arXiv:2505.12096, transient deep prejudice; found here",
        notebook="theory/05_edge",
        rule=all_of(
            agrees("farthest from theory", max_z=4.2, resolution=0.25, slack=0.05),
            agrees("least precise", max_z=4.2, resolution=0.25, slack=0.05),
            agrees("K in the last layer", max_z=4, resolution=0.03, slack=0.05),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="edge-cap",
        title="The cap on γ is no cap on the prejudice",
        statement="Where finite width has capped γ of ReLU networks, their largest class fraction still follows "
        "infinite width: what is capped are differences of signal length, which change no guess.",
        source="finite-width limit of arXiv:2505.12096, transient deep prejudice; found here",
        notebook="theory/05_edge",
        rule=all_of(
            agrees("mean largest class fraction", max_z=4, resolution=0.005, slack=0.01),
            greater("mean largest class fraction", "what the mean of 1/(1+γ) implies", z=5),
            between("γ / γ of infinite width", 0, 0.5),
        ),
        expected=Outcome.REPRODUCED,
    ),
    *(
        Claim(
            id=f"learning-edge-first-{name}",
            title=f"{label}: the edge of chaos learns first",
            statement=f"Of deep {label} networks that differ in the variance of their weights alone, those that start "
            "on the edge of chaos are the first to learn.",
            source="arXiv:2505.12096, abstract and figure of the training dynamics of MLPs",
            notebook="experiments/06_learning",
            rule=greater("hardest rival over edge, log10", 0.0, z=2),
            expected=Outcome.REPRODUCED,
        )
        for name, label in (("tanh", "tanh"), ("relu", "ReLU"))
    ),
    *(
        Claim(
            id=f"learning-bias-absorbed-{name}",
            title=f"{label}: the prejudice of the edge is deep and transient",
            statement=f"A deep {label} network on the edge of chaos starts by giving nearly every image the same "
            "class, and training rids it of this bias sooner than of that of any other phase that starts biased.",
            source="arXiv:2505.12096, abstract and figure of the training dynamics of MLPs",
            notebook="experiments/06_learning",
            rule=all_of(
                between("largest class fraction at the start, edge", 0.9, 1.0),
                greater("hardest rival over edge, log10", 0.0, z=2),
            ),
            expected=Outcome.REPRODUCED,
        )
        for name, label in (("tanh", "tanh"), ("relu", "ReLU"))
    ),
    *(
        Claim(
            id=f"learning-start-predicted-{name}",
            title=f"{label}: the bias at the start is predicted",
            statement=f"The mean largest class fraction of the untrained {label} networks on real images is the one "
            "the theory of infinite width predicts, to within 0.05 in every phase.",
            source="arXiv:2505.12096, phase diagram and figure of the training dynamics of MLPs",
            notebook="experiments/06_learning",
            rule=between("measured minus predicted, worst network", -0.05, 0.05),
            expected=Outcome.REPRODUCED,
        )
        for name, label in (("tanh", "tanh"), ("relu", "ReLU"))
    ),
    Claim(
        id="learning-final-accuracy-tanh",
        title="tanh: the edge is ahead at the end",
        statement="At the end of training, deep tanh networks that started on the edge of chaos have a higher test "
        "accuracy than those that started in any other phase.",
        source="arXiv:2505.12096, abstract and figure of the training dynamics of MLPs",
        notebook="experiments/06_learning",
        rule=greater("edge minus hardest rival, final accuracy", 0.0, z=3),
        expected=Outcome.NOT_RUN,
    ),
]

REGISTER += POOLED + CNN + CNN_POOLING + RESIDUAL + VIT + START + PRACTICE
