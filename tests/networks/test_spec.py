"""What makes an object the description of a network, and what the door of the room loads."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, Spec, TorchvisionSpec, ViTSpec, build


@dataclass(frozen=True)
class OneLayer:
    """An architecture that the package does not know."""

    activation: str = "linear"
    n_classes: int = 3
    input_shape: tuple[int, ...] = (4,)
    depth: int = 1

    def module(self) -> nn.Linear:
        return nn.Linear(self.input_shape[0], self.n_classes)


def test_an_architecture_of_ones_own_needs_no_list():
    weights = [build(OneLayer(), InitSpec(2.0), torch.Generator().manual_seed(1)).weight for _ in range(2)]
    assert weights[0].shape == (3, 4) and torch.equal(*weights)
    assert isinstance(build(OneLayer()), nn.Linear)


@pytest.mark.parametrize("kind", [MLPSpec, CNNSpec, ResNetSpec, ViTSpec, TorchvisionSpec])
def test_every_description_is_one_and_its_class_is_none(kind):
    given = {MLPSpec: ("relu", 3, 8), CNNSpec: ("relu", 3, 8), TorchvisionSpec: ("resnet18",)}
    spec = kind(*given.get(kind, ()))
    assert isinstance(spec, Spec)
    with pytest.raises(ParameterError, match=rf"spec=<class .*{kind.__name__}'>: need the description of a network"):
        build(kind)


@pytest.mark.parametrize("other", ["cnn", None, nn.Linear(2, 2), {"depth": 3}], ids=lambda v: type(v).__name__)
def test_other_objects_are_refused_in_words(other):
    with pytest.raises(ParameterError, match=r"spec=.*: need the description of a network.*such as MLPSpec\("):
        build(other)


def test_descriptions_need_no_torch():
    code = (
        "import sys, igbrepro.networks as n; n.CNNSpec('relu', 3, 8).sizes; n.MLPSpec('tanh', 3, 8); n.ResNetSpec();"
        "n.ViTSpec(); n.TorchvisionSpec('resnet18').depth; "
        "found = {'torch', 'torchvision'} & set(sys.modules); assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
