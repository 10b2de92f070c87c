"""What an earlier call left unfinished: checkpoints beside a store, and which runs each of them is of.

unfinished/NAME.pt is the state of a stack of runs in training, NAME.json the keys of these runs, in order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from igbrepro.runs.keys import checksum
from igbrepro.runs.store import Store

if TYPE_CHECKING:
    import torch

    from igbrepro.training import Part, Task

FOLDER = "unfinished"


def parts_of(tasks: Mapping[str, Task], store: Store, device: torch.device) -> list[Part]:
    """The tasks, by key, in parts with a checkpoint each: first those that were begun, with the runs they have.

    Checkpoints of runs that are all stored by now are removed.  A store that is only read keeps none.
    """
    from igbrepro.training import Part, in_parts

    if store.folder is None:
        return in_parts(tasks.values(), device=device)
    folder, left, parts = store.folder / FOLDER, dict(tasks), []
    for said in sorted(folder.glob("*.json")):
        keys, file = _keys(said), said.with_suffix(".pt")
        if keys and file.exists() and all(key in left for key in keys):
            parts.append(Part(tuple(left.pop(key) for key in keys), file))
        elif keys and all(map(store.has, keys)):
            done(file)
    names = {(task.name, task.seed): key for key, task in left.items()}
    for part in in_parts(left.values(), device=device):
        keys = [names[task.name, task.seed] for task in part.tasks]
        file = folder / f"{checksum({'keys': keys})}.pt"
        _say(file.with_suffix(".json"), keys)
        parts.append(replace(part, checkpoint=file))
    return parts


def done(checkpoint: Path | None) -> None:
    """Remove a checkpoint whose runs are stored."""
    if checkpoint is not None:
        for file in (checkpoint, checkpoint.with_suffix(".json")):
            with suppress(OSError):
                file.unlink(missing_ok=True)


def _keys(said: Path) -> list[str]:
    """The keys that a file says; none where it cannot be read."""
    try:
        found = json.loads(said.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []


def _say(said: Path, keys: Iterable[str]) -> None:
    """Write them; on a full disk there is none, and its checkpoint counts for these very runs alone."""
    with suppress(OSError):
        said.parent.mkdir(parents=True, exist_ok=True)
        said.write_text(json.dumps(list(keys)), encoding="utf-8")
