"""How many items a page has, what a count says, and in which order items that were created together lie."""

from collections.abc import AsyncIterator

import pytest
from httpx2 import AsyncClient

from tests.api.conftest import Json, unique
from tests.api.test_items import problem
from tests.conftest import DatabaseFactory
from tests.engine.api import BASE, running

ARTICLES = f"{BASE}/articles"
COUNT = 120


async def fill(client: AsyncClient) -> Json:
    """Create a shelf with 120 articles in one bulk request, their codes in no order. Return the shelf."""
    made: Json = (
        await client.post(f"{BASE}/shelves", json={"slug": unique("full").lower(), "name": "Full"})
    ).json()
    items = [
        {
            "sku": f"{n * 7919 % 100_003:06}-{unique('FULL')}",
            "name": f"N{n}",
            "price": "1",
            "stock": n,
            "status": "active" if n % 4 else "draft",
            "shelf_id": made["id"],
        }
        for n in range(COUNT)
    ]
    body = {"operations": [{"op": "create", "item": item} for item in items]}
    assert (await client.post(f"{ARTICLES}/bulk", json=body)).status_code == 200
    return made


@pytest.fixture(scope="module")
async def full(client: AsyncClient) -> Json:
    return await fill(client)


async def test_items_created_in_bulk_keep_the_request_order(client: AsyncClient, full: Json) -> None:
    for sort, first in (("created_at", 0), ("-created_at", COUNT - 1)):
        page = await client.get(f"{ARTICLES}?shelf_id={full['id']}&sort={sort}&limit={COUNT}")
        numbers = [item["stock"] for item in page.json()["items"]]
        assert numbers == sorted(numbers, reverse=first > 0)
        assert (len(numbers), numbers[0]) == (COUNT, first)


async def test_estimated_count_is_close_to_the_exact_count(fresh_database: DatabaseFactory) -> None:
    """On a database of its own: the planner takes columns for independent, which other tests' articles are not."""
    async with running(fresh_database()) as api:
        full = await fill(api.client)
        await api.database.fetch("ANALYZE tests_article")
        for more in ("", "&status=active", "&status__ne=active", "&stock__lt=60"):
            url = f"{ARTICLES}?shelf_id={full['id']}{more}&limit=1"
            exact, estimated = [
                (await api.client.get(f"{url}&count={count}")).json()["total"]
                for count in ("exact", "estimated")
            ]
            assert exact in {COUNT, COUNT // 2, COUNT * 3 // 4, COUNT // 4}
            assert exact / 3 <= estimated <= exact * 3, more


@pytest.fixture(scope="module", params=[(50, 10), (3, 10)], ids=["default-too-large", "default-smaller"])
async def sized(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[tuple[AsyncClient, int]]:
    """A client of an application with these sizes of pages, and the number of items on a page."""
    size, most = request.param
    sizes = {"page_size": size, "page_size_max": most}
    async with running(database_url, scopes=("shop:read",), performance=sizes) as api:
        yield api.client, min(size, most)


async def test_page_size_follows_the_settings(sized: tuple[AsyncClient, int], full: Json) -> None:
    client, default = sized
    for path in (f"{ARTICLES}?shelf_id={full['id']}&", f"{BASE}/shelves/{full['id']}/articles?"):
        for given, found in (("", default), ("limit=1", 1), ("limit=10", 10)):
            page = (await client.get(f"{path}{given}")).json()
            assert len(page["items"]) == found
            assert page["next_cursor"] is not None
        for wrong in ("0", "11", "-1", "", "1.0", "1e1"):
            problem(await client.get(f"{path}limit={wrong}"), 400, "invalid_parameter")


async def test_history_page_size_follows_the_settings(
    sized: tuple[AsyncClient, int], client: AsyncClient, full: Json
) -> None:
    reader, default = sized
    url = f"{BASE}/shelves/{full['id']}"
    for _ in range(12):
        changed = await client.patch(url, json={"name": unique("Full")}, headers={"If-Match": "*"})
        assert changed.status_code == 200
    for given, found in (("", default), ("?limit=10", 10), ("?limit=1", 1)):
        assert len((await reader.get(f"{url}/history{given}")).json()["items"]) == found
    problem(await reader.get(f"{url}/history?limit=11"), 400, "invalid_parameter")
