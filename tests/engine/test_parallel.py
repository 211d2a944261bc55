"""Concurrent clients that want the same thing: responses are correct, and nothing is lost or done twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from httpx2 import AsyncClient, Response

from tests.engine.api import ARTICLES, SHELVES, Api, Json, running, unique

FORBIDDEN = """
SELECT p.id FROM tests_article p JOIN tests_shelf c ON c.id = p.shelf_id
WHERE p.deleted_at IS NULL AND c.deleted_at IS NOT NULL
"""


@pytest.fixture(scope="module")
async def api(database_url: str) -> AsyncIterator[Api]:
    async with running(database_url) as api:
        yield api


@pytest.fixture(scope="module")
async def shelf(api: Api) -> str:
    return await api.shelf()


def body(shelf: str) -> Json:
    return {"sku": unique("PAR"), "name": "Lamp", "price": "1.00", "shelf_id": shelf}


async def ids_of(api: Api, shelf: str, count: int) -> list[str]:
    return [(await api.make("articles", **body(shelf))).json()["id"] for _ in range(count)]


async def test_no_increment_is_lost(api: Api, shelf: str) -> None:
    (item_id,) = await ids_of(api, shelf, 1)
    url, statuses, both = f"{ARTICLES}/{item_id}", Counter[int](), asyncio.Barrier(2)

    async def count_up(times: int) -> None:
        for turn in range(times):
            item = await api.client.get(url)
            if not turn:
                await both.wait()  # both read the same version, so that one is refused
            response = await api.client.patch(
                url, json={"stock": item.json()["stock"] + 1}, headers={"If-Match": item.headers["etag"]}
            )
            statuses[response.status_code] += 1

    await asyncio.gather(count_up(60), count_up(60))
    assert statuses.keys() <= {200, 412}
    item = (await api.client.get(url)).json()
    assert (item["stock"], item["version"]) == (statuses[200], statuses[200] + 1)
    assert statuses[412] > 0


async def test_unconditional_changes_never_conflict(api: Api, shelf: str) -> None:
    (item_id,) = await ids_of(api, shelf, 1)

    async def patch(stock: int) -> int:
        response = await api.client.patch(
            f"{ARTICLES}/{item_id}", json={"stock": stock}, headers={"If-Match": "*"}
        )
        return response.status_code

    # Several set the value that another one has just set, which is no change.
    for stock in range(1, 15):
        assert set(await asyncio.gather(*(patch(stock) for _ in range(6)))) == {200}


async def test_one_key_on_two_instances_has_one_effect(api: Api, shelf: str, database_url: str) -> None:
    item, headers = body(shelf), {"Idempotency-Key": str(uuid4())}

    async def create(client: AsyncClient) -> Response:
        return await client.post(ARTICLES, json=item, headers={**client.headers, **headers})

    async with running(database_url) as other:
        other.client.headers = api.client.headers  # the same principal
        responses = await asyncio.gather(*(create([api.client, other.client][n % 2]) for n in range(50)))
    assert {response.status_code for response in responses} == {201}
    assert len({(response.content, response.headers["location"]) for response in responses}) == 1
    rows = await api.database.fetch("SELECT id FROM tests_article WHERE sku = $1", [item["sku"]])
    assert [str(row["id"]) for row in rows] == [responses[0].json()["id"]]


async def test_concurrent_bulk_with_one_key_has_one_effect(api: Api, shelf: str) -> None:
    operations = [{"op": "create", "item": body(shelf)} for _ in range(50)]
    headers = {"Idempotency-Key": str(uuid4())}
    responses = await asyncio.gather(
        *(
            api.client.post(f"{ARTICLES}/bulk", json={"operations": operations}, headers=headers)
            for _ in range(10)
        )
    )
    assert {response.status_code for response in responses} == {200}, [a.text for a in responses]
    assert len({response.content for response in responses}) == 1


async def test_deleted_shelf_never_has_articles(api: Api) -> None:
    seen = Counter[tuple[str, int]]()

    async def send(what: str, method: str, url: str, **options: object) -> None:
        response = await api.client.request(method, url, **options)  # type: ignore[arg-type]
        seen[what, response.status_code] += 1

    for turn in range(25):
        shelf, other = await api.shelf(), await api.shelf()
        (moved,) = await ids_of(api, other, 1)
        (gone,) = await ids_of(api, shelf, 1)
        await api.client.delete(f"{ARTICLES}/{gone}", headers={"If-Match": "*"})
        bulk = {"operations": [{"op": "create", "item": body(shelf)}]}
        guard = {"headers": {"If-Match": "*"}}
        requests = [
            send("create", "POST", ARTICLES, json=body(shelf)),
            send("bulk", "POST", f"{ARTICLES}/bulk", json=bulk),
            send("move", "PATCH", f"{ARTICLES}/{moved}", json={"shelf_id": shelf}, **guard),
            send("restore", "POST", f"{ARTICLES}/{gone}/restore"),
        ]
        requests.insert(turn % 5, send("delete", "DELETE", f"{SHELVES}/{shelf}", **guard))
        if turn < 2:  # one deletion comes first, one after the creation
            for request in requests:
                await request
        else:
            await asyncio.gather(*requests)
    assert await api.database.fetch(FORBIDDEN) == []
    assert {status for _, status in seen} <= {200, 201, 204, 409, 422}, seen
    assert seen["delete", 204]
    assert seen["delete", 409]


async def test_bulk_changes_of_the_same_items_never_deadlock(api: Api, shelf: str) -> None:
    *ids, kept = await ids_of(api, shelf, 31)  # ids are locked in their order: the kept one last
    statuses = Counter[int]()

    async def churn(number: int) -> None:
        for turn in range(12):
            patched, deleted = (ids[::2], ids[1::2]) if (number + turn) % 2 else (ids[1::2], ids[::2])
            operations: list[Json] = [
                {"op": "patch", "id": i, "if_match": "*", "changes": {"name": f"{number}-{turn}"}}
                for i in [kept, *patched]
            ]
            operations += [{"op": "delete", "id": item_id, "if_match": "*"} for item_id in deleted]
            if number % 2:  # the database refuses it, and all patches are made one by one
                operations[0]["changes"]["shelf_id"] = str(uuid4())
            response = await api.client.post(
                f"{ARTICLES}/bulk", json={"mode": "partial", "operations": operations}
            )
            assert response.status_code == 200, response.text
            statuses.update(result["status"] for result in response.json()["results"])
            await asyncio.gather(*(api.client.post(f"{ARTICLES}/{i}/restore") for i in deleted[:5]))

    before = await deadlocks(api)
    await asyncio.gather(*(churn(number) for number in range(6)))
    assert await deadlocks(api) == before
    assert {200, 204, 422} <= statuses.keys() <= {200, 204, 404, 422}


async def deadlocks(api: Api) -> int:
    """Return PostgreSQL's number of deadlocks, which retries hide from clients."""
    async with api.database.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        counted: int = await connection.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        return counted


