"""When API keys were last used: written in the background, at most once a minute per key, in batches."""

import asyncio
from datetime import datetime

import asyncpg
import structlog

from service import clock
from service.cache.bounded_dict import BoundedDict
from service.database import Database, DatabaseUnavailableError
from service.database.errors import CONNECTION_ERRORS, describe

log = structlog.get_logger(__name__)

EXACT_SECONDS = 60.0  # one write a minute is enough
WRITE_SECONDS = 1.0
LAST_SECONDS = 1.0  # for the last write, at the end of the process
_MOST = 10_000

# Another replica is updating a locked row already. Skipping locked rows also rules out deadlocks.
_USED = """
UPDATE api_key SET last_used_at = used.at FROM (
  SELECT k.id, u.at FROM unnest($1::text[], $2::timestamptz[]) AS u (prefix, at) JOIN api_key k USING (prefix)
  WHERE k.last_used_at IS NULL OR k.last_used_at < u.at - interval '1 minute'
  FOR UPDATE OF k SKIP LOCKED
) AS used WHERE api_key.id = used.id
"""


class LastUse:
    """What is not written yet, by the prefix of the key. Neither grows beyond `_MOST` keys."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: BoundedDict[str, float] = BoundedDict(_MOST)
        self._unwritten: BoundedDict[str, datetime] = BoundedDict(_MOST)
        self._failing = False

    def note(self, prefix: str) -> None:
        """Record that the key was used now."""
        now = clock.monotonic()
        if now - self._noted.get(prefix, float("-inf")) < EXACT_SECONDS:
            return
        self._noted[prefix], self._unwritten[prefix] = now, clock.now()

    async def write(self) -> None:
        """Write the recorded uses. If that fails, they stay for the next attempt, and one line is logged."""
        if not self._unwritten:
            return
        written = dict(self._unwritten)
        try:
            refusal = await self._try(written)
        except DatabaseUnavailableError as error:
            refusal = str(error)
        if refusal is not None:
            if not self._failing:
                log.warning("cannot record the last use of keys", reason=refusal)
        else:
            for prefix, at in written.items():
                if self._unwritten.get(prefix) == at:
                    del self._unwritten[prefix]
        self._failing = refusal is not None

    async def _try(self, used: dict[str, datetime]) -> str | None:
        """Return the error of the statement, if any.

        Caught while the connection is held: a read-only server or a missing privilege must not drop the pool that
        requests use.
        """
        async with self._database.one_statement() as connection:
            try:
                await connection.execute(_USED, list(used), list(used.values()))
            except asyncpg.PostgresError as error:
                if isinstance(error, CONNECTION_ERRORS) and connection.is_closed():
                    raise
                return describe(error)
        return None

    async def close(self) -> None:
        """Write what is left, for at most `LAST_SECONDS`: a silent server must not delay the shutdown."""
        last = asyncio.create_task(self.write())
        await asyncio.wait({last}, timeout=LAST_SECONDS)
        last.cancel()
