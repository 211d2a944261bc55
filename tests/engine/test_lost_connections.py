"""Lost connections and changed columns: what is retried, and where."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy import Integer, bindparam, cast, make_url
from sqlmodel import func, select

from service.config import Settings
from service.database import ConnectionLostError, Database, DatabaseUnavailableError
from service.database.connect import Connection, connect
from service.dev.free_ports import LOOPBACK
from service.resources.declaration import Change, Hooks
from service.security.api_keys.commands import create_key
from tests.conftest import DatabaseFactory
from tests.engine.api import BASE, filled, running, settings_for, unique
from tests.engine.conftest import Shop
from tests.engine.tables import gadgets, groups
from tests.faults.proxy import Endpoint, Proxy

END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
ASLEEP = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
NOTE = """
CREATE FUNCTION note() RETURNS int LANGUAGE sql AS 'INSERT INTO once VALUES (1) RETURNING number'
"""


@pytest.fixture
async def database(fresh_database: DatabaseFactory) -> AsyncIterator[Database]:
    made = Database(settings_for(fresh_database(), database={"pool_min": 2, "pool_max": 2}))
    await made.start()
    await filled(made, 2)
    yield made
    await made.stop()


@pytest.fixture
async def server(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection to observe the others, opened beforehand."""
    async with database.dedicated() as connection:
        yield connection


async def _asleep(server: asyncpg.Connection) -> None:
    """Wait until the server runs a statement that sleeps."""
    async with asyncio.timeout(20):
        while not await server.fetchval(ASLEEP):  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.01)


async def _server_pids(database: Database) -> set[int]:
    """The process ids of all connections that the pool may have."""
    async with database.connection() as one, database.connection() as other:
        return {one.get_server_pid(), other.get_server_pid()}


async def test_read_is_retried_after_a_lost_connection(
    database: Database, server: asyncpg.Connection
) -> None:
    reading = asyncio.create_task(database.fetch("SELECT 7 FROM pg_sleep(1)", reads=True))
    await _asleep(server)
    await server.execute(END_OTHERS)
    assert (await reading)[0][0] == 7


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO once SELECT 1 FROM pg_sleep(20) RETURNING 1",
        # A sequence keeps its value even if the transaction is rolled back.
        "SELECT setval('counter', currval('counter') + 1), pg_sleep(20) FROM nextval('counter')",
        "SELECT note(), pg_sleep(20)",
    ],
)
async def test_write_is_not_retried_after_a_lost_connection(
    database: Database, server: asyncpg.Connection, statement: str
) -> None:
    for sql in ("CREATE TABLE once (number int)", "CREATE SEQUENCE counter", NOTE):
        await database.fetch(sql)
    writing = asyncio.create_task(database.fetch(statement))
    await _asleep(server)
    await server.execute(END_OTHERS)
    with pytest.raises(ConnectionLostError):
        await writing
    assert await database.fetch("SELECT * FROM once") == []
    assert (await database.fetch("SELECT last_value FROM counter"))[0][0] in (1, 2)


async def test_statement_on_a_connection_that_was_closed_is_a_lost_connection(database: Database) -> None:
    async def use() -> None:
        async with database.connection() as connection:
            connection.terminate()
            await connection.fetch("SELECT 1")

    with pytest.raises(ConnectionLostError):
        await use()


async def test_errors_in_a_session_block_are_not_database_errors(database: Database) -> None:
    before = await _server_pids(database)
    for foreign in (OSError("no such file"), TimeoutError(), ConnectionResetError("by another server")):

        async def fail(error: Exception = foreign) -> None:
            async with database.session() as session:
                await session.exec(select(1))
                raise error

        with pytest.raises(type(foreign)) as caught:
            await fail()
        assert caught.value is foreign
    assert await _server_pids(database) == before


@pytest.mark.parametrize("foreign", [OSError("no such file"), TimeoutError(), ConnectionResetError("other")])
async def test_errors_in_a_connection_block_are_not_database_errors(
    database: Database, foreign: Exception
) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            await connection.fetch("SELECT 1")
            raise foreign

    before = await _server_pids(database)
    with pytest.raises(type(foreign)) as caught:
        await fail()
    assert caught.value is foreign
    assert await _server_pids(database) == before


