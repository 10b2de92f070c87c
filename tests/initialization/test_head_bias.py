"""The bias of the last layer: what it is set to, what is left alone, and which models are refused."""

from copy import deepcopy

import numpy as np
import pytest
import torch
import torchvision
from scipy.optimize import linprog
from torch import nn
from torch.nn import functional as F

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec, center_head_, start_at_prior_
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, ViTSpec, build
from igbrepro.probes import batch_statistics, evaluating

SHAPE = (3, 16, 16)
SPECS = {
    "mlp": MLPSpec("tanh", 20, 50, 4, SHAPE),
    "cnn": CNNSpec("relu", 3, 6, 4, SHAPE),
    "resnet with batch norm": ResNetSpec("relu", (1, 1), 4, 4, SHAPE),
    "vit": ViTSpec("gelu", 2, 16, 2, 4, 2, 4, SHAPE),
}


def made(name):
    return build(SPECS[name], InitSpec(1.8, 0.2), torch.Generator().manual_seed(5))


def images(n=60, seed=0):
    return torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def logits(model, x):
    with evaluating(model), batch_statistics(model):
        return model(x).double().numpy()


def shares(y):
    return np.bincount(y.argmax(1), minlength=y.shape[1]) / len(y)


def last_bias(model):
    return [name for name, _ in model.named_parameters() if name.endswith("bias")][-1]


@pytest.mark.parametrize("name", SPECS)
def test_every_logit_is_centred(name):
    model, x = made(name), images()
    before = logits(model, x)
    assert np.abs(before.mean(0)).max() > 0.1
    assert center_head_(model, x) is model
    after = logits(model, x)
    assert np.abs(after.mean(0)).max() < 1e-5
    assert after - before == pytest.approx(np.broadcast_to(-before.mean(0), after.shape), abs=1e-5)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("prior", [[0.25, 0.25, 0.25, 0.25], [0.7, 0.05, 0.1, 0.15]])
def test_guesses_follow_the_prior(name, prior):
    model, x = made(name), images(200)
    assert start_at_prior_(model, x, prior) is model
    assert np.abs(shares(logits(model, x)) - prior).max() <= 1.5 / 200


@pytest.mark.parametrize("name", SPECS)
def test_probabilities_follow_the_prior_and_no_bias_has_a_smaller_cross_entropy(name):
    model, x, prior = made(name), images(), torch.tensor([0.6, 0.3, 0.08, 0.02], dtype=torch.float64)
    start_at_prior_(model, x, prior, of="probabilities")
    y = torch.from_numpy(logits(model, x))
    assert F.softmax(y, 1).mean(0).numpy() == pytest.approx(prior.numpy(), abs=1e-6)

    def cross_entropy(b):
        return float(-(F.log_softmax(y + b, 1) * prior).sum(1).mean())

    best, rng = cross_entropy(torch.zeros(4)), np.random.default_rng(0)
    assert all(cross_entropy(torch.from_numpy(rng.normal(0, 0.05, 4))) >= best for _ in range(50))


def test_shares_are_those_of_the_exact_assignment():
    """With n prior whole, the dual of the assignment problem of n inputs to classes: solved by linear programming."""
    rng, n, prior = np.random.default_rng(1), 60, np.array([0.5, 0.3, 0.2])
    model = nn.Sequential(nn.Linear(3, 3)).double()
    x = torch.from_numpy(rng.standard_normal((n, 3)) * [1.0, 5.0, 0.2] + [4.0, 0.0, -3.0])
    y = logits(model, x)
    rows, columns = np.kron(np.eye(n), np.ones(3)), np.tile(np.eye(3), n)
    exact = linprog(-y.ravel(), A_eq=np.vstack([rows, columns]), b_eq=[*np.ones(n), *(n * prior)])
    assigned = exact.x.reshape(n, 3).argmax(1)
    start_at_prior_(model, x, prior)
    guessed = logits(model, x).argmax(1)
    assert shares(logits(model, x)) == pytest.approx(prior, abs=1e-12)
    assert (guessed == assigned).all()


@pytest.mark.parametrize("prior", [[1, 0, 0, 0], [0, 0, 1, 0], [0.5, 0, 0.5, 0]])
def test_a_class_of_prior_zero_gets_nothing(prior):
    model, x = made("mlp"), images()
    before = model[-1].bias.detach().clone()
    start_at_prior_(model, x, prior)
    assert float((model[-1].bias.detach() - before).mean()) == pytest.approx(0, abs=1e-6)
    assert shares(logits(model, x)) == pytest.approx(prior, abs=1 / 60)
    assert (shares(logits(model, x))[np.array(prior) == 0] == 0).all()


def test_the_shift_is_the_one_of_mean_zero():
    model, x = made("mlp"), images()
    for of in ("guesses", "probabilities"):
        before = model[-1].bias.detach().clone()
        start_at_prior_(model, x, [0.4, 0.3, 0.2, 0.1], of=of)
        assert float((model[-1].bias.detach() - before).mean()) == pytest.approx(0, abs=1e-6)
    bias = model[-1].bias.detach().clone()
    start_at_prior_(model, x, [0.4, 0.3, 0.2, 0.1], of="probabilities")
    assert model[-1].bias.detach().numpy() == pytest.approx(bias.numpy(), abs=1e-5)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("change", [center_head_, lambda m, x: start_at_prior_(m, x, [0.4, 0.3, 0.2, 0.1])])
