"""Claims of chapter 4, phase diagrams."""

from __future__ import annotations

import math

from igbrepro.claims import Claim, agrees, all_of, between, exact
from igbrepro.theory import Phase

# Names of measurements, as the notebook gives them.
LARGEST_GAP = "largest relative gap"
POINTS_AS_STATED = "points in the phase stated"
LEAST_VISITED = "points in the least visited phase"
FRIENDS_PART = "networks in which friends part"
FRIENDS_DRIFT = "largest drift of friends"
POINTS_AGREE = "share of points that agree"
FARTHEST = "farthest disagreement from a line"


def equal_answers(phase: Phase) -> str:
    """How often two inputs get the same answer at the published point of a phase."""
    return f"equal answers, {phase.label}"


PHASES_LINES = Claim(
    id="phases-lines",
    title="Where the lines of the tanh diagram are",
    statement="For tanh the edge of chaos (χ = 1) and the neutrality line (c* = 1/2) divide the plane into an "
    "ordered, a prejudiced and a neutral phase, in which the published training points lie as stated.",
    source="arXiv:2505.12096, phase diagram of tanh; training points of its tanh figure",
    rule=all_of(exact(LARGEST_GAP, 0, atol=1e-8), exact(POINTS_AS_STATED, 0)),
)


PHASES_TANH = Claim(
    id="phases-tanh",
    title="Tanh networks are in the phases that the diagram names",
    statement="Finite tanh networks, asked for their phase without use of the theory, name the one of the diagram "
    "everywhere but within 5 % of a line.",
    source="arXiv:2505.12096, phase diagram of tanh; the test is ours",
    rule=all_of(
        between(FARTHEST, -math.inf, 0.05),
        between(LEAST_VISITED, 2, math.inf),
        also=between(POINTS_AGREE, 0.9, math.inf),
    ),
)


PHASES_RELU = Claim(
    id="phases-relu",
    title="ReLU has no neutral phase",
    statement="ReLU networks end with c* = 1 on both sides of the edge at σ_w² = 2, for every σ_b²: in the chaotic "
    "phase signals explode, but inputs do not part relative to them, and there is no neutrality.",
    source="arXiv:2505.12096, phase diagram of ReLU; the proof and the test are ours",
    rule=all_of(
        exact(FRIENDS_PART, 0),
        between(FRIENDS_DRIFT, -math.inf, 0),
        between(FARTHEST, -math.inf, 0.05),
        also=between(POINTS_AGREE, 0.9, math.inf),
    ),
)


PHASES_PUBLISHED = Claim(
    id="phases-published",
    title="First guesses at the published training points",
    statement="At the four published training points deep untrained tanh networks give two unrelated inputs the "
    "same answer as often as the theory says: almost always in the ordered phase, least often in neutrality.",
    source="arXiv:2505.12096, training figure of tanh (initial values); the measure is ours",
    rule=all_of(
        *(
            agrees(equal_answers(phase), max_z=4, resolution=0.02, slack=0.01)
            for phase in (Phase.ORDERED, Phase.EDGE, Phase.PREJUDICE, Phase.NEUTRALITY)
        )
    ),
)
