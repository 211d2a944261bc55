"""Who gets what status from every operation of the shop and of the keys, and the fields that no client may set."""

import pytest
from httpx2 import AsyncClient

from tests.api.conftest import MakeClient
from tests.api.test_items import problem
from tests.authorization.cases import (
    test_clients_cannot_set_server_fields,
    test_responses_match_the_authorization_table,
    test_visible_fields_exist_for_their_scope_alone,
)

__all__ = [
    "test_clients_cannot_set_server_fields",
    "test_responses_match_the_authorization_table",
    "test_visible_fields_exist_for_their_scope_alone",
]

KEYS = "/api/v1/keys"
NEW = {"name": "matrix", "scopes": ["other:read"]}


async def _key(boss: AsyncClient) -> str:
    response = await boss.post(KEYS, json=NEW)
    assert response.status_code == 201, response.text
    return str(response.json()["prefix"])


@pytest.mark.parametrize(
    ("held", "statuses"),
    [((), (401,) * 4), (("shop:read", "shop:write"), (403,) * 4), (("admin",), (200, 201, 204, 404))],
)
async def test_only_admins_manage_keys(
    client_with: MakeClient, held: tuple[str, ...], statuses: tuple[int, ...]
) -> None:
    client, boss = await client_with(*held), await client_with("admin")
    listed, made = await client.get(KEYS), await client.post(KEYS, json=NEW)
    revoked = await client.delete(f"{KEYS}/{await _key(boss)}")
    absent = await client.delete(f"{KEYS}/{'a' * 12}")
    assert tuple(response.status_code for response in (listed, made, revoked, absent)) == statuses


async def test_path_with_nul_is_not_found(client_with: MakeClient) -> None:
    problem(await (await client_with("admin")).delete(f"{KEYS}/a%00"), 404, "not_found")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_idempotency_key_is_refused_where_no_response_is_stored(
    client_with: MakeClient, method: str
) -> None:
    path = KEYS if method == "POST" else f"{KEYS}/{'a' * 12}"
    response = await (await client_with("admin")).request(method, path, headers={"Idempotency-Key": "k" * 20})
    problem(response, 400, "idempotency_key_not_supported")


@pytest.mark.parametrize(
    "field", ["id", "prefix", "secret_hash", "created_at", "expires_at", "last_used_at", "revoked_at", "key"]
)
async def test_clients_cannot_set_server_fields_of_a_key(client_with: MakeClient, field: str) -> None:
    body = {**NEW, field: "x"}
    boss = await client_with("admin")
    wrong = problem(await boss.post(KEYS, json=body), 422, "validation_failed")["errors"]
    assert [error["pointer"] for error in wrong] == [f"/{field}"]
