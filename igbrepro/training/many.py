"""Many networks and seeds into one table: those of one shape side by side in a stack, the others on several cores."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import pandas as pd
import torch
from tqdm import tqdm

from igbrepro.checks import whole
from igbrepro.data import Dataset
from igbrepro.errors import ParameterError
from igbrepro.initialization import Start
from igbrepro.networks import Spec
from igbrepro.theory import get_activation
from igbrepro.training.history import COLUMNS, Histories
from igbrepro.training.run import Run, drawn
from igbrepro.training.settings import Conduct, Options, TrainSettings, by_run
from igbrepro.training.stacks import stack_size
from igbrepro.training.training import finish, frame_of

Found = dict[tuple[str, int], tuple[pd.DataFrame, tuple]]  # by name and seed: the rows, and the row of Histories.runs


@dataclass(frozen=True)
class Task:
    """One network to train: what its tables call it, its description and start, its seed, and the settings.

    nudge: relative size of a random change of its weights before the first step; one of the size of a rounding error
        shows how fast training makes rounding errors larger.
    """

    name: str
    spec: Spec
    init: Start
    seed: int
    plan: TrainSettings
    nudge: float = 0.0


@dataclass(frozen=True)
class Part:
    """Tasks of one description and plan, whose networks train side by side; checkpoint: the file that keeps them."""

    tasks: tuple[Task, ...]
    checkpoint: Path | None = None

    @property
    def title(self) -> str:
        """The first of its tasks, and how many others there are."""
        first, others = self.tasks[0], len(self.tasks) - 1
        return f"{first.name}, seed {first.seed}" + f" + {others}" * bool(others)


@dataclass(frozen=True)
class Shared:
    """What all parts have in common."""

    dataset: Dataset
    conduct: Conduct


def train_many(
    networks: Mapping[str, tuple[Spec, Start]],
    dataset: Dataset,
    settings: TrainSettings | Mapping[str, TrainSettings] | None = None,
    *,
    seeds: Iterable[int],
    stack: int | None = None,
    workers: int | None = None,
    checkpoints: str | os.PathLike | None = None,
    **options: Unpack[Options],
) -> Histories:
    """Train every (spec, init) of `networks` with every seed.

    settings, options: those of `train`, the same for all; or `settings` or the option `lr` by the run's key in
        `networks`, lr={"edge": 1e-4, "chaotic": 1e-5}.
    Networks of one spec and one plan are stacked and trained side by side: on the CPU fully connected ones without
    pools or residual layers, which is faster the smaller they are; on an accelerator those of every kind.  Each one's
    numbers are those of `train` but for rounding. The tables name a run by its key; models are not kept.
    stack: largest number of networks in a stack (1: one after the other); by default as many as pay, and as an
        accelerator's memory holds.
    workers: processes that share the runs (or stacks), each with one thread; by default, on the CPU, as many as torch
        has threads; 1 on an accelerator, and for activations of your own, which other processes do not know.
        They take some seconds to start, so that workers=1 is faster for runs that are over sooner.
    checkpoints: folder with one checkpoint a stack, named after its first network; as `checkpoint` of `train`.
    Raises as `train` does. Where an interruption or an error ends it early, the Histories of the runs that were done by
    then are the attribute `finished` of what is raised.
    """
    if not isinstance(seeds, Iterable):
        raise ParameterError(f"seeds={seeds!r}: need a list of seeds, [{seeds!r}] or range({seeds!r}).")
    if not isinstance(networks, Mapping):
        raise ParameterError(f'networks={networks!r}: need a mapping such as {{"edge": (spec, init)}}.')
    for name, pair in networks.items():
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise ParameterError(f"networks[{name!r}]={pair!r}: need a pair, (spec, init).")
    seeds, networks = tuple(seeds), dict(networks)
    for name, value in (("stack", stack), ("workers", workers)):
        if value is not None:
            whole(name, value, 1)
    if not networks or not seeds:
        raise ParameterError(f"networks={list(networks)!r}, seeds={seeds!r}: need at least one of each.")
    plans, conduct = by_run(networks, settings, options)
    tasks = []
    for name, (spec, init) in networks.items():
        plans[name].fit(spec, dataset)
        tasks += [Task(name, spec, init, seed, plans[name].resolved(dataset)) for seed in seeds]
    parts = in_parts(tasks, stack, checkpoints, conduct.on)
    found: Found = {}
    try:
        for done in train_parts(parts, dataset, conduct, workers):
            found |= done
    except BaseException as error:
        keep(error, _histories(networks, seeds, found))
        raise
    histories = _histories(networks, seeds, found)
    for name, seed, _, _, diverged_at in histories.runs.dropna(subset="diverged_at").itertuples(index=False):
        what = f"{name}, seed {seed}: training diverged"
        warnings.warn(f"{what}, its loss at step {diverged_at} is not finite.", stacklevel=2)
    return histories


def in_parts(
    tasks: Iterable[Task],
    stack: int | None = None,
    checkpoints: str | os.PathLike | None = None,
    device: torch.device | None = None,
) -> list[Part]:
    """The tasks in stacks, each of one description and one plan; stack, checkpoints, device: as of `train_many`."""
    on = device or Conduct().on
    groups: dict[tuple[Spec, TrainSettings], list[Task]] = {}
    for task in tasks:
        groups.setdefault((task.spec, task.plan), []).append(task)
    found = []
    for (spec, plan), group in groups.items():
        for members in _even_parts(group, stack or stack_size(spec, plan, on)):
            first, others = members[0], len(members) - 1
            file = f"{first.name}-{first.seed}" + f"+{others}" * bool(others) + ".pt"
            found.append(Part(tuple(members), None if checkpoints is None else Path(checkpoints) / file))
    return found


def train_parts(
    parts: Sequence[Part], dataset: Dataset, conduct: Conduct, workers: int | None = None
) -> Iterator[Found]:
    """Train these parts, and yield the results of each when it is done; workers: as of `train_many`.

    Where an error or an interruption ends it, those that were done by then are yielded first.
    """
    if workers is None:
        portable = all(get_activation(part.tasks[0].spec.activation).portable for part in parts)
        workers = torch.get_num_threads() if conduct.on.type == "cpu" and portable else 1
    shared = Shared(dataset, conduct)
    if min(workers, len(parts)) <= 1:
        for part in parts:
            yield _train_part(part, shared)
    else:
        yield from _side_by_side(parts, shared, min(workers, len(parts)))


def keep(error: BaseException, finished: Histories) -> None:
    """Hang the results that there are on an error, and say so in it."""
    vars(error)["finished"] = finished
    if n := len(finished.runs):
        error.add_note(f"The {n} runs that were done are kept: take them as `error.finished`, where this is `error`.")


def _histories(networks: Mapping[str, Any], seeds: tuple[int, ...], found: Found) -> Histories:
    """The runs that were found, in the order of networks and seeds."""
    keys = [(name, seed) for name in networks for seed in seeds if (name, seed) in found]
    columns = ["run", "seed", *COLUMNS]
    frames = [pd.DataFrame(found[key][0].assign(run=key[0], seed=key[1])[columns]) for key in keys]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=pd.Index(columns))
    names = ["run", "seed", "steps", "seconds", "diverged_at"]
    runs = pd.DataFrame([found[key][1] for key in keys], columns=pd.Index(names)).astype({"diverged_at": "Int64"})
    return Histories(frame, runs)


def _train_part(part: Part, shared: Shared) -> Found:
    """Train the networks of one stack."""
    first = part.tasks[0]
    members = [drawn(task.spec, task.init, task.seed, shared.dataset) for task in part.tasks]
    for task, member in zip(part.tasks, members, strict=True):
        _nudge(member.model, task.nudge, task.seed)
    run = Run(members, shared.dataset, first.plan, shared.conduct.on, first.spec.input_shape)
    finish(run, part.checkpoint, shared.conduct, part.title)
    share = run.seconds / len(members)
    return {
        (task.name, task.seed): (
            frame_of(run, k),
            (task.name, task.seed, run.steps_done(k), share, run.diverged_at[k]),
        )
        for k, task in enumerate(part.tasks)
    }


@torch.no_grad()
def _nudge(model: torch.nn.Module, size: float, seed: int) -> None:
    """Change every weight by a normal number of this relative size."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters() if size else ():
        parameter.mul_(1 + size * torch.randn(parameter.shape, generator=generator))


