"""Leaves of finite networks as torch modules: activations, pools, residual blocks; and several networks as one."""

from igbrepro.modules.activations import ActivationLayer, torch_activation
from igbrepro.modules.blocks import NoSkipBlock, ResidualBlock, Scale
from igbrepro.modules.pools import PoolLayer, WindowPool, torch_pool
from igbrepro.modules.stacked import StackedMLP, StackedModule, stacked

__all__ = [
    "ActivationLayer",
    "NoSkipBlock",
    "PoolLayer",
    "ResidualBlock",
    "Scale",
    "StackedMLP",
    "StackedModule",
    "WindowPool",
    "stacked",
    "torch_activation",
    "torch_pool",
]
