"""The pool while the server cannot be reached, and after it is back."""

import asyncio
from contextlib import AsyncExitStack

import pytest
import structlog

from service.database import DatabaseUnavailableError, fast_pool
from service.database.database import Database
from service.database.fast_pool import FastPool
from tests.engine.api import filled
from tests.engine.pools import CountingProxy, opened, pool_of, proxied
from tests.faults.proxy import Endpoint


async def _outage(database: Database, way: CountingProxy) -> None:
    """Make an attempt to connect fail; open connections stay."""
    way.refuse()
    with pytest.raises(DatabaseUnavailableError):
        async with database.dedicated():
            pass


async def _over(database: Database) -> None:
    """Wait until the pool has reached the server again."""
    async with asyncio.timeout(20):
        while True:
            try:
                async with database.dedicated():
                    return
            except DatabaseUnavailableError:
                await asyncio.sleep(0.01)


async def test_refusal_names_the_reason() -> None:
    async with pool_of("postgresql://a:b@127.0.0.1:1/c") as database:
        for _ in range(2):  # the second one makes no attempt
            with pytest.raises(DatabaseUnavailableError, match="ConnectionRefusedError"):
                await database.fetch("SELECT 1")


async def test_failed_attempt_is_repeated_at_once(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool does not wait until it looks for old connections."""
    monkeypatch.setattr(fast_pool, "REFILL_SECONDS", 3600)
    async with proxied(database_url) as (url, way), pool_of(url, pool_min=0) as database:
        await database.start()
        await _outage(database, way)
        await way.listen()
        await _over(database)


async def test_pool_rests_after_an_outage(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fills, fill = [], FastPool._fill

    async def counted(pool: FastPool) -> None:
        fills.append(pool)  # of every application in this process
        await fill(pool)

    monkeypatch.setattr(FastPool, "_fill", counted)
    async with proxied(database_url) as (url, way), pool_of(url, pool_min=0) as database:
        await database.start()
        await _outage(database, way)
        await way.listen()
        await _over(database)
        for _ in range(200):
            await asyncio.sleep(0)
        before = fills.count(database.pool)
        await asyncio.sleep(0.1)
        assert fills.count(database.pool) <= before + 1


async def test_pause_is_short_again_in_the_next_outage(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_pool, "REFILL_SECONDS", 0.05)
    async with proxied(database_url) as (url, way), pool_of(url, pool_min=1) as database:
        await database.start()
        for _ in range(2):
            with structlog.testing.capture_logs() as lines:
                way.refuse()
                way.cut()
                async with asyncio.timeout(20):
                    while len(lines) < 2:  # noqa: ASYNC110  # a list tells nobody
                        await asyncio.sleep(0.01)
            assert {line["event"] for line in lines} == {"database unreachable"}
            assert [line["retry_in"] for line in lines[:2]] == [0.1, 0.2]
            await way.listen()
            await filled(database, 1)


async def test_end_of_an_outage_opens_no_connection_beyond_the_maximum(database_url: str) -> None:
    async with proxied(database_url) as (url, way), pool_of(url, pool_min=1, pool_max=1) as database:
        await database.start()
        async with database.connection():
            await _outage(database, way)
            await way.listen()
            await _over(database)
            assert database.pool.size == 1
        async with asyncio.timeout(20):
            while way.connections > 1:  # noqa: ASYNC110  # the proxy tells nobody
                await asyncio.sleep(0.01)
        assert await database.fetch("SELECT 7")


async def test_requests_that_waited_during_an_outage_get_connections(database_url: str) -> None:
    """More than the one by which the pool notices the end of the outage."""
    both = asyncio.Barrier(2)

    async def ask(database: Database) -> None:
        async with database.connection():
            await both.wait()

    async with proxied(database_url) as (url, way), pool_of(url, pool_min=1, pool_max=3) as database:
        await database.start()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(database.connection())
            await _outage(database, way)
            tasks = [asyncio.create_task(ask(database)) for _ in range(2)]
            await asyncio.sleep(0)
            await way.listen()
            async with asyncio.timeout(10):
                await asyncio.gather(*tasks)


class _FirstFails(CountingProxy):
    """Closes the first connection, and takes its time with the others."""

    delay = 0.1

    def pick(self) -> Endpoint | None:
        return None if super().pick() is None or self.accepted == 1 else self._target


async def test_request_waits_for_a_second_attempt_that_is_under_way(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.engine.pools.CountingProxy", _FirstFails)
    async with proxied(database_url) as (url, _), pool_of(url, pool_max=2) as database:
        await asyncio.gather(*(opened(database, 1) for _ in range(2)))
