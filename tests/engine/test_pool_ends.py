"""Connections of the pool that grow old, and the beginning and the end of the pool."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
from sqlalchemy import make_url

from service import clock
from service.database import Database, DatabaseUnavailableError, fast_pool
from tests.conftest import DatabaseFactory
from tests.engine.api import settings_for
from tests.engine.pools import opened, pool_of, proxied
from tests.listener import listener

SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`later(seconds)` moves the clock to so long after the beginning of the test. The pool looks for old connections
    all the time."""
    moved, real = [0.0], clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + moved[0])
    monkeypatch.setattr(fast_pool, "REFILL_SECONDS", 0.01)

    def move(seconds: float) -> None:
        moved[0] = seconds

    return move


@pytest.fixture
async def observer(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to another database of the server."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def _until(state: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not state():  # noqa: ASYNC110  # the pool tells nobody
            await asyncio.sleep(0.01)


async def _left(observer: asyncpg.Connection, url: str, number: int) -> None:
    """Wait until the server has that many sessions of the database."""
    async with asyncio.timeout(20):
        while await observer.fetchval(SESSIONS, make_url(url).database) != number:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)


async def test_connection_idle_for_too_long_is_closed(
    fresh_database: DatabaseFactory, observer: asyncpg.Connection, later: Callable[[float], None]
) -> None:
    url = fresh_database()
    async with pool_of(url, pool_min=1, pool_max=2, idle_lifetime=60) as database:
        await database.start()
        first, second = await opened(database, 2)
        later(59)
        assert await opened(database, 1) == [first]
        later(61)
        await _until(second.is_closed)
        assert not first.is_closed()
        assert first in await opened(database, 2)
        await _left(observer, url, 2)


async def test_idle_connections_stay_open_without_a_lifetime(
    database_url: str, later: Callable[[float], None]
) -> None:
    async with pool_of(database_url, pool_min=2, pool_max=2, idle_lifetime=0) as database:
        await database.start()
        one, other = await opened(database, 2)
        later(1_000_000)
        other.terminate()  # what replaces it looks at the old ones, too
        await _until(lambda: database.pool.free == 2)
        assert one in await opened(database, 2)


async def test_no_more_than_the_maximum_is_kept_open(database_url: str) -> None:
    async with pool_of(database_url, pool_min=4, pool_max=2) as database:
        await database.start()
        assert database.pool.size == 2
        await opened(database, 2)


async def test_stop_closes_idle_connections(
    fresh_database: DatabaseFactory, observer: asyncpg.Connection
) -> None:
    url = fresh_database()
    async with pool_of(url, pool_max=2) as database:
        await opened(database, 2)
        await database.stop()
        await _left(observer, url, 0)


async def test_stop_closes_used_connections_and_refuses_those_who_wait(
    fresh_database: DatabaseFactory, observer: asyncpg.Connection
) -> None:
    url = fresh_database()
    async with pool_of(url, pool_max=1) as database:
        async with database.connection() as used:
            await database.probe("SELECT 1")
            waiting = [asyncio.create_task(opened(database, 1)) for _ in range(2)]
            await asyncio.sleep(0)
            await database.stop()
            assert used.is_closed()
            async with asyncio.timeout(5):
                for task in waiting:
                    with pytest.raises(DatabaseUnavailableError, match="the service is stopping"):
                        await task
                with pytest.raises(DatabaseUnavailableError, match="the service is stopping"):
                    await database.fetch("SELECT 1")
        await _left(observer, url, 0)


async def test_stop_does_not_wait_for_a_silent_server(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_pool, "CLOSE_SECONDS", 0.05)
    async with proxied(database_url) as (url, way), pool_of(url, pool_max=1) as database:
        (connection,) = await opened(database, 1)
        way.swallow()
        async with asyncio.timeout(20):
            await database.stop()
        assert connection.is_closed()


async def test_start_waits_for_a_silent_server_briefly_and_stop_gives_it_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast_pool, "START_SECONDS", 0.05)
    left = asyncio.Event()

    async def be_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass
        left.set()

    async with listener(be_silent) as port:
        url = f"postgresql://a:b@127.0.0.1:{port}/c?sslmode=disable"
        database = Database(settings_for(url, database={"url": url, "connect_timeout": 60}))
        async with asyncio.timeout(20):
            await database.start()
            await database.stop()
            await left.wait()


async def test_attempt_to_connect_is_bounded() -> None:
    async def be_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass

    async with listener(be_silent) as port:
        url = f"postgresql://a:b@127.0.0.1:{port}/c?sslmode=disable"
        async with pool_of(url, connect_timeout=0.1) as database, asyncio.timeout(10):
            with pytest.raises(DatabaseUnavailableError, match="no connection in time"):
                await database.fetch("SELECT 1")


async def test_start_returns_when_all_connections_are_open(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_pool, "START_SECONDS", 60)
    async with pool_of(database_url, pool_min=3) as database:
        await database.start()
        assert database.pool.free == 3


async def test_start_does_not_wait_for_a_server_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_pool, "START_SECONDS", 60)
    async with pool_of("postgresql://a:b@127.0.0.1:1/c") as database, asyncio.timeout(20):
        await database.start()
        assert not database.warm
