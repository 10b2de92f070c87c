"""A Slurm for the tests of this folder."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from toys import ROOT

CONTROLLER = Path(__file__).with_name("controller.py")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "setpriv")


@dataclass
class Cluster:
    """A running Slurm: its folder, its process, and the words before a command that is to see it."""

    folder: Path
    process: subprocess.Popen
    enter: list[str]

    def run(self, *command: str) -> str:
        """What a command of Slurm says; it must succeed."""
        done = subprocess.run([*self.enter, *command], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def log(self) -> str:
        """What its daemons have said."""
        path = self.folder / "slurm.log"
        return path.read_text(errors="replace") if path.exists() else ""


@contextmanager
def running() -> Iterator[Cluster]:
    """A Slurm that is stopped, with all of its jobs, at the end.

    Where the kernel allows it has a world of its own of mounts and processes, which ends with it.
    """
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    private = subprocess.run([*apart, "true"], capture_output=True, check=False).returncode == 0
    # Not below the folder of the tests: the path of a socket is short.
    with tempfile.TemporaryDirectory(prefix="slurm") as name:
        folder = Path(name)
        for inner in ("etc", "state", "spool"):
            (folder / inner).mkdir()
        command = [sys.executable, str(CONTROLLER), str(folder)]
        command = [*apart, *command, "--private"] if private else command
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cluster = Cluster(folder, process, [])
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                last = (cluster.log().strip().splitlines() or ["its controller said nothing"])[-1]
                pytest.skip(f"no Slurm came up on this machine ({last}): the workflow did not run on a cluster")
            if private:
                (inside,) = psutil.Process(process.pid).children()
                cluster.enter = ["nsenter", "--target", str(inside.pid), "--mount", "--pid", f"--wd={ROOT}"]
            yield cluster
        finally:
            process.communicate(timeout=60)  # closes its input


@pytest.fixture(scope="session")
def start_slurm() -> Callable[[], AbstractContextManager[Cluster]]:
    """`running`, where this machine allows it; else the test is left out, or fails where CI is set and has no Slurm."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    why = f"no {missing[0]} (Debian: apt install slurmctld slurmd slurm-client munge)" if missing else ""
    why = why or ("" if os.geteuid() == 0 else "not root, as a Slurm of one's own needs")
    if why:
        message = f"{why} on this machine: the workflow did not run on a cluster"
        pytest.fail(message) if missing and os.environ.get("CI") else pytest.skip(message)
    return running


@pytest.fixture(scope="module")
def cluster(start_slurm: Callable[[], AbstractContextManager[Cluster]]) -> Iterator[Cluster]:
    """A running Slurm: one node with four cores, 16 GB and a GPU on paper; jobs may go on beyond their time."""
    with start_slurm() as one:
        yield one
