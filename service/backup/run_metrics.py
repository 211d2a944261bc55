"""Metrics of backups, which the service reports from the records of `backup_run`."""

import contextlib
import math

import asyncpg
from prometheus_client import Gauge

from service.database import Database, DatabaseUnavailableError

REPORT_SECONDS = 60.0
_LAST = """
SELECT DISTINCT ON (kind, ok) kind, ok, ended_at, seconds, size, storage_free, storage_size FROM backup_run
ORDER BY kind, ok, ended_at DESC
"""


def _gauge(name: str, says: str) -> Gauge:
    gauge = Gauge(f"slipway_backup_{name}", f"{says}; NaN if unknown.", multiprocess_mode="livemostrecent")
    gauge.set(math.nan)
    return gauge


_success = _gauge(
    "last_success_timestamp_seconds", "When the last successful backup ended, in seconds since 1970"
)
_size = _gauge("last_size_bytes", "Size of the last successful backup, in bytes")
_seconds = _gauge("last_duration_seconds", "How long the last successful backup took")
_drill = _gauge("drill_success", "Whether the last drill succeeded (1) or failed (0)")
_drilled = _gauge("drill_timestamp_seconds", "When the last drill ended, in seconds since 1970")
_free = _gauge("storage_free_bytes", "Free space of the storage after the last run; unknown for S3")
_capacity = _gauge("storage_size_bytes", "Size of the storage; unknown for S3")


class BackupMetrics:
    """Reports the last backup, the last drill and the space that is left."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self) -> None:
        """Update the metrics. They keep their values while the database is unavailable."""
        with contextlib.suppress(DatabaseUnavailableError, asyncpg.PostgresError):
            rows = await self._database.fetch(_LAST, reads=True)
            for row in rows:
                if row["kind"] == "create" and row["ok"]:
                    _success.set(row["ended_at"].timestamp())
                    _size.set(row["size"])
                    _seconds.set(row["seconds"])
            _report_drill([row for row in rows if row["kind"] == "drill"])
            _report_space([row for row in rows if row["storage_size"] is not None])


def _report_drill(drills: list[asyncpg.Record]) -> None:
    if drills:
        last = max(drills, key=lambda row: row["ended_at"])
        _drill.set(last["ok"])
        _drilled.set(last["ended_at"].timestamp())


def _report_space(runs: list[asyncpg.Record]) -> None:
    if runs:
        last = max(runs, key=lambda row: row["ended_at"])
        _free.set(last["storage_free"])
        _capacity.set(last["storage_size"])
