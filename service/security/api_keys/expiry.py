"""The metric that says when the next API key expires, for the alert that asks for a new one in time."""

import contextlib
import math

import asyncpg
from prometheus_client import Gauge

from service.database import Database, DatabaseUnavailableError

REPORT_SECONDS = 120.0

# Ignore short-lived keys; the alert would always fire.
_NEXT_EXPIRY = (
    "SELECT min(expires_at) FROM api_key WHERE revoked_at IS NULL AND expires_at > now()"
    " AND expires_at - created_at > interval '14 days'"
)
_next_expiry = Gauge(
    "slipway_api_key_expiry_timestamp_seconds",
    "When the next of the valid API keys made for more than 14 days ends, in seconds since 1970; NaN when none does.",
    multiprocess_mode="livemostrecent",
)
_next_expiry.set(math.nan)


class KeyExpiry:
    """Reports the next expiry among the valid keys with a lifetime of more than 14 days."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self) -> None:
        """Update the metric. Keeps the last value while the database is unavailable."""
        with contextlib.suppress(DatabaseUnavailableError, asyncpg.PostgresError):
            [[expires_at]] = await self._database.fetch(_NEXT_EXPIRY, reads=True)
            _next_expiry.set(math.nan if expires_at is None else expires_at.timestamp())
