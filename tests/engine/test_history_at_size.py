"""Pruning a large history while the service reads and writes: no lock is waited for, and nothing else is slow.

`pytest -s` shows the figures.
"""

import asyncio
import os
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import TypeVar

import asyncpg
import pytest

from service import clock
from tests.conftest import DatabaseFactory
from tests.engine.api import Api, running
from tests.engine.tables import create_tables, gadgets, groups
from tests.process.served import command_environment
from tests.shop.door import PROGRAM

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]
T = TypeVar("T")

IMAGES = int(os.environ.get("SLIPWAY_TEST_HISTORY_ROWS", "1000000"))
ROWS = IMAGES // 10
DAYS = 100
KEPT = 4  # versions of each row: the three that are younger than DAYS, and the one before them
WAIT_SECONDS, SLOW_SECONDS = 0.2, 1.0
BEFORE_SECONDS = 10  # of reads and writes without a purge, to compare with
# The tenth version is a month old, the first ten months.
FILL = """
INSERT INTO row_history (table_name, row_id, version, action, actor, at, row)
SELECT 'gadget', ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, v, 'update', 'test',
  now() - make_interval(days => 30 * (11 - v)), jsonb_build_object('code', n, 'title', repeat('x', 200))
FROM generate_series($2::int, $3::int) v, generate_series(1, $1::int) n
"""
COUNT = "SELECT count(*) FROM row_history WHERE table_name = 'gadget' AND actor = 'test'"
SIZE = "SELECT pg_relation_size('row_history')"
WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@dataclass
class Seen:
    """Seconds of each read by id and of each change, and how long locks were waited for in a row."""

    reads: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=lambda: [0.0])

    def __str__(self) -> str:
        read, change = (
            f"median {1000 * percentile(of, 50):.1f} ms, p99 {1000 * percentile(of, 99):.1f} ms of {len(of)}"
            for of in (self.reads, self.changes)
        )
        return f"read: {read}; change: {change}; longest lock wait: {1000 * max(self.waits):.0f} ms"


def percentile(values: list[float], number: int) -> float:
    return quantiles(values, n=100)[number - 1]


async def seen_during(api: Api, item: str, work: Awaitable[T]) -> tuple[Seen, T]:
    """Read an item and its history and change it, again and again, until the work is done."""
    seen, working = Seen(), asyncio.ensure_future(work)
    waited = 0.0
    while not working.done() or len(seen.changes) < 2:
        began = clock.monotonic()
        assert (await api.client.get(item)).status_code == 200
        seen.reads.append(clock.monotonic() - began)
        changing = clock.monotonic()
        body, headers = {"rank": len(seen.changes)}, {"If-Match": "*"}
        assert (await api.client.patch(item, json=body, headers=headers)).status_code == 200
        seen.changes.append(clock.monotonic() - changing)
        assert (await api.client.get(f"{item}/history?limit=5")).status_code == 200
        waiting = await api.database.fetch(WAITING, reads=True)
        waited = waited + clock.monotonic() - began if waiting else 0.0
        seen.waits.append(waited)
        await asyncio.sleep(0.01)
    return seen, await working


async def purge(url: str, home: Path) -> int:
    """Run `slipway purge` and return how many versions it deleted."""
    began = clock.monotonic()
    settings = command_environment(database__url=url, retention__history_days=DAYS)
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        "purge",
        cwd=home,
        env=settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = (text.decode() for text in await process.communicate())
    assert process.returncode == 0, errors
    print(f"{output.splitlines()[-1]} after {clock.monotonic() - began:.0f} s")  # noqa: T201
    return int(output.splitlines()[-1].split()[0])


async def on(url: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    """Run a statement that may take long."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        found: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
    finally:
        await connection.close()
    return found


async def test_nothing_waits_while_a_large_history_is_pruned(
    fresh_database: DatabaseFactory, tmp_path: Path
) -> None:
    url = fresh_database()
    await create_tables(url)
    async with running(url, (groups(), gadgets()), ("shop:read", "shop:write")) as api:
        await on(url, FILL, ROWS, 1, 10)
        item = f"/api/v1/gadgets/{(await api.make('gadgets', code='busy')).json()['id']}"
        before, _ = await seen_during(api, item, asyncio.sleep(BEFORE_SECONDS))
        seen, deleted = await seen_during(api, item, purge(url, tmp_path))
        assert deleted == ROWS * (10 - KEPT)
        assert await purge(url, tmp_path) == 0
        assert (await on(url, COUNT))[0][0] == ROWS * KEPT
        print(f"before: {before}\nduring: {seen}")  # noqa: T201
        assert max(seen.waits) <= WAIT_SECONDS
        assert percentile(seen.reads, 99) < SLOW_SECONDS
        assert percentile(seen.changes, 99) < SLOW_SECONDS
    size = (await on(url, SIZE))[0][0]
    await on(url, "VACUUM row_history")
    await on(url, FILL, ROWS, 11, 13)
    assert (await on(url, SIZE))[0][0] <= size * 1.01, "the file grows, though half of it is free"
