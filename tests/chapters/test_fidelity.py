"""The paper preset of a chapter that repeats an experiment has the paper's own settings, or its page says which not.

Settings are those of the paper's published code and configurations and, where these are silent, of its figures.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from igbrepro.publishing import notebook_path, resolve_parameters


@dataclass(frozen=True)
class Experiment:
    """One experiment of the paper and the chapter that repeats it.

    settings: what the paper has, by the names of the chapter's parameters.
    differs: everything that the paper preset has otherwise, by the name of the parameter or in a few words, with the
        words by which the page says so.
    """

    chapter: str
    settings: dict[str, Any]
    differs: dict[str, str] = field(default_factory=dict)


MLP = {
    "depth": 100,
    "width": 1000,
    "batch_size": 100,
    "steps": 10_000,
    "sigma_b2": 0.1,
    "precision": "bfloat16",
}
FASHION = {"dataset": "fashion-mnist", "labels": "parity", "scaling": "standard", "lr": 1e-7, "n_eval": 10_000}
DRAWN_AGAIN = "the paper's code draws them until the largest class fraction is within 0.05"
PAPER = {
    "tanh MLP, binarised Fashion-MNIST": Experiment(
        "ch06_learning",
        MLP | FASHION | {"tanh_ratios": [0.8, 1.0, 1.25, 2.5], "tanh_shares": [1.0, 1.0, 0.89, 0.585]},
    ),
    "ReLU MLP, binarised Fashion-MNIST": Experiment(
        "ch06_learning",
        MLP | FASHION | {"relu_ratios": [0.75, 1.0, 1.25]},
        {"starts are as they are drawn": "those of ReLU are not told"},
    ),
    "MLPs, CIFAR-10": Experiment(
        "ch11_deep_cnns",
        {"dataset": "cifar10", "labels": "classes", "sigma_b2": 0.1, "precision": "bfloat16", "n_eval": 10_000}
        | {f"mlp_{name}": MLP[name] for name in ("depth", "width", "batch_size", "steps")}
        | {"mlp_lr": 1e-5, "mlp_tanh_ratios": [0.8, 1.0, 1.25, 2.5], "mlp_relu_ratios": [0.75, 1.0, 1.5]},
        {"starts are as they are drawn": DRAWN_AGAIN},
    ),
    "residual MLPs, binarised Fashion-MNIST": Experiment(
        "ch14_residual_mlps",
        {"dataset": "fashion-mnist", "precision": "bfloat16"}
        | {f"paper_{name}": MLP[name] for name in ("depth", "width", "batch_size", "steps", "sigma_b2")}
        | {"paper_lr": 1e-7, "paper_n_eval": 10_000}
        | {"paper_tanh_ratios": [0.8, 1.0, 1.25, 2.5], "paper_relu_ratios": [0.75, 1.0, 1.25]},
        {"starts are as they are drawn": "draws each start again until its largest class fraction is within 0.05"},
    ),
    "simplified vision transformer, CIFAR-10 and binarised CIFAR-10": Experiment(
        "ch15_vision_transformers",
        {
            "dataset": "cifar10",
            "ratios": [0.7, 1.0, 1.3],
            "patch": 4,
            "depth": 20,
            "width": 300,
            "heads": 1,
            "mlp_ratio": 1,
            "batch_size": 100,
            "steps": 10_000,
            "lr": 1e-5,
            "precision": "bfloat16",
            "n_eval": 10_000,
        },
        {
            "bias vectors of attention": "queries, keys and values have none, and those of the output start as PyTorch",
            "starts are as they are drawn": DRAWN_AGAIN,
            "n_eval": "tested on at most 2,000 images, in the paper on all 10,000",
            "statistics of test images": "in the paper by running ones",
        },
    ),
    "pre-trained vision transformer, CIFAR-100": Experiment(
        "ch16_pretrained",
        {
            "pretrained": "vit_l_16",
            "dataset": "cifar100",
            "sigma_w2": [0.5, 1.0, 1.5],
            "steps": 1000,
            "lr": 1e-3,
            "weight_decay": 0.05,
            "precision": "bfloat16",
            "n_eval": 10_000,
        },
        {
            "images of 224 pixels": "the weights are torchvision's, for images of 224 pixels; the paper's are timm's",
            "no stochastic depth": "no branch is dropped at random while the head is trained",
            "starts are as they are drawn": DRAWN_AGAIN,
            "size of batches": "the one of this experiment is not among them",
        },
    ),
    "class of CNN": Experiment(
        "ch11_deep_cnns",
        {"channels": 300, "depth": 100, "strides": [1, 2, 2]},
        {
            "padding of the first three, fan-in": "with circular padding and the fan-in throughout",
            "training": "No settings of a training come with the class: those are ours",
        },
    ),
    "ResNet": Experiment(
        "ch13_resnets", {}, {"training": "neither it nor the reviews train one, so that all settings here are ours"}
    ),
}


def text_of(chapter: str) -> str:
    """What the page says, in one line."""
    cells = json.loads(notebook_path(chapter).read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("name", PAPER)
def test_the_paper_preset_has_the_settings_of_the_paper_but_for_what_is_listed(name):
    experiment = PAPER[name]
    _, ours = resolve_parameters(experiment.chapter, "paper")
    assert experiment.settings.keys() <= ours.keys()
    found = {parameter for parameter, value in experiment.settings.items() if ours[parameter] != value}
    assert found == experiment.differs.keys() & experiment.settings.keys()


@pytest.mark.parametrize(
    ("chapter", "words"),
    [(one.chapter, words) for one in PAPER.values() for words in one.differs.values()],
)
def test_the_page_says_what_differs(chapter, words):
    assert words in text_of(chapter)


def test_weights_of_the_pre_trained_network_are_multiplied_by_the_roots():
    said = re.search(r"factors of ([\d.]+), (\d) and ([\d.]+)\.", text_of("ch16_pretrained"))
    assert said and [round(value**0.5, 3) for value in PAPER_SIGMA_W2] == [float(one) for one in said.groups()]


PAPER_SIGMA_W2 = PAPER["pre-trained vision transformer, CIFAR-100"].settings["sigma_w2"]
