"""Pruning a large history while the service writes: nobody waits, and nothing else is slow."""

import asyncio
import os

import pytest

from service import clock
from service.config import RetentionSettings
from service.resources.history.prune_history import prune_history
from tests.engine.api import Api
from tests.engine.conftest import Shop

IMAGES = int(os.environ.get("SLIPWAY_TEST_HISTORY_ROWS", "1000000"))
VERSIONS = 10  # of each row, one a month: the oldest is ten months old
WAIT_SECONDS, SLOW_SECONDS = 0.2, 1.0
FILL = """
INSERT INTO row_history (table_name, row_id, version, action, actor, at, row)
SELECT 'gadget', ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, v, 'update', 'test',
  now() - make_interval(days => 30 * (11 - v)), jsonb_build_object('code', n, 'title', repeat('x', 200))
FROM generate_series(1, 10) v, generate_series(1, $1::int) n
"""
COUNT = "SELECT count(*) FROM row_history WHERE table_name = 'gadget' AND actor = 'test'"
WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def write_and_watch(api: Api, ended: asyncio.Event) -> tuple[list[float], list[float]]:
    """Change an item again and again, and read its history. Return the seconds of each, and how long locks were
    waited for in a row."""
    item = (await api.make("gadgets", code="busy")).json()["id"]
    seconds: list[float] = []
    waits, waited = [0.0], 0.0
    while not ended.is_set():
        began = clock.monotonic()
        headers = {"If-Match": "*"}
        done = await api.client.patch(f"/api/v1/gadgets/{item}", json={"rank": len(seconds)}, headers=headers)
        assert done.status_code == 200
        seconds.append(clock.monotonic() - began)
        assert (await api.client.get(f"/api/v1/gadgets/{item}/history?limit=5")).status_code == 200
        waiting = await api.database.fetch(WAITING, reads=True)
        waited = waited + clock.monotonic() - began if waiting else 0.0
        waits.append(waited)
        await asyncio.sleep(0.01)
    return seconds, waits


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_nothing_waits_while_a_large_history_is_pruned(shop: Shop) -> None:
    api = await shop()
    async with api.database.transaction() as connection:
        await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL synchronous_commit = off")
        await connection.execute(FILL, IMAGES // VERSIONS, timeout=3000)
    ended = asyncio.Event()
    watching = asyncio.create_task(write_and_watch(api, ended))
    deleted = await prune_history(api.database, RetentionSettings(history_days=100))
    assert await prune_history(api.database, RetentionSettings(history_days=100)) == 0
    ended.set()
    seconds, waits = await watching
    kept = 4  # three that are younger than 100 days, and the one before them
    assert deleted == IMAGES // VERSIONS * (VERSIONS - kept)
    assert (await api.database.fetch(COUNT))[0][0] == IMAGES - deleted
    assert max(waits) <= WAIT_SECONDS
    assert sorted(seconds)[len(seconds) * 99 // 100] < SLOW_SECONDS
