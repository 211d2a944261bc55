"""Running migrations: concurrently, against locks, and with failures."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from service.database import DatabaseUnavailableError
from service.migrations import runner
from service.migrations.branches import CHASSIS, DOMAINS, head
from service.migrations.errors import MigrationFailedError, NotAtHeadError
from service.migrations.migration_connection import LOCK
from service.migrations.revisions import Position, heads
from service.migrations.runner import upgrade
from tests.conftest import DatabaseFactory
from tests.migrations.catalog import EVERYTHING, schema
from tests.migrations.conftest import settings_for, within
from tests.migrations.writing import Write
from tests.process.served import slipway

Connect = Callable[[str], Any]
HEAD = "SELECT version_num FROM alembic_version"
UNLESS_HURRIED = "SELECT pg_sleep(60) WHERE to_regclass('hurry') IS NULL"
# The seconds that a reader waits for the table, by the server's clock.
STALL = """
CREATE FUNCTION stall() RETURNS float LANGUAGE plpgsql AS $$
DECLARE began timestamptz := clock_timestamp();
BEGIN PERFORM count(*) FROM api_key; RETURN extract(epoch FROM clock_timestamp() - began); END $$
"""
TRIED = """
SELECT pid FROM pg_stat_activity
WHERE (query LIKE 'SELECT pg_try_advisory_lock%' OR query = 'ROLLBACK;')  -- between two attempts
AND pid <> pg_backend_pid() AND datname = current_database()
"""
ADVISORY_LOCKS = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
SLEEPING = """
SELECT pid FROM pg_stat_activity
WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()
"""


async def test_five_concurrent_runs_migrate_once(fresh_database: DatabaseFactory, connect: Connect) -> None:
    url = fresh_database(migrated=False)
    done = await asyncio.gather(*(upgrade(settings_for(url), wait=30) for _ in range(5)))
    assert sorted(one.changed for one in done) == [False, False, False, False, True]
    connection = await connect(url)
    assert [row[0] for row in await connection.fetch(HEAD)] == [head(CHASSIS)]


def test_concurrent_processes_migrate_once(fresh_database: DatabaseFactory, tmp_path: Path) -> None:
    url = fresh_database(migrated=False)
    with ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(slipway, tmp_path, "migrate", "--wait", "30", database__url=url) for _ in range(3)
        ]
    results = [run.result() for run in runs]
    assert [r.returncode for r in results] == [0, 0, 0], [r.stderr for r in results]
    assert sorted(r.stdout.split()[0] for r in results) == ["already", "already", "migrated"]


async def test_check_waits_for_the_migration(
    fresh_database: DatabaseFactory, connect: Connect, tmp_path: Path
) -> None:
    url = fresh_database(migrated=False)
    connection = await connect(url)
    waiting = asyncio.create_task(
        asyncio.to_thread(slipway, tmp_path, "migrate", "--check", "--wait", "30", database__url=url)
    )
    looked = (
        "SELECT count(*) > 1 FROM pg_stat_activity "
        "WHERE datname = current_database() AND backend_type = 'client backend'"
    )
    async with asyncio.timeout(30):
        while not (waiting.done() or await connection.fetchval(looked)):  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.01)
    await upgrade(settings_for(url))
    done = await waiting
    assert (done.returncode, done.stdout) == (0, f"the database is at revision {heads()}\n"), done.stderr


async def test_migration_may_take_longer_than_a_request(
    write: Write, fresh_database: DatabaseFactory, connect: Connect
) -> None:
    """Neither the server nor the driver bounds its statements, or its pauses; the server notices that it was killed."""
    names = ("statement_timeout", "idle_in_transaction_session_timeout", "client_connection_check_interval")
    write(
        "slow",
        f"CREATE TABLE limits AS SELECT name, setting FROM pg_settings WHERE name IN {names}",
        "SELECT pg_sleep(1.3)",  # the driver gives a statement of a request a second more
    )
    url = fresh_database()
    await upgrade(settings_for(url, statement_timeout=0.2))
    found = await (await connect(url)).fetch("TABLE limits")
    assert {name: int(setting) for name, setting in found} == dict(zip(names, (0, 0, 1000), strict=True))


async def test_run_at_the_head_takes_no_lock(fresh_database: DatabaseFactory, connect: Connect) -> None:
    url = fresh_database()
    holder = await connect(url)
    await holder.execute(f"SELECT pg_advisory_lock({LOCK})")
    began = time.monotonic()
    assert not (await upgrade(settings_for(url), wait=30)).changed
    assert time.monotonic() - began < 15  # it would wait for 30 s; a busy machine takes seconds to look


async def test_wait_for_another_migration_is_bounded(
    fresh_database: DatabaseFactory, connect: Connect
) -> None:
    url = fresh_database(migrated=False)
    holder = await connect(url)
    await holder.execute(f"SELECT pg_advisory_lock({LOCK})")
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailableError, match="another migration is running"):
        await upgrade(settings_for(url), wait=1)
    assert 1 <= time.monotonic() - began < 5
    waiting = asyncio.create_task(upgrade(settings_for(url), wait=30))
    await within(20, lambda: holder.fetchval(TRIED))
    await holder.execute(f"SELECT pg_advisory_unlock({LOCK})")
    assert (await waiting).changed


async def test_failing_migration_keeps_the_previous_revision(
    fresh_database: DatabaseFactory, connect: Connect, write: Write
) -> None:
    url = fresh_database()
    connection = await connect(url)
    write("sound", "CREATE TABLE kept (id int)")
    write("broken", "CREATE TABLE lost (id int)", "ALTER TABLE api_key ADD COLUMN lost int", "SELECT 1 / 0")
    write("after", "CREATE TABLE never (id int)")
    with pytest.raises(MigrationFailedError) as caught:
        await upgrade(settings_for(url))
    at = Position("sound", head(DOMAINS))
    assert str(caught.value) == f"migration broken failed; the database is at revision {at}: division by zero"
    assert await connection.fetchval(HEAD) == "sound"
    columns = (await schema(connection, EVERYTHING))["columns"]
    assert {"kept.id", "lost.id", "api_key.lost", "never.id"} & set(columns) == {"kept.id"}
    with pytest.raises(
        NotAtHeadError, match=r"at revision sound \(chassis\), this version needs after \(chassis\)"
    ):
        await runner.check(settings_for(url))


async def test_exception_in_a_migration_is_reported(fresh_database: DatabaseFactory, write: Write) -> None:
    write("odd", "SELECT :nothing_bound")
    with pytest.raises(MigrationFailedError, match="migration odd failed; the database is at revision "):
        await upgrade(settings_for(fresh_database()))


async def test_failed_migration_succeeds_once_fixed(
    fresh_database: DatabaseFactory, connect: Connect, write: Write
) -> None:
    url = fresh_database()
    write("needy", "INSERT INTO not_there SELECT current_setting('lock_timeout')")
    with pytest.raises(MigrationFailedError, match="not_there"):
        await upgrade(settings_for(url))
    connection = await connect(url)
    await connection.execute("CREATE TABLE not_there (wait text)")
    assert (await upgrade(settings_for(url))).changed
    assert await connection.fetchval(HEAD) == "needy"
    assert await connection.fetchval("SELECT wait FROM not_there") == "500ms", (
        "an only attempt has all the time"
    )


async def test_wait_for_a_table_lock_is_bounded(
    fresh_database: DatabaseFactory, connect: Connect, write: Write
) -> None:
    url = fresh_database()
    holder = await connect(url)
    write("altering", "ALTER TABLE api_key ADD COLUMN new int")
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("LOCK TABLE api_key IN ACCESS SHARE MODE")
    began = time.monotonic()
    with pytest.raises(MigrationFailedError, match="lock timeout"):
        await upgrade(settings_for(url))
    assert time.monotonic() - began < 5
    assert await holder.fetchval(HEAD) != "altering"
    await transaction.rollback()
    assert (await upgrade(settings_for(url))).changed


async def test_newer_database_is_left_alone(fresh_database: DatabaseFactory, connect: Connect) -> None:
    url = fresh_database()
    connection = await connect(url)
    await connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    assert not (await upgrade(settings_for(url))).changed
    await runner.check(settings_for(url))


CROSSING = """
DO $$ BEGIN IF nextval('attempts') = 1 THEN RAISE deadlock_detected; END IF; END $$
"""
"""A migration that loses a deadlock once."""


async def test_lock_is_retried_while_requests_run_between_attempts(
    fresh_database: DatabaseFactory, connect: Connect, write: Write
) -> None:
    url = fresh_database()
    holder, reader = await connect(url), await connect(url)
    await reader.execute(STALL)
    await reader.execute("CREATE SEQUENCE attempts")
    write("altering", "ALTER TABLE api_key ADD COLUMN new int")
    write("crossing", CROSSING)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("LOCK TABLE api_key IN ACCESS SHARE MODE")
    migrating = asyncio.create_task(upgrade(settings_for(url, migration_lock_timeout=0.4), wait=60))
    stalls: list[float] = []
    async with asyncio.timeout(60):
        while sum(stall > 0.3 for stall in stalls) < 3:  # attempts get longer up to a maximum
            stalls.append(await reader.fetchval("SELECT stall()"))
            await asyncio.sleep(0.01)
    assert not migrating.done()
    assert max(stalls) < 0.4 + 0.4  # the longest attempt, plus delays of a busy machine
    await transaction.rollback()
    assert (await migrating).after.chassis == "crossing"
    assert await reader.fetchval("SELECT new FROM api_key") is None


async def test_retries_end_when_time_is_up(
    fresh_database: DatabaseFactory, connect: Connect, write: Write
) -> None:
    url = fresh_database()
    holder = await connect(url)
    write("altering", "ALTER TABLE api_key ADD COLUMN new int")
    async with holder.transaction():
        await holder.execute("LOCK TABLE api_key IN ACCESS SHARE MODE")
        began = time.monotonic()
        with pytest.raises(MigrationFailedError, match="lock timeout"):
            await upgrade(settings_for(url), wait=2)
        assert 2 <= time.monotonic() - began < 8


async def test_repeated_failure_keeps_the_revision_and_holds_no_lock(
    fresh_database: DatabaseFactory, connect: Connect, write: Write
) -> None:
    url = fresh_database()
    connection = await connect(url)
    before = await schema(connection, EVERYTHING)
    write("broken", "CREATE TABLE lost (id int)", "SELECT 1 / 0")
    for _ in range(2):
        with pytest.raises(
            MigrationFailedError, match="migration broken failed; the database is at revision"
        ):
            await upgrade(settings_for(url))
        assert await schema(connection, EVERYTHING) == before
        assert await connection.fetchval(ADVISORY_LOCKS) == 0


async def test_migration_succeeds_after_a_lost_connection(
    fresh_database: DatabaseFactory, connect: Connect, write: Write
) -> None:
    url = fresh_database()
    write("slow", "CREATE TABLE half (id int)", UNLESS_HURRIED)
    killer = await connect(url)
    migrating = asyncio.create_task(upgrade(settings_for(url)))
    pid = await within(20, lambda: killer.fetchval(SLEEPING))
    await killer.execute(f"SELECT pg_terminate_backend({pid})")
    with pytest.raises(DatabaseUnavailableError):
        await migrating
    assert await killer.fetchval(HEAD) != "slow"
    assert await killer.fetchval("SELECT to_regclass('half')") is None
    await killer.execute("CREATE TABLE hurry (id int)")
    assert (await upgrade(settings_for(url))).after.chassis == "slow"
