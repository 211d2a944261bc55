"""Records what backup commands did in the table `backup_run`, from which the service reports metrics."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg

from service import clock
from service.backup.manifest import Manifest
from service.backup.storage.storage_protocol import Storage
from service.config import Settings
from service.database import Database, DatabaseUnavailableError
from service.models.uuid7 import uuid7

T = TypeVar("T")

KEPT_DAYS = 400
_RECORD = f"""
WITH old AS (DELETE FROM backup_run WHERE ended_at < now() - interval '{KEPT_DAYS} days')
INSERT INTO backup_run (id, kind, ok, backup, seconds, size, storage_free, storage_size, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""  # noqa: S608  # a number of ours


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records runs in the database of the settings. A run whose record cannot be written has still succeeded."""

    settings: Settings
    storage: Storage
    say: Callable[[str], None]

    async def run(
        self, kind: str, work: Awaitable[T], manifest_of: Callable[[T], Manifest | None] = lambda _: None
    ) -> T:
        """Await a command, record its outcome, and return its result."""
        began = clock.monotonic()
        try:
            result = await work
        except Exception as error:
            await self._record(kind, clock.monotonic() - began, detail=str(error) or type(error).__name__)
            raise
        await self._record(kind, clock.monotonic() - began, manifest=manifest_of(result))
        return result

    async def _record(
        self, kind: str, seconds: float, *, manifest: Manifest | None = None, detail: str | None = None
    ) -> None:
        header = manifest.header if manifest else None
        values: list[Any] = [header.id if header else None, seconds, header.size if header else None]
        values += await self.storage.space() or (None, None)
        database = Database(self.settings)
        try:
            await database.start()
            await database.fetch(_RECORD, [uuid7(), kind, detail is None, *values, detail])
        except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
            self.say(f"this run is missing in the metrics, because it cannot be recorded: {error}")
        finally:
            await database.stop()
