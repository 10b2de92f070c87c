"""A Slurm of its own on this host:  python controller.py FOLDER

Starts munge, a controller and a node in FOLDER, says "ready", and stops all of it, with what still runs in its jobs,
when its input ends: when whoever started it closes the pipe, or dies.  Needs root.

Commands in a job look for slurm.conf in /etc/slurm alone (Snakemake takes SLURM_CONF out of their environment), so it
has to lie there.  With --private, below `unshare --mount`, that is FOLDER/etc, seen from here only.  Else the file is
written there, and taken away at the end; one that is not ours is left, and nothing starts.
"""

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import psutil

ETC = Path("/etc/slurm")
MARK = "# of the tests of igbrepro\n"
SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
GresTypes=gpu
ReturnToService=2
KillWait=5
MinJobAge=7200
OverTimeLimit=UNLIMITED
SchedulerParameters=sched_min_interval=0
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=16000 Gres=gpu:1
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(log: IO[bytes], *command: object) -> None:
    """Start a daemon in the foreground, which the kernel kills when this process dies."""
    words = ["setpriv", "--pdeathsig", "KILL", *map(str, command)]
    subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)


def wait_for(what: str, is_there, seconds: float = 30) -> None:
    """Return once `is_there()`; end the program where that takes too long."""
    until = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > until:
            sys.exit(f"{what} did not come up within {seconds:.0f} s")
        time.sleep(0.2)


def node_is_idle() -> bool:
    """Whether the controller sees its node ready for jobs."""
    return "idle" in subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True).stdout


def stop() -> None:
    """Kill everything below this process: the daemons, and jobs, whose parents are dead, as its adopted children."""
    while children := psutil.Process().children(recursive=True):
        for child in children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                pass
        psutil.wait_procs(children, timeout=2)
        while True:  # the adopted are no children that psutil waits for
            try:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    break
            except ChildProcessError:
                break


def main(folder: Path, private: bool) -> None:
    """Run the three daemons until the input ends."""
    configuration = ETC / "slurm.conf"
    if private:
        subprocess.run(["mount", "--bind", folder / "etc", ETC], check=True)
    elif configuration.exists() and not configuration.read_text().startswith(MARK):
        sys.exit(f"{configuration} is not of these tests, and no mount of our own may hide it (unshare --mount)")
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: the orphans of jobs become our children
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    host = socket.gethostname().partition(".")[0]
    written = [configuration, ETC / "gres.conf"]
    try:
        written[0].write_text(MARK + SETTINGS.format(host=host, folder=folder, ports=free_ports(2)))
        written[1].write_text(f"{MARK}NodeName={host} Name=gpu File=/dev/null\n")
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        places = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        log = (folder / "slurm.log").open("wb")
        start(log, "munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *places)
        wait_for("munged", (folder / "munge.socket").exists)
        start(log, "slurmctld", "-D")
        start(log, "slurmd", "-D")
        wait_for("the node", node_is_idle)
        print("ready", flush=True)
        sys.stdin.read()
    finally:
        stop()
        for path in written:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), private="--private" in sys.argv)
