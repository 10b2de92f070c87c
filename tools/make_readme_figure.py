"""Make the figure of the README and of the book's first page: where the weights start, and what the network then says.

The four points are those of the paper's training figure (tanh, sigma_b2 = 0.1), with the edge of chaos at its exact
place. The same seed gives the same picture; it takes two to three minutes.

    python tools/make_readme_figure.py [OUT.png]
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")

from igbrepro.ensembles import Measure, gaussian_inputs, simulate
from igbrepro.figures import overview, use_style
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.theory import TANH, Phase, critical_sigma_w2

SEED, SIGMA_B2, DEPTH, WIDTH, N_INPUTS, N_NETWORKS = 12, 0.1, 100, 1000, 300, 12
OUT = Path(__file__).parents[1] / "book" / "_assets" / "readme.png"


def main(out: Path) -> None:
    use_style()
    sigma_w2 = {
        Phase.ORDERED: 1.59,
        Phase.EDGE: float(critical_sigma_w2(TANH, SIGMA_B2)),
        Phase.PREJUDICE: 2.48,
        Phase.NEUTRALITY: 4.97,
    }
    spec = MLPSpec(TANH, depth=DEPTH, width=WIDTH)
    inputs = gaussian_inputs(N_INPUTS, spec.input_size, SEED, exact=True)
    measure = Measure(n_heads=WIDTH // 2, heads_at_every_layer=True)
    results = {
        phase: simulate(spec, InitSpec(w2, SIGMA_B2), inputs, n_networks=N_NETWORKS, seed=SEED + phase, measure=measure)
        for phase, w2 in sigma_w2.items()
    }
    fig = overview(results)
    fig.savefig(out, dpi=190, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