_shared: list[Shared] = []  # in a worker: what its parts have in common


def _start_worker(shared: Shared) -> None:
    _shared[:] = [shared]
    torch.set_num_threads(1)


def _work(part: Part) -> Found:
    return _train_part(part, _shared[0])


def _side_by_side(parts: Sequence[Part], shared: Shared, workers: int) -> Iterator[Found]:
    """Train the parts in processes of their own, and yield each when it is done, even if another one fails.

    An interruption reaches the processes, which save where there is a checkpoint.
    """
    context = multiprocessing.get_context("spawn")
    progress = shared.conduct.progress
    quiet = replace(shared, conduct=replace(shared.conduct, progress=False, threads=None))
    bar = tqdm(total=len(parts), unit="run", desc="training", disable=None if progress is None else not progress)
    with bar, ProcessPoolExecutor(workers, context, _start_worker, (quiet,)) as pool:
        waiting = {pool.submit(_work, part) for part in parts}
        try:
            for future in as_completed(set(waiting)):
                done = future.result()
                waiting.discard(future)
                bar.update()
                yield done
        except BaseException as error:
            pool.shutdown(cancel_futures=True)
            if isinstance(error, GeneratorExit):
                raise
            for future in waiting:
                if future.done() and not future.cancelled() and future.exception() is None:
                    yield future.result()
            if isinstance(error, KeyboardInterrupt):
                folder = parts[0].checkpoint and parts[0].checkpoint.parent
                resume = f"the same call goes on with its checkpoints in {folder}" if folder else ""
                what = f"training stopped after {bar.n} of {len(parts)} runs"
                raise KeyboardInterrupt(f"{what}: {resume or 'nothing was saved'}.") from None
            if isinstance(error, BrokenProcessPool):
                raise ParameterError(
                    f"workers={workers}: a worker process ended before its time. Workers run a script's own file "
                    'again, so put the call under `if __name__ == "__main__":`; or take workers=1.'
                ) from error
            raise


def _even_parts(items: list, most: int) -> Iterator[list]:
    """The items in order, in as few parts of at most `most` as possible, of equal length to within one."""
    n_parts = -(-len(items) // most)
    for part in range(n_parts):
        yield items[part * len(items) // n_parts : (part + 1) * len(items) // n_parts]
