"""Indexes of tables in use: built without a lock on writers, and again after a build that failed."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from service.migrations.errors import MigrationFailedError
from service.migrations.runner import upgrade
from tests.conftest import DatabaseFactory
from tests.migrations.conftest import settings_for, within
from tests.migrations.test_triggers import new_shelf
from tests.migrations.writing import Write

Connect = Callable[[str], Any]

UNIQUE = 'create_index_concurrently("uq_tests_shelf_name", "tests_shelf", ["name"], unique=True)'
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('uq_tests_shelf_name')"
HEAD = "SELECT version_num FROM alembic_version"


async def test_next_attempt_replaces_an_invalid_index(
    fresh_database: DatabaseFactory, connect: Connect, write: Write
) -> None:
    url = fresh_database(shop=True)
    db = await connect(url)
    await new_shelf(db, "one")
    twin = await new_shelf(db, "two")
    write("indexed", code=UNIQUE)
    before = await db.fetchval(HEAD)
    for _ in range(2):
        with pytest.raises(MigrationFailedError, match="could not create unique index"):
            await upgrade(settings_for(url))
        assert await db.fetchval(VALID) is False
        assert await db.fetchval(HEAD) == before
    await db.execute("UPDATE tests_shelf SET name = 'Other' WHERE id = $1", twin)
    assert (await upgrade(settings_for(url))).after.chassis == "indexed"
    assert await db.fetchval(VALID) is True


async def test_index_build_may_wait_long_without_blocking_writes(
    fresh_database: DatabaseFactory, connect: Connect, write: Write
) -> None:
    url = fresh_database(shop=True)
    db, old = await connect(url), await connect(url)
    transaction = old.transaction()
    await transaction.start()
    await new_shelf(old, "unfinished")  # building an index waits for this transaction to end
    write("indexed", code='create_index_concurrently("ix_tests_shelf_name_2", "tests_shelf", ["name"])')
    migrating = asyncio.create_task(upgrade(settings_for(url, migration_lock_timeout=0.1)))
    await within(20, lambda: db.fetchval("SELECT count(*) FROM pg_index WHERE NOT indisvalid"))
    for number in range(10):
        await new_shelf(db, f"written-{number}")
        await asyncio.sleep(0.05)
    assert not migrating.done()
    await transaction.commit()
    assert (await migrating).after.chassis == "indexed"


async def test_steps_before_a_failed_index_build_stay_committed(
    fresh_database: DatabaseFactory, connect: Connect, write: Write
) -> None:
    url = fresh_database(shop=True)
    db = await connect(url)
    await new_shelf(db, "one")
    twin = await new_shelf(db, "two")
    write("mixed", "ALTER TABLE tests_shelf ADD COLUMN IF NOT EXISTS extra int", code=UNIQUE)
    with pytest.raises(MigrationFailedError, match="could not create unique index"):
        await upgrade(settings_for(url))
    await db.execute("UPDATE tests_shelf SET name = $2 WHERE id = $1", twin, uuid4().hex)
    assert (await upgrade(settings_for(url))).after.chassis == "mixed"


async def test_lock_timeout_is_restored_after_an_index_build(
    fresh_database: DatabaseFactory, connect: Connect, write: Write
) -> None:
    url = fresh_database(shop=True)
    holder = await connect(url)
    write("indexed", code='create_index_concurrently("ix_tests_shelf_name_2", "tests_shelf", ["name"])')
    write("dropped", code='drop_index_concurrently("ix_tests_shelf_name_2", "tests_shelf")')
    write("altering", "ALTER TABLE tests_article ADD COLUMN new int")
    async with holder.transaction():
        await holder.execute("LOCK TABLE tests_article IN ACCESS SHARE MODE")
        async with asyncio.timeout(20):
            with pytest.raises(MigrationFailedError, match="lock timeout"):
                await upgrade(settings_for(url))
    assert await holder.fetchval(HEAD) == "dropped"
    with pytest.raises(asyncpg.UndefinedTableError):
        await holder.execute("SELECT 'ix_tests_shelf_name_2'::regclass")
