"""Computed members with a subquery: the response to a change shows what the next read shows."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from httpx2 import Response

from service.models.row_history import RowHistory
from service.resources.declaration import Change, Computed, Hooks
from tests.engine.api import ARTICLES, BASE, PARCELS, Api, Json, problem, running, unique
from tests.shop.models import Article, Parcel
from tests.shop.resources import articles, parcels, shelves

ANY = {"If-Match": "*"}


def on_shelf(row: Any) -> Any:
    """Over the same table."""
    other: Any = Article
    stock = sa.cast(sa.func.coalesce(sa.func.sum(other.stock), 0), sa.BigInteger)
    return (
        sa.select(stock).where(other.shelf_id == row.shelf_id, other.deleted_at.is_(None)).scalar_subquery()
    )


def versions(row: Any) -> Any:
    """Over a table that a trigger writes."""
    history: Any = RowHistory
    return sa.select(sa.func.count()).where(history.row_id == row.id).scalar_subquery()


def weight(column: str, of: str) -> Any:
    """Over the children, or over their siblings."""

    def written(row: Any) -> Any:
        other: Any = Parcel
        total = sa.cast(sa.func.coalesce(sa.func.sum(other.weight), 0), sa.BigInteger)
        return sa.select(total).where(getattr(other, column) == getattr(row, of)).scalar_subquery()

    return written


class Restocks(Hooks):
    """Changes an item after the statement that creates it."""

    async def before_commit(self, change: Change) -> None:
        if change.operation == "create" and change.values["name"] == "Hooked":
            sql = (
                "UPDATE tests_article SET stock = 40, name = 'Restocked', version = version + 1 WHERE id = $1"
            )
            await change.connection.execute(sql, change.id)


HISTORY = Computed(versions, "Its versions.")
RESOURCES = (
    shelves,
    replace(
        articles,
        computed={"on_shelf": Computed(on_shelf, "Stock of its shelf."), "versions": HISTORY},
        cache=None,
    ),
    replace(
        articles,
        path="hooked-articles",
        name="HookedArticle",
        singular="hooked article",
        computed={"on_shelf": Computed(on_shelf, "Stock of its shelf.")},
        hooks=Restocks(),
        cache=None,
    ),
    replace(
        parcels,
        cache=None,
        computed={
            "parts_weight": Computed(weight("bundle_id", "id"), "Weight of its parts."),
            "bundle_weight": Computed(weight("bundle_id", "bundle_id"), "Weight of its bundle's parts."),
        },
    ),
)


@pytest.fixture(scope="module")
async def api(database_url: str) -> AsyncIterator[Api]:
    async with running(database_url, RESOURCES) as api:
        yield api


def new(shelf: str, **values: Any) -> Json:
    return {"sku": unique("AFTER"), "name": "Lamp", "price": "1.50", "stock": 3, "shelf_id": shelf, **values}


async def checked(api: Api, response: Response) -> Json:
    """Return the item of a change, which must be what a read shows, and whose tag must be good for the next change."""
    assert response.status_code in {200, 201}, response.text
    item: Json = response.json()
    url = f"{ARTICLES}/{item['id']}"
    tag = response.headers["etag"]
    read = await api.client.get(url, headers={"If-None-Match": tag})
    assert (read.status_code, read.json()) == (200, item)
    assert (await api.client.patch(url, json={}, headers={"If-Match": tag})).json() == item
    return item


async def test_every_change_shows_the_values_after_it(api: Api) -> None:
    client, shelf = api.client, await api.shelf()

    async def after(response: Response) -> tuple[int, int]:
        item = await checked(api, response)
        return item["on_shelf"], item["versions"]

    body = new(shelf)
    made = await client.post(ARTICLES, json=body)
    url = made.headers["location"]
    assert await after(made) == (3, 1)
    key = {"Idempotency-Key": unique("after")}
    keyed, repeated = [
        await client.post(ARTICLES, json=body | {"sku": key["Idempotency-Key"].upper()}, headers=key)
        for _ in range(2)
    ]
    assert await after(keyed) == (6, 1)
    assert (repeated.json(), repeated.headers["etag"]) == (keyed.json(), keyed.headers["etag"])
    assert repeated.headers["idempotency-replayed"] == "true"
    put = await client.put(f"{ARTICLES}/{uuid4()}", json=new(shelf), headers={"If-None-Match": "*"})
    assert await after(put) == (9, 1)
    assert await after(await client.patch(url, json={"stock": 4}, headers=ANY)) == (10, 2)
    assert await after(await client.put(url, json=body | {"stock": 5}, headers=ANY)) == (11, 3)
    assert await after(await client.post(f"{url}/restock", json={"pieces": 2})) == (13, 4)
    assert (await client.delete(url, headers=ANY)).status_code == 204
    assert await after(await client.post(f"{url}/restore")) == (13, 6)


@pytest.mark.parametrize("mode", ["atomic", "partial"])
async def test_results_of_bulk_show_what_all_operations_leave(api: Api, mode: str) -> None:
    client, shelf = api.client, await api.shelf()
    some = [(await api.make("articles", **new(shelf))).json()["id"] for _ in range(4)]
    operations = [
        {"op": "create", "item": new(shelf)},
        {"op": "patch", "id": some[0], "if_match": "*", "changes": {"stock": 7}},
        {"op": "patch", "id": some[1], "if_match": "*", "changes": {"stock": 3}},
        {"op": "restock", "id": some[2], "if_match": "*", "body": {"pieces": 10}},
        {"op": "delete", "id": some[3], "if_match": "*"},
    ]
    sent = await client.post(f"{ARTICLES}/bulk", json={"mode": mode, "operations": operations})
    results = sent.json()["results"]
    items = [result["item"] for result in results if "item" in result]
    assert [(item["on_shelf"], item["versions"]) for item in items] == [(26, 1), (26, 2), (26, 1), (26, 2)]
    assert items == [(await client.get(f"{ARTICLES}/{item['id']}")).json() for item in items]


async def test_response_shows_what_hooks_changed_after_the_statement(api: Api) -> None:
    shelf = await api.shelf()
    made = await api.client.post(f"{BASE}/hooked-articles", json=new(shelf, name="Hooked"))
    item = made.json()
    assert (item["name"], item["version"], item["on_shelf"]) == ("Restocked", 2, 40)
    changed = await api.client.patch(
        made.headers["location"], json={"stock": 1}, headers={"If-Match": made.headers["etag"]}
    )
    assert (changed.status_code, changed.json()["on_shelf"]) == (200, 1)


async def test_children_that_are_created_together_count_each_other(api: Api) -> None:
    parts = [{"number": unique("P"), "weight": grams} for grams in (2, 3)]
    made = (await api.make("parcels", number=unique("P"), parts=parts)).json()
    assert (made["parts_weight"], [part["bundle_weight"] for part in made["parts"]]) == (5, [5, 5])
    child = f"{PARCELS}/{made['parts'][0]['id']}"
    changed = await api.client.patch(child, json={"weight": 10}, headers=ANY)
    assert changed.json()["bundle_weight"] == 13


async def test_refused_change_stays_refused(api: Api) -> None:
    url = (await api.make("articles", **new(await api.shelf()))).headers["location"]
    stale = {"If-Match": '"nothing"'}
    problem(await api.client.patch(url, json={"stock": 4}, headers=stale), 412, "precondition_failed")
    problem(await api.client.post(f"{url}/restore"), 409, "not_deleted")
    assert (await api.client.get(url)).json()["versions"] == 1
