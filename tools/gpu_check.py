"""What an accelerator makes of this package, and runs of the paper preset made with it.

    python tools/gpu_check.py [--minutes 10] [--chapters 6,14] [--preset paper] [--device cuda]

Three parts, each printed as it is known: the first losses of a network of every kind, against those of the CPU; steps a
second of one network and of stacks; and then, for the minutes that are left, runs of the preset into the store
(IGBREPRO_STORE, by default build/store), the most informative first: the paper's tanh MLPs, seed by seed, so that
whatever is done when time is up compares all starts. What was begun goes on with the next call.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import torch

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, Spec, ViTSpec
from igbrepro.publishing import find_chapter, plan_chapter
from igbrepro.runs import Run, Store, compute, default_store, in_words
from igbrepro.training import Conduct, TrainSettings, train, train_many

EARLY_STEPS = 5
STACKS = (1, 4, 16)


def kinds(data: Dataset, small: bool) -> dict[str, Spec]:
    """One network of every kind, of the sizes of the paper preset or small."""
    shape, n = data.input_shape, len(data.classes)
    depth, width = (6, 32) if small else (100, 1000)
    return {
        "MLP": MLPSpec("tanh", depth, width, n, shape),
        "residual MLP": MLPSpec("relu", depth, width, n, shape, residual=depth**-0.5),
        "CNN": CNNSpec("relu", 4 if small else 20, 8 if small else 256, n, shape),
        "ResNet": ResNetSpec(
            stages=(1, 1) if small else (9, 9, 9), width=4 if small else 16, n_classes=n, input_shape=shape
        ),
        "ViT": ViTSpec(
            "gelu", 1 if small else 6, 16 if small else 192, 2 if small else 3, 7, n_classes=n, input_shape=shape
        ),
    }


def early_gaps(specs: dict[str, Spec], data: Dataset, device: str) -> Iterator[tuple[str, float]]:
    """The largest relative gap between the first losses on the device and on the CPU, by kind of network."""
    for name, spec in specs.items():
        settings = TrainSettings(EARLY_STEPS, 32, 1e-4, labels="classes", n_eval=100)
        here, there = (
            train(spec, InitSpec(1.8), data, settings, device=one, progress=False).batch_losses
            for one in ("cpu", device)
        )
        yield name, float(abs(there / here - 1).max())


def speeds(specs: dict[str, Spec], data: Dataset, device: str, precision: str) -> Iterator[tuple[str, int, float]]:
    """Kind of network, networks in the stack, and steps a second of the whole stack."""
    for (name, spec), stack in itertools.product(specs.items(), STACKS):
        times = []
        for steps in (5, 25):  # the difference leaves out what comes once
            settings = TrainSettings(
                steps, 100, 1e-5, labels="classes", n_eval=100, eval_points=(), precision=precision
            )
            start = time.perf_counter()
            train_many(
                {"one": (spec, InitSpec(1.8))},
                data,
                settings,
                seeds=range(stack),
                stack=stack,
                device=device,
                progress=False,
            )
            times.append(time.perf_counter() - start)
        yield name, stack, 20 / max(times[1] - times[0], 1e-9)


def wanted(chapters: list[str], preset: str, store: Store) -> Iterator[tuple[str, list[Run], Dataset, object]]:
    """For each sweep of these chapters its missing runs, tanh before others and seed by seed, with its data."""
    for chapter in chapters:
        asked = plan_chapter(chapter, preset, store)
        for sweep, plan in asked.plans.items():
            if plan.missing and asked.dataset is not None and not asked.dataset.fallback:
                order = sorted(plan.missing, key=lambda run: ("tanh" not in run.name, run.seed))
                yield f"{chapter}, {sweep}", order, asked.dataset, plan.data


def produce(chapters: list[str], preset: str, store: Store, device: str, seconds: float) -> int:
    """Train missing runs until the time is up; returns how many were stored."""
    done, deadline = 0, time.monotonic() + seconds
    if seconds <= 0:
        return done
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.daemon = True
    try:
        timer.start()
        for title, runs, data, facts in wanted(chapters, preset, store):
            # Seeds in turn, so that what is done compares all starts; those of one seed train side by side.
            for seed, group in itertools.groupby(runs, key=lambda run: ("tanh" not in run.name, run.seed)):
                if time.monotonic() > deadline:
                    return done
                start = time.monotonic()
                for _ in compute(
                    list(group), data, facts, store, workers=1, conduct=Conduct(device=device, progress=False)
                ):
                    done += 1
                print(
                    f"  {title}, seed {seed[1]}: {in_words(time.monotonic() - start)}; {done} runs stored", flush=True
                )
    except KeyboardInterrupt:
        print("  time is up; what was begun goes on with the next call", flush=True)
    finally:
        timer.cancel()
    return done


def main(arguments: list[str] | None = None) -> int:
    """Run the three parts; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="for all parts together")
    parser.add_argument("--chapters", default="6,14", help="in this order")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--small", action="store_true", help="small networks in the first two parts, as on a CPU")
    given = parser.parse_args(arguments)
    end = time.monotonic() + 60 * given.minutes
    name = torch.cuda.get_device_name() if given.device.startswith("cuda") else "CPU"
    print(f"{name}, torch {torch.__version__}, {given.minutes:g} minutes")
    data = load("fashion-mnist", fallback=True)
    specs = kinds(data, given.small or given.device == "cpu")
    print("First losses against the CPU's, largest relative gap:")
    for kind, gap in early_gaps(specs, data, given.device):
        print(f"  {kind}: {gap:.1e}", flush=True)
    print("Steps a second (of the stack; times its networks):")
    for precision in ("float32", "bfloat16"):
        for kind, stack, rate in speeds(specs, data, given.device, precision):
            print(f"  {kind}, {precision}, {stack}: {rate:.3g} ({rate * stack:.3g})", flush=True)
            if time.monotonic() > end - 30 * given.minutes:
                print("  half of the time is gone: no more of these")
                break
    try:
        chapters = [find_chapter(part) for part in given.chapters.split(",")]
        print(f"Runs of the preset {given.preset}:")
        done = produce(chapters, given.preset, default_store(), given.device, end - time.monotonic())
    except ParameterError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{done} runs stored; `igbrepro runs ship CHAPTER --preset {given.preset}` makes evidence of them.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
