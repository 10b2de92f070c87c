"""Chapter 6 judges three seeds by Student's t, milestones by what the spacing of the evaluations leaves open too."""

import ast
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from igbrepro.claims import Outcome, closest_rival, over_seeds
from igbrepro.publishing import notebook_path
from igbrepro.theory import Phase
from igbrepro.training import log_ratios
from notebooks.ch06_learning import claims

TWO_SIGMA = math.erf(math.sqrt(2))
NETWORKS = ["tanh 1", "tanh 0.8", "tanh 2.5"]
SPACE = {
    "at_edge": {"tanh": "tanh 1"},
    "off_edge": {"tanh": NETWORKS[1:]},
    "phases": dict(zip(NETWORKS, (Phase.EDGE, Phase.ORDERED, Phase.NEUTRALITY), strict=True)),
    "steps": 300,
    "grid": 0.1,
    "over_seeds": over_seeds,
    "log_ratios": log_ratios,
}


def function(name: str, **space):
    """The function of that name as the notebook defines it, in a namespace of our own."""
    cells = json.loads(notebook_path("ch06_learning").read_text(encoding="utf-8"))["cells"]
    trees = (ast.parse("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code")
    found = next(
        node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name
    )
    space = SPACE | space
    exec(compile(ast.Module([found], []), name, "exec"), space)
    return space[name]


def half_interval(values) -> float:
    low, high = stats.t.interval(TWO_SIGMA, len(values) - 1, np.mean(values), stats.sem(values))
    return (high - low) / 2


TIMES = pd.DataFrame([[10.0, 10, 10], [20, 40, 30], [np.inf] * 3], index=NETWORKS)


def test_leads_in_time_carry_the_error_of_three_seeds_and_of_the_spacing():
    ordered, neutral = function("against_edge")(TIMES, "tanh", NETWORKS[1:])
    logs = np.log10([2, 4, 3])
    assert ordered.value == pytest.approx(logs.mean())
    assert ordered.margin(2) == pytest.approx(math.hypot(half_interval(logs), 2 * 0.1 / math.sqrt(6)))
    assert neutral.value == pytest.approx(math.log10(30))  # the horizon: a lower bound
    assert neutral.std_error == pytest.approx(0.1 / math.sqrt(6))


def test_the_rival_that_is_least_sure_decides():
    """Rivals 1.0 +- 0.4 and 0.10 +- 0.09: ranked by three errors the first would speak for both, and say yes."""
    sure = over_seeds("far", [1.0, 1.0, 1.0], rounding=0.4 * math.sqrt(6))
    close = over_seeds("near", [0.1, 0.1, 0.1], rounding=0.09 * math.sqrt(6))
    found = closest_rival(claims.RIVAL_OVER_EDGE, [sure, close])
    outcome, reason = claims.LEARNING_EDGE_FIRST["tanh"].rule({m.name: m for m in found})
    assert found[0].note.startswith("near") and outcome is Outcome.UNDECIDED and "0.100 ± 0.090" in reason
