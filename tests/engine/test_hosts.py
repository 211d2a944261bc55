"""Several hosts: one connection is left of all attempts, to a server that takes writes."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url

from service.config import Settings
from service.database import Database, DatabaseUnavailableError
from service.database.connect import connect
from tests.conftest import DatabaseFactory
from tests.engine.api import settings_for
from tests.faults.proxy import Endpoint, Proxy

ELSEWHERE = "127.0.0.2"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"


def _settings(url: str) -> Settings:
    """Two hosts with one port."""
    to = make_url(url)
    place = {"url": None, "host": f"127.0.0.1,{ELSEWHERE}", "port": to.port, "name": to.database}
    return settings_for(
        url, database={**place, "user": to.username, "password": to.password, "ssl": "disable"}
    )


def _both(url: str) -> Proxy:
    """The same server at both hosts."""
    port = make_url(url).port or 0
    return Proxy(Endpoint("127.0.0.1", port), listen=Endpoint(ELSEWHERE, port))


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to another database of the server."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_connections_to_other_hosts_are_closed(
    fresh_database: DatabaseFactory, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if both are open in the same turn of the event loop."""
    url, open_one = fresh_database(), asyncpg.connect
    ready: list[asyncio.Event] = []

    async def open_together(**options: Any) -> asyncpg.Connection:
        connection = await open_one(**options)
        ready.append(asyncio.Event())
        if len(ready) < 2:
            await ready[0].wait()
        ready[0].set()
        return connection

    async with _both(url):
        for together in (True, False):
            with monkeypatch.context() as patch:
                if together:
                    patch.setattr(asyncpg, "connect", open_together)
                connection = await connect(_settings(url))
            assert await connection.fetchval("SELECT 7") == 7
            async with asyncio.timeout(20):
                while await owner.fetchval(SESSIONS, make_url(url).database) != 1:  # noqa: ASYNC110  # it tells nobody
                    await asyncio.sleep(0.01)
            await connection.close()


async def test_hosts_that_take_no_writes_are_not_used(
    fresh_database: DatabaseFactory, owner: asyncpg.Connection
) -> None:
    url = fresh_database()
    read_only, writable = (
        f'ALTER DATABASE "{make_url(url).database}" {change} default_transaction_read_only'
        for change in ("SET", "RESET")
    )
    database = Database(_settings(url))
    async with _both(url):
        await owner.execute(f"{read_only} = on")
        with pytest.raises(DatabaseUnavailableError, match="TargetServerAttributeNotMatched"):
            await database.fetch("SELECT 7")
        await owner.execute(writable)
        assert await database.probe("SELECT 7")
        assert await database.fetch("SELECT 7")
        await database.stop()


@asynccontextmanager
async def _refusing(port: int, sqlstate: str) -> AsyncIterator[None]:
    """A host whose server refuses each login with an error."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        fields = b"SFATAL\0VFATAL\0C%b\0Mnot now\0\0" % sqlstate.encode()
        writer.write(b"E" + struct.pack("!I", len(fields) + 4) + fields)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, ELSEWHERE, port):
        yield


@pytest.mark.parametrize("sqlstate", ["57P03", "53300", "28000", "3D000"])
async def test_host_whose_server_refuses_does_not_end_the_search(database_url: str, sqlstate: str) -> None:
    """It starts, is full, or does not know the role or the database yet."""
    async with _refusing(make_url(database_url).port or 0, sqlstate):
        connection = await connect(_settings(database_url))
        assert await connection.fetchval("SELECT 7") == 7
        await connection.close()
