"""Help for the tests of the local servers."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg

from service.local.ports import LOOPBACK


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    """Hold a port as another program would."""
    with socket.create_server((LOOPBACK, port)) as holder:
        yield int(holder.getsockname()[1])


def eventually(what: Callable[[], bool], *, seconds: float = 15) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)
    return what()


async def ask(url: str, sql: str) -> object:
    """Run one statement and return its first value."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()
