"""What a run shows of a model: against models whose structure is written down by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock

from igbrepro.modules import ResidualBlock
from igbrepro.probes import trace


def inputs(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Between(nn.Module):
    """A layer, some function of its output, another layer."""

    def __init__(self, function):
        super().__init__()
        self.first, self.last, self.function = nn.Linear(6, 8), nn.Linear(8, 3), function

    def forward(self, x):
        return self.last(self.function(self.first(x)))


def fed(function, **kwargs):
    torch.manual_seed(0)
    found, _ = trace(Between(function), inputs(50, 6), **kwargs)
    return found.layers()["last"].given


ELEMENTWISE = {
    "relu": [F.relu, torch.relu, nn.ReLU(inplace=True), lambda x: x.relu(), lambda x: x.clamp_min(0)],
    "tanh": [torch.tanh, nn.Tanh(), F.tanh],
    "silu": [nn.SiLU(), F.silu],
    "hardswish": [nn.Hardswish(), nn.Hardswish(inplace=True)],
    "sin": [torch.sin, lambda x: x.sin()],
    "square": [lambda x: x**2, torch.square],
    "leaky": [nn.LeakyReLU(0.1)],
    "relu6": [nn.ReLU6(), lambda x: x.clamp(0, 6)],
}
VALUES = {
    "relu": lambda x: x.clamp(min=0),
    "tanh": torch.tanh,
    "silu": lambda x: x / (1 + torch.exp(-x)),
    "hardswish": lambda x: x * ((x + 3).clamp(0, 6)) / 6,
    "sin": torch.sin,
    "square": lambda x: x * x,
    "leaky": lambda x: torch.maximum(x, x / 10),
    "relu6": lambda x: x.clamp(0, 6),
}


@pytest.mark.parametrize("name, function", [(n, f) for n, fs in ELEMENTWISE.items() for f in fs])
def test_a_function_of_each_number_is_an_activation_however_it_is_called(name, function):
    (feed,) = fed(function)
    x = torch.linspace(-7, 7, 29, dtype=torch.float64)
    torch.testing.assert_close(feed.function(x), VALUES[name](x))
    assert len(feed.activation) == 1 and feed.origin.name == "first"


@pytest.mark.parametrize(
    "function",
    [
        nn.Identity(),
        nn.Dropout(0.5).eval(),
        lambda x: 3 * x,
        lambda x: x.view(50, 2, 4).flatten(1),
        lambda x: x.softmax(1),
        lambda x: x.cumsum(1),
        lambda x: x.sort(1).values,
        lambda x: x.flip(1),
        lambda x: x / x.norm(dim=1, keepdim=True),
    ],
)
def test_what_is_linear_or_mixes_numbers_is_no_activation_but_has_its_share(function):
    (feed,) = fed(function, measure=True)
    assert feed.function is None and feed.activation == ()
    torch.manual_seed(0)
    h = Between(function).first(inputs(50, 6)).detach()
    assert feed.share == pytest.approx(float((function(h) ** 2).mean() / (h**2).mean()), rel=1e-5)


def test_activations_compose_and_dropout_between_them_does_not_count():
    (feed,) = fed(nn.Sequential(nn.Tanh(), nn.Dropout(0.3).eval(), nn.ReLU()), measure=True)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    assert feed.activation == ("tanh", "relu") and feed.share == pytest.approx(1)
    torch.testing.assert_close(feed.function(x), torch.tanh(x).clamp(min=0))


def test_norms_products_and_sums_begin_anew():
    for function, kind in (
        (nn.LayerNorm(8), "norm"),
        (lambda h: h @ (h.mT @ h), "product"),
        (lambda h: torch.relu(h) + h, "sum"),
    ):
        (feed,) = fed(function)
        assert (feed.origin.kind, feed.function, feed.share) == (kind, None, 1.0)


def test_a_gate_is_measured_and_joined_parts_keep_their_own_activations():
    (feed,) = fed(lambda h: torch.relu(h) * torch.sigmoid(h.mean(1, keepdim=True)), measure=True)
    assert feed.activation == ("relu",) and 0 < feed.share < 1
    one, two = fed(lambda h: torch.cat([torch.relu(h[:, :2]), torch.tanh(h[:, 2:])], 1))
    assert (one.activation, one.weight, two.activation, two.weight) == (("relu",), 0.25, ("tanh",), 0.75)


def test_a_pool_is_named_and_its_share_is_that_of_its_own_numbers():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3))
    x = inputs(6, 3, 12, 12)
    found, out = trace(model, x, measure=True)
    assert [node.kind for node in found.nodes] == ["input", "layer", "activation", "pool", "layer"]
    assert found.nodes[3].name == "2" and torch.equal(out, model(x))
    relu = model[:2](x).detach()
    (feed,) = found.layers()["3"].given
    assert feed.share == pytest.approx(float((model[2](relu) ** 2).mean() / (relu**2).mean()), rel=1e-5)


def test_residual_sums_are_those_with_a_longer_and_a_shorter_way():
    block = BasicBlock(4, 8, 2, nn.Sequential(nn.Conv2d(4, 8, 1, 2), nn.BatchNorm2d(8)))
    found, _ = trace(nn.Sequential(nn.Conv2d(3, 4, 3), block.eval()), inputs(2, 3, 8, 8))
    ((total, branch),) = found.residual_sums()
    assert total.name == "1" and branch.name == "1.bn2"

    plain = ResidualBlock(0.5, nn.ReLU(), nn.Linear(6, 6))
    found, _ = trace(nn.Sequential(nn.Linear(6, 6), plain, plain), inputs(2, 6), measure=True)
    sums = found.residual_sums()
    assert len(sums) == 2 and all(branch.feeds[0].origin.name == "1.block.1" for _, branch in sums)
    assert sums[0][1].feeds[0].share == pytest.approx(0.25)

    class Parallel(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)

        def forward(self, x):
            return self.a(x) + self.b(x)

    assert trace(Parallel(), inputs(2, 6))[0].residual_sums() == []


def test_the_trunk_is_what_every_way_passes():
    class Forked(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.left, self.right, self.head = (nn.Linear(6, 6) for _ in range(4))

        def forward(self, x):
            x = self.stem(x)
            left = torch.relu(self.left(x))
            unused = self.right(left) * 0  # does not reach the output
            assert unused is not None
            return self.head(torch.cat([left, torch.tanh(self.right(x))], 1)[:, :6])

    found, _ = trace(Forked(), inputs(2, 6))
    assert [(node.name, node.kind) for node in found.trunk()] == [
        ("", "input"),
        ("stem", "layer"),
        ("", "join"),
        ("", "other"),
        ("head", "layer"),
    ]


def test_what_is_not_followed_is_not_made_up():
    found, _ = trace(Between(lambda h: torch.tensor(torch.relu(h).tolist())), inputs(5, 6))
    assert found.layers()["last"].given == () and found.layers()["last"].parents == ()
    model = nn.LSTM(5, 7, batch_first=True)
    found, _ = trace(model, inputs(3, 4, 5))
    assert found.nodes[1].kind == "product"


def test_nothing_stays_behind():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.TransformerEncoderLayer(4, 2, batch_first=True))
    x = inputs(3, 5, 4)
    before, fast, kept = x.clone(), torch.backends.mha.get_fastpath_enabled(), dict(vars(x))
    model.eval()
    out = trace(model, x)[1]
    assert torch.equal(x, before) and vars(x) == kept and torch.backends.mha.get_fastpath_enabled() == fast
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    torch.testing.assert_close(out, model(x))
    with pytest.raises(RuntimeError):
        trace(model, inputs(3, 5, 9))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
