import numpy as np
import pytest
import torch
import torchvision
from assertions import assert_normal
from torch import nn

from igbrepro.errors import ParameterError
from igbrepro.initialization import TRACED, InitSpec, initialize_
from igbrepro.modules import ResidualBlock
from igbrepro.networks import CNNSpec, ResNetSpec, build
from igbrepro.probes import trace
from igbrepro.theory import GELU, TANH, AveragePool, MaxPool, critical_sigma_w2, design


def two_layers(**kwargs):
    return nn.Sequential(nn.Linear(300, 40, **kwargs), nn.Tanh(), nn.Linear(40, 700, **kwargs))


def test_weights_and_biases_have_the_variances_of_the_definition():
    model = initialize_(two_layers(), InitSpec(1.7, 0.3), generator=torch.Generator().manual_seed(0))
    assert_normal(model[0].weight, 1.7 / 300)
    assert_normal(model[2].weight, 1.7 / 40)
    assert_normal(torch.cat([model[0].bias, model[2].bias]), 0.3)


def test_no_bias_variance_gives_exact_zeros():
    model = initialize_(two_layers(), InitSpec(2.0), generator=torch.Generator().manual_seed(0))
    assert not model[0].bias.any() and not model[2].bias.any()


def test_one_seed_one_network_and_no_layer_twice():
    draw = [
        initialize_(two_layers(), InitSpec(2.0, 0.1), generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    ]
    assert torch.equal(draw[0][2].weight, draw[1][2].weight)
    assert not torch.equal(draw[0][2].weight, draw[2][2].weight)
    twins = initialize_(nn.ModuleList([nn.Linear(5, 5), nn.Linear(5, 5)]), InitSpec(2.0))
    assert not torch.equal(twins[0].weight, twins[1].weight)


def test_layers_without_bias_and_in_double_precision():
    model = initialize_(two_layers(bias=False, dtype=torch.float64), InitSpec(2.0, 0.1))
    assert_normal(model[2].weight, 2.0 / 40)
    assert model[0].weight.dtype == torch.float64


def test_a_layer_that_would_stay_undrawn_is_an_error():
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Bilinear(4, 4, 2)))
    with pytest.raises(ParameterError, match=r"1\.0\.weight \(Bilinear\).*others"):
        initialize_(model, InitSpec(2.0))
    before = model[1][0].weight.clone()
    initialize_(model, InitSpec(2.0), others="keep")
    assert torch.equal(model[1][0].weight, before)


# On the edge of chaos, layer by layer


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def q_by_layer(model, x):
    with torch.no_grad():
        found, _ = trace(model, x, measure=True)
    return [node.mean_square for node in found.layers().values()]


def test_every_layer_gets_the_point_of_the_edge_of_what_feeds_it():
    model = nn.Sequential(
        nn.Linear(300, 900), nn.ReLU(), nn.Linear(900, 400), nn.Tanh(), nn.Linear(400, 300), nn.Linear(300, 200)
    )
    initialize_(model, generator=seeded())
    assert_normal(model[0].weight, 1 / 300)
    assert_normal(model[2].weight, 2 / 900)
    w2 = 1 / float(TANH.kernel.square_slope(np.ones(())))
    assert_normal(model[4].weight, w2 / 400)
    assert_normal(model[4].bias, 1 - w2 * float(TANH.kernel.second_moment(np.ones(()))))
    assert_normal(model[5].weight, 1 / 300)
    assert not any(model[k].bias.any() for k in (0, 2, 5))


def test_a_given_bias_is_drawn_in_every_layer_at_its_critical_value():
    model = initialize_(two_layers(), sigma_b2=0.1, generator=seeded())
    assert_normal(model[2].weight, 1.986073 / 40)
    assert_normal(torch.cat([model[0].bias, model[2].bias]), 0.1)


