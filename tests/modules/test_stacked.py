"""Many MLPs in one module."""

import torch

from igbrepro import networks as models
from igbrepro.initialization import InitSpec
from igbrepro.modules import StackedMLP
from igbrepro.networks import MLPSpec
from igbrepro.theory import GELU


def test_a_stack_is_its_networks_side_by_side():
    spec = MLPSpec(GELU, depth=3, width=7, n_classes=4, input_shape=(2, 3))
    networks = [models.build(spec, InitSpec(2.0, 0.1), torch.Generator().manual_seed(seed)) for seed in range(3)]
    x = torch.randn(3, 5, 2, 3)
    want = torch.stack([network(one) for network, one in zip(networks, x, strict=True)])
    torch.testing.assert_close(StackedMLP(networks)(x), want)
    assert sum(p.numel() for p in StackedMLP(networks).parameters()) == 3 * sum(
        p.numel() for p in networks[0].parameters()
    )
