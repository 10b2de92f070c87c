"""Batches put together on the host and on the device."""

import numpy as np
import pytest
import torch

from igbrepro import data
from igbrepro.training import batches
from igbrepro.training.batches import BatchOrder, HostBatches, ResidentBatches

CPU = torch.device("cpu")


def pictures(scaling):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 3, 4, 4)).astype(np.uint8)
    images[:, 2] = 7  # a channel that never varies
    labels = np.arange(50) % 2
    return data.Dataset("pictures", images, labels, images[:9], labels[:9], ("a", "b"), "test", scaling=scaling)


def features():
    return data.gaussian(n_train=50, n_test=9, features=6, classes=2, distance=2.0, seed=1)


@pytest.mark.parametrize(
    "dataset", [pictures("standard"), pictures("unit"), features()], ids=["pixels", "unit pixels", "features"]
)
def test_resident_batches_are_those_of_the_host_to_the_bit(dataset):
    """Of three networks over two epochs of two batches; 50 inputs are two batches of 20 and a rest."""

    def made(kind):
        orders = [BatchOrder(np.random.SeedSequence(seed), 50, 20) for seed in (3, 4, 5)]
        return kind(dataset, dataset.labels("train"), orders, CPU)

    host, resident = made(HostBatches), made(ResidentBatches)
    rows = []
    for step in (0, 1, 2, 3, 1):  # the last as after a checkpoint
        (x, y), (ours, labels) = host[step], resident[step]
        assert x.dtype == ours.dtype == torch.float32 and x.shape == (60, *dataset.input_shape)
        assert torch.equal(x, ours) and torch.equal(y, labels)
        rows.append(x)
    assert torch.equal(rows[1], rows[4]) and not torch.equal(rows[0], rows[2])
    raw = torch.as_tensor(dataset.inputs("train", flat=False))
    order = np.random.default_rng([*np.random.SeedSequence(4).generate_state(4), 1]).permutation(50)  # second network
    assert torch.equal(rows[3][20:40], raw[order[20:40]])


def test_the_stored_inputs_are_left_as_they_are():
    dataset = features()
    before = dataset.train_images.copy()
    made = ResidentBatches(dataset, dataset.labels("train"), [BatchOrder(np.random.SeedSequence(0), 50, 50)], CPU)
    first = made[0][0].clone()
    assert torch.equal(made[0][0], first) and (dataset.train_images == before).all()


def test_data_stay_on_the_host_of_a_cpu_and_where_they_are_too_many(monkeypatch):
    dataset, orders = features(), [BatchOrder(np.random.SeedSequence(0), 50, 10)]

    def kind(device):
        return type(batches.batches(dataset, dataset.labels("train"), orders, torch.device(device)))

    assert kind("cpu") is HostBatches and kind("meta") is ResidentBatches
    monkeypatch.setattr(batches, "_RESIDENT", dataset.train_images.nbytes - 1)
    assert kind("meta") is HostBatches
