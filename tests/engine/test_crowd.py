"""Many clients at random: history and table match, and each acknowledged change is one version.

SLIPWAY_TEST_OPERATIONS says how many operations (default 1 000, and 4 000 in `make test-long`), SLIPWAY_TEST_SEED which
ones.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from service.database import Database
from tests.conftest import DatabaseFactory
from tests.engine.api import ARTICLES, Api, Json, running
from tests.engine.crowd import Acknowledged, Member

CLIENTS = 8
GIVEN = int(os.environ.get("SLIPWAY_TEST_OPERATIONS", "0"))

# The newest image of each row with the row, and gaps in its versions.
_DIFFERENCES = """
SELECT p.id, p.version, h.versions, h.newest FROM tests_article p LEFT JOIN LATERAL (
  SELECT array_agg(version ORDER BY version) AS versions, (array_agg(row ORDER BY version DESC))[1] AS newest
  FROM row_history WHERE table_name = 'tests_article' AND row_id = p.id
) h ON true
WHERE h.newest IS DISTINCT FROM to_jsonb(p)
   OR h.versions IS DISTINCT FROM ARRAY(SELECT generate_series(1, p.version))
"""
_HISTORY = "SELECT row_id, version, action, request_id FROM row_history WHERE table_name = 'tests_article'"


@pytest.fixture
async def api(fresh_database: DatabaseFactory) -> AsyncIterator[Api]:
    async with running(fresh_database()) as api:
        yield api


async def crowd(api: Api, operations: int, seed: int) -> Acknowledged:
    """Run eight clients for that many operations, and return their responses."""
    acknowledged, items, left = Acknowledged(), list[str](), operations
    shelf = await api.shelf()

    async def work(number: int) -> None:
        nonlocal left
        member = Member(api.client, shelf, items, acknowledged, random.Random(f"{seed}-{number}"))
        while left > 0:
            done = await member.act()
            left -= done

    await asyncio.gather(*(work(number) for number in range(CLIENTS)))
    return acknowledged


@pytest.mark.timeout(200 + GIVEN // 50)
@pytest.mark.parametrize(
    "operations", [GIVEN] if GIVEN else [1000, pytest.param(4000, marks=pytest.mark.long)]
)
async def test_history_replays_to_the_table_under_concurrency(api: Api, operations: int) -> None:
    seed = int(os.environ.get("SLIPWAY_TEST_SEED", random.randrange(2**32)))
    began = time.monotonic()
    acknowledged = await crowd(api, operations, seed)
    took = time.monotonic() - began
    print(f"seed {seed}: {operations} operations in {took:.1f} s, responses {dict(acknowledged.statuses)}")  # noqa: T201  # to run it again
    assert acknowledged.unexpected == []
    assert await api.database.fetch(_DIFFERENCES) == []
    await _check_acknowledged(api.database, acknowledged)
    for row in await api.database.fetch("SELECT id FROM tests_article"):
        await _replays(api, str(row["id"]))
    print(f"{len(acknowledged.changes)} changes, {len(acknowledged.deletions)} deletions acknowledged")  # noqa: T201


async def _check_acknowledged(database: Database, acknowledged: Acknowledged) -> None:
    """Every acknowledged change is in the history exactly once, with its request id, and nothing else is."""
    rows = await database.fetch(_HISTORY)
    changes = Counter(
        (str(r["row_id"]), r["request_id"], r["version"]) for r in rows if r["action"] != "delete"
    )
    deletions = Counter((str(r["row_id"]), r["request_id"]) for r in rows if r["action"] == "delete")
    assert Counter(acknowledged.changes) == changes
    assert Counter(acknowledged.deletions) == deletions


async def _replays(api: Api, item_id: str) -> None:
    """The changes in the history, applied in order, result in the item."""
    state: Json = {}
    entries = await _history(api, item_id)
    for entry in reversed(entries):
        for change in entry["changes"]:
            assert state.get(change["field"]) == change["before"]
            state[change["field"]] = change["after"]
    item = await api.client.get(f"{ARTICLES}/{item_id}")
    assert (item.status_code == 404) == (entries[0]["action"] == "delete")
    if item.status_code == 200:
        assert item.json() == item.json() | state
        assert item.json()["version"] == entries[0]["version"]


async def _history(api: Api, item_id: str) -> list[Json]:
    entries: list[Json] = []
    query = {"limit": "200"}
    while True:
        page = (await api.client.get(f"{ARTICLES}/{item_id}/history", params=query)).json()
        entries += page["items"]
        if page["next_cursor"] is None:
            return entries
        query["cursor"] = page["next_cursor"]