async def test_timeout_of_the_caller_is_not_a_database_error(database: Database) -> None:
    before = await _server_pids(database)
    with pytest.raises(TimeoutError):
        async with database.transaction() as connection, asyncio.timeout(0.1):
            await connection.fetch("SELECT pg_sleep(60)")
    assert await database.fetch("SELECT 7")
    assert await _server_pids(database) == before


async def test_invalid_argument_is_not_a_database_error(database: Database) -> None:
    before = await _server_pids(database)
    with pytest.raises(asyncpg.DataError, match="value out of int32 range"):
        async with database.session() as session:
            await session.exec(select(cast(bindparam("number", 2**40, Integer), Integer)))
    assert await _server_pids(database) == before


async def test_driver_refusal_in_a_session_is_not_a_lost_connection(
    database: Database, server: asyncpg.Connection
) -> None:
    before = await _server_pids(database)
    with pytest.raises(asyncpg.InterfaceError, match="expects 2 arguments"):
        async with database.session() as session:
            await (await session.connection()).exec_driver_sql("SELECT $1::int + $2::int", (1,))
    await _select(database)
    with pytest.raises(asyncpg.InterfaceError, match="another operation is in progress"):
        await _two_at_once(database, server)
    await _select(database)
    assert await _server_pids(database) == before


async def _two_at_once(database: Database, server: asyncpg.Connection) -> None:
    async with database.session() as session:
        other = asyncio.create_task(session.exec(select(func.pg_sleep(2))))
        await _asleep(server)
        try:
            await session.rollback()
        finally:
            await asyncio.gather(other, return_exceptions=True)


async def test_session_reports_a_new_connection_that_is_closed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It waits for another connection for as long.
    database = Database(settings_for(database_url, database={"acquire_timeout": 3}))

    async def connect_and_end(settings: Settings) -> asyncpg.Connection:
        made, other = await connect(settings), await connect(settings)
        await other.execute("SELECT pg_terminate_backend($1, 5000)", made.get_server_pid())
        await other.close()
        return made

    with monkeypatch.context() as patch:
        patch.setattr("service.database.connector.connect", connect_and_end)
        with pytest.raises(DatabaseUnavailableError):
            await _select(database)
    try:
        await _select(database)
    finally:
        await database.stop()


@asynccontextmanager
async def _behind_proxy(url: str, **settings: float) -> AsyncIterator[tuple[Database, Proxy]]:
    """A database that is reached through a proxy, without connections."""
    to = make_url(url)
    async with Proxy(Endpoint(str(to.host), to.port or 0)) as way:
        url = to.set(host=LOOPBACK, port=way.port).render_as_string(hide_password=False)
        database = Database(settings_for(url, database={"pool_min": 0, **settings}))
        await database.start()
        try:
            yield database, way
        finally:
            await database.stop()


