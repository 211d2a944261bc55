"""The connection reserved for probes: one, as long as it is good."""

import asyncio

import asyncpg
import pytest

from service.database import ConnectionLostError, Database, DatabaseUnavailableError
from tests.conftest import DatabaseFactory
from tests.engine.pools import pool_of, proxied

PID = "SELECT pg_backend_pid()"
END = "SELECT pg_terminate_backend($1, 5000)"
SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


async def _pid(database: Database) -> int:
    return int((await database.probe(PID))[0][0])


async def test_probes_share_a_connection(database_url: str) -> None:
    """A probe for a table that does not exist, as before the first migration, does not cost it."""
    async with pool_of(database_url) as database:
        first = await _pid(database)
        with pytest.raises(asyncpg.UndefinedTableError):
            await database.probe("SELECT * FROM not_there")
        assert await asyncio.gather(*(_pid(database) for _ in range(3))) == [first] * 3


async def test_cancelled_probe_leaves_neither_a_connection_nor_its_statement(
    fresh_database: DatabaseFactory,
) -> None:
    async with pool_of(fresh_database()) as database, database.dedicated() as observer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await database.probe("SELECT pg_sleep(60)")
        assert await _pid(database)
        async with asyncio.timeout(20):
            while await observer.fetchval(SESSIONS) != 1:  # noqa: ASYNC110  # the server tells nobody
                await asyncio.sleep(0.01)


async def test_connection_on_which_a_probe_hung_is_not_used_again(database_url: str) -> None:
    async with proxied(database_url) as (url, way), pool_of(url) as database:
        await database.probe("SELECT 1")
        way.swallow()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await database.probe("SELECT 1")
        way.heal()
        async with asyncio.timeout(10):
            assert await database.probe("SELECT 1")


async def test_probe_gets_a_new_connection_for_one_that_is_closed(database_url: str) -> None:
    async with pool_of(database_url) as database, database.dedicated() as observer:
        probing = database._probe
        first = await _pid(database)
        await observer.execute(END, first)
        async with asyncio.timeout(20):
            while not (probing._connection and probing._connection.is_closed()):  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.01)
        assert await _pid(database) != first


async def test_probe_ends_an_outage(database_url: str) -> None:
    async with proxied(database_url) as (url, way), pool_of(url) as database:
        way.refuse()
        for ask in (database.probe, database.fetch):
            with pytest.raises(DatabaseUnavailableError):
                await ask("SELECT 1")
        await way.listen()
        assert await database.probe("SELECT 1")
        assert await database.fetch("SELECT 1")


@pytest.mark.parametrize("sqlstate", ["57P01", "57P02", "57P03"])
async def test_server_that_goes_away_makes_the_database_unavailable(database_url: str, sqlstate: str) -> None:
    """An error raised in SQL stands for the server's: of a shutdown, a crash, or a start."""
    raises = f"DO $$ BEGIN RAISE EXCEPTION 'going away' USING ERRCODE = '{sqlstate}'; END $$"
    async with pool_of(database_url) as database:
        for ask in (database.probe, database.fetch):
            with pytest.raises(DatabaseUnavailableError, match="going away"):
                await ask(raises)


async def test_server_that_takes_no_more_writes_is_lost(database_url: str) -> None:
    async with pool_of(database_url, pool_max=1) as database:
        async with database.connection() as connection:
            await connection.execute("SET default_transaction_read_only = on")  # as of a former primary
        with pytest.raises(ConnectionLostError):
            await database.fetch("CREATE TABLE not_created ()")
        assert connection.is_closed()
