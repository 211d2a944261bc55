"""Restores a backup into a database, and proves that it holds what was backed up."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from service.backup import snapshot
from service.backup.backup_connection import connected, libpq_environment, refuse_pooler, server_major
from service.backup.client_process import running
from service.backup.errors import BackupError, RefusedBackupError
from service.backup.manifest import Manifest
from service.backup.parts import read_parts
from service.backup.programs import Programs, find_programs
from service.backup.progress import Progress
from service.backup.sealing import Seal
from service.backup.storage.storage_protocol import Storage
from service.backup.verify import verify
from service.config import Settings
from service.migrations import encoding, runner
from service.migrations.branches import BRANCHES, known

WAIT_SECONDS = 60.0  # for locks that autovacuum holds on a new database
# Whatever somebody has created: relations, functions and types, but for those of extensions.
OBJECTS = """
SELECT format('%I.%I', n.nspname, o.name) FROM (
  SELECT 'pg_class'::regclass AS class, oid, relnamespace AS schema, relname AS name FROM pg_class
  UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace, proname FROM pg_proc
  UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace, typname FROM pg_type
    WHERE typcategory <> 'A'
) AS o JOIN pg_namespace n ON n.oid = o.schema
WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' AND NOT EXISTS (
  SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e')
ORDER BY 1 LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A backup that may be restored, and all that reading it takes."""

    manifest: Manifest
    seal: Seal | None
    storage: Storage
    progress: Progress
    bundled: Sequence[Path]
    privileges: bool = True

    async def prove(self) -> None:
        """Read the whole backup before a database is touched. Raises `RefusedBackupError`."""
        refuse_newer(self.manifest)
        await verify(self.manifest, self.storage, self.seal, self.progress)


def refuse_newer(manifest: Manifest) -> None:
    """Raise `RefusedBackupError` if the database was migrated by a newer version than this one."""
    for branch in BRANCHES:
        revision = manifest.body.revisions.get(branch.name)
        if revision is not None and revision not in known(branch):
            raise RefusedBackupError(
                f"backup {manifest.header.id} is at revision {revision} ({branch.name}), which this version does not "
                f"know: restore it with version {manifest.body.version} or a newer one"
            )


async def restore(settings: Settings, chosen: Chosen) -> None:
    """Restore into the database of the settings, which must be empty.

    Raises `RefusedBackupError`, `BackupError` or `DatabaseUnavailableError`. The database is empty afterwards, unless
    the message says otherwise.
    """
    refuse_pooler(settings)
    await chosen.prove()
    await fill(settings, chosen)


async def fill(settings: Settings, chosen: Chosen) -> None:
    """Restore a proved backup into an empty database, compare it with the manifest, and migrate it to the heads.

    Raises as `restore`, and the errors of `runner.upgrade`.
    """
    async with connected(settings) as connection:
        major = await _check_target(connection, chosen.manifest)
        missing = await _missing_roles(connection, chosen.manifest.body.roles)
    programs = await find_programs(major, configured=settings.backup.client_folder, bundled=chosen.bundled)
    if missing and chosen.privileges:
        chosen.progress.say(
            f"privileges are not restored, because roles do not exist: {', '.join(missing)}; create them first to "
            "restore privileges too"
        )
    await _load(settings, chosen, programs, privileges=chosen.privileges and not missing)
    chosen.progress.start("comparing every table with the backup")
    async with connected(settings) as connection:
        await connection.execute("ANALYZE")
        await _compare(connection, chosen.manifest)
    await runner.upgrade(settings, wait=WAIT_SECONDS)


async def _check_target(connection: asyncpg.Connection, manifest: Manifest) -> int:
    """Return the server's major version. Raises `BackupError` unless the backup can be restored here."""
    major, made_by = await server_major(connection), manifest.body.server_major
    if major < made_by:
        raise BackupError(
            f"the backup was made by PostgreSQL {made_by}, and this server is {major}: restore it on PostgreSQL "
            f"{made_by} or newer"
        )
    if refusal := encoding.refusal(await connection.fetchval(f"SELECT {encoding.QUERY}")):
        raise BackupError(refusal)
    if found := await connection.fetchval(OBJECTS):
        name = await connection.fetchval("SELECT current_database()")
        raise BackupError(
            f"the database {name} is not empty (it has {found}): restore into an empty one, or use --replace, which "
            "keeps this one under another name"
        )
    return major


async def _missing_roles(connection: asyncpg.Connection, wanted: Sequence[str]) -> list[str]:
    present = {str(row[0]) for row in await connection.fetch("SELECT rolname FROM pg_roles")}
    return [role for role in wanted if role not in present]


async def _load(settings: Settings, chosen: Chosen, programs: Programs, *, privileges: bool) -> None:
    """Feed the dump to `pg_restore`, in one transaction: all or nothing."""
    manifest = chosen.manifest
    chosen.progress.start(f"restoring {manifest.header.id}", manifest.header.size)
    environment = libpq_environment(settings)
    arguments = [
        f"--dbname={_conninfo(environment['PGDATABASE'])}",
        "--exit-on-error",
        "--single-transaction",
        "--no-owner",
        "--no-password",
        *([] if privileges else ["--no-privileges"]),
    ]
    async with running(programs.restore, arguments, environment, fed=True) as program:
        async for chunk in read_parts(manifest, chosen.storage, chosen.seal, chosen.progress):
            await program.feed(chunk)
        await program.finish()


async def _compare(connection: asyncpg.Connection, manifest: Manifest) -> None:
    wanted = {table.name: table for table in manifest.body.tables}
    tables = await snapshot.tables_of(connection)
    found = {table.name: table for table in [await snapshot.checksum(connection, one) for one in tables]}
    if different := sorted(name for name in wanted | found if wanted.get(name) != found.get(name)):
        raise BackupError(
            f"the restored database differs from the backup in {', '.join(different)}: do not use it"
        )


def _conninfo(database: str) -> str:
    """Return the name as a connection string, so that no name is taken for one (libpq, section 32.1.1)."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"