async def test_session_reports_a_new_connection_that_hangs(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _behind_proxy(database_url, acquire_timeout=3, statement_timeout=0.5) as (database, way):

        async def connect_and_silence(settings: Settings) -> asyncpg.Connection:
            made = await connect(settings)
            way.swallow()
            return made

        with monkeypatch.context() as patch:
            patch.setattr("service.database.connector.connect", connect_and_silence)
            with pytest.raises(DatabaseUnavailableError):
                await _select(database)
        way.heal()
        await _select(database)


async def _select(database: Database) -> None:
    async with database.session() as session:
        assert (await session.exec(select(1))).one() == 1


async def test_session_reports_a_lost_connection(database: Database, server: asyncpg.Connection) -> None:
    async def read() -> None:
        async with database.session() as session:
            await session.exec(select(func.pg_sleep(20)))

    reading = asyncio.create_task(read())
    await _asleep(server)
    await server.execute(END_OTHERS)
    with pytest.raises(ConnectionLostError):
        await reading
    async with database.session() as session:
        assert (await session.exec(select(1))).one() == 1


async def test_session_reports_an_unreachable_server() -> None:
    nowhere = Database(settings_for("postgresql://a:b@127.0.0.1:1/c"))
    try:
        with pytest.raises(DatabaseUnavailableError):
            async with nowhere.session() as session:
                await session.exec(select(1))
    finally:
        await nowhere.stop()


@pytest.mark.parametrize(
    ("sql", "arguments", "error"),
    [
        ("SELECT $1::int", ["no number"], asyncpg.DataError),
        ("SELECT $1::int", [2**40], asyncpg.DataError),
        ("SELECT $1::int", [], asyncpg.InterfaceError),
        ("SELECT 1", [1], asyncpg.InterfaceError),
    ],
)
async def test_driver_refusal_is_not_a_lost_connection(
    fresh_database: DatabaseFactory, sql: str, arguments: list[object], error: type[Exception]
) -> None:
    """The same connection serves before and after, and the caller gets its own error."""
    database = Database(settings_for(fresh_database(), database={"pool_min": 1, "pool_max": 1}))
    await database.start()
    try:
        before = await database.fetch("SELECT pg_backend_pid()")
        with pytest.raises(error):
            await database.fetch(sql, arguments)
        assert await database.fetch("SELECT pg_backend_pid()") == before
    finally:
        await database.stop()


async def test_failure_to_close_a_connection_keeps_the_result(database_url: str) -> None:
    """Another connection shows that the network is silent, so all are discarded."""
    async with _behind_proxy(database_url, acquire_timeout=5) as (database, way):
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT 7") == 7
            with pytest.raises(DatabaseUnavailableError):
                await _meet_silence(database, way)
            began = time.monotonic()
        assert time.monotonic() - began < 1
        way.heal()
        assert database.pool.size == 0
        assert await database.fetch("SELECT 7")


async def _meet_silence(database: Database, way: Proxy) -> None:
    async with database.connection() as connection:
        way.swallow()
        await connection.execute("SELECT 1", timeout=0.2)


async def test_silent_server_is_lost_also_during_a_prepared_statement(database_url: str) -> None:
    """One timer serves all statements of a connection."""
    async with _behind_proxy(database_url, statement_timeout=1) as (database, way):
        for _ in range(3):
            assert await database.fetch("SELECT 7", names_actor=True)
        way.swallow()
        with pytest.raises(DatabaseUnavailableError, match="no response in time"):
            await database.fetch("SELECT 7", names_actor=True)
        assert database.pool.size == 0
        way.heal()
        assert await database.fetch("SELECT 7", names_actor=True)


async def test_session_never_gets_a_dead_pooled_connection(
    database: Database, server: asyncpg.Connection
) -> None:
    async with database.session() as session:
        await create_key(session, name="first", scopes=["admin"])
    async with database.connection() as one, database.connection() as other:
        pooled = [one, other]
    await server.execute(END_OTHERS)
    async with asyncio.timeout(10):
        while not all(map(Connection.is_closed, pooled)):  # noqa: ASYNC110  # until this end knows of each
            await asyncio.sleep(0.01)
    async with database.session() as session:
        await create_key(session, name="second", scopes=["admin"])


class _Looks(Hooks):
    """Hooks that read a chosen column before each creation."""

    async def before_create(self, change: Change) -> None:
        await change.connection.fetch('SELECT "order" FROM "group"')


async def test_cached_plan_is_replaced_after_a_type_change(shop: Shop) -> None:
    api = await shop(groups(hooks=_Looks()), gadgets())
    for _ in range(3):
        await api.make("groups", order=unique("g"))
    async with api.database.dedicated() as connection:
        await connection.execute('ALTER TABLE "group" ALTER COLUMN "order" TYPE varchar(61)')
    for _ in range(3):
        await api.make("groups", order=unique("g"))


async def test_session_gets_a_retryable_error_after_a_type_change(fresh_database: DatabaseFactory) -> None:
    async with running(fresh_database(), scopes=["admin"]) as api:
        assert (await api.client.get(f"{BASE}/keys")).status_code == 200
        async with api.database.dedicated() as connection:
            await connection.execute("ALTER TABLE api_key ALTER COLUMN name TYPE varchar(200)")
        responses = [await api.client.get(f"{BASE}/keys") for _ in range(3)]
    assert [response.status_code for response in responses[1:]] == [200, 200]
    assert responses[0].status_code == 200 or responses[0].headers["retry-after"]
