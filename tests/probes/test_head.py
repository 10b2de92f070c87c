"""One finder of the last layer: by what runs and reaches the output, never by the order of registration."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from igbrepro.diagnosis import BiasMonitor, diagnose
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec, center_head_
from igbrepro.networks import ResNetSpec, ViTSpec, build
from igbrepro.probes import features, last_layer
from notebooks.ch21_zoo.lab import structure

X = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class Parts(nn.Module):
    """A body and a head with two more layers: one that never runs, and one whose output goes nowhere."""

    def __init__(self, first: str) -> None:
        super().__init__()
        made = {"head": nn.Linear(4, 3), "body": nn.Linear(5, 4), "aside": nn.Linear(3, 2), "unused": nn.Linear(7, 7)}
        for name in sorted(made, key=lambda name: name != first):
            self.add_module(name, made[name])

    def forward(self, x):
        y = self.head(torch.tanh(self.body(x)))
        self.aside(y)
        return y


@pytest.mark.parametrize("first", ["head", "body", "unused"])
def test_the_order_of_registration_is_of_no_account(first):
    model = Parts(first)
    body, gain = features(model, X)
    assert last_layer(model, X) == ("head", model.head) and gain == 1.0
    torch.testing.assert_close(body, torch.tanh(model.body(X)))
    assert structure(model, X).head == "head"
    center_head_(model, X)
    assert model(X).mean(0).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Sequential(nn.Sequential(nn.Linear(4, 3)))), "2.0.0"),
        (nn.Sequential(nn.Linear(5, 3), nn.Identity()), "0"),
        (nn.Sequential(nn.Linear(5, 3), nn.Softmax(1)), "0"),
        (nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(5, 3))), "0"),
        (nn.Linear(5, 3), ""),
    ],
    ids=["nested", "identity after it", "softmax after it", "weights computed anew", "the model itself"],
)
def test_where_the_head_may_hide(model, name):
    found, layer = last_layer(model, X)
    assert found == name and layer is model.get_submodule(name)
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    given = X if len(linear) == 1 else linear[0](X).relu()
    torch.testing.assert_close(features(model, X)[0], given)


def test_a_convolution_as_a_head():
    mean = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    body, _ = features(mean, IMAGES)
    assert last_layer(mean, IMAGES)[0] == "2"
    torch.testing.assert_close(body, mean[:2](IMAGES).mean((2, 3)))
    with torch.no_grad():
        torch.testing.assert_close(body @ mean[2].weight.flatten(1).T + mean[2].bias, mean(IMAGES))
    whole = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 6), nn.Flatten())
    torch.testing.assert_close(features(whole, IMAGES)[0], whole[:2](IMAGES).flatten(1))


def test_a_head_on_every_token():
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(1)

    model, tokens = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3), Mean()), X.view(2, 3, 5)
    torch.testing.assert_close(features(model, tokens)[0], model[:2](tokens).mean(1))


@pytest.mark.parametrize("training", [True, False])
def test_trained_norms_follow_the_mode(training):
    model = build(ResNetSpec("relu", (1,), 4, input_shape=(3, 8, 8)), InitSpec(2.0)).train()
    for _ in range(30):
        model(3 * IMAGES + 1)
    model.train(training)
    seen = []
    hook = last_layer(model, IMAGES)[1].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(IMAGES)  # as it is used: in training mode by the batch, in eval mode by what it has learned
    hook.remove()
    torch.testing.assert_close(features(model, IMAGES)[0], seen[0])


def test_attention_ends_in_its_output_projection():
    block = build(ViTSpec("relu", depth=1, width=8, heads=2, input_shape=(3, 8, 8)), InitSpec(2.0)).encoder.layers[0]

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = block.self_attention

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0].mean(1)

    name, layer = last_layer(Attend(), torch.randn(3, 4, 8))
    assert name == "attention.out_proj" and layer is block.self_attention.out_proj


def own_head():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.weight = nn.Linear(5, 4), nn.Parameter(torch.randn(4, 3))

        def forward(self, x):
            return self.body(x).relu() @ self.weight

    return Own()


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        (nn.Sequential(nn.LayerNorm(5)), X, "no Linear or convolutional layer"),
        (own_head(), X, r"no known kind \(parameters weight\)"),
        (nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.Flatten()), IMAGES, "'0'.*does not read one row"),
        (nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveMaxPool2d(1), nn.Flatten()), IMAGES, "64 positions"),
        (nn.Linear(5, 3), [[None, 1]], "inputs"),
    ],
    ids=["no layer", "parameters of its own", "windows", "largest of several", "no numbers"],
)
def test_models_without_one_row_of_features_are_refused(model, inputs, words):
    with pytest.raises(ParameterError, match=words):
        features(model, inputs)


class Giving(nn.Module):
    """A classifier whose output holds its logits beside something else."""

    def __init__(self, form) -> None:
        super().__init__()
        self.body, self.head, self.form = nn.Linear(5, 4), nn.Linear(4, 3), form

    def forward(self, x):
        h = torch.tanh(self.body(x))
        return self.form(self.head(h), h)


FORMS = {
    "dictionary": lambda logits, h: {"hidden": h, "logits": logits},
    "tuple": lambda logits, h: (logits, h),
    "object": lambda logits, h: SimpleNamespace(logits=logits, hidden=h),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_logits_are_found_in_outputs_of_any_form(form):
    model = Giving(form)
    body, _ = features(model, X)
    torch.testing.assert_close(body, torch.tanh(model.body(X)))
    assert last_layer(model, X) == ("head", model.head)
    assert diagnose(model, X).head["n_classes"] == 3
    BiasMonitor(X).evaluate(model)
