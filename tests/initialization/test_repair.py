"""The story of the chapter "Diagnose your model", small: a network that does not train, repaired."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from igbrepro.data import load
from igbrepro.diagnosis import BiasMonitor, diagnose
from igbrepro.initialization import initialize_
from igbrepro.theory import Phase


class Plain(nn.Module):
    """Twenty layers without norms or skip connections."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.early = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
        self.late = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(16))
        self.head = nn.Linear(8 * 7 * 7, 10)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for conv in self.early:
            x = F.relu(conv(x))
        x = F.max_pool2d(x, 2)
        for conv in self.late:
            x = F.relu(conv(x))
        return self.head(x.flatten(1))


def plain(seed):
    torch.manual_seed(seed)
    return Plain()


@pytest.fixture(scope="module")
def data():
    return load("fashion-mnist-subset").subset(n_test=200, seed=0)


def final_accuracy(model, data, seed):
    """Of the ordinary loop, as the monitor saw it."""
    x, y = torch.from_numpy(data.inputs("train", flat=False)), torch.from_numpy(data.labels("train"))
    monitor = BiasMonitor(data.inputs("test", flat=False), data.labels("test"))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    order = torch.Generator().manual_seed(seed)
    with monitor.watch(model, optimizer):
        for _ in range(50):
            batch = torch.randint(len(x), (32,), generator=order)
            loss = F.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return monitor.frame.query("metric == 'accuracy' and step == 50")["value"].item()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_repaired_network_trains_where_the_original_does_not_as_diagnose_foretells(seed, data):
    images = torch.from_numpy(data.inputs("test", flat=False)[:60])
    model = plain(seed)
    assert diagnose(model, images).phase is Phase.ORDERED
    assert final_accuracy(model, data, seed) == pytest.approx(0.1, abs=0.05)
    model = initialize_(plain(seed), example_input=images)
    assert diagnose(model, images).phase is Phase.EDGE
    assert final_accuracy(model, data, seed) > 0.3


def test_a_gradient_whose_square_single_precision_cannot_hold_is_not_called_none():
    torch.manual_seed(0)
    body = [part for _ in range(40) for part in (nn.Linear(20, 20), nn.Sigmoid())]
    found = diagnose(nn.Sequential(*body, nn.Linear(20, 3)), torch.randn(30, 20))
    assert found.phase is Phase.ORDERED and "vanish" in found.verdict
    assert found.layers["gradient"][0] == pytest.approx(np.prod(found.layers["chi"][:-1]), rel=1e-6)
    assert 0 < found.layers["gradient"][0] < 1e-46  # sigmoid's slope is at most 1/4, so chi at most 1/48
    assert "sigma_b2=0.0" in found.advice[0]  # sigmoid has no edge at variance 1


def test_dead_units_are_told_from_a_head_of_zeros():
    model = initialize_(plain(0), example_input=torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        model.early[1].bias.fill_(-1e3)
    assert "the signal is zero from 'max_pool2d' on" in diagnose(model, torch.randn(4, 1, 28, 28)).verdict
