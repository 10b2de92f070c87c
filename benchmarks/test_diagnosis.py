"""What diagnose() costs, in forward-backward passes of the same model on the same inputs, measured in the same run.

OMP_NUM_THREADS=1 python -m pytest benchmarks/test_diagnosis.py --benchmark-enable -s
"""

import time

import numpy as np
import pytest
import torch
import torchvision
from torch.nn import functional as F

from igbrepro.diagnosis import diagnose
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, build

MODELS = {
    "mlp 50 x 512": (lambda: build(MLPSpec("relu", 50, 512, 10), InitSpec(2.0)), (784,)),
    "cnn 20 x 32": (lambda: build(CNNSpec("relu", 20, 32), InitSpec(2.0)), (3, 32, 32)),
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=10), (3, 64, 64)),
    "mobilenet_v3": (lambda: torchvision.models.mobilenet_v3_small(num_classes=10), (3, 64, 64)),
    "vit_b_16": (lambda: torchvision.models.vit_b_16(num_classes=10, image_size=64), (3, 64, 64)),
}


def seconds(function):
    start = time.process_time()
    function()
    return time.process_time() - start


@pytest.mark.parametrize("make, shape", MODELS.values(), ids=MODELS)
def test_at_most_three_passes_and_a_fifth(benchmark, make, shape):
    model, x = make(), torch.randn(100, *shape)
    labels = torch.arange(100) % 10

    def one_pass():
        model.zero_grad()
        F.cross_entropy(model(x), labels).backward()

    def with_labels():
        diagnose(model, x, labels)

    def without():
        diagnose(model, x)

    times = np.min([[seconds(f) for f in (one_pass, with_labels, without)] for _ in range(4)], axis=0)
    benchmark.extra_info["passes"] = (times[1:] / times[0]).round(2).tolist()
    benchmark.pedantic(without, rounds=1)
    print(f"\n{times[1] / times[0]:.2f} passes with labels, {times[2] / times[0]:.2f} without")
    assert times[1] < 3.6 * times[0]
