"""Makes a backup: a dump of one snapshot, stored in sealed parts, finished by its manifest."""

import asyncio
import secrets
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from service import __version__, clock
from service.backup import snapshot
from service.backup.backup_connection import connected, libpq_environment, refuse_pooler, server_major
from service.backup.client_process import running
from service.backup.errors import BackupError, StorageError
from service.backup.manifest import FORMAT, MANIFEST, Body, Header, Manifest, Part, Sealed, Table, pack
from service.backup.parts import PART_BYTES, write_parts
from service.backup.programs import Programs, find_programs
from service.backup.progress import Progress
from service.backup.sealing import CIPHER, KeyRing, Seal
from service.backup.storage.storage_protocol import Storage
from service.backup.stored_backups import remove_unfinished
from service.config import Settings

LOCK = 0x51_1B_3A_7B  # of the database: one backup at a time
# Levels of gzip, which `pg_dump` takes in every version. It takes names since version 16.
_LEVELS = {"gzip": "6", "none": "0"}
_NAMES_SINCE = 16


@dataclass(frozen=True, slots=True)
class Source:
    """The database that is backed up, as its server describes itself."""

    database: str
    server: str
    server_major: int


async def create(
    settings: Settings, storage: Storage, progress: Progress, *, bundled: Sequence[Path]
) -> Manifest:
    """Back up the database of the settings and return the manifest of the new backup.

    bundled: folders with client programs that come with the package. Raises `BackupError` or
    `DatabaseUnavailableError`; then nothing of the new backup is left.
    """
    refuse_pooler(settings)
    async with connected(settings) as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            raise BackupError("another backup of this database is running")
        source = await _source(connection)
        _check_compression(settings.backup.compression, source.server_major)
        programs = await find_programs(
            source.server_major, configured=settings.backup.client_folder, bundled=bundled
        )
        await remove_unfinished(storage)
        return await _Run(settings, storage, progress, programs, source).run(connection)


class _Run:
    """One run. Its id sorts by time, and its random part keeps runs of the same second apart."""

    def __init__(
        self, settings: Settings, storage: Storage, progress: Progress, programs: Programs, source: Source
    ) -> None:
        self._settings, self._storage, self._progress = settings, storage, progress
        self._programs, self._source = programs, source
        self._began, self._at = clock.monotonic(), clock.now().replace(microsecond=0)
        self._id = f"{self._at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        backup = settings.backup
        self._seal = KeyRing(backup.keys(), seals=bool(backup.key.get_secret_value())).new_seal(self._id)

    async def run(self, connection: asyncpg.Connection) -> Manifest:
        try:
            async with snapshot.snapshot(connection) as (identifier, tables):
                parts, checked = await _both(self._dump(identifier), _checked(connection, tables))
                manifest = self._manifest(
                    parts,
                    checked,
                    revisions=await snapshot.revisions_of(connection, tables),
                    roles=await snapshot.roles_of(connection),
                )
            await self._storage.put(f"{self._id}/{MANIFEST}", pack(manifest, self._seal))
        except BaseException:
            await self._discard()
            raise
        return manifest

    async def _dump(self, identifier: str) -> list[Part]:
        self._progress.start(f"backing up {self._source.database} as {self._id}")
        compression = self._settings.backup.compression
        arguments = [
            "--format=custom",
            f"--compress={_LEVELS.get(compression, compression)}",
            f"--snapshot={identifier}",
            f"--lock-wait-timeout={snapshot.LOCK_SECONDS}s",
            "--no-password",
        ]
        environment = libpq_environment(self._settings)
        async with running(self._programs.dump, arguments, environment) as program:
            parts = await write_parts(
                program.chunks(PART_BYTES), self._storage, self._id, self._seal, self._progress
            )
            await program.finish()
        return parts

    def _manifest(
        self, parts: list[Part], tables: list[Table], *, revisions: dict[str, str | None], roles: list[str]
    ) -> Manifest:
        header = Header(
            format=FORMAT,
            service=self._settings.app.name,
            id=self._id,
            created_at=self._at,
            size=sum(part.size for part in parts),
            parts=len(parts),
            sealed=_sealed(self._seal),
        )
        body = Body(
            version=__version__,
            server=self._source.server,
            server_major=self._source.server_major,
            client=self._programs.version,
            database=self._source.database,
            revisions=revisions,
            roles=roles,
            tables=tables,
            parts=parts,
            seconds=round(clock.monotonic() - self._began, 3),
        )
        return Manifest(header=header, body=body)

    async def _discard(self) -> None:
        """Delete what was stored, the manifest first. What cannot be deleted is no backup, and is deleted later."""
        own = f"{self._id}/"
        with suppress(StorageError):
            names = [one.name for one in await self._storage.list() if one.name.startswith(own)]
            await self._storage.delete(sorted(names, key=lambda name: not name.endswith(MANIFEST)))


def _check_compression(compression: str, major: int) -> None:
    if compression not in _LEVELS and major < _NAMES_SINCE:
        raise BackupError(
            f"SLIPWAY_BACKUP__COMPRESSION is {compression}, which needs PostgreSQL {_NAMES_SINCE} or newer, and this "
            f"server is {major}: use gzip or none"
        )


async def _source(connection: asyncpg.Connection) -> Source:
    database = await connection.fetchval("SELECT current_database()")
    server = await connection.fetchval("SELECT current_setting('server_version')")
    return Source(database, server, await server_major(connection))


async def _checked(connection: asyncpg.Connection, tables: Sequence[snapshot.Name]) -> list[Table]:
    return [await snapshot.checksum(connection, table) for table in tables]


async def _both(
    dumping: Coroutine[Any, Any, list[Part]], checking: Coroutine[Any, Any, list[Table]]
) -> tuple[list[Part], list[Table]]:
    """Run both at once. The first failure ends the other."""
    dump, check = asyncio.create_task(dumping), asyncio.create_task(checking)
    try:
        await asyncio.wait({dump, check}, return_when=asyncio.FIRST_EXCEPTION)
        for task in (dump, check):
            if task.done():
                task.result()
        return dump.result(), check.result()
    finally:
        dump.cancel()
        check.cancel()
        await asyncio.gather(dump, check, return_exceptions=True)


def _sealed(seal: Seal | None) -> Sealed | None:
    return None if seal is None else Sealed(cipher=CIPHER, key_id=seal.key_id, salt=seal.salt.hex())
