"""When API keys were last used, written beside the requests: once a minute for each key, many keys at a time."""

import asyncio
from datetime import datetime

import asyncpg
import structlog

from service import clock
from service.cache.bounded_dict import BoundedDict
from service.database import Database, DatabaseUnavailableError, is_closed
from service.database.errors import CONNECTION_ERRORS, describe

log = structlog.get_logger(__name__)

EXACT_SECONDS = 60.0  # not every request is worth a write
WRITE_SECONDS = 1.0
LAST_SECONDS = 1.0  # for the last write, at the end of the process
_MOST = 10_000

# Keys that another replica is writing about need no second write. Skipped rows make no deadlock either.
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
        """The key is used now."""
        now = clock.monotonic()
        if now - self._noted.get(prefix, float("-inf")) < EXACT_SECONDS:
            return
        self._noted[prefix], self._unwritten[prefix] = now, clock.now()

    async def write(self) -> None:
        """Write down what was noted. What cannot be written stays for the next time; that is logged once."""
        if not self._unwritten:
            return
        written = dict(self._unwritten)
        try:
            refusal = await self._try(written)
        except DatabaseUnavailableError as error:
            refusal = str(error)
        if refusal is not None:
            if not self._failing:
                log.warning("last use of keys cannot be written", reason=refusal)
        else:
            for prefix, at in written.items():
                if self._unwritten.get(prefix) == at:
                    del self._unwritten[prefix]
        self._failing = refusal is not None

    async def _try(self, used: dict[str, datetime]) -> str | None:
        """Why the server refuses the statement. Caught while the connection is held: a server that only reads, or a
        right that is missing, says nothing about the connections of requests."""
        async with self._database.one_statement() as connection:
            try:
                await connection.execute(_USED, list(used), list(used.values()))
            except asyncpg.PostgresError as error:
                if isinstance(error, CONNECTION_ERRORS) and is_closed(connection):
                    raise
                return describe(error)
        return None

    async def close(self) -> None:
        """Write what is left, if that takes no time. A server that has gone silent holds up nothing."""
        last = asyncio.create_task(self.write())
        await asyncio.wait({last}, timeout=LAST_SECONDS)
        last.cancel()
