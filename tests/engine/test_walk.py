"""Reading all pages of a list while another client inserts, deletes and changes rows.

SLIPWAY_TEST_ROWS is the number of rows (default 3 000).
"""

import asyncio
import itertools
import os
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.conftest import DatabaseFactory
from tests.engine.api import ARTICLES, Api, Json, running, unique
from tests.engine.rows import insert_articles

ROWS = int(os.environ.get("SLIPWAY_TEST_ROWS", "3000"))


@pytest.fixture
async def api(fresh_database: DatabaseFactory) -> AsyncIterator[Api]:
    async with running(fresh_database()) as api:
        yield api


async def walk(api: Api, sort: str, meddler: "Meddler") -> list[Json]:
    """Return the items of all pages, in order. One page in four is read during a turn of the meddler."""
    items: list[Json] = []
    query, pages = {"sort": sort, "limit": "200" if ROWS > 20_000 else "40"}, 0
    while True:
        meddling = [asyncio.create_task(meddler.act())] if pages % 4 == 0 else []
        response = await api.client.get(ARTICLES, params=query)
        await asyncio.gather(*meddling)
        assert response.status_code == 200, response.text
        page, pages = response.json(), pages + 1
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        query["cursor"] = page["next_cursor"]


class Meddler:
    """Deletes rows, changes fields that no list sorts by, and inserts rows: one of each in a turn."""

    def __init__(self, api: Api, shelf: str, ids: list[str], dice: random.Random) -> None:
        self._api = api
        self._shelf = shelf
        self._doomed = ids
        self._dice = dice
        self.gone: set[str] = set()

    async def act(self) -> None:
        item = {
            "sku": unique("NEW"),
            "name": f"Name {self._dice.random()}",
            "shelf_id": self._shelf,
        }
        await self._api.make("articles", **item, price=f"{self._dice.randrange(100)}.00")
        headers = {"If-Match": "*"}
        changed = f"{ARTICLES}/{self._dice.choice(self._doomed)}"
        await self._api.client.patch(changed, json={"stock": len(self.gone) + 1}, headers=headers)
        doomed = self._doomed.pop(self._dice.randrange(len(self._doomed)))
        response = await self._api.client.delete(f"{ARTICLES}/{doomed}", headers=headers)
        assert response.status_code == 204
        self.gone.add(doomed)


@pytest.mark.timeout(120 + ROWS // 100)
@pytest.mark.parametrize("sort", ["-created_at", "price,-name"])
async def test_paging_during_writes_returns_each_remaining_row_once(api: Api, sort: str) -> None:
    seed = random.randrange(2**32)
    shelf = await api.shelf()
    ids = await insert_articles(api.database, ROWS, shelf)
    meddler = Meddler(api, shelf, list(ids), random.Random(seed))
    items = await walk(api, sort, meddler)
    met = Counter(item["id"] for item in items)
    assert met.most_common(1)[0][1] == 1, f"seed {seed}"
    assert set(ids) - meddler.gone <= met.keys(), f"seed {seed}"
    for before, after in itertools.pairwise(items):
        assert _in_order(before, after, sort), f"seed {seed}"


def _in_order(before: Json, after: Json, sort: str) -> bool:
    if sort == "-created_at":
        return bool((before["created_at"], before["id"]) > (after["created_at"], after["id"]))
    return float(before["price"]) <= float(after["price"])
