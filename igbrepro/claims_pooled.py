"""The register, continued: claims on pooled layers, gradients and residual layers; see claims_register."""

from __future__ import annotations

import math

from igbrepro.results import Outcome
from igbrepro.rules import Claim, agrees, all_of, between, exact, greater

POOLED: list[Claim] = [
    Claim(
        id="pool-maps",
        title="Maps of pooled layers",
        statement="In the first layers of wide random networks with max- or average-pooling over 2, 3, 4 or 9 nodes "
        "after ReLU or tanh, variance and correlation are those of the maps of a multi-node activation.",
        source="arXiv:2505.12096, section on multi-node activations; windows of more than two nodes are ours",
        notebook="theory/07_pooling",
        rule=all_of(
            agrees("farthest from theory: variance", max_z=4.3, resolution=0.02, slack=0.005),
            agrees("least precise: variance", max_z=4.3, resolution=0.02, slack=0.005),
            agrees("farthest from theory: correlation", max_z=4.3, resolution=0.02, slack=0.005),
            agrees("least precise: correlation", max_z=4.3, resolution=0.02, slack=0.005),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="pool-constants",
        title="Published values for pooled ReLU",
        statement="ReLU networks with pools of two nodes keep the variance of the signal at σ_w² = 4π/(3π + 2) "
        "(maximum) and 4π/(π + 1) (average).",
        source="arXiv:2505.12096, section on multi-node activations (critical values of ReLU with pooling)",
        notebook="theory/07_pooling",
        rule=all_of(
            exact("max of two", 1e-12),
            exact("average of two", 1e-12),
            exact("largest relative gap", 0, atol=1e-9),
            agrees("growth a layer, max of two", max_z=3.5, resolution=0.004),
            agrees("growth a layer, average of two", max_z=3.5, resolution=0.004),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="pool-neutral-average",
        title="Averaging stretches the tanh diagram",
        statement="Tanh with average-pooling over k nodes has its neutrality line at k times the σ_w² of plain tanh, "
        "and networks beside it have the correlation of plain tanh at σ_w²/k.",
        source="arXiv:2505.12096, phase diagram of tanh with average-pooling; the exact factor k is ours",
        notebook="theory/07_pooling",
        rule=all_of(
            exact("line over k times the plain line, less 1", 0, atol=1e-9),
            between("smallest c left of the line", 0.5, math.inf),
            between("largest c right of the line", -math.inf, 0.5),
            agrees("farthest from theory", max_z=4, resolution=0.02, slack=0.005),
            agrees("least precise", max_z=4, resolution=0.02, slack=0.005),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="pool-neutral-max-of-two",
        title="A maximum of two is neutral far out",
        statement="Tanh with max-pooling over two nodes has a neutral phase at very large σ_w², beyond about 40 at "
        "σ_b² = 0.1.",
        source="ours; a limit of the statement on max-pooling in arXiv:2505.12096",
        notebook="theory/07_pooling",
        rule=all_of(
            exact("variance after one layer over before", 1e-8),
            exact("correlation after 1/2", 1e-7),
            between("c at half the line", 0.5, math.inf),
            between("c at twice the line", -math.inf, 0.5),
            agrees("farthest from theory", max_z=4, resolution=0.015, slack=0.005),
            agrees("least precise", max_z=4, resolution=0.015, slack=0.005),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="pool-no-neutral-max",
        title="No neutral phase with max-pooling",
        statement="Networks with max-pooling after tanh or ReLU have no neutral phase: the correlation stays above "
        "1/2 for σ_w² up to 5, and anywhere for windows of three to nine nodes.",
        source="arXiv:2505.12096, section on multi-node activations; the proof and its limits are ours",
        notebook="theory/07_pooling",
        rule=all_of(
            between("smallest c in the diagram", 0.5, math.inf),
            agrees("farthest from theory: prejudice in the diagram", max_z=5, resolution=0.02, slack=0.01),
            agrees("least precise: prejudice in the diagram", max_z=5, resolution=0.02, slack=0.01),
            between("smallest c, windows of three and more", 0.5, math.inf),
            between("smallest c, pooled ReLU", 0.5, math.inf),
            between("least c of theory, windows of three and more", 0.5, math.inf),
            also=between("correlation after 1/2, k = 2, infinite weights", 0.5, math.inf),
        ),
        expected=Outcome.CAVEAT,
    ),
    Claim(
        id="signal-published-keeps-variance",
        title="Pooled ReLU: the published values keep the signal",
        statement="ReLU networks with pools over two nodes keep the variance of their signals at σ_w² = 4π/(π+1) "
        "(average) and 4π/(3π+2) (max).",
        source="arXiv:2505.12096, critical values of pooled ReLU networks",
        notebook="theory/08_signal_or_gradient",
        rule=all_of(
            *(exact(f"{name}: σ_w² that keeps the signal", 1e-9) for name in ("average", "max")),
            *(agrees(f"{name}: growth of the variance per layer", 4, 0.01) for name in ("average", "max")),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="signal-published-edge",
        title="Pooled ReLU: the published values are the edge of chaos",
        statement="At the same two values gradients neither vanish nor explode: their mean square is kept from layer "
        "to layer, to within one per cent.",
        source="arXiv:2505.12096, critical values of pooled ReLU networks, there called the edge of chaos",
        notebook="theory/08_signal_or_gradient",
        rule=all_of(
            *(
                agrees(f"{name}: growth of the squared gradient per layer", 4, 0.01, slack=0.01)
                for name in ("average", "max")
            )
        ),
        expected=Outcome.NOT_REPRODUCED,
    ),
    Claim(
        id="signal-gradient-ratio",
        title="Pooled ReLU: signal or gradient",
        statement="In ReLU networks with pools over two independent nodes the growth of squared gradients over the "
        "growth of the variance is π/(π+1) (average) and 3π/(3π+2) (max), whatever σ_w² is: at the value that keeps "
        "the one the other is not kept, by just that factor per layer (up to a derived correction in 1/width).",
        source="ours; not in arXiv:2505.12096",
        notebook="theory/08_signal_or_gradient",
        rule=all_of(agrees("farthest from theory", 4, 0.01), agrees("least precise", 4, 0.01)),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="signal-floor",
        title="A floor under vanishing gradients",
        statement="In bias-free homogeneous networks the gradient of a logit has a part along the signal that does not "
        "vanish with depth: mean squared gradients level off at a derived value of order 1/width, above what they are "
        "for a read-out that has no such part.",
        source="ours; not in arXiv:2505.12096",
        notebook="theory/08_signal_or_gradient",
        rule=all_of(
            between("Euler's identity: largest |h·δ/f − 1|", 0, 1e-9),
            agrees("farthest from theory", 4, 0.25),
            agrees("least precise", 4, 0.25),
            *(
                greater(f"{name}: naive growth per layer", f"{name}: growth above the floor", 4)
                for name in ("average", "max")
            ),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="signal-windows",
        title="Windows of correlated nodes",
        statement="In ReLU networks with pools over two nodes of correlation ρ, variances and the distances of near "
        "inputs grow by the closed forms in ρ, which lead from the values of independent nodes to the 2 of plain ReLU.",
        source="ours; arXiv:2505.12096 treats independent nodes",
        notebook="theory/08_signal_or_gradient",
        rule=all_of(
            *(
                agrees(f"{which}: {what}", 4, 0.01, slack=0.002)
                for which in ("farthest from theory", "least precise")
                for what in ("growth of the variance", "growth of the distance of near inputs")
            )
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="gradients-chi",
        title="χ is the gradient multiplier, with and without pools",
        statement="From each layer to the one below, mean squared gradients in random networks change by the "
        "predicted χ, for tanh and ReLU, in every phase, without pools and with max- and average-pools.",
        source="arXiv:2505.12096, mean-field background and multi-node activations; measured above the floor",
        notebook="theory/09_gradients",
        rule=all_of(
            agrees("farthest from theory: single layers", max_z=4.8, resolution=0.05, slack=0.015),
            agrees("least precise: single layers", max_z=4.8, resolution=0.05, slack=0.015),
            agrees("farthest from theory: mean over layers", max_z=4, resolution=0.01, slack=0.015),
            agrees("least precise: mean over layers", max_z=4, resolution=0.01, slack=0.015),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="gradients-phases",
        title="Gradients vanish, stay or explode by phase",
        statement="On real images the gradients of the loss at initialisation vanish with depth in the ordered phase, "
        "keep their size at the edge of chaos and explode beyond it, at the predicted rate.",
        source="arXiv:2505.12096, figure of gradients by class over depth",
        notebook="theory/09_gradients",
        rule=all_of(
            *(between(f"{name}, ordered: factor a layer", 0, 0.97) for name in ("tanh", "relu")),
            *(between(f"{name}, edge: factor a layer", 0.95, 1.05) for name in ("tanh", "relu")),
            *(
                between(f"{name}: factor a layer", 1.03, math.inf)
                for name in ("tanh, prejudice", "tanh, neutrality", "relu, chaotic-deep")
            ),
            agrees("farthest from theory", max_z=4, resolution=0.01, slack=0.01),
            agrees("least precise", max_z=4, resolution=0.01, slack=0.01),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="gradients-one-class",
        title="In the chaotic-deep phase gradients explode for one class only",
        statement="In deep chaotic ReLU networks the first-layer gradients of images of the class that is not "
        "favoured grow with depth, and those of the favoured class do not.",
        source="arXiv:2505.12096, figure of gradients by class over depth",
        notebook="theory/09_gradients",
        rule=all_of(
            greater("unfavoured class, median network: log10 growth", 0.0, z=3),
            greater("unfavoured class, mean over networks: log10 growth", 0.0, z=3),
            between("favoured class, median network: log10 growth", -math.inf, 0),
            also=between("favoured class, mean over networks: log10 growth", -math.inf, 0),
        ),
        expected=Outcome.CAVEAT,
    ),
    Claim(
        id="gradients-error-law",
        title="The law of the two errors",
        statement="The mean squared error signals of the favoured and of the other class are those of Gaussian "
        "logits, in the mean over networks and in their median, in every phase.",
        source="ours; it follows from the theory of the guessing bias, arXiv:2505.12096",
        notebook="theory/09_gradients",
        rule=all_of(
            agrees("farthest from theory: mean error", max_z=4, resolution=0.1, slack=0.03),
            agrees("least precise: mean error", max_z=4, resolution=0.1, slack=0.03),
            agrees("farthest from theory: share above the median", max_z=4, resolution=0.1, slack=0.03),
            agrees("least precise: share above the median", max_z=4, resolution=0.1, slack=0.03),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="residual-maps",
        title="Layer maps of residual networks",
        statement="In residual networks with ReLU and tanh, scaled by one over the root of the depth or not, the "
        "variance and the correlation of signals follow two maps in which each layer adds to the layer before, and "
        "γ/(1 + γ) is that correlation.",
        source="ours for γ, carrying the theorem of arXiv:2505.12096 over to residual layers; maps: Yang & "
        "Schoenholz 2017, for networks closely related",
        notebook="theory/10_residual",
        rule=all_of(
            *(
                agrees(f"{which}: {what}", max_z=4.2, resolution=0.05, slack=0.015)
                for what in ("variance", "correlation of pairs", "γ/(1+γ)")
                for which in ("farthest from theory", "least precise")
            )
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="residual-gradients",
        title="χ of a residual layer is one more than that of its block",
        statement="In residual networks the mean squared gradient grows from layer to layer by the factor 1 + r² σ_w² "
        "E[φ′²], at every σ_w², with r the scale of the block.",
        source="ours in this form; Yang & Schoenholz 2017 for networks closely related",
        notebook="theory/10_residual",
        rule=all_of(
            agrees("farthest from theory", max_z=4.2, resolution=0.12, slack=0.02),
            agrees("least precise", max_z=4.2, resolution=0.12, slack=0.02),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="residual-no-ordered",
        title="Residual networks have no ordered phase",
        statement="Over a range of σ_w² in which the gradients of plain networks vanish, or explode, those of residual "
        "networks never vanish, and no prejudice grows faster than as a power of depth.",
        source="ours; computed for the phases of arXiv:2505.12096 with residual layers",
        notebook="theory/10_residual",
        rule=all_of(
            greater("smallest growth of gradients, residual", 0.0, z=3),
            between("smallest growth of gradients, plain", -math.inf, -2.0),
            between("largest power of γ, residual", -1.0, 2.05),
            greater("largest power of γ, plain", 5.0),
            agrees("farthest from theory: 1 − c at the head", max_z=4.2, resolution=0.2, slack=0.03),
            agrees("least precise: 1 − c at the head", max_z=4.2, resolution=0.2, slack=0.03),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="residual-power-law",
        title="Transient deep prejudice at every σ_w²",
        statement="In residual ReLU networks without bias one minus the correlation falls like κ/l², κ = (9π²/2) "
        "((1 + a)/a)² with a = r² σ_w²/2: the law of plain ReLU in depths of l a/(1 + a).",
        source="ours",
        notebook="theory/10_residual",
        rule=all_of(
            exact("infinite width: κ / derived κ", 1e-3),
            exact("infinite width: coefficient of log l", 0.1),
            agrees("networks: κ", max_z=4, resolution=0.15, slack=0.05),
            agrees("networks: 1 − c in the last layer", max_z=4, resolution=0.1, slack=0.02),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="residual-scaled-limit",
        title="Scaled residual networks have a prejudice that depth hardly changes",
        statement="With blocks scaled by one over the root of the depth, γ at the head tends to a finite limit as the "
        "depth grows, set by σ_w²; the limit is that of a differential equation, missed by an amount of order 1/depth.",
        source="ours",
        notebook="theory/10_residual",
        rule=all_of(
            exact("order of the gap in 1/depth", 0.05),
            agrees("farthest from theory: networks", max_z=4.2, resolution=0.1, slack=0.02),
            agrees("least precise: networks", max_z=4.2, resolution=0.1, slack=0.02),
            agrees("farthest from theory: deepest networks against the limit", 4.2, resolution=0.06, slack=0.04),
            greater("growth of γ with depth, unscaled", 1.5),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="residual-tanh",
        title="Where unscaled residual tanh networks end",
        statement="At infinite width the correlation in residual tanh networks tends, as a power of depth, to the "
        "fixed point of the map of the sign function, which is below 1/2 where σ_w² exceeds 3 σ_b² (followed to the "
        "end on erf, a step whose maps are closed forms); squared gradients grow like the exponential of the root of "
        "the depth.",
        source="ours for the limit and the constants; that growth is below exponential: Yang & Schoenholz 2017",
        notebook="theory/10_residual",
        rule=all_of(
            exact("gradients: coefficient of √L / derived", 3e-3),
            exact("gradients: coefficient of log L / derived", 0.05),
            exact("limit of c / derived", 0.03),
            exact("power of depth without bias", 0.01),
        ),
        expected=Outcome.REPRODUCED,
    ),
]
