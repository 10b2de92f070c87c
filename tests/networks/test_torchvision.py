"""initialize_ and diagnose on every classification architecture of torchvision."""

import numpy as np
import pytest
import torch
from torchvision import models

from igbrepro.diagnosis import diagnose
from igbrepro.errors import ParameterError
from igbrepro.initialization import initialize_
from notebooks.ch21_zoo import lab as zoo

NAMES = models.list_models(module=models)
OWN_PARAMETERS = ("convnext", "swin", "maxvit")  # layer scales and tables of positions, which no rule draws


def smallest(name):
    """A fresh model with 10 classes and two inputs of a size that it takes, Inception's auxiliary head included."""
    side = 299 if name == "inception_v3" else zoo.image_side(name, 64)
    return zoo.fresh(name, side, 0, 10), torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_can_be_initialised_and_diagnosed(name):
    model, x = smallest(name)
    if name.startswith(OWN_PARAMETERS):
        says = r'no rule to draw \S+\.(layer_scale|logit_scale|relative_position_bias_table) .*"keep"'
        with pytest.raises(ParameterError, match=says):
            initialize_(model, example_input=x)
    others = "keep" if name.startswith(OWN_PARAMETERS) else "raise"
    initialize_(model, example_input=x, others=others, generator=torch.Generator().manual_seed(0))
    found = diagnose(model, x)
    assert np.isfinite(found.layers["q"]).all() and found.layers["q"].between(1e-4, 1e4).all()
    assert np.isfinite(found.log_growth) and found.phase is not None
    seen = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)}
    fed = found.weights[np.isfinite(found.weights["edge"])]
    aux = {layer for layer in seen if layer.lower().startswith("aux")}
    attention = {layer for layer in seen if layer.endswith("out_proj")}  # inside attention, which is one layer
    tables = {layer for layer in seen if ".cpb_mlp." in layer}  # of Swin's second version: read positions, no inputs
    assert seen - aux - attention - tables <= set(fed["layer"])


def test_the_list_is_long_enough():
    assert len(NAMES) >= 80