@pytest.mark.parametrize("pool", [MaxPool(9), AveragePool(4)], ids=repr)
def test_a_cnn_keeps_its_signal_under_pools_of_correlated_neighbours(pool):
    """Over four layers, within the scatter of networks; gains of independent nodes miss by a factor above 3."""
    spec = CNNSpec("relu", 5, 96, 10, (3, 8, 8), strides=(), pool=pool)
    x = torch.randn(16, 3, 8, 8, generator=seeded(99))
    independent = InitSpec(float(critical_sigma_w2("relu", 0.0, pool, "signal")))
    logs = {"measured": [], "independent": []}
    for seed in range(16):
        for name, scheme in (("measured", "edge-of-chaos"), ("independent", independent)):
            q = q_by_layer(initialize_(build(spec), scheme, example_input=x, generator=seeded(seed)), x)
            logs[name].append(np.log(q[4] / q[0]))
    error = np.std(logs["measured"], ddof=1) / 4
    assert error < 0.12 and abs(np.mean(logs["measured"])) < 4 * error
    assert abs(np.mean(logs["independent"])) > np.log(3)


def test_residual_branches_add_one_variance_together():
    """Each of L branches adds 1/L of the stream: q grows by (1 + 1/L)^L, which is below e."""
    blocks, logs = 10, []
    for seed in range(20):
        layers = [nn.Sequential(nn.ReLU(), nn.Linear(300, 300)) for _ in range(blocks)]
        model = nn.Sequential(nn.Linear(50, 300), *(ResidualBlock(1.0, *layer) for layer in layers), nn.Linear(300, 2))
        initialize_(model, generator=seeded(seed))
        x = torch.randn(20, 50, generator=seeded(1000 + seed))
        with torch.no_grad():
            logs.append(np.log(float((model[:-1](x) ** 2).mean() / (model[0](x) ** 2).mean())))
    error = np.std(logs, ddof=1) / np.sqrt(len(logs))
    assert error < 0.03 and np.mean(logs) == pytest.approx(blocks * np.log(1 + 1 / blocks), abs=4 * error)


def test_auxiliary_heads_that_run_in_training_only_are_drawn_too():
    model = torchvision.models.googlenet(num_classes=10, init_weights=False)
    model.aux2.fc2.weight.data.fill_(7.0)
    state = {name: value.clone() for name, value in model.named_buffers() if name.endswith("running_mean")}
    initialize_(model, example_input=torch.randn(2, 3, 64, 64), generator=seeded())
    assert_normal(model.aux2.fc2.weight, 2 / 1024)
    assert all(torch.equal(dict(model.named_buffers())[name], value) for name, value in state.items())
    assert model.training and all(module.training for module in model.modules())


