"""Tests of an application's authorization, for any domains. A test module imports them.

They need the fixtures of tests/authorization/fixtures.py, and `app`, `client_with` and `domains`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient

from service.models.base import SYSTEM_FIELDS
from service.models.uuid7 import uuid7
from service.resources.declaration import RestResource
from service.resources.domain import Domain, resources_of
from tests.api.conftest import MakeClient
from tests.authorization.expected import (
    Operation,
    allowed,
    documented,
    generated,
    principals,
    seeing_all,
    table,
)
from tests.authorization.samples import Json, Samples

MATCH = {"If-Match": "*"}
Item = tuple[str, Json]


def test_every_route_is_in_the_table(app: FastAPI, domains: Sequence[Domain]) -> None:
    """A declared operation needs its resource's scope, and everything under /api needs one."""
    operations = documented(app)
    for key, needed in table(app, domains).items():
        operation = operations[key]
        assert set(operation.get("x-required-scopes", ())) == needed, key
        assert bool(operation["security"]) == bool(needed), key
        assert all(f"`{scope}`" in operation["description"] for scope in needed), key
        assert needed or "/api/" not in key, key


async def test_only_the_required_scope_grants_access(
    app: FastAPI, domains: Sequence[Domain], client_with: MakeClient
) -> None:
    """For every route, hand-written ones too, and every principal: 401, 403 or neither."""
    needs = table(app, domains)
    wrong = {}
    for who, held in principals(needs).items():
        client = await client_with(*held)
        for key, needed in needs.items():
            if needed:
                expected = "passes" if allowed(held, needed) else "401" if not held else "403"
                if (seen := await _gate(client, key)) != expected:
                    wrong[who, key] = (seen, expected)
    assert wrong == {}


async def _gate(client: AsyncClient, key: str) -> str:
    """What the gate answers; the request is one that changes nothing."""
    method, path = key.split()
    parts = [str(uuid7()) if part.startswith("{") else part for part in path.split("/")]
    response = await client.request(method.upper(), "/".join(parts))
    return str(response.status_code) if response.status_code in (401, 403) else "passes"


async def test_responses_match_the_authorization_table(
    domains: Sequence[Domain], client_with: MakeClient, samples_of: Samples
) -> None:
    """With bodies and items that pass: a caller's own item, another's, and one that does not exist."""
    operations = generated(domains)
    needs = {operation.key: frozenset({operation.scope}) for operation in operations}
    boss, other = await client_with("admin"), await client_with("admin", tenant="other")
    wrong = {}
    for who, held in (principals(needs) | seeing_all(domains) | {"admin": frozenset({"admin"})}).items():
        client, kept = await client_with(*held), dict[str, list[Item]]()
        for operation in operations:
            may = allowed(held, needs[operation.key])
            refused = 403 if held else 401
            writes = allowed(held, frozenset({operation.resource.scopes.write}))
            own = client if writes else boss
            if may:
                items = await _items(operation, own, other, samples_of)
            else:  # a caller who is refused changes none of them, so one of each serves all operations
                shape = operation.resource.path + ("{id}" if "{id}" in operation.rest else "")
                items = kept[shape] = kept.get(shape) or await _items(operation, own, other, samples_of)
            seen = tuple([await _status(operation, client, item, body) for item, body in items])
            expected = tuple(status if may else refused for status in operation.statuses_for(held))
            if seen != expected[-len(seen) :]:
                wrong[who, operation.key] = (seen, expected)
    assert wrong == {}


async def _items(operation: Operation, own: AsyncClient, other: AsyncClient, samples: Samples) -> list[Item]:
    """Return the ids to try an operation on, each with a body: one's own item, another's, and one that is missing."""
    resource = operation.resource
    body = await samples.body(resource)
    if "{id}" not in operation.rest:
        return [("", body)]
    missing = (str(uuid7()), body)
    if "create" in resource.without:
        return [missing]
    return [await samples.create(own, resource), await samples.create(other, resource), missing]


