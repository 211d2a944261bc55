"""Helpers for the tests of the embedded servers."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from service.dev.free_ports import LOOPBACK
from tests.ports import placed


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    """Occupy a port as another program would."""
    with socket.create_server((LOOPBACK, port)) as holder:
        yield int(holder.getsockname()[1])


def eventually(what: Callable[[], bool], *, seconds: float = 15) -> bool:
    """Whether a condition becomes true in time."""
    deadline = time.monotonic() + seconds
    while not what():  # once is enough: the condition may be temporary
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def processes() -> list[int]:
    """Return the ids of all processes of this machine."""
    if Path("/proc/self").exists():
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    listing = subprocess.run(["ps", "-axo", "pid="], capture_output=True, text=True, check=True)
    return [int(pid) for pid in listing.stdout.split()]


async def ask(url: str, sql: str) -> object:
    """Run one statement and return its first value."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def copied(server: Path, folder: Path) -> Path:
    """Copy the folder of a server that has stopped, and return the copy, which has a port and a log of its own."""
    subprocess.run(["cp", "-a", server, folder], check=True)
    (folder / "log").unlink()
    return placed(folder)
