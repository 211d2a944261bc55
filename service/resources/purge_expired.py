"""Deletes what the settings no longer keep, as far as the service's own role may."""

from collections.abc import Sequence

from service.config import Settings
from service.database import Database
from service.jobs.job import Job
from service.resources.requests.idempotency import IdempotencyStore
from service.security.api_keys.commands import purge_keys

PURGE_SECONDS = 3600.0
FIRST_SECONDS = 600.0  # a rollout has other work to do


class ExpiredRows:
    """Stored responses to requests with an Idempotency-Key, and API keys that have ended."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._records = IdempotencyStore(database, settings.app.idempotency_hours)
        self._key_days = settings.retention.key_days

    @property
    def jobs(self) -> Sequence[Job]:
        """The periodic purge, in one process of all."""
        return [Job("purge-expired", self.purge, PURGE_SECONDS, first=FIRST_SECONDS, once_per_cluster=True)]

    async def purge(self) -> None:
        """Delete all of it, in batches."""
        await self.purge_records()
        await self.purge_keys()

    async def purge_records(self) -> int:
        """Delete expired responses, in batches. Return how many."""
        return await self._records.purge()

    async def purge_keys(self) -> int:
        """Delete keys that ended before the days that the settings keep. Return how many."""
        if not self._key_days:
            return 0
        async with self._database.session() as session:
            return await purge_keys(session, self._key_days)
