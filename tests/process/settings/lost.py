"""A database and a Redis that accept connections and never answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.listener import listener
from tests.process.served import Served, eventually
from tests.process.settings.table import Given, Running, Setup, process, setting


class Silent:
    """A server on `port`. `seconds` holds how long each client waited before it left."""

    def __init__(self) -> None:
        self.port = 0
        self.seconds: list[float] = []

    async def keep_silent(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        began = time.monotonic()
        try:
            await reader.read()
        finally:
            self.seconds.append(time.monotonic() - began)


@asynccontextmanager
async def silent() -> AsyncIterator[Silent]:
    """Run a silent server until the block ends."""
    found = Silent()
    async with listener(found.keep_silent) as found.port:
        yield found


def listening(setup: Setup, given: Given) -> Served:
    """Start a process that responds to its probes, though it never becomes ready."""
    service = Served(setup.home / "service", **given)
    setup.closing.append(service.close)
    return service.listening()


@process("lost", listening)
def lost(setup: Setup) -> Given:
    database, redis = (setup.background.enter(silent()) for _ in range(2))
    setup.servers |= {"database": database, "redis": redis}
    return {
        "database__url": f"postgresql://slipway:x@127.0.0.1:{database.port}/slipway",
        "redis__url": f"redis://127.0.0.1:{redis.port}/0",
    }


def gives_up_within(run: Running, name: str, seconds: float) -> bool:
    """Whether an attempt to connect ends so soon; on a busy machine, a later one may."""
    server: Silent = run.setup.servers[name]
    return bool(eventually(lambda: server.seconds and min(server.seconds) < seconds))


@setting("database__connect_timeout", 0.3, process="lost")
def silent_database_times_out(run: Running) -> None:
    assert gives_up_within(run, "database", 0.8)  # a probe gives up after a second


@setting("redis__connect_timeout", 0.3, process="lost")
def silent_redis_times_out(run: Running) -> None:
    assert gives_up_within(run, "redis", 1.5)
