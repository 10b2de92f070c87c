"""The batches of a training: whose turn it is, and putting the inputs together where the network is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from igbrepro.data import Dataset

_RESIDENT = 2**31  # bytes of training inputs that an accelerator takes in; of more each batch is sent


class BatchOrder:
    """Which training inputs make the batch of a step: every epoch shuffled anew, its short last batch left out."""

    def __init__(self, seed: np.random.SeedSequence, n_inputs: int, batch_size: int) -> None:
        self.seed, self.n_inputs, self.batch_size = seed.generate_state(4), n_inputs, batch_size
        self.epoch, self.order = -1, np.empty(0, np.int64)

    def __getitem__(self, step: int) -> np.ndarray:
        epoch, start = self.place(step)
        return self.of_epoch(epoch)[start : start + self.batch_size]

    def place(self, step: int) -> tuple[int, int]:
        """The epoch of a step, and where its batch starts in the order of that epoch."""
        epoch, batch = divmod(step, self.n_inputs // self.batch_size)
        return epoch, batch * self.batch_size

    def of_epoch(self, epoch: int) -> np.ndarray:
        """The order of all inputs, (n_inputs,) int64; the last one asked for is kept."""
        if epoch != self.epoch:
            self.epoch, self.order = epoch, np.random.default_rng([*self.seed, epoch]).permutation(self.n_inputs)
        return self.order


class HostBatches:
    """The batches of several networks, put together and scaled on the host, and sent to the device.

    [step] is inputs (n_networks * batch_size, ...) float32 and targets (n_networks * batch_size,) int64.
    """

    def __init__(
        self, dataset: Dataset, targets: np.ndarray, orders: Sequence[BatchOrder], device: torch.device
    ) -> None:
        self.dataset, self.targets, self.orders, self.device = dataset, targets, orders, device

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        index = np.concatenate([order[step] for order in self.orders])
        inputs = torch.from_numpy(self.dataset.standardise(self.dataset.train_images[index]))
        return inputs.to(self.device), torch.from_numpy(self.targets[index]).to(self.device)


class ResidentBatches:
    """The same to the bit, put together on the device: data and the order of each epoch lie there, pixels as bytes."""

    def __init__(
        self, dataset: Dataset, targets: np.ndarray, orders: Sequence[BatchOrder], device: torch.device
    ) -> None:
        images = dataset.train_images
        self.images = torch.tensor(images if images.dtype == np.uint8 else images.astype(np.float32), device=device)
        self.targets = torch.tensor(targets, device=device)
        each = (-1, *(1,) * (images.ndim - 2))
        self.mean, self.deviation = (torch.tensor(one, device=device).reshape(each) for one in dataset.statistics)
        self.orders, self.epoch, self.order = orders, -1, torch.empty(0)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        epoch, start = self.orders[0].place(step)  # that of all: they are of one length
        if epoch != self.epoch:
            order = np.stack([order.of_epoch(epoch) for order in self.orders])
            self.epoch, self.order = epoch, torch.from_numpy(order).to(self.images.device)
        index = self.order[:, start : start + self.orders[0].batch_size].flatten()
        inputs = self.images[index].float().sub_(self.mean).div_(self.deviation)
        return inputs, self.targets[index]


def batches(
    dataset: Dataset, targets: np.ndarray, orders: Sequence[BatchOrder], device: torch.device
) -> HostBatches | ResidentBatches:
    """The batches of networks with these orders; targets: (n_inputs,) int64, of the training split."""
    pays = device.type != "cpu" and dataset.train_images.nbytes <= _RESIDENT
    return (ResidentBatches if pays else HostBatches)(dataset, targets, orders, device)
