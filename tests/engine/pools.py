"""Pools of connections with limits of their own, also behind a proxy."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from prometheus_client import REGISTRY
from sqlalchemy import make_url

from service.database import Database
from service.database.connect import Connection
from service.dev.free_ports import LOOPBACK
from tests.engine.api import settings_for
from tests.faults.proxy import Endpoint, Proxy


class CountingProxy(Proxy):
    """Counts the connections that it accepts."""

    accepted = 0

    def pick(self) -> Endpoint | None:
        self.accepted += 1
        return super().pick()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[str, CountingProxy]]:
    """Yield the URL of the database behind a proxy, and the proxy."""
    to = make_url(url)
    async with CountingProxy(Endpoint(str(to.host), to.port or 0)) as way:
        there = to.set(host=LOOPBACK, port=way.port, query={"sslmode": "disable"})
        yield there.render_as_string(hide_password=False), way


@asynccontextmanager
async def pool_of(url: str, **limits: float) -> AsyncIterator[Database]:
    """A database with these limits. It is not started: it connects when a connection is asked for."""
    database = Database(settings_for(url, database={"url": url, **limits}))
    try:
        yield database
    finally:
        await database.stop()


async def opened(database: Database, number: int) -> list[Connection]:
    """Use that many connections at once, and return them. All are idle then; the first is the last one put back."""
    async with AsyncExitStack() as stack:
        return [await stack.enter_async_context(database.connection()) for _ in range(number)]


def measured(name: str, **labels: str) -> float:
    """Return the value of a metric of the database."""
    return REGISTRY.get_sample_value(f"slipway_database_{name}", labels) or 0.0
