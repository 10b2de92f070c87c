"""One layer of the forward simulation, exact Gram sampler against dense weights: same network, same statistics.

Processor seconds of one thread, so that other work on the machine does not count.

OMP_NUM_THREADS=1 python -m pytest benchmarks/test_simulation.py --benchmark-enable -s
"""

import time

import numpy as np
import pytest
import torch

from igbrepro.ensembles import Sampling, gaussian_inputs, simulate
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec

WIDTH, N_INPUTS = 10_000, 100
EDGE = {"tanh": InitSpec(1.986073, 0.1), "relu": InitSpec(2.0)}


@pytest.fixture(scope="module")
def inputs():
    return gaussian_inputs(N_INPUTS, WIDTH, seed=0)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def seconds_a_layer(activation, inputs, method, layers):
    """A whole network, statistics and heads included, with as many features as nodes, so that its layers are alike."""
    spec = MLPSpec(activation, depth=layers - 1, width=WIDTH, input_shape=(WIDTH,))
    start = time.process_time()
    simulate(spec, EDGE[activation], inputs, n_networks=1, seed=0, sampling=Sampling(method))
    return (time.process_time() - start) / layers


@pytest.mark.parametrize("activation", EDGE)
def test_layer_is_forty_times_faster_than_dense_weights(benchmark, inputs, activation):
    rounds = [  # in turn, so that a busy machine hits both alike
        (seconds_a_layer(activation, inputs, "gram", 12), seconds_a_layer(activation, inputs, "dense", 2))
        for _ in range(3)
    ]
    gram, dense = np.min(rounds, axis=0)
    benchmark.extra_info |= {"gram, ms": 1e3 * gram, "dense, ms": 1e3 * dense, "times faster": dense / gram}
    benchmark.pedantic(seconds_a_layer, args=(activation, inputs, "gram", 12), rounds=1)
    print(f"\n{activation}: {1e3 * gram:.1f} ms a layer, dense weights {1e3 * dense:.0f} ms, {dense / gram:.0f} times")
    assert dense / gram > 40


@pytest.mark.parametrize(("width", "n_inputs"), [(100, 20), (1000, 100), (10_000, 100)])
def test_network_of_twenty_layers(benchmark, width, n_inputs):
    spec = MLPSpec("tanh", depth=19, width=width)
    x = gaussian_inputs(n_inputs, 784, seed=0)
    benchmark.pedantic(
        simulate, args=(spec, EDGE["tanh"], x), kwargs={"n_networks": 1, "seed": 0}, rounds=5, warmup_rounds=1
    )
