"""The paper's whole forward experiment: 20 values of sigma_w2, 10 networks each, width 10,000, depth 100, 100 inputs.

    python benchmarks/forward_experiment.py                       # all of it, one process a core
    python benchmarks/forward_experiment.py --values 2 --networks 1   # a part, with the time of the whole projected

Every process runs on one thread. Prints time a layer, peak memory, and gamma at the last layer against the theory.
"""

import argparse
import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy and torch are loaded, here and in the worker processes

import numpy as np
import pandas as pd

from igbrepro.ensembles import gaussian_inputs, simulate
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec

VALUES, NETWORKS, LIMIT_MINUTES, LIMIT_GIB = 20, 10, 20, 4


def one_value(sigma_w2, sigma_b2, spec, n_inputs, n_networks):
    """gamma of the last layer (median over networks), its theory, wall and processor seconds, peak memory."""
    start, processor = time.perf_counter(), time.process_time()
    inputs = gaussian_inputs(n_inputs, spec.input_size, seed=0)
    init = InitSpec(float(sigma_w2), sigma_b2)
    result = simulate(spec, init, inputs, n_networks=n_networks, seed=1)
    q0 = init.sigma_w2 + init.sigma_b2
    theory = spec.mean_field(init).trajectory(spec.depth, q0=q0, c0=init.sigma_b2 / q0)
    return {
        "sigma_w2": sigma_w2,
        "gamma": np.median(result.gamma[:, -1]),
        "theory": theory.gamma[-1],
        "seconds": time.perf_counter() - start,
        "processor": time.process_time() - processor,
        "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--values", type=int, default=VALUES, help="values of sigma_w2 between 0.5 and 5")
    parser.add_argument("--networks", type=int, default=NETWORKS, help="networks a value")
    parser.add_argument("--activation", default="tanh")
    parser.add_argument("--sigma-b2", type=float, default=0.1)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()

    spec, n_inputs = MLPSpec(options.activation, depth=100, width=10_000), 100
    run = partial(one_value, sigma_b2=options.sigma_b2, spec=spec, n_inputs=n_inputs, n_networks=options.networks)
    start = time.perf_counter()
    with ProcessPoolExecutor(options.processes) as pool:
        table = pd.DataFrame(pool.map(run, np.linspace(0.5, 5, options.values)))
    minutes = (time.perf_counter() - start) / 60
    whole = minutes * VALUES * NETWORKS / (options.values * options.networks)
    layers = options.networks * (spec.depth + 1)
    memory = table["GiB"].max() * options.processes

    print(table.to_string(index=False, float_format="%.4g"))
    wall, processor = 1e3 * table[["seconds", "processor"]].mean() / layers
    print(f"a layer: {wall:.1f} ms, processor {processor:.1f} ms; {minutes:.1f} min in {options.processes} processes")
    print(f"the whole experiment: {whole:.1f} minutes (limit {LIMIT_MINUTES}), {memory:.1f} GiB (limit {LIMIT_GIB})")
    return int(whole > LIMIT_MINUTES or memory > LIMIT_GIB)


if __name__ == "__main__":
    raise SystemExit(main())
