"""Make the README's figure of a diagnosis, by the README's own lines, of a deep plain CNN as PyTorch draws it.

The images are those shipped with the package, so that the same seed gives the same picture everywhere.

    python tools/make_diagnosis_figure.py [OUT.png]
"""

import ast
import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import torch
from torch import Tensor, nn

from igbrepro.data import load
from igbrepro.figures import use_style

ROOT = Path(__file__).parents[1]
OUT = ROOT / "book" / "_assets" / "diagnosis.png"
SEED, CHANNELS, CONVOLUTIONS, N_INPUTS = 0, 32, 31, 100


def patient() -> tuple[nn.Module, Tensor]:
    """A model that does not train, and images."""
    torch.manual_seed(SEED)
    body = [nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.ReLU()) for _ in range(CONVOLUTIONS - 1)]
    stem, head = nn.Conv2d(1, CHANNELS, 3, stride=2), nn.Linear(CHANNELS, 10)
    images = load("fashion-mnist-subset").subset(n_test=N_INPUTS, seed=SEED).inputs("test", flat=False)
    return nn.Sequential(stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head), torch.from_numpy(images)


def readme_lines() -> str:
    """The code block of the README that diagnoses and repairs."""
    (block,) = (part for part in (ROOT / "README.md").read_text().split("```python\n")[1:] if "import diagnose" in part)
    return block.split("```")[0]


def run(model: nn.Module, inputs: Tensor) -> dict:
    """Run these lines; the value of the last one is `figure` in the names that they leave."""
    *first, last = ast.parse(readme_lines()).body
    names = {"model": model, "inputs": inputs}
    exec(compile(ast.Module(first, []), "README.md", "exec"), names)
    return names | {"figure": eval(compile(ast.Expression(last.value), "README.md", "eval"), names)}


if __name__ == "__main__":
    use_style()
    torch.manual_seed(SEED + 1)  # of the weights that initialize_ draws
    run(*patient())["figure"].savefig(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT, dpi=110)
