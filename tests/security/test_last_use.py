"""The last use of a key is written in the background, at no cost to requests."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest
import structlog

from service.security.api_keys import last_use
from service.security.api_keys.commands import create_key
from service.security.api_keys.last_use import LastUse
from tests.conftest import DatabaseFactory
from tests.engine.api import ARTICLES, Api, running

USED = "SELECT count(*) FROM api_key WHERE last_used_at IS NOT NULL"
END_ONE_THAT_WAITS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
LONG_LIMITS = {"lock_timeout": 5, "acquire_timeout": 5}


@pytest.fixture
async def url(fresh_database: DatabaseFactory) -> str:
    return fresh_database()


@pytest.fixture
async def observer(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def eventually(connection: asyncpg.Connection, used: int) -> None:
    for _ in range(200):
        if await connection.fetchval(USED) == used:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{await connection.fetchval(USED)} keys were used, not {used}")


async def backends(api: Api) -> list[int]:
    async with api.database.connection() as one, api.database.connection() as other:
        return [one.get_server_pid(), other.get_server_pid()]


async def test_requests_do_not_wait_for_locks_on_keys(url: str, observer: asyncpg.Connection) -> None:
    async with running(url, database={"url": url, **LONG_LIMITS}) as api:
        async with observer.transaction():
            await observer.execute("LOCK TABLE api_key IN SHARE MODE")
            began = time.monotonic()
            assert (await api.client.get(ARTICLES)).status_code == 200
            assert time.monotonic() - began < LONG_LIMITS["lock_timeout"] / 2
        await eventually(observer, 1)


def _above_info(lines: Sequence[Any]) -> list[Any]:
    return [line for line in lines if line["log_level"] != "info"]


async def test_read_only_server_keeps_its_connections(url: str, observer: asyncpg.Connection) -> None:
    name = await observer.fetchval("SELECT current_database()")
    async with running(url, database={"url": url, "pool_min": 2, "pool_max": 2, **LONG_LIMITS}) as api:
        await observer.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        await api.database.pool.expire()
        before = await backends(api)
        with structlog.testing.capture_logs() as lines:
            assert (await api.client.get(ARTICLES)).status_code == 200
            async with asyncio.timeout(20):
                while not _above_info(lines):  # noqa: ASYNC110  # a log tells nobody
                    await asyncio.sleep(0.1)
            await asyncio.sleep(2 * last_use.WRITE_SECONDS)
            assert (await api.client.get(ARTICLES)).status_code == 200
        assert sorted(await backends(api)) == sorted(before)
    told = _above_info(lines)
    assert [line["event"] for line in told] == ["cannot record the last use of keys"], lines
    assert "read-only" in told[0]["reason"]


async def test_last_use_is_written_at_shutdown(
    url: str, observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.main.WRITE_SECONDS", 600)
    async with running(url) as api:
        assert (await api.client.get(ARTICLES)).status_code == 200
        assert await observer.fetchval(USED) == 0
    assert await observer.fetchval(USED) == 1


async def test_replicas_write_last_use_once_a_minute_in_total(url: str, observer: asyncpg.Connection) -> None:
    async with running(url) as api:
        prefix = await observer.fetchval("SELECT prefix FROM api_key")
        first, second = LastUse(api.database), LastUse(api.database)
        first.note(prefix)
        await first.write()
        written = await observer.fetchval("SELECT last_used_at FROM api_key")
        for replica in (first, second):
            replica.note(prefix)
            await replica.write()
        assert await observer.fetchval("SELECT last_used_at FROM api_key") == written
        await observer.execute("UPDATE api_key SET last_used_at = now() - interval '2 minutes'")
        third = LastUse(api.database)
        third.note(prefix)
        await third.write()
        assert await observer.fetchval("SELECT last_used_at FROM api_key") > written


async def test_locked_key_does_not_hold_up_the_others(url: str, observer: asyncpg.Connection) -> None:
    """Another replica writes its last use; that one is as good."""
    async with running(url, database={"url": url, **LONG_LIMITS}) as api:
        async with api.database.session() as session:
            other, _ = await create_key(session, name="other", scopes=["shop:read"])
        notes = LastUse(api.database)
        prefixes = [row["prefix"] for row in await observer.fetch("SELECT prefix FROM api_key")]
        for prefix in prefixes:
            notes.note(prefix)
        async with observer.transaction():
            await observer.execute("SELECT FROM api_key WHERE prefix = $1 FOR UPDATE", other.prefix)
            async with asyncio.timeout(LONG_LIMITS["lock_timeout"]):
                await notes.write()
            assert await observer.fetchval(USED) == len(prefixes) - 1


async def test_use_during_a_write_is_kept_for_the_next_write(url: str, observer: asyncpg.Connection) -> None:
    async with running(url) as api:
        notes = LastUse(api.database)
        prefix = await observer.fetchval("SELECT prefix FROM api_key")
        notes.note(prefix)
        writing = asyncio.create_task(notes.write())
        await asyncio.sleep(0)  # it has begun, and waits for the server
        notes._noted.clear()  # as a minute later
        notes.note(prefix)
        await writing
        assert list(notes._unwritten) == [prefix]


async def test_last_write_ends_with_its_time(
    url: str, observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_use, "LAST_SECONDS", 0.05)
    async with running(url, database={"url": url, **LONG_LIMITS}) as api, observer.transaction():
        await observer.execute("LOCK TABLE api_key IN SHARE MODE")
        notes = LastUse(api.database)
        notes.note("a prefix")
        await notes.close()
        (last,) = [task for task in asyncio.all_tasks() if "LastUse.write" in str(task.get_coro())]
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(last, LONG_LIMITS["lock_timeout"] / 2)


async def test_pending_last_uses_are_bounded(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_use, "_MOST", 3)
    async with running(url) as api:
        notes = LastUse(api.database)
        for number in range(10):
            notes.note(f"key-{number}")
        assert list(notes._unwritten) == ["key-7", "key-8", "key-9"]
        assert len(notes._noted) == 3


async def test_lost_connection_during_the_write_drops_all_pooled_ones(
    url: str, observer: asyncpg.Connection
) -> None:
    async with running(url, database={"url": url, "pool_min": 2, "pool_max": 2, **LONG_LIMITS}) as api:
        before = await backends(api)
        notes = LastUse(api.database)
        notes.note(await observer.fetchval("SELECT prefix FROM api_key"))
        async with observer.transaction():
            await observer.execute("LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE")
            writing = asyncio.create_task(notes.write())
            async with asyncio.timeout(10):
                while not await observer.fetchval(END_ONE_THAT_WAITS):  # noqa: ASYNC110  # until one waits
                    await asyncio.sleep(0.02)
            await writing
        assert not set(before) & set(await backends(api))
        await notes.write()
        assert await observer.fetchval(USED) == 1
