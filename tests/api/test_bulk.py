"""Bulk requests: every operation, in order, atomic or partial."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from httpx2 import AsyncClient

from tests.api.conftest import Json, MakeClient
from tests.api.test_items import problem

ARTICLES = "/api/v1/articles"
BULK = f"{ARTICLES}/bulk"

NewArticle = Callable[..., Json]


async def _tag(client: AsyncClient, article: Json) -> str:
    tag: str = (await client.get(f"{ARTICLES}/{article['id']}")).headers["etag"]
    return tag


async def _make(client: AsyncClient, new_article: NewArticle, **changes: Any) -> Json:
    made: Json = (await client.post(ARTICLES, json=new_article(**changes))).json()
    return made


async def test_bulk_mixes_all_kinds_of_operations(client: AsyncClient, new_article: NewArticle) -> None:
    changed, removed = [await _make(client, new_article, attributes={"a": 1}) for _ in range(2)]
    body = {
        "mode": "atomic",
        "operations": [
            {"op": "delete", "id": removed["id"], "if_match": await _tag(client, removed)},
            {"op": "create", "item": new_article(price=3, tags=["x", "y"], attributes={"q": [1.5, None]})},
            {
                "op": "patch",
                "id": changed["id"],
                "if_match": "*",
                "changes": {"attributes": {"a": None, "b": 1}},
            },
        ],
    }
    response = await client.post(BULK, json=body)
    assert response.status_code == 200, response.text
    deleted, created, patched = response.json()["results"]
    assert (deleted["status"], created["status"], patched["status"]) == (204, 201, 200)
    read = await client.get(f"{ARTICLES}/{created['id']}")
    assert (read.json(), read.headers["etag"]) == (created["item"], created["etag"])
    assert created["item"]["attributes"] == {"q": [1.5, None]}
    assert (created["item"]["price"], created["item"]["tags"]) == ("3.00", ["x", "y"])
    assert patched["item"] == (await client.get(f"{ARTICLES}/{changed['id']}")).json()
    assert (patched["item"]["attributes"], patched["item"]["version"]) == ({"b": 1}, 2)
    problem(await client.get(f"{ARTICLES}/{removed['id']}"), 404, "not_found")
    history = (await client.get(f"{ARTICLES}/{changed['id']}/history")).json()["items"]
    assert history[0]["request_id"] == response.headers["x-request-id"]


async def test_change_by_another_caller_names_it_and_finds_no_deleted_item(
    client: AsyncClient, client_with: MakeClient, new_article: NewArticle
) -> None:
    other = await client_with("shop:read", "shop:write")
    changed, deleted = [await _make(client, new_article) for _ in range(2)]
    gone = f"{ARTICLES}/{deleted['id']}"
    assert (await client.delete(gone, headers={"If-Match": "*"})).status_code == 204
    operations = [
        {"op": "patch", "id": one["id"], "if_match": "*", "changes": {"name": "By another"}}
        for one in (changed, deleted)
    ]
    body = {"mode": "partial", "operations": operations}
    results = (await other.post(BULK, json=body)).json()["results"]
    assert [result["status"] for result in results] == [200, 404]
    item = results[0]["item"]
    assert item["created_by"] == changed["created_by"] == changed["updated_by"] != item["updated_by"]
    history = (await client.get(f"{ARTICLES}/{changed['id']}/history")).json()["items"]
    assert history[0]["actor"] == item["updated_by"]
    restored = (await client.post(f"{gone}/restore")).json()
    assert restored["name"] == deleted["name"]


async def test_created_items_sort_in_the_order_of_the_request(
    client: AsyncClient, new_article: NewArticle
) -> None:
    items = [new_article() for _ in range(25)]
    operations = [{"op": "create", "item": item} for item in items]
    made = (await client.post(BULK, json={"operations": operations})).json()["results"]
    assert [result["item"]["sku"] for result in made] == [item["sku"] for item in items]
    ids = [result["id"] for result in made]
    assert ids == sorted(ids)


async def test_partial_mode_reports_each_failure(
    client: AsyncClient, article: Json, new_article: NewArticle
) -> None:
    twin = new_article()
    operations = [
        {"op": "create", "item": new_article()},
        {"op": "create", "item": new_article(sku=article["sku"])},
        {"op": "create", "item": new_article(shelf_id=str(uuid4()))},
        {"op": "create", "item": new_article(price="-1")},
        {"op": "create", "item": twin},
        {"op": "create", "item": twin},
        {"op": "patch", "id": str(uuid4()), "if_match": "*", "changes": {"stock": 1}},
        {"op": "patch", "id": article["id"], "if_match": '"9-x"', "changes": {"stock": 1}},
        {"op": "delete", "id": article["id"], "if_match": "*"},
        {"op": "patch", "id": article["id"], "if_match": "nonsense", "changes": {}},
        {"op": "explode"},
        7,
    ]
    response = await client.post(BULK, json={"mode": "partial", "operations": operations})
    assert response.status_code == 200
    results = response.json()["results"]
    codes = [result.get("problem", {}).get("code", result["status"]) for result in results]
    assert codes == [
        201, "duplicate", "validation_failed", "validation_failed", 201, "duplicate", "not_found",
        "precondition_failed", "validation_failed", "malformed_request", "validation_failed", "validation_failed",
    ]  # fmt: skip
    pointers = [[e.get("pointer") for e in r.get("problem", {}).get("errors", [])] for r in results]
    assert pointers[1] == ["/operations/1/item/sku"]
    assert pointers[2] == ["/operations/2/item/shelf_id"]
    assert pointers[3] == ["/operations/3/item/price"]
    assert pointers[8] == ["/operations/8/id"]
    again = [{"op": "delete", "id": article["id"], "if_match": "*"}] * 2
    refused = problem(await client.post(BULK, json={"operations": again}), 422, "validation_failed")
    assert refused["errors"] == [{"pointer": "/operations/1/id", "message": "is listed twice"}]


async def test_atomic_mode_rolls_back_everything(
    client: AsyncClient, article: Json, new_article: NewArticle
) -> None:
    good = new_article()
    for bad, status, code, pointer in (
        (
            {"op": "create", "item": new_article(sku=article["sku"])},
            409,
            "duplicate",
            "/operations/1/item/sku",
        ),
        (
            {"op": "create", "item": new_article(stock=-1)},
            422,
            "validation_failed",
            "/operations/1/item/stock",
        ),
        ({"op": "delete", "id": str(uuid4()), "if_match": "*"}, 404, "not_found", "/operations/1"),
        (
            {"op": "delete", "id": article["id"], "if_match": '"x"'},
            412,
            "precondition_failed",
            "/operations/1",
        ),
    ):
        response = await client.post(BULK, json={"operations": [{"op": "create", "item": good}, bad]})
        assert problem(response, status, code)["errors"][0]["pointer"] == pointer
        assert (await client.get(ARTICLES, params={"sku": good["sku"]})).json()["items"] == []


async def test_bulk_size_is_limited(client: AsyncClient, new_article: NewArticle) -> None:
    problem(await client.post(BULK, json={"operations": []}), 422, "validation_failed")
    problem(await client.post(BULK, json={"operations": [1] * 1001}), 422, "validation_failed")
    problem(await client.post(BULK, json={"operations": {}}), 422, "validation_failed")
    problem(await client.post(BULK, json=[]), 422, "validation_failed")
    problem(await client.post(BULK, json={"mode": "some", "operations": [1]}), 422, "validation_failed")


async def test_bulk_takes_a_thousand_operations(client: AsyncClient, new_article: NewArticle) -> None:
    items = [new_article() for _ in range(1000)]
    operations = [{"op": "create", "item": item} for item in items]
    results = (await client.post(BULK, json={"operations": operations})).json()["results"]
    assert [r["item"]["sku"] for r in results] == [item["sku"] for item in items]
    patches = [
        {"op": "patch", "id": r["id"], "if_match": r["etag"], "changes": {"stock": n}}
        for n, r in enumerate(results)
    ]
    results = (await client.post(BULK, json={"operations": patches})).json()["results"]
    assert [r["item"]["stock"] for r in results] == list(range(1000))
    assert {r["item"]["version"] for r in results} == {1, 2}  # stock 0 was no change
    deletes = [{"op": "delete", "id": r["id"], "if_match": r["etag"]} for r in results]
    results = (await client.post(BULK, json={"operations": deletes})).json()["results"]
    assert {r["status"] for r in results} == {204}


async def test_first_of_two_conflicting_creations_wins(client: AsyncClient, new_article: NewArticle) -> None:
    pairs = [new_article() for _ in range(10)]
    operations = [{"op": "create", "item": item} for pair in pairs for item in (pair, pair)]
    response = await client.post(BULK, json={"mode": "partial", "operations": operations})
    assert [result["status"] for result in response.json()["results"]] == [201, 409] * 10
