"""Migrations in adverse conditions: several at once, killed, behind a long lock, with two versions serving."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.faults.connection import get
from tests.faults.history import Event
from tests.faults.measurements import Measurements
from tests.faults.replica import Replica
from tests.faults.server_thread import in_server_thread
from tests.faults.system import PATIENT, System
from tests.faults.versions import Version, contracted, expanded

RATE = 40
PATIENCE = ("--wait", "60")
HEAD = "SELECT version_num FROM alembic_version_domains"
SLEEPING = """
SELECT count(*) FROM pg_stat_activity
WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()
"""
WAITING = """
SELECT count(*) FROM pg_locks
WHERE relation = 'tests_article'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted
"""
QUEUED = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0)::float FROM pg_locks
WHERE relation = 'tests_article'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted
"""
COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = 'tests_article'::regclass"
AT_ONCE = 5
ENDED_SECONDS = 200
slow = pytest.mark.timeout(400)


@pytest.fixture
async def db(system: System) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(system.database_url)
    yield connection
    await connection.close()


async def ended(migration: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for the exit, and return the exit code and output."""
    output, _ = await asyncio.to_thread(migration.communicate, timeout=ENDED_SECONDS)
    return migration.returncode, output


async def until(true: Callable[[], Awaitable[Any]], *, seconds: float = 100) -> None:
    """Wait until the condition holds; fail after some seconds."""
    async with asyncio.timeout(seconds):
        while True:
            if await true():
                return
            await asyncio.sleep(0.02)


async def join(system: System, name: str, folder: Path, **settings: object) -> Replica:
    """Add a replica behind the balancer, with a drain delay long enough for the balancer to notice its stop."""
    given: dict[str, object] = {
        "database__url": system.database_url,
        "redis__url": system.redis.url,
        "rate_limit__enabled": "false",
        "server__drain_delay": "2",
        **PATIENT,
    }
    replica = Replica(folder / name, **given, **settings)
    await replica.start()
    system.replicas.append(replica)
    return replica


def refused_as_of_another_version(event: Event) -> bool:
    """Whether a change was refused because its ETag comes from the other version, which shows other fields."""
    return event.operation == "update" and event.status == 412


@pytest.mark.fault
@slow
async def test_old_and_new_version_serve_from_expand_to_contract(
    system: System, tmp_path: Path, measure: Measurements, db: asyncpg.Connection
) -> None:
    second = expanded(tmp_path / "second")
    third = contracted(tmp_path / "third", second)
    home = tmp_path / "command"
    await system.serve()
    old = [await join(system, f"old-{n}", tmp_path) for n in range(2)]
    await system.replicas[0].terminate()
    try:
        async with system.load(rate=RATE).running():
            assert (await ended(second.migrate(home, system.database_url, *PATIENCE)))[0] == 0
            new: list[Replica] = []
            for replica in old:
                new.append(await join(system, f"new-{len(new)}", tmp_path, **second.settings))
                await asyncio.sleep(2)
                assert (await replica.terminate())[0] == 0
            assert (await ended(third.migrate(home, system.database_url, *PATIENCE)))[0] == 0
            await asyncio.sleep(2)
            await join(system, "newest", tmp_path, **third.settings)
            assert (await new[0].terminate())[0] == 0
            await asyncio.sleep(1)
        system.only(refused_as_of_another_version, "both versions serve from expand to contract")
        await system.judge(memory=False)
    finally:
        for replica in system.replicas[1:]:
            await replica.close()
    assert await db.fetchval(HEAD) == "contract"
    columns = {name for (name,) in await db.fetch(COLUMNS)}
    assert "gift" in columns
    assert "attributes" not in columns
    assert (
        await db.fetchval("SELECT count(*) FROM tests_article WHERE updated_at > created_at AND NOT gift") > 0
    )
    server_errors = sum(event.status >= 500 or event.status == 0 for event in system.history.events)
    measure("rolling-upgrade-failures", server_errors, 0)


@pytest.mark.fault
@slow
async def test_migration_waits_for_a_long_lock_without_blocking_requests(
    system: System, tmp_path: Path, measure: Measurements, db: asyncpg.Connection
) -> None:
    version = Version(tmp_path / "next").migration(
        "altering", "op.execute('ALTER TABLE tests_article ADD COLUMN x integer')"
    )
    await system.serve(settings=PATIENT)
    transaction = db.transaction()
    await transaction.start()
    await db.execute("LOCK TABLE tests_article IN ACCESS SHARE MODE")
    migration = version.migrate(tmp_path / "command", system.database_url, *PATIENCE)
    try:
        async with system.load(rate=RATE).running():
            await until(lambda: db.fetchval(WAITING))
            measure("queue-behind-a-waiting-migration", await longest_queue(db, seconds=6), 1, unit="s")
            assert migration.poll() is None
            await transaction.rollback()
            released = time.monotonic()
            await until(lambda: db.fetchval(f"SELECT version_num = 'altering' FROM ({HEAD}) head"))
            measure("migration-after-a-long-lock", time.monotonic() - released, 5, unit="s")
        code, output = await ended(migration)
    finally:
        migration.kill()
        migration.communicate()
    assert (code, "waiting for a lock" in output) == (0, True), output
    system.only(lambda _: False, "a migration waits for a lock")
    await system.judge()


async def longest_queue(db: asyncpg.Connection, *, seconds: float) -> float:
    """Return the longest wait for an exclusive lock on the table within some seconds, which is what requests behind it
    wait too. Measured by the server's clock: a busy machine may delay clients for other reasons."""
    longest, ends = 0.0, time.monotonic() + seconds
    while time.monotonic() < ends:
        longest = max(longest, await db.fetchval(QUEUED))
        await asyncio.sleep(0.01)
    assert longest > 0
    return longest


async def test_column_type_change_under_prepared_statements(system: System, db: asyncpg.Connection) -> None:
    await system.serve(settings=PATIENT)
    async with system.load(rate=RATE).running():
        for length in (220, 240, 260, 280):
            await asyncio.sleep(0.5)
            await db.execute(f"ALTER TABLE tests_article ALTER COLUMN name TYPE varchar({length})")
        await asyncio.sleep(1)
    system.only(lambda _: False, "a column was widened")
    await system.judge()


@pytest.mark.fault
@slow
async def test_killed_migration_releases_its_lock(
    system: System, tmp_path: Path, measure: Measurements, db: asyncpg.Connection
) -> None:
    slow = Version(tmp_path / "slow").migration(
        "slow",
        """
    op.execute("CREATE TABLE half (id integer)")
    op.execute("SELECT pg_sleep(60) WHERE to_regclass('hurry') IS NULL")
""",
    )
    home, before = tmp_path / "command", await db.fetchval(HEAD)
    first = slow.migrate(home, system.database_url)
    await until(lambda: db.fetchval(SLEEPING))
    first.kill()
    await ended(first)
    killed = time.monotonic()
    await until(lambda: db.fetchval("SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'"))
    measure("migration-killed-lock-freed", time.monotonic() - killed, 5, unit="s")
    assert await db.fetchval(HEAD) == before
    assert await db.fetchval("SELECT to_regclass('half')") is None
    await db.execute("CREATE TABLE hurry (id integer)")
    assert (await ended(slow.migrate(home, system.database_url)))[0] == 0
    assert await db.fetchval(HEAD) == "slow"


@pytest.mark.fault
@slow
async def test_concurrent_processes_migrate_once(
    system: System, tmp_path: Path, db: asyncpg.Connection
) -> None:
    version = Version(tmp_path / "next").migration("slow", "op.execute('SELECT pg_sleep(2)')")
    runs = [
        version.migrate(tmp_path / f"command-{n}", system.database_url, *PATIENCE) for n in range(AT_ONCE)
    ]
    results = [await ended(run) for run in runs]
    assert [code for code, _ in results] == [0] * AT_ONCE, results
    assert sum("migrated to revision " in output for _, output in results) == 1, results
    assert sum("already at revision " in output for _, output in results) == AT_ONCE - 1
    assert all("slow (domains)" in output for _, output in results)
    assert await db.fetchval(HEAD) == "slow"


@pytest.mark.fault
async def test_version_ahead_of_its_database_is_alive_but_not_ready(
    system: System, tmp_path: Path, db: asyncpg.Connection
) -> None:
    version = expanded(tmp_path / "next")
    replica = Replica(
        tmp_path / "ahead", database__url=system.database_url, redis__url=system.redis.url, **version.settings
    )
    await replica.launch()
    try:
        await in_server_thread(replica.served.listening)
        response = await get(replica.admin_port, "/readyz")
        assert response is not None
        assert (
            response.status,
            response.json["checks"]["database"]["detail"].startswith("at revision "),
        ) == (
            503,
            True,
        )
        alive = await get(replica.admin_port, "/livez")
        assert alive is not None
        assert alive.status == 200
        assert (await ended(version.migrate(tmp_path / "command", system.database_url)))[0] == 0
        await in_server_thread(replica.served.ready)
        assert replica.served.process.poll() is None
    finally:
        await replica.close()
    assert await db.fetchval(HEAD) == "expand"
