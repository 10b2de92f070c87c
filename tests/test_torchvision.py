"""initialize_ and diagnose on every classification architecture of torchvision."""

import numpy as np
import pytest
import torch
from torchvision import models

from igbrepro.diagnosis import diagnose
from igbrepro.errors import ParameterError
from igbrepro.initialization import initialize_

NAMES = models.list_models(module=models)
OWN_PARAMETERS = ("convnext", "swin", "maxvit")  # layer scales and tables of positions, which no rule draws


def smallest(name):
    """A fresh model with 10 classes and two inputs of a size that it takes."""
    settings, size = {}, 64
    if name.startswith("vit"):
        size = settings["image_size"] = 2 * int(name.split("_")[-1])
    if name in ("googlenet", "inception_v3"):
        settings["init_weights"] = False
    size = {"inception_v3": 299, "maxvit_t": 224}.get(name, size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.get_model(name, num_classes=10, **settings)
    return model, torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


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
