"""Connecting to hosts that hang, refuse logins or are down: number of attempts and duration."""

import asyncio
import socket
import time
from urllib.parse import urlsplit

import asyncpg
import pytest

from service.database import Database, DatabaseUnavailableError
from service.database.connect import connect
from tests.conftest import DatabaseFactory
from tests.engine.api import filled, settings_for
from tests.listener import listener


async def test_unresponsive_host_causes_no_delay(database_url: str) -> None:
    to = urlsplit(database_url)
    with socket.create_server(("127.0.0.2", to.port or 0)) as silent:
        silent.listen()
        place = {"url": None, "host": "127.0.0.2,127.0.0.1", "port": to.port, "name": to.path[1:]}
        login = {"user": to.username, "password": to.password, "ssl": "disable", "connect_timeout": 30}
        began = time.monotonic()
        connection = await connect(settings_for(database_url, database={**place, **login}))
        connection.terminate()
    assert time.monotonic() - began < 10


async def test_unresponsive_host_does_not_block_the_other_host() -> None:
    with socket.create_server(("127.0.0.2", 0)) as silent:
        port = silent.getsockname()[1]  # nothing listens on it at the other address
        place = {"host": "127.0.0.2,127.0.0.1", "port": port, "ssl": "disable", "connect_timeout": 60}
        began = time.monotonic()
        with pytest.raises(ConnectionRefusedError):  # the reason of the one that answered
            await connect(settings_for("", database={"url": None, **place}))
    assert time.monotonic() - began < 15


async def test_only_one_connection_attempt_runs_during_an_outage() -> None:
    knocks = 0

    async def turn_away(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal knocks
        knocks += 1

    async with listener(turn_away) as port:
        database = Database(settings_for(f"postgresql://a:b@127.0.0.1:{port}/c?sslmode=disable"))
        await database.start()
        try:
            await asyncio.sleep(0.2)
            began = time.monotonic()
            for _ in range(300):
                with pytest.raises(DatabaseUnavailableError):
                    await database.fetch("SELECT 1")
            assert time.monotonic() - began < 5
            assert knocks <= 10 + 10 * (time.monotonic() - began)
        finally:
            await database.stop()


async def test_connecting_is_retried_while_logins_are_refused(
    fresh_database: DatabaseFactory, database_url: str
) -> None:
    """For any reason: here the database does not allow connections, which is an unusual error."""
    url = fresh_database()
    name = urlsplit(url).path[1:]
    database = Database(settings_for(url, database={"pool_min": 2, "acquire_timeout": 0.2}))
    await database.start()
    other = await asyncpg.connect(database_url)
    try:
        await filled(database, 2)
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        await asyncio.sleep(1.5)  # time for the pool to try to fill
        with pytest.raises(DatabaseUnavailableError):
            await database.fetch("SELECT 1")
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await filled(database, 2)
        assert await database.fetch("SELECT 1")
    finally:
        await other.close()
        await database.stop()
