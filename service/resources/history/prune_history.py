"""Deletes row history that no rule keeps, in batches, so that nothing waits."""

import asyncio
from datetime import timedelta

import asyncpg

from service import clock
from service.config import RetentionSettings
from service.database import Database
from service.resources.history.errors import HistoryPrivilegeError

BLOCKS = 256  # of 8 KiB, which one statement reads
_SIZE = "SELECT pg_relation_size('row_history') / current_setting('block_size')::int"
# History is written once, so nobody else waits for these rows. An `erase` is of a row that is gone: it stays until its
# earlier versions are deleted, or one of them would look like the last.
_PRUNE = """
DELETE FROM row_history h WHERE h.ctid >= $1::tid AND h.ctid < $2::tid AND (
  h.at < $3::timestamptz AND CASE WHEN h.action = 'erase' THEN NOT EXISTS (
    SELECT FROM row_history o WHERE o.table_name = h.table_name AND o.row_id = h.row_id AND o.version < h.version)
  ELSE EXISTS (
    SELECT FROM row_history n WHERE n.table_name = h.table_name AND n.row_id = h.row_id AND n.version > h.version
      AND n.at <= $3) END
  OR $4::int IS NOT NULL AND h.version < (
    SELECT n.version FROM row_history n WHERE n.table_name = h.table_name AND n.row_id = h.row_id
    ORDER BY n.version DESC OFFSET $4 - 1 LIMIT 1))
RETURNING h.version
"""


async def prune_history(database: Database, rules: RetentionSettings) -> int:
    """Delete the versions that the rules do not keep. Return how many were deleted.

    Walks through the table in the order of its blocks, and rests after each batch for as long as it took: readers
    and writers get half of the server's time. Needs the role that owns the tables; raises `HistoryPrivilegeError`.
    """
    before = clock.now() - timedelta(days=rules.history_days) if rules.history_days else None
    versions = rules.history_versions or None
    deleted = 0
    size = (await database.fetch(_SIZE, reads=True))[0][0]
    for first in range(0, size, BLOCKS):
        began = clock.monotonic()
        ends = ((first, 0), (first + BLOCKS, 0))
        try:
            deleted += len(await database.fetch(_PRUNE, [*ends, before, versions]))
        except asyncpg.InsufficientPrivilegeError:
            raise HistoryPrivilegeError from None
        await asyncio.sleep(clock.monotonic() - began)
    return deleted
