"""The state of a training in progress: one network, or a stack of several of one shape that train side by side.

Nothing but the number of the step decides on a batch (each epoch's order has its own seed), so that weights, optimiser
and the numbers so far are all that a checkpoint needs for going on to exactly the same results.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igbrepro.checks import whole
from igbrepro.data import Dataset, balanced_indices
from igbrepro.errors import ParameterError
from igbrepro.initialization import TRACED, HeadStart, SelectedStart, Start, center_head_, check_init, start_at_prior_
from igbrepro.modules import stacked
from igbrepro.networks import Spec, build
from igbrepro.probes import batch_statistics
from igbrepro.theory import get_activation
from igbrepro.training import metrics
from igbrepro.training.batches import BatchOrder, batches
from igbrepro.training.captured import CapturedStep
from igbrepro.training.settings import TrainSettings

Row = tuple[int, str, str, int | None, float]  # step, split, metric, class, value

_LOOK_EVERY = 50  # steps between looks for a divergence, so that a GPU need not wait; the step found is exact
_EVAL_BATCH = 250
_MOST_DRAWS = 1000  # of a SelectedStart


@dataclass(frozen=True)
class Member:
    """One network to train: a module, the seed of its data order, and what it is, as plain values."""

    model: nn.Module
    seed: int
    settings: dict[str, Any]


def drawn(spec: Spec, start: Start, seed: int, dataset: Dataset) -> Member:
    """The network of `spec` from `start`; its weights and the order of its data depend on `seed` alone.

    Initialisations that run the network do so on 64 training inputs, the same for every seed.
    """
    weights, _ = np.random.SeedSequence(whole("seed", seed, 0)).spawn(2)
    generator = torch.Generator().manual_seed(int(weights.generate_state(1)[0]))
    described = {f.name: getattr(spec, f.name) for f in fields(spec)} if is_dataclass(spec) else {"spec": repr(spec)}
    described["activation"] = get_activation(spec.activation).name
    if described.get("pool") is not None:
        described["pool"] = repr(described["pool"])
    init = check_init(start.init if isinstance(start, HeadStart | SelectedStart) else start)
    described |= {"init": init} if isinstance(init, str) else asdict(init)
    example = _spread(dataset, 64, spec) if init in TRACED else None
    if isinstance(start, SelectedStart):
        described |= {"share": start.share, "within": start.within, "n_share_inputs": start.n_inputs}
        return Member(_selected(start, spec, generator, example, _inputs_of(start, dataset, spec)), seed, described)
    model = build(spec, init, generator, example)
    if isinstance(start, HeadStart):
        described |= {"head": start.head, "n_head_inputs": start.n_inputs}
        inputs = _inputs_of(start, dataset, spec)
        if isinstance(start.head, str):
            center_head_(model, inputs)
        else:
            start_at_prior_(model, inputs, start.head)
    return Member(model, seed, described)


def _inputs_of(start: HeadStart | SelectedStart, dataset: Dataset, spec: Spec) -> Tensor:
    """The training inputs that a start looks at."""
    if start.n_inputs > len(dataset.train_images):
        raise ParameterError(
            f"n_inputs={start.n_inputs}: {dataset.name} has only {len(dataset.train_images)} training inputs."
        )
    return _spread(dataset, start.n_inputs, spec)


@torch.no_grad()
def _selected(
    start: SelectedStart, spec: Spec, generator: torch.Generator, example: Tensor | None, inputs: Tensor
) -> nn.Module:
    """The first network of a sequence whose favourite class has the share asked for."""
    nearest = math.inf
    for _ in range(_MOST_DRAWS):
        model = build(spec, start.init, generator, example).eval()
        with batch_statistics(model):
            logits = torch.cat([model(chunk) for chunk in inputs.split(_EVAL_BATCH)])
        share = float(metrics.max_class_fraction(logits))
        if abs(share - start.share) <= start.within:
            return model
        nearest = min(nearest, share, key=lambda one: abs(one - start.share))
    raise ParameterError(
        f"share={start.share}, within={start.within}: none of {_MOST_DRAWS} networks that {start.init!r} draws "
        f"starts so; the nearest gives its favourite class {nearest:.3f}."
    )


def _spread(dataset: Dataset, n: int, spec: Spec) -> Tensor:
    """n training inputs, or all where there are fewer, evenly spread over the split."""
    images = dataset.train_images[:: max(1, len(dataset.train_images) // n)][:n]
    return torch.from_numpy(dataset.standardise(images)).reshape(-1, *spec.input_shape)


class Run:
    """Networks of one spec in training; lists have one entry a network."""

    def __init__(
        self,
        members: Sequence[Member],
        dataset: Dataset,
        plan: TrainSettings,
        device: torch.device,
        input_shape: tuple[int, ...],
    ) -> None:
        self.dataset, self.plan, self.device, self.shape = dataset, plan, device, input_shape
        common = {"dataset": dataset.name, "data_sha256": dataset.sha256, "scaling": dataset.scaling}
        common |= {"scaled_by": [one.tolist() for one in dataset.statistics]} | asdict(plan)
        self.settings = [_plain(common | member.settings | {"seed": member.seed}) for member in members]

        targets = dataset.labels("train", plan.labels)
        seeds = [np.random.SeedSequence(member.seed).spawn(2)[1] for member in members]
        orders = [BatchOrder(seed, len(targets), plan.batch_size) for seed in seeds]
        self.batches = batches(dataset, targets, orders, device)
        self.models = [member.model for member in members]
        self.network: nn.Module = self.models[0] if len(members) == 1 else stacked(self.models)
        self.network.to(device)
        self.captured = CapturedStep(device) if device.type == "cuda" else None
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        fused = device.type in ("cpu", "cuda")  # several times faster on a CPU than PyTorch's default
        options = {"lr": plan.lr, "weight_decay": plan.weight_decay, "fused": fused}
        if plan.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(trained, momentum=plan.momentum, **options)
        else:
            self.optimizer = torch.optim.Adam(
                trained, eps=plan.epsilon, capturable=self.captured is not None, **options
            )

        self.evaluated_on = {"test": self._chosen("test", plan.n_eval, "n_eval")}
        if plan.n_eval_train:
            self.evaluated_on["train"] = self._chosen("train", plan.n_eval_train, "n_eval_train")

        self.step, self.seconds = 0, 0.0
        self.checked, self.evaluated = 0, -1  # the steps of the last look at the losses and of the last evaluation
        self.losses = torch.zeros(plan.steps, len(members), device=device)
        self.rows: list[list[Row]] = [[] for _ in members]
        self.diverged_at: list[int | None] = [None for _ in members]

    @property
    def finished(self) -> bool:
        """Whether the last step is done and evaluated, or every network has diverged."""
        return self.evaluated == self.plan.steps or None not in self.diverged_at

    def steps_done(self, member: int) -> int:
        """Steps made by one network: up to its divergence."""
        diverged_at = self.diverged_at[member]
        return self.step if diverged_at is None else diverged_at

    def advance(self) -> None:
        """Evaluate the untrained networks; or make one update, and evaluate where that is due."""
        start = time.perf_counter()
        if self.evaluated < 0:
            self._evaluate()
        else:
            self._update()
            due = self.step in self.plan.points
            if due or self.step % _LOOK_EVERY == 0:
                self._look_for_divergence()
            if due and not self.finished:
                self._evaluate()
        self.seconds += time.perf_counter() - start

    def _chosen(self, split: str, n: int, name: str) -> tuple[Tensor, Tensor]:
        """n inputs of a split, the classes in equal numbers, and their targets."""
        index = balanced_indices(self.dataset.labels(split), n, np.random.default_rng(0), name)
        inputs = torch.from_numpy(self.dataset.standardise(self.dataset.images(split)[index])).to(self.device)
        targets = torch.from_numpy(self.dataset.labels(split, self.plan.labels)[index]).to(self.device)
        return inputs.reshape(-1, *self.shape), targets

    def _logits(self, inputs: Tensor) -> Tensor:
        """(n_networks, n, *input_shape) -> (n_networks, n, n_classes), float32."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.plan.precision == "bfloat16"):
            logits = self.network(inputs[0])[None] if len(self.models) == 1 else self.network(inputs)
        return logits.float()

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Inputs (n_networks, batch_size, *input_shape) and targets (n_networks, batch_size) of the next update."""
        inputs, targets = self.batches[self.step]
        each = (len(self.models), self.plan.batch_size)
        return inputs.reshape(*each, *self.shape), targets.reshape(each)

    def _update(self) -> None:
        inputs, targets = self._batch()
        self.network.train()
        losses = self.captured(self._step, inputs, targets) if self.captured else self._step(inputs, targets)
        self.losses[self.step] = losses
        self.step += 1

    def _step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """One update of the weights; the loss of each network before it, (n_networks,)."""
        self.optimizer.zero_grad(set_to_none=True)
        losses = F.cross_entropy(self._logits(inputs).flatten(0, 1), targets.flatten(), reduction="none")
        losses = losses.view(targets.shape).mean(1)
        losses.sum().backward()  # no parameter is shared, so that each network gets the gradient of its own loss
        self.optimizer.step()
        return losses.detach()

    def _look_for_divergence(self) -> None:
        wrong = ~torch.isfinite(self.losses[self.checked : self.step])
        for member in wrong.any(0).nonzero().flatten().tolist():
            if self.diverged_at[member] is None:
                step = self.checked + int(wrong[:, member].nonzero()[0]) + 1
                self.diverged_at[member] = step
                self.rows[member].append((step, "train", "loss", None, float(self.losses[step - 1, member])))
        self.checked = self.step

    def _evaluate(self) -> None:
        self.network.eval()
        found = {}
        with batch_statistics(self.network) if self.plan.batch_statistics else contextlib.nullcontext():
            for split, (inputs, targets) in self.evaluated_on.items():
                with torch.inference_mode():
                    whole = self.plan.batch_statistics  # statistics are those of all inputs together
                    chunks = [inputs] if whole else inputs.split(_EVAL_BATCH)
                    parts = [self._logits(chunk.expand(len(self.models), *chunk.shape)) for chunk in chunks]
                found[split] = [metrics.evaluate(one, targets) for one in torch.cat(parts, 1)]
                if self.plan.gradients:
                    for one, norms in zip(found[split], self._class_gradients(inputs, targets).T, strict=True):
                        one["class_gradient"] = norms.tolist()
        for member, rows in enumerate(self.rows):
            if self.diverged_at[member] is not None:
                continue
            if self.evaluated >= 0:
                mean = self.losses[self.evaluated : self.step, member].mean()
                rows.append((self.step, "train", "loss", None, float(mean)))
            for split, by_member in found.items():
                for metric, value in by_member[member].items():
                    if (split, metric) == ("train", "loss"):  # that of the batches has this name
                        continue
                    values = enumerate(value) if isinstance(value, list) else [(None, value)]
                    rows += [(self.step, split, metric, label, number) for label, number in values]
            if not math.isfinite(cast(float, found["test"][member]["loss"])):
                self.diverged_at[member] = self.step
        self.evaluated = self.step

    def _class_gradients(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Norm over all trained parameters of the gradient of each class's mean loss, (n_classes, n_networks)."""
        parameters = self.optimizer.param_groups[0]["params"]
        norms, together = [], None
        if self.plan.batch_statistics:  # those of all inputs together, for every class
            together = self._logits(inputs.expand(len(self.models), *inputs.shape))
        for label in targets.unique():
            of_class = targets == label
            some = inputs[of_class]
            if together is None:
                logits = self._logits(some.expand(len(self.models), *some.shape))
            else:
                logits = together[:, of_class]
            losses = F.cross_entropy(logits.flatten(0, 1), label.expand(logits.shape[:2].numel()), reduction="sum")
            found = torch.autograd.grad(losses / len(some), parameters, retain_graph=together is not None)
            each = [g.flatten(1).square().sum(1) if len(self.models) > 1 else g.square().sum()[None] for g in found]
            norms.append(torch.stack(each).sum(0).sqrt())
        return torch.stack(norms)

    def save(self, path: Path) -> None:
        """Write the state beside `path` and move it there, so that a crash leaves the old file whole."""
        names = ("settings", "step", "seconds", "checked", "evaluated", "losses", "rows", "diverged_at")
        state = {name: getattr(self, name) for name in names}
        state |= {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")  # of this writer alone
        try:
            torch.save(state, part)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def restore(self, path: Path) -> None:
        """Take up a saved state, if it is there; raises ParameterError if it cannot be read or is of other settings."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            theirs = _listed(state["settings"])
        except FileNotFoundError:
            return
        except Exception as error:  # whatever torch.load makes of a file that is none of its own
            raise ParameterError(f"checkpoint={str(path)!r}: cannot be read ({error}); delete it.") from error
        ours = _listed(self.settings)
        differ = [key for key in ours | theirs if ours.get(key) != theirs.get(key)]
        if differ:
            says = "; ".join(f"{key} was {theirs.get(key)!r}, now {ours.get(key)!r}" for key in differ)
            raise ParameterError(f"checkpoint={str(path)!r}: made with other settings ({says}); use another file.")
        self.network.load_state_dict(state.pop("network"))
        self.optimizer.load_state_dict(state.pop("optimizer"))
        for group in self.optimizer.param_groups:
            if "capturable" in group:  # as it was saved, perhaps on another device
                group["capturable"] = self.captured is not None
        for name, value in state.items():
            setattr(self, name, value)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as JSON would keep them, so that they can be stored and compared."""
    return json.loads(json.dumps(settings, default=lambda value: getattr(value, "item", value.__repr__)()))


def _listed(settings: list[dict[str, Any]]) -> dict[str, Any]:
    """Several networks' settings as one: what all share as it is, the rest as lists."""
    together = {key: [one.get(key) for one in settings] for key in settings[0]}
    return {key: values[0] if all(v == values[0] for v in values) else values for key, values in together.items()}
