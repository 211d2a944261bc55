"""Who gets what status from every operation: each route of the OpenAPI document, each principal, own and others' items
and items that are not there; and the fields that no client may set."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from service.models.base import SYSTEM_FIELDS
from service.models.uuid7 import uuid7
from tests.api.conftest import Json, MakeClient, unique
from tests.api.test_items import problem
from tests.security.test_scopes import PRINCIPALS, TABLE, _operations
from tests.shop.resources import RESOURCES

# What callers with the scope get, by the end of the path: for an item of their own, of another, and for none.
ITEMS: dict[str, tuple[int, int, int]] = {
    "get /{id}": (200, 200, 404),
    "get /{id}/history": (200, 200, 404),
    "get /{id}/articles": (200, 200, 404),
    "get /{id}/summary": (200, 200, 404),
    "put /{id}": (200, 200, 412),  # If-Match: * asks for an item that is there (RFC 9110, 13.1.1)
    "patch /{id}": (200, 200, 404),
    "post /{id}/restore": (409, 409, 404),
    "delete /{id}": (204, 204, 404),
    "delete /{prefix}": (204, 204, 404),
}
# The same for operations that name no item, asked with a body of their own.
LISTS = {"get": 200, "get /export": 200, "post": 201, "post /bulk": 200}
KEYS = "/api/v1/keys"


def asked(app: FastAPI) -> Iterator[tuple[str, str, str, str]]:
    """(operation, method, path of the collection, rest) of every operation under /api; what deletes comes last."""
    for name in sorted(_operations(app), key=lambda name: name.startswith("delete")):
        method, path = name.split(" ")
        collection = "/".join(path.split("/")[:4])
        if collection in {"/api/v1/articles", "/api/v1/shelves", KEYS}:
            yield name, method, collection, path.removeprefix(collection)


def body_for(collection: str, rest: str, shelf: str) -> Json:
    """A body that the operation takes."""
    slug = unique("matrix").lower()
    bodies: dict[str, Json] = {
        "shelves": {"slug": slug, "name": "M"},
        "articles": {"sku": slug.upper(), "name": "M", "price": "1.00", "shelf_id": shelf},
        KEYS.rpartition("/")[2]: {"name": "matrix", "scopes": ["other:read"]},
    }
    whole = bodies[collection.rpartition("/")[2]]
    if rest == "/bulk":
        return {"mode": "atomic", "operations": [{"op": "create", "item": whole}]}
    return whole


async def made(client: AsyncClient, collection: str, shelf: str) -> str:
    """A new item: its id, or the prefix of a key."""
    answer = await client.post(collection, json=body_for(collection, "", shelf))
    assert answer.status_code == 201, answer.text
    item: Json = answer.json()
    return str(item["prefix" if collection == KEYS else "id"])


def expected(name: str, held: set[str], allowed: int) -> int:
    if not held:
        return 401
    return allowed if TABLE[name] & held or "admin" in held else 403


@pytest.mark.parametrize("who", PRINCIPALS)
async def test_every_operation_answers_every_principal_as_the_table_says(
    app: FastAPI, client_with: MakeClient, shelf: Json, who: str
) -> None:
    held = set(PRINCIPALS[who])
    client, boss = await client_with(*held), await client_with("admin")
    absent = str(uuid7())
    seen: dict[str, tuple[int, ...]] = {}
    for name, method, collection, rest in asked(app):
        writes = expected(f"post {collection}", held, 201) == 201
        ids = [""]
        if "{" in rest:
            own = await made(client if writes else boss, collection, shelf["id"])
            ids = [own, await made(boss, collection, shelf["id"]), absent]
        statuses = []
        for item in ids:
            url = collection + rest.replace("{id}", item).replace("{prefix}", item)
            more: dict[str, Any] = {}
            if method == "patch":
                more["json"] = {}
            elif method in {"post", "put"} and "/restore" not in rest:
                more["json"] = body_for(collection, rest, shelf["id"])
                if "sku" in more["json"] and item not in {"", absent}:  # which never changes
                    more["json"]["sku"] = (await boss.get(f"{collection}/{item}")).json()["sku"]
            if method in {"put", "patch", "delete"} and collection != KEYS:
                more["headers"] = {"If-Match": "*"}
            statuses.append((await client.request(method.upper(), url, **more)).status_code)
        seen[name] = tuple(statuses)
    wanted = {
        name: tuple(
            expected(name, held, status)
            for status in (ITEMS[f"{method} {rest}"] if "{" in rest else [LISTS[f"{method} {rest}".strip()]])
        )
        for name, method, _, rest in asked(app)
    }
    assert seen == wanted


def _server_fields() -> list[tuple[str, str]]:
    """Every column of every resource that its clients may not set."""
    found = []
    for resource in RESOURCES:
        columns = set(resource.model.__table__.columns.keys())  # type: ignore[attr-defined]
        found += [(resource.path, name) for name in sorted(columns & SYSTEM_FIELDS)]
    return found


@pytest.mark.parametrize(("path", "field"), _server_fields())
async def test_no_client_sets_what_is_the_servers(
    client_with: MakeClient, shelf: Json, path: str, field: str
) -> None:
    boss = await client_with("admin")
    collection = f"/api/v1/{path}"
    item = await made(boss, collection, shelf["id"])
    before = (await boss.get(f"{collection}/{item}")).json()
    value = before.get(field) or "2026-01-01T00:00:00Z"
    whole = {**body_for(collection, "", shelf["id"]), field: value}
    bulk = {"mode": "atomic", "operations": [{"op": "create", "item": whole}]}
    match = {"If-Match": "*"}
    for answer in (
        await boss.post(collection, json=whole),
        await boss.put(f"{collection}/{item}", json=whole, headers=match),
        await boss.patch(f"{collection}/{item}", json={field: value}, headers=match),
    ):
        wrong = problem(answer, 422, "validation_failed")["errors"]
        assert [error["pointer"] for error in wrong] == [f"/{field}"]
    in_bulk = problem(await boss.post(f"{collection}/bulk", json=bulk), 422, "validation_failed")["errors"]
    assert [error["pointer"] for error in in_bulk] == [f"/operations/0/item/{field}"]
    assert (await boss.get(f"{collection}/{item}")).json() == before


@pytest.mark.parametrize(
    "field", ["id", "prefix", "secret_hash", "created_at", "expires_at", "last_used_at", "revoked_at", "key"]
)
async def test_no_client_sets_what_is_of_a_key(client_with: MakeClient, field: str) -> None:
    body = {"name": "matrix", "scopes": ["other:read"], field: "x"}
    wrong = problem(await (await client_with("admin")).post(KEYS, json=body), 422, "validation_failed")[
        "errors"
    ]
    assert [error["pointer"] for error in wrong] == [f"/{field}"]
