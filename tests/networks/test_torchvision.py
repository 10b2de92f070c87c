"""torchvision's classifiers by name, against torchvision itself; initialize_ and diagnose on every one of them."""

import numpy as np
import pytest
import torch
from torchvision import models

from igbrepro.diagnosis import diagnose
from igbrepro.errors import ParameterError
from igbrepro.initialization import initialize_
from igbrepro.networks import TORCHVISION, TorchvisionSpec, build, least_side
from igbrepro.networks.torchvision import Facts

NAMES = models.list_models(module=models)
OWN_PARAMETERS = ("convnext", "swin", "maxvit")  # layer scales and tables of positions, which no rule draws


def smallest(name):
    """A fresh model with 10 classes and two inputs of a size that it takes, Inception's auxiliary head included."""
    side = 299 if name == "inception_v3" else least_side(name, 64)
    spec, generator = TorchvisionSpec(name, 10, (3, side, side)), torch.Generator().manual_seed(0)
    return build(spec, "default", generator), torch.randn(2, 3, side, side, generator=generator)


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
    assert TORCHVISION[name].layers == sum(isinstance(m, torch.nn.Conv2d | torch.nn.Linear) for m in model.modules())
    seen = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)}
    fed = found.weights[np.isfinite(found.weights["edge"])]
    aux = {layer for layer in seen if layer.lower().startswith("aux")}
    attention = {layer for layer in seen if layer.endswith("out_proj")}  # inside attention, which is one layer
    tables = {layer for layer in seen if ".cpb_mlp." in layer}  # of Swin's second version: read positions, no inputs
    assert seen - aux - attention - tables <= set(fed["layer"])


def test_the_list_is_long_enough():
    assert len(NAMES) >= 80


def test_the_table_says_what_torchvision_says():
    assert list(TORCHVISION) == NAMES
    for name, facts in TORCHVISION.items():
        weights, family = models.get_model_weights(name).DEFAULT, models.get_model_builder(name).__module__
        said = [family.rsplit(".", 1)[1], weights.meta["num_params"], weights.transforms.keywords["crop_size"]]
        assert [facts.family, facts.parameters, facts.side] == said
        assert facts.operations == pytest.approx(1e9 * weights.meta["_ops"], rel=1e-5)
        if facts.family not in ("swin_transformer", "vision_transformer"):  # which fit themselves to other images
            assert facts.least == max(weights.meta["min_size"])


def test_what_the_documentation_says_of_two():
    assert TORCHVISION["resnet50"] == Facts("resnet", 1, 25_557_032, 4.089e9, 224, 54)  # 4.09 GFLOPS there
    parameters = sum(p.numel() for p in build(TorchvisionSpec("squeezenet1_1")).parameters())
    assert TORCHVISION["squeezenet1_1"].parameters == parameters


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("resnet18", 32),
        ("alexnet", 63),
        ("inception_v3", 75),
        ("vit_b_16", 32),
        ("vit_h_14", 42),
        ("swin_t", 32),
        ("swin_v2_t", 32),
        ("maxvit_t", 224),
    ],
)
def test_smallest_images(name, side):
    assert least_side(name, 32) == side
    assert least_side(name, 2 * side) == 2 * side
    assert TorchvisionSpec(name, 2, [3, side, side]).input_shape == (3, side, side)
    with pytest.raises(ParameterError, match=rf"input_shape=\(3, {side}, 7\): {name} takes \(3, {side}, {side}\)"):
        TorchvisionSpec(name, 2, (3, side, 7))


def test_names_are_checked():
    with pytest.raises(ParameterError, match="name='resnet19': torchvision has no such model"):
        TorchvisionSpec("resnet19")


def test_it_is_what_torchvision_draws():
    state = torch.get_rng_state()
    model = build(TorchvisionSpec("mnasnet0_5", 10, (3, 32, 32)), "default", torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), state)
    other = models.mnasnet0_5(num_classes=10)
    torch.set_rng_state(state)
    assert [p.shape for p in model.parameters()] == [p.shape for p in other.parameters()]
    ours, theirs = (m.layers[0].weight.std().item() for m in (model, other))
    assert ours == pytest.approx(theirs, rel=0.2) and not torch.equal(model.layers[0].weight, other.layers[0].weight)


@pytest.mark.parametrize(("name", "activation"), [("efficientnet_b0", "silu"), ("swin_t", "gelu"), ("vgg11", "relu")])
def test_the_activation_is_that_of_its_family(name, activation):
    kinds = {type(module).__name__.lower() for module in build(TorchvisionSpec(name, 2, (3, 64, 64))).modules()}
    assert TorchvisionSpec(name).activation == activation and activation in kinds