async def test_bulk_creations_of_the_same_items_never_deadlock(api: Api, shelf: str) -> None:
    before = await deadlocks(api)
    for _ in range(8):
        items = [body(shelf) for _ in range(40)]
        orders = [items, items[::-1], items[20:] + items[:20]]
        responses = await asyncio.gather(
            *(
                api.client.post(
                    f"{ARTICLES}/bulk",
                    json={"mode": "partial", "operations": [{"op": "create", "item": i} for i in order]},
                )
                for order in orders
            )
        )
        assert {response.status_code for response in responses} == {200}, [a.text for a in responses]
        made = [r["status"] for response in responses for r in response.json()["results"]]
        assert (made.count(201), made.count(409)) == (40, 80)
    assert await deadlocks(api) == before


async def test_first_duplicate_creation_in_a_bulk_wins(api: Api, shelf: str) -> None:
    for _ in range(5):
        item = body(shelf)
        operations = [{"op": "create", "item": {**item, "name": name}} for name in ("first", "second")]
        response = await api.client.post(
            f"{ARTICLES}/bulk", json={"mode": "partial", "operations": operations}
        )
        assert [result["status"] for result in response.json()["results"]] == [201, 409]


async def test_bulks_with_crossed_references_never_deadlock(api: Api) -> None:
    for _ in range(4):
        shelves = sorted([await api.shelf() for _ in range(8)])
        remove = [{"op": "delete", "id": shelf, "if_match": "*"} for shelf in shelves]
        create = [{"op": "create", "item": body(shelf)} for shelf in reversed(shelves)]
        responses = await asyncio.gather(
            api.client.post(f"{SHELVES}/bulk", json={"mode": "partial", "operations": remove}),
            api.client.post(f"{ARTICLES}/bulk", json={"mode": "partial", "operations": create}),
            api.client.post(f"{ARTICLES}/bulk", json={"mode": "partial", "operations": create}),
        )
        assert {response.status_code for response in responses} == {200}, [a.text for a in responses]
    assert await api.database.fetch(FORBIDDEN) == []


async def test_no_bulk_increment_is_lost(api: Api, shelf: str) -> None:
    ids = await ids_of(api, shelf, 12)
    made = Counter[str]()

    async def count_up(order: list[str]) -> None:
        for _ in range(15):
            operations = []
            for item_id in order:
                item = await api.client.get(f"{ARTICLES}/{item_id}")
                changes = {"stock": item.json()["stock"] + 1}
                target = {"id": item_id, "if_match": item.headers["etag"]}
                operations.append({"op": "patch", **target, "changes": changes})
            response = await api.client.post(
                f"{ARTICLES}/bulk", json={"mode": "partial", "operations": operations}
            )
            assert response.status_code == 200, response.text
            for operation, result in zip(operations, response.json()["results"], strict=True):
                assert result["status"] in {200, 412}
                made[str(operation["id"])] += result["status"] == 200

    await asyncio.gather(count_up(ids), count_up(ids[::-1]), count_up(ids[6:] + ids[:6]))
    for item_id in ids:
        item = (await api.client.get(f"{ARTICLES}/{item_id}")).json()
        assert (item["stock"], item["version"]) == (made[item_id], made[item_id] + 1)
