"""The pool of connections: which one is used, who gets it, and what it counts."""

import asyncio
import contextlib

import asyncpg
import pytest

from service import clock
from service.database import Database, DatabaseUnavailableError, connector
from service.database.connect import Connection
from tests.engine.api import filled
from tests.engine.pools import measured, opened, pool_of, proxied

PID = "SELECT pg_backend_pid()"


async def _waiting(database: Database) -> "asyncio.Task[int]":
    """A task that waits for a connection, and returns its process id."""

    async def ask() -> int:
        async with database.connection() as connection:
            return int(await connection.fetchval(PID))

    task = asyncio.create_task(ask())
    await asyncio.sleep(0)  # it asks
    return task


async def _select(database: Database, timeout: float | None = None) -> None:  # noqa: ASYNC109  # the driver's
    async with database.connection() as connection:
        await connection.execute("SELECT 1", timeout=timeout)


async def test_connection_used_last_is_used_next(database_url: str) -> None:
    """So the others grow old, and are closed."""
    async with pool_of(database_url, pool_max=3) as database:
        await opened(database, 3)
        assert len({(await database.fetch(PID))[0][0] for _ in range(6)}) == 1


async def test_longest_wait_is_served_first(database_url: str) -> None:
    async with pool_of(database_url, pool_max=1) as database:
        order: list[int] = []

        async def ask(number: int) -> None:
            async with database.connection():
                order.append(number)

        async with database.connection():
            tasks = [asyncio.create_task(ask(number)) for number in range(4)]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2, 3]


async def test_used_and_idle_connections_are_counted(database_url: str) -> None:
    async def reported() -> tuple[float, float, float]:
        await database.report()
        used, idle = (measured("connections", state=state) for state in ("used", "idle"))
        return used, idle, measured("connections_limit")

    async with pool_of(database_url, pool_max=3) as database:
        one, _ = await opened(database, 2)
        async with database.connection():
            assert await reported() == (1, 1, 3)
        one.terminate()
        assert await reported() == (0, 1, 3)


async def test_waits_for_a_connection_are_measured(database_url: str) -> None:
    async with pool_of(database_url, pool_min=1, pool_max=1, acquire_timeout=0.2) as database:
        await database.start()
        await filled(database, 1)
        names = ("acquire_seconds_count", "acquire_timeouts_total", "acquire_seconds_sum")
        before = [measured(name) for name in names]
        await database.fetch("SELECT 1")
        async with database.connection():
            for _ in range(2):
                with pytest.raises(DatabaseUnavailableError, match="no connection in time"):
                    await database.fetch("SELECT 1", reads=True)
        uses, timeouts, seconds = (measured(name) - old for name, old in zip(names, before, strict=True))
        assert (uses, timeouts) == (4, 2)  # a read that found no connection is not tried again
        assert seconds > 0.39


async def test_statements_are_measured_by_outcome(database_url: str) -> None:
    async with pool_of(database_url, pool_max=1) as database:
        await database.fetch("SELECT 1", names_actor=True)

        async def counted(sql: str, *, names_actor: bool) -> tuple[float, float]:
            name = "statement_seconds_count"
            before = [measured(name, outcome=outcome) for outcome in ("ok", "error")]
            with contextlib.suppress(asyncpg.DivisionByZeroError):
                await database.fetch(sql, names_actor=names_actor)
            ok, failed = (
                measured(name, outcome=outcome) - old
                for outcome, old in zip(("ok", "error"), before, strict=True)
            )
            return ok, failed

        for names_actor in (False, True):
            assert await counted("SELECT 1", names_actor=names_actor) == (1, 0)
            assert await counted("SELECT 1 / 0", names_actor=names_actor) == (0, 1)


async def test_time_limit_of_a_statement_ends_with_it(database_url: str) -> None:
    """Or else a connection that is idle after an error would be closed."""
    async with pool_of(database_url, pool_max=1) as database:
        for sql in ("SELECT 7", "SELECT 1 / 0"):
            for _ in range(2):  # the first time it is prepared
                with contextlib.suppress(asyncpg.DivisionByZeroError):
                    await database.fetch(sql, names_actor=True)
            (connection,) = await opened(database, 1)
            assert not connection._patience.running