async def _status(operation: Operation, client: AsyncClient, item: str, body: Json) -> int:
    bodies: dict[str, Json] = {"create": body, "replace": body, "patch": {}, "bulk": _bulk(operation, body)}
    more: dict[str, Any] = {"json": bodies[operation.name]} if operation.name in bodies else {}
    if operation.name in {"replace", "patch", "delete"}:
        more["headers"] = MATCH
    url = operation.collection + operation.rest.replace("{id}", item)
    return (await client.request(operation.method.upper(), url, **more)).status_code


def _bulk(operation: Operation, body: Json) -> Json:
    """Creates an item; without that operation there, fails as partial requests do, for that operation alone."""
    if "create" in operation.resource.without:
        one: Json = {"op": "delete", "id": str(uuid7()), "if_match": "*"}
        return {"mode": "partial", "operations": [one]}
    return {"mode": "atomic", "operations": [{"op": "create", "item": body}]}


async def test_clients_cannot_set_server_fields(
    domains: Sequence[Domain], client_with: MakeClient, samples_of: Samples
) -> None:
    """No field of the server's is taken from a body, and nothing changes."""
    boss = await client_with("admin")
    for resource in resources_of(domains):
        if "create" in resource.without:
            continue
        item, _ = await samples_of.create(boss, resource)
        url = f"/api/v1/{resource.path}/{item}"
        before = (await boss.get(url)).json()
        owner = {resource.owner_field} if resource.owner_field is not None else set()
        for field in sorted(SYSTEM_FIELDS | owner):
            value = before.get(field) or "2026-01-01T00:00:00Z"
            whole = {**await samples_of.body(resource), field: value}
            for operation in generated([Domain("one", [resource])]):
                if operation.name in {"create", "replace", "patch", "bulk"}:
                    await _refused(boss, operation, url, whole, field)
        assert (await boss.get(url)).json() == before


async def _refused(boss: AsyncClient, operation: Operation, url: str, whole: Json, field: str) -> None:
    target = url if "{id}" in operation.rest else operation.collection + operation.rest
    bodies: Mapping[str, Json] = {"patch": {field: whole[field]}, "bulk": _bulk(operation, whole)}
    pointer = f"/operations/0/item/{field}" if operation.name == "bulk" else f"/{field}"
    body = bodies.get(operation.name, whole)
    response = await boss.request(operation.method.upper(), target, json=body, headers=MATCH)
    assert response.status_code == 422, (operation.key, response.text)
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


async def test_visible_fields_exist_for_their_scope_alone(
    domains: Sequence[Domain], client_with: MakeClient, samples_of: Samples
) -> None:
    """In an item, a list, an export and a body, for a caller with every scope and for one without the field's."""
    boss = await client_with("admin")
    for resource in resources_of(domains):
        scopes = {resource.scopes.read, resource.scopes.write, *resource.visible.values()}
        for field, scope in resource.visible.items():
            item, _ = await samples_of.create(boss, resource)
            for held in (scopes, scopes - {scope}):
                seen = await _with_field(await client_with(*held), resource, item, field)
                assert seen == dict.fromkeys(seen, scope in held), (resource.path, field, held)


async def _with_field(client: AsyncClient, resource: RestResource, item: str, field: str) -> dict[str, bool]:
    """Whether each of these knows the field."""
    base = f"/api/v1/{resource.path}"
    one, query = f"{base}/{item}", {"id__in": item}
    value = (await client.get(one)).json().get(field)
    patched = await client.patch(one, json={field: value}, headers=MATCH)
    found = {
        "read": (await client.get(one)).json(),
        "list": (await client.get(base, params=query)).json()["items"][0],
        "export": (await client.get(f"{base}/export", params=query)).json(),
    }
    writable = {} if field in resource.readonly else {"patch": patched.status_code == 200}
    return writable | {name: field in shown for name, shown in found.items()}
