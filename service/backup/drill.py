"""The drill: restore a backup into a database of its own, prove that the service works on it, and drop it again."""

from collections.abc import Awaitable, Callable

import asyncpg

from service import clock
from service.backup.backup_connection import in_database, refuse_pooler
from service.backup.errors import BackupError
from service.backup.replacement import database_name, maintenance, new_database, prefix_of
from service.backup.restore_backup import Chosen, fill
from service.config import Settings
from service.models.sql_identifiers import quoted

PURPOSE = "drill"
LOCK = 0x51_1B_3A_7D

SmokeTest = Callable[[Settings], Awaitable[None]]


async def drill(settings: Settings, chosen: Chosen, smoke_test: SmokeTest) -> float:
    """Restore the backup, compare every table with it, migrate, run the smoke test, and drop the database.

    Returns the seconds that it took. Raises `RefusedBackupError` or `BackupError`; the database is dropped even then.
    """
    refuse_pooler(settings)
    began = clock.monotonic()
    await chosen.prove()
    async with maintenance(settings) as server:
        if not await server.fetchval(
            "SELECT pg_try_advisory_lock($1, hashtext($2))", LOCK, database_name(settings)
        ):
            raise BackupError(f"another drill for the database {database_name(settings)} is running")
        await _drop_leftovers(server, settings)
        async with new_database(server, settings, PURPOSE) as made:
            scratch = in_database(settings, made)
            await fill(scratch, chosen)
            chosen.progress.start("testing the service on the restored database")
            await smoke_test(scratch)
    return clock.monotonic() - began


async def _drop_leftovers(server: asyncpg.Connection, settings: Settings) -> None:
    """Drop what a killed drill left behind. No other drill runs, so nobody uses it."""
    rows = await server.fetch(
        "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", prefix_of(settings, PURPOSE)
    )
    for row in rows:
        await server.execute(f"DROP DATABASE IF EXISTS {quoted(row['datname'])} WITH (FORCE)")
