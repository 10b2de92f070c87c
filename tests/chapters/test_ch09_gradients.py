"""The theory of the gradients of each class, against networks of dense weights."""

import numpy as np
import pytest

from igbrepro.ensembles import gaussian_inputs
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.theory import AveragePool
from notebooks.ch09_gradients.lab import class_gradients, predicted_class_gradients

INPUTS = gaussian_inputs(20, 40, seed=3, correlation=0.4, exact=True)
LABELS = np.arange(20) % 2
CASES = {
    "tanh": (MLPSpec("tanh", 6, 400, input_shape=(40,)), InitSpec(2.5, 0.1), False),
    "relu above the edge": (MLPSpec("relu", 6, 400, input_shape=(40,)), InitSpec(2.6), True),
    "at the floor": (MLPSpec("relu", 20, 240, pool=AveragePool(2), input_shape=(40,)), InitSpec(2.6), True),
}


@pytest.mark.parametrize(("spec", "init", "floor"), CASES.values(), ids=CASES)
def test_predicted_gradients_are_those_of_networks(spec, init, floor):
    n = 150
    found = class_gradients(spec, init, INPUTS, LABELS, n_networks=n, seed=1, progress=False)
    theory = predicted_class_gradients(spec, init, INPUTS, LABELS, seed=2)
    for which in ("all", "unfavoured"):
        squares, predicted = found.mean(which), np.nanmean(theory.mean(which, floor=floor), 0)
        noise = np.nanstd(squares, axis=0, ddof=1) / np.sqrt(n)
        gap = np.abs(np.nanmean(squares, axis=0) - predicted)
        assert (gap < 4 * noise + 0.06 * predicted).all() and (noise < 0.15 * predicted).all()


def test_the_floor_is_needed_where_gradients_vanish():
    spec, init, _ = CASES["at the floor"]
    theory = predicted_class_gradients(spec, init, INPUTS, LABELS, seed=2)
    assert theory.mean(floor=True)[:, 0].mean() > 1.5 * theory.mean()[:, 0].mean()
    tanh = predicted_class_gradients(*CASES["tanh"][:2], INPUTS, LABELS, seed=2)
    np.testing.assert_array_equal(tanh.mean(floor=True), tanh.mean())


def test_what_has_no_prediction_is_refused():
    spec, init, _ = CASES["tanh"]
    for one, x in (
        (MLPSpec("tanh", 6, 40, n_classes=3, input_shape=(40,)), INPUTS),
        (MLPSpec("tanh", 6, 40, residual=1.0, input_shape=(40,)), INPUTS),
        (spec, INPUTS * np.linspace(1, 2, 20)[:, None]),
    ):
        with pytest.raises(ParameterError, match=r"two classes|one length"):
            predicted_class_gradients(one, init, x, LABELS, seed=0)
