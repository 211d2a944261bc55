"""Ports for programs that the tests start: nobody else takes one between its choice and its use.

The system gives ports of its ephemeral range to outgoing connections and to programs that ask for port 0. These are
below it, in a block for each worker of a run, and a process hands out each of them once. One that is no worker,
such as the one that owns the servers of a run, has all of them and hands out one or two.
"""

import os
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from service.dev.free_ports import is_free

FIRST, BEYOND = 10_000, 30_000  # a cluster on this machine uses the ports above for NodePorts
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
EVERYWHERE = "0.0.0.0"


def next_port() -> int:
    """Return a free port that no other test is given."""
    for port in _ports():
        if is_free(port, EVERYWHERE):
            return port
    raise AssertionError("no port of this worker's block is left")


def placed(folder: Path) -> Path:
    """The folder of an embedded server that is to begin on such a port, and so finds it free at each start."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "port").write_text(f"{next_port()}\n")
    return folder


def block(worker: int, workers: int, ephemeral: int) -> range:
    """The ports of a worker, where the ephemeral range begins there."""
    end = (
        min(BEYOND, ephemeral) if ephemeral >= 2 * FIRST else BEYOND
    )  # risk a shared port rather than have none
    size = (end - FIRST) // workers
    return range(FIRST + worker * size, FIRST + (worker + 1) * size)


@cache
def _ports() -> Iterator[int]:
    """Those of this process, from a place in its block that another run on this machine has hardly begun at."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = block(worker, workers, _ephemeral())
    start = random.randrange(len(ports))
    return iter([*ports[start:], *ports[:start]])


def _ephemeral() -> int:
    """Where the ephemeral range begins; where the system does not tell, no earlier than Linux has it."""
    return int(RANGE.read_text().split()[0]) if RANGE.exists() else BEYOND