def test_all_else_is_left_alone(name, change):
    model, x = made(name), images()
    model.train()
    next(module for module in model.modules() if not list(module.children())).eval()
    modes = [module.training for module in model.modules()]
    before, state = deepcopy(model.state_dict()), torch.get_rng_state()
    change(model, x)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    changed = [key for key, value in model.state_dict().items() if not torch.equal(value, before[key])]
    assert changed == [last_bias(model)]
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


class Noisy(nn.Module):
    """Draws numbers in every mode."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(x) + 0 * torch.rand(())


def test_random_numbers_are_given_back():
    state = torch.get_rng_state()
    model = Noisy()
    torch.set_rng_state(state)
    center_head_(model, torch.ones(5, 4))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "googlenet"])
def test_torchvision_models(name):
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None, num_classes=3)
    x = torch.randn(8, 3, 64, 64)
    center_head_(model, x)
    assert np.abs(logits(model, x).mean(0)).max() < 1e-5


def test_a_head_of_zeros_takes_a_prior_in_probabilities_but_has_no_guesses_to_share_out():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), torch.randn(9, 12)
    nn.init.zeros_(model[1].weight)
    before = deepcopy(model.state_dict())
    with pytest.raises(ParameterError, match="coincide"):
        start_at_prior_(model, x, [0.5, 0.5] if shares(logits(model, x))[0] in (0, 1) else [0.4, 0.6])
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    start_at_prior_(model, x, [0.9, 0.1], of="probabilities")
    assert F.softmax(model(x), 1)[0].tolist() == pytest.approx([0.9, 0.1], abs=1e-6)


def test_a_convolutional_head_without_an_activation_is_taken():
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model, x = nn.Sequential(*body), images()
    center_head_(model, x)
    assert np.abs(logits(model, x).mean(0)).max() < 1e-6


def linear_then(*modules):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3), *modules)


@pytest.mark.parametrize("after", [nn.ReLU(), nn.LogSoftmax(1), nn.Softplus()], ids=lambda m: type(m).__name__)
def test_what_acts_on_the_last_layer_is_refused_and_nothing_changed(after):
    model, x = linear_then(after), torch.randn(30, 5) + 1
    before = deepcopy(model.state_dict())
    for change in (lambda: start_at_prior_(model, x, [0.6, 0.3, 0.1]), lambda: center_head_(model, x)):
        with pytest.raises(ParameterError, match=r"last layer '2' \(Linear\).*does not shift the logits"):
            change()
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_norm_on_the_last_layer_takes_no_prior():
    model, x = linear_then(nn.BatchNorm1d(3)), torch.randn(30, 5) + 1
    with pytest.raises(ParameterError, match="does not shift the logits"):
        start_at_prior_(model, x, [0.6, 0.3, 0.1])
    center_head_(model, x)  # nothing to do
    assert np.abs(logits(model, x).mean(0)).max() < 1e-6


def test_squeezenet_is_refused_by_name():
    torch.manual_seed(0)
    model = torchvision.models.squeezenet1_0(num_classes=10)
    with pytest.raises(ParameterError, match=r"last layer 'classifier.1' \(Conv2d\)"):
        center_head_(model, torch.randn(6, 3, 64, 64))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(nn.Linear(5, 3, bias=False)), r"'0' \(Linear\) has no bias"),
        (nn.Sequential(nn.Linear(5, 6), nn.GLU()), r"'0' \(Linear\) has 6 outputs, but there are 3 logits"),
        (nn.Sequential(nn.LayerNorm(5)), "no Linear or convolutional layer"),
        (nn.Tanh(), "no parameters"),
        (nn.Sequential(nn.Linear(5, 3), nn.Unflatten(1, (3, 1))), r"returns \(7, 3, 1\)"),
    ],
)
def test_models_without_such_a_layer_are_refused(model, words):
    with pytest.raises(ParameterError, match=words):
        center_head_(model, torch.ones(7, 5))


@pytest.mark.parametrize(
    ("prior", "of", "words"),
    [
        ([0.5, 0.5], "guesses", "4 classes"),
        ([0.5, 0.5, 0.5, 0.5], "guesses", "sum to 1, not 2"),
        ([1.5, -0.5, 0, 0], "guesses", ">= 0"),
        ([np.nan, 0.5, 0.5, 0], "guesses", "sum to 1"),
        (["a", "b", "c", "d"], "guesses", "4 numbers"),
        ([0.5, 0.5, 0, 0], "probabilities", "no softmax is 0"),
        ([0.25] * 4, "logits", "of='logits'"),
    ],
)
def test_priors_of_another_kind_are_refused(prior, of, words):
    model, x = made("mlp"), images()
    before = model[-1].bias.detach().clone()
    with pytest.raises(ParameterError, match=words):
        start_at_prior_(model, x, prior, of=of)
    assert torch.equal(model[-1].bias, before)


def test_inputs_are_checked():
    model = made("mlp")
    with pytest.raises(ParameterError, match=r"need \(n, \.\.\.\)"):
        center_head_(model, images(1))
    with pytest.raises(ParameterError, match="not finite"):
        center_head_(model, images() / 0)


def test_inputs_may_be_arrays_of_another_dtype():
    model, x = made("mlp").double(), images()
    center_head_(model, x.numpy())
    assert np.abs(logits(model, x.double()).mean(0)).max() < 1e-13