async def test_connection_lost_in_use_is_replaced_for_a_waiting_request(database_url: str) -> None:
    async with pool_of(database_url, pool_max=1) as database:
        async with database.connection() as connection:
            waiting = await _waiting(database)
            await database.pool.expire()
        assert connection.is_closed()
        async with asyncio.timeout(10):
            await waiting


async def test_expired_connection_is_closed_at_once_after_an_error(database_url: str) -> None:
    async with pool_of(database_url, pool_max=1) as database:
        used: list[Connection] = []

        async def fail() -> None:
            async with database.transaction() as connection:
                used.append(connection)
                await database.pool.expire()
                raise LookupError

        with pytest.raises(LookupError):
            await fail()
        assert used[0].is_closed()


async def test_all_connections_expire_at_most_once_a_second(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many requests notice the same loss, and the connections opened since are good."""
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    async with pool_of(database_url, pool_max=2) as database:
        before = await opened(database, 2)
        await database.pool.expire()
        assert [connection.is_closed() for connection in before] == [True, True]
        (second,) = await opened(database, 1)
        await database.pool.expire()
        assert await opened(database, 1) == [second]
        now[0] += connector.EXPIRE_SECONDS
        await database.pool.expire()
        assert second.is_closed()


async def test_connection_begun_before_all_expired_is_not_used(database_url: str) -> None:
    async with proxied(database_url) as (url, way), pool_of(url, pool_max=1) as database:
        way.swallow()
        waiting = await _waiting(database)
        async with asyncio.timeout(10):
            while not way.connections:  # noqa: ASYNC110  # the proxy tells nobody
                await asyncio.sleep(0.01)
        await database.pool.expire()
        way.heal(forget=False)
        async with asyncio.timeout(10):
            await waiting
        assert way.accepted == 2


async def test_connection_given_to_a_caller_that_leaves_goes_to_the_next(database_url: str) -> None:
    async with pool_of(database_url, pool_max=1) as database:
        async with database.connection() as connection:
            waiting = await _waiting(database)
        waiting.cancel()  # in the turn of the event loop in which it got the connection
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        async with asyncio.timeout(10):
            assert await opened(database, 1) == [connection]


async def test_connection_that_hangs_after_a_cancelled_statement_is_closed(database_url: str) -> None:
    """Within the acquire timeout, long before the statement would be."""
    limits = {"pool_max": 1, "acquire_timeout": 0.3, "statement_timeout": 60}
    async with proxied(database_url) as (url, way), pool_of(url, pool_min=1, **limits) as database:
        await database.start()
        await filled(database, 1)
        (connection,) = await opened(database, 1)
        way.swallow()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_select(database), 0.1)
        async with asyncio.timeout(20):
            while not connection.is_closed():  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.01)
        way.heal()
        await filled(database, 1)
        assert await database.fetch("SELECT 7")


async def test_transaction_left_open_is_rolled_back(database_url: str) -> None:
    async with pool_of(database_url, pool_max=1) as database:
        async with database.connection() as connection:
            await connection.execute("BEGIN")
        async with database.connection() as again:
            assert again is connection
            assert not again.is_in_transaction()


async def test_one_lost_connection_expires_all(database_url: str) -> None:
    async with proxied(database_url) as (url, way), pool_of(url, pool_max=2) as database:
        connections = await opened(database, 2)
        way.swallow()
        with pytest.raises(DatabaseUnavailableError, match="no response in time"):
            await _select(database, timeout=0.1)
        assert [connection.is_closed() for connection in connections] == [True, True]


async def test_connection_to_a_silent_server_is_closed_at_once(database_url: str) -> None:
    """Also if all were given up a moment ago."""
    async with proxied(database_url) as (url, way), pool_of(url, pool_max=1) as database:
        await database.pool.expire()
        (connection,) = await opened(database, 1)
        way.swallow()
        with pytest.raises(DatabaseUnavailableError, match="no response in time"):
            await _select(database, timeout=0.1)
        assert connection.is_closed()


async def test_half_of_the_pool_and_at_least_one_connection_is_for_long_work(database_url: str) -> None:
    for most, long in ((8, 4), (3, 1), (1, 1)):
        async with pool_of(database_url, pool_max=most) as database:
            for _ in range(long):
                async with asyncio.timeout(1):
                    await database.long_slots.acquire()
            assert database.long_slots.locked()
