"""History, as_of, delete and restore."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from httpx2 import AsyncClient

from service.database import Database
from tests.api.conftest import Json
from tests.api.test_items import problem

ARTICLES = "/api/v1/articles"


async def _patch(client: AsyncClient, article_id: str, **changes: object) -> Json:
    response = await client.patch(
        f"{ARTICLES}/{article_id}",
        json=changes,
        headers={"If-Match": "*", "X-Request-Id": f"change-{article_id}"},
    )
    assert response.status_code == 200, response.text
    changed: Json = response.json()
    return changed


async def test_history_records_who_changed_what(
    client: AsyncClient, new_article: Callable[..., Json]
) -> None:
    created = (await client.post(ARTICLES, json=new_article(attributes={"a": 1}))).json()
    await _patch(client, created["id"], price="13.00", attributes={"b": 2})
    await client.delete(f"{ARTICLES}/{created['id']}", headers={"If-Match": "*"})
    entries = (await client.get(f"{ARTICLES}/{created['id']}/history")).json()["items"]
    assert [(e["version"], e["action"]) for e in entries] == [(3, "delete"), (2, "update"), (1, "create")]
    assert entries[0]["changes"] == []
    assert entries[1]["changes"] == [
        {"field": "price", "before": "12.50", "after": "13.00"},
        {"field": "attributes", "before": {"a": 1}, "after": {"a": 1, "b": 2}},
    ]
    assert entries[1]["request_id"] == f"change-{created['id']}"
    assert {e["actor"] for e in entries} == {created["created_by"]}
    assert {c["field"]: c["after"] for c in entries[2]["changes"]}["sku"] == created["sku"]


async def test_history_is_paginated(client: AsyncClient, article: Json) -> None:
    for stock in range(1, 7):
        await _patch(client, article["id"], stock=stock)
    url, cursor, seen = f"{ARTICLES}/{article['id']}/history", None, []
    while True:
        page = (await client.get(url, params={"limit": 3, **({"cursor": cursor} if cursor else {})})).json()
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [e["version"] for e in seen] == [7, 6, 5, 4, 3, 2, 1]
    assert all(
        e["changes"] == [{"field": "stock", "before": e["version"] - 2, "after": e["version"] - 1}]
        for e in seen[:-1]
    )
    other = (await client.get(url, params={"limit": 1})).json()["next_cursor"]
    problem(
        await client.get(f"{ARTICLES}/{uuid4()}/history", params={"cursor": other}), 400, "invalid_cursor"
    )


async def test_history_of_an_unknown_item_is_not_found(client: AsyncClient) -> None:
    problem(await client.get(f"{ARTICLES}/{uuid4()}/history"), 404, "not_found")


async def test_as_of_shows_the_item_as_it_was(client: AsyncClient, article: Json) -> None:
    url = f"{ARTICLES}/{article['id']}"
    states = [article] + [await _patch(client, article["id"], stock=n, attributes={"n": n}) for n in (1, 2)]
    await client.delete(url, headers={"If-Match": "*"})
    for state in states:
        response = await client.get(url, params={"as_of": state["updated_at"]})
        assert response.json() == state
        assert response.headers["etag"].startswith(f'"{state["version"]}-')
    created_at = datetime.fromisoformat(article["created_at"])
    before = (created_at - timedelta(microseconds=1)).isoformat()
    problem(await client.get(url, params={"as_of": before}), 404, "not_found")
    problem(await client.get(url, params={"as_of": "2999-01-01T00:00:00Z"}), 404, "not_found")
    problem(await client.get(url, params={"as_of": "2026-01-01"}), 400, "invalid_parameter")


async def test_sql_update_does_not_restore_a_deleted_item(
    client: AsyncClient, database: Database, article: Json
) -> None:
    url = f"{ARTICLES}/{article['id']}"
    await client.delete(url, headers={"If-Match": "*"})
    await database.fetch("UPDATE tests_article SET stock = stock + 1 WHERE id = $1", [UUID(article["id"])])
    problem(await client.get(url, params={"as_of": "2999-01-01T00:00:00Z"}), 404, "not_found")


async def test_erased_item_has_a_history_and_no_state(
    client: AsyncClient, database: Database, article: Json
) -> None:
    url = f"{ARTICLES}/{article['id']}"
    await database.fetch("DELETE FROM tests_article WHERE id = $1", [UUID(article["id"])])
    entries = (await client.get(f"{url}/history")).json()["items"]
    assert [(entry["version"], entry["action"]) for entry in entries] == [(2, "erase"), (1, "create")]
    problem(await client.get(url, params={"as_of": entries[0]["at"]}), 404, "not_found")
    assert (await client.get(url, params={"as_of": article["updated_at"]})).json() == article


async def test_restore_makes_the_item_visible_again(client: AsyncClient, article: Json) -> None:
    url = f"{ARTICLES}/{article['id']}"
    problem(await client.post(f"{url}/restore"), 409, "not_deleted")
    await client.delete(url, headers={"If-Match": "*"})
    problem(await client.post(f"{url}/restore", headers={"If-Match": '"1-x"'}), 412, "precondition_failed")
    restored = await client.post(f"{url}/restore")
    assert restored.status_code == 200
    assert restored.json() == article | {"version": 3, "updated_at": restored.json()["updated_at"]}
    assert (await client.get(url)).content == restored.content
    problem(await client.post(f"{ARTICLES}/{uuid4()}/restore"), 404, "not_found")


async def test_restore_conflicts_with_reused_unique_values(
    client: AsyncClient, article: Json, new_article: Callable[..., Json]
) -> None:
    url = f"{ARTICLES}/{article['id']}"
    await client.delete(url, headers={"If-Match": "*"})
    assert (await client.post(ARTICLES, json=new_article(sku=article["sku"]))).status_code == 201
    problem(await client.post(f"{url}/restore"), 409, "duplicate")