def test_orthogonal_convolutions_keep_every_length():
    spec = CNNSpec("linear", 5, 12, 10, (12, 8, 8), strides=())
    model = initialize_(build(spec), "orthogonal", example_input=torch.randn(4, 12, 8, 8), generator=seeded()).double()
    x = torch.randn(7, 12, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        out = model[:-2](x)  # circular convolutions and identities
    torch.testing.assert_close(out.square().sum((1, 2, 3)), x.square().sum((1, 2, 3)), rtol=1e-5, atol=0)


@pytest.mark.parametrize("shape", [(30, 50), (50, 30)])
def test_orthogonal_matrices_have_the_gain_of_gaussian_ones(shape):
    model = nn.Sequential(nn.Linear(20, shape[1]), nn.ReLU(), nn.Linear(*shape[::-1]))
    weight = initialize_(model, "orthogonal", generator=seeded())[2].weight.detach()
    assert float(weight.square().mean()) * shape[1] == pytest.approx(2, rel=1e-5)
    small = weight if shape[0] < shape[1] else weight.T
    gram = small @ small.T
    torch.testing.assert_close(gram, torch.eye(len(gram)) * gram[0, 0], atol=1e-5, rtol=0)


def test_lsuv_makes_every_output_of_unit_deviation():
    model = build(CNNSpec("relu", 5, 16, 10, (3, 16, 16), pool=MaxPool(4)))
    x = torch.rand(10, 3, 16, 16, generator=seeded())
    initialize_(model, "lsuv", example_input=x, generator=seeded())
    deviations = []
    hooks = [
        module.register_forward_hook(lambda *args: deviations.append(float(args[2].std())))
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        model(x)
    assert len(hooks) == len(deviations) == 6 and deviations == pytest.approx([1] * 6, abs=1e-4)
    assert (model[0].weight[..., 0, 0] != 0).all()  # the whole kernel, not its middle alone


def test_default_is_what_the_layers_themselves_draw():
    torch.manual_seed(5)
    fresh = nn.Sequential(nn.Linear(300, 40), nn.BatchNorm1d(40), nn.Linear(40, 700))
    torch.manual_seed(int(torch.randint(2**62, (), generator=seeded(3))))
    for layer in (fresh[0], fresh[2]):
        layer.reset_parameters()
    found = initialize_(
        nn.Sequential(nn.Linear(300, 40), nn.BatchNorm1d(40), nn.Linear(40, 700)), "default", generator=seeded(3)
    )
    assert torch.equal(found[0].weight, fresh[0].weight) and torch.equal(found[2].bias, fresh[2].bias)


class Hidden(nn.Module):
    """What feeds its head leaves torch."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(6, 400), nn.Linear(400, 300)

    def forward(self, x):
        return self.head(torch.tensor(np.maximum(self.body(x).detach().numpy(), 0)))


def test_what_it_does_not_understand_it_names_and_takes_by_hand():
    with pytest.raises(ParameterError, match=r"does not show what feeds head.*activation=\{'head': \"relu\"\}"):
        initialize_(Hidden())
    by_hand = initialize_(Hidden(), activation={"head": "relu"}, generator=seeded())
    assert_normal(by_hand.head.weight, 2 / 400)
    model = Hidden()
    before = model.head.weight.clone()
    assert torch.equal(initialize_(model, others="keep").head.weight, before)

    strange = nn.Sequential(nn.Linear(5, 400), nn.Softplus(), nn.Linear(400, 300))
    with pytest.raises(
        ParameterError, match=r"'2', fed by softplus, has no edge of chaos at variance 1; give a sigma_b2"
    ):
        initialize_(strange)
    initialize_(strange, activation="gelu", generator=seeded())
    assert_normal(strange[2].weight, 1 / float(GELU.kernel.square_slope(np.ones(()))) / 400)


@pytest.mark.parametrize(
    "kwargs, says",
    [
        ({"scheme": "edge"}, r"scheme='edge': need an InitSpec.*edge-of-chaos, orthogonal, lsuv, default, he, xavier"),
        ({"others": "skip"}, 'others=\'skip\': need "raise" or "keep"'),
        ({"activation": {"7": "relu"}}, "activation: the model has no layers 7 with weights"),
        (
            {"example_input": torch.randn(1, 300)},
            r"example_input of shape \(1, 300\): need \(n, ...\) with n >= 2 inputs",
        ),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(kwargs, says):
    with pytest.raises(ParameterError, match=says):
        initialize_(two_layers(), **kwargs)


def test_a_model_for_images_needs_an_example_and_one_without_layers_is_refused():
    with pytest.raises(ParameterError, match="example_input=None: the first layer is a Conv2d, so give a batch"):
        initialize_(nn.Sequential(nn.Conv2d(3, 4, 3)))
    with pytest.raises(ParameterError, match="has no linear, convolutional or attention layer"):
        initialize_(nn.Sequential(nn.ReLU()))


def test_one_seed_one_network_in_every_traced_scheme():
    x, state = torch.randn(4, 3, 8, 8), torch.get_rng_state()
    for scheme in TRACED:
        one, again, other = (
            initialize_(build(ResNetSpec(stages=(1, 1), width=4)), scheme, example_input=x, generator=seeded(seed))
            for seed in (1, 1, 2)
        )
        weights = [torch.cat([p.detach().flatten() for p in model.parameters()]) for model in (one, again, other)]
        assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    torch.set_rng_state(state)


def test_without_a_generator_every_call_draws_anew():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    weights = [initialize_(model, scheme)[0].weight.clone() for scheme in TRACED + TRACED]
    assert not any(torch.equal(weights[k], weights[k + 3]) for k in range(3))


def test_a_refused_model_is_left_as_it_was():
    model = nn.Sequential(
        nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 7), nn.Softplus(), nn.Linear(7, 3)
    )
    nn.init.constant_(model[1].weight, 3.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ParameterError, match="'5', fed by softplus"):
        initialize_(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_design_is_taken_as_the_variances_it_holds():
    made = design("tanh", 20, 1.0)
    model = initialize_(two_layers(), made, generator=seeded())
    assert_normal(model[2].weight, made.sigma_w2 / 40)
    assert_normal(torch.cat([model[0].bias, model[2].bias]), made.sigma_b2)


def test_squeeze_and_excitation_on_one_position_is_a_gate():
    model = torchvision.models.mobilenet_v3_small(num_classes=10)
    initialize_(model, example_input=torch.randn(4, 3, 32, 32), generator=seeded())
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
