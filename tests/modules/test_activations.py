"""Torch forms of activations."""

import numpy as np
import torch

from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec, build
from igbrepro.theory import Activation


def test_an_activation_that_no_network_had_before_is_checked_where_numbers_can_be_computed():
    """`build` makes modules on the device "meta"; the comparison with the NumPy form must not run there."""
    mine = Activation("mine", np.sin, np.cos, torch_function=torch.sin)
    model = build(MLPSpec(mine, depth=1, width=3, input_shape=(2,)), InitSpec(1.0))
    assert torch.isfinite(model(torch.ones(1, 2))).all()
