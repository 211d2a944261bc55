"""Who is told what a transaction has changed, and when."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.actor import Actor, acting_as
from service.database import Database
from service.database.row_changes import RowChanges
from tests.engine.api import settings_for, unique

SHELF = """
INSERT INTO tests_shelf (id, slug, name, description, created_by, updated_by)
VALUES (gen_random_uuid(), $1, 'Told', '', 'test', 'test') RETURNING id::text
"""


class Others:
    """The other processes, which are told as long as `done` is not done."""

    def __init__(self) -> None:
        self.watched = {"tests_shelf"}
        self.told: list[RowChanges] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def announce(self, changes: RowChanges) -> asyncio.Future[None]:
        self.told.append(changes)
        return self.done


@pytest.fixture
async def others() -> Others:
    return Others()


@pytest.fixture
async def database(database_url: str, others: Others) -> AsyncIterator[Database]:
    made = Database(settings_for(database_url, database={"url": database_url, "pool_max": 1}), others)
    yield made
    others.done.cancel()
    await made.stop()


async def _create(database: Database) -> str:
    with acting_as(Actor("test")):  # only the service is told, not who works with psql
        return str((await database.fetch(SHELF, [unique("told")]))[0][0])


async def test_block_ends_after_its_announcement_but_frees_its_connection(
    database: Database, others: Others
) -> None:
    creating = asyncio.create_task(_create(database))
    async with asyncio.timeout(20):
        while not others.told:  # noqa: ASYNC110  # a list tells nobody
            await asyncio.sleep(0.01)
    assert await database.fetch("SELECT 1")
    assert not creating.done()
    others.done.set_result(None)
    assert others.told == [{"tests_shelf": {await creating}}]


async def test_change_that_an_error_followed_is_announced_once(database: Database, others: Others) -> None:
    """It may be committed."""
    others.done.set_result(None)
    made: list[str] = []

    async def fail() -> None:
        async with database.connection() as connection:
            made.append(await connection.fetchval(SHELF, unique("told")))
            raise LookupError

    with pytest.raises(LookupError), acting_as(Actor("test")):
        await fail()
    assert len(others.told) == 1
    await database.fetch("SELECT 1")
    assert others.told == [{"tests_shelf": {made[0]}}]


async def test_announcement_survives_the_cancellation_of_its_caller(
    database: Database, others: Others
) -> None:
    creating = asyncio.create_task(_create(database))
    async with asyncio.timeout(20):
        while not others.told:  # noqa: ASYNC110  # a list tells nobody
            await asyncio.sleep(0.01)
    creating.cancel()
    await asyncio.gather(creating, return_exceptions=True)
    assert creating.cancelled()
    assert not others.done.cancelled()


async def test_change_of_a_table_without_watchers_is_not_announced(
    database: Database, others: Others
) -> None:
    others.done.set_result(None)
    others.watched.clear()
    await _create(database)
    assert not others.told
