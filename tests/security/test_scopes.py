"""Scopes on every route: the table in this file against the OpenAPI document and against what happens."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from service.domains import DOMAINS
from service.resources.domain import resources_of
from tests.api.conftest import MakeClient
from tests.shop import SHOP

SOME_ID = "01943aa0-bc00-7895-be65-6abfeffbde11"

# What each operation needs, by method and the last parts of its path. A new route must be entered here.
CATALOG = {"catalog:read"}
READS = {"shop:read"}
TABLE: dict[str, set[str]] = {
    **{
        f"{method} /api/v1/{resource.path}{suffix}": scope
        for resource in resources_of((*DOMAINS, SHOP))
        for method, suffix, scope in (
            ("get", "", {resource.scopes.read}),
            ("post", "", {resource.scopes.write}),
            ("post", "/bulk", {resource.scopes.write}),
            ("get", "/export", {resource.scopes.read}),
            ("get", "/{id}", {resource.scopes.read}),
            ("put", "/{id}", {resource.scopes.write}),
            ("patch", "/{id}", {resource.scopes.write}),
            ("delete", "/{id}", {resource.scopes.write}),
            ("post", "/{id}/restore", {resource.scopes.write}),
            ("get", "/{id}/history", {resource.scopes.read}),
        )
    },
    "get /api/v1/shelves/{id}/articles": READS,
    "get /api/v1/shelves/{id}/summary": READS,
    "get /api/v1/categories/{id}/products": CATALOG,
    "get /api/v1/categories/{id}/summary": CATALOG,
    "get /api/v1/keys": {"admin"},
    "post /api/v1/keys": {"admin"},
    "delete /api/v1/keys/{prefix}": {"admin"},
    "get /health": set(),
}
PRINCIPALS: dict[str, tuple[str, ...]] = {
    "nobody": (),
    "reader": ("shop:read", "catalog:read"),
    "writer": ("shop:write", "catalog:write"),
    "stranger": ("other:read",),
    "admin": ("admin",),
}


def _operations(app: FastAPI) -> dict[str, Any]:
    return {
        f"{method} {path}": operation
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_in_the_table(app: FastAPI) -> None:
    assert set(_operations(app)) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_openapi_tells_the_scope(app: FastAPI, name: str) -> None:
    operation = _operations(app)[name]
    assert set(operation.get("x-required-scopes", ())) == TABLE[name]
    assert bool(operation["security"]) == bool(TABLE[name])
    assert all(f"`{scope}`" in operation["description"] for scope in TABLE[name])


@pytest.mark.parametrize("who", PRINCIPALS)
async def test_only_the_scope_lets_in(client_with: MakeClient, who: str) -> None:
    held = set(PRINCIPALS[who])
    client: AsyncClient = await client_with(*PRINCIPALS[who])
    for name, needed in TABLE.items():
        if not needed:
            continue
        method, path = name.split()
        url = path.replace("{id}", SOME_ID).replace("{prefix}", "none")
        status = (await client.request(method.upper(), url)).status_code
        if not held:
            assert status == 401, name
        elif needed <= held or "admin" in held:
            assert status not in (401, 403), name
        else:
            assert status == 403, name
