"""The servers of the test run."""

import redis.asyncio

from tests.conftest import DatabaseFactory
from tests.dev.help import ask


async def test_database_of_a_worker_is_migrated(database_url: str) -> None:
    assert await ask(database_url, "SELECT count(*) FROM alembic_version") == 1


async def test_fresh_database_is_separate_and_migrated_by_default(
    database_url: str, fresh_database: DatabaseFactory
) -> None:
    migrated, empty = fresh_database(), fresh_database(migrated=False)
    assert len({database_url, migrated, empty}) == 3
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert await ask(migrated, tables) == await ask(database_url, tables) != 0
    assert await ask(empty, tables) == 0


async def test_redis_is_real(redis_url: str) -> None:
    async with redis.asyncio.from_url(redis_url) as client:
        assert await client.set("tests:services", "1", ex=5)
        assert await client.get("tests:services") == b"1"
        assert await client.delete("tests:services") == 1
