"""API keys through the API, and requests with keys."""

import asyncio
import re
from datetime import timedelta

import pytest
from httpx2 import AsyncClient
from prometheus_client import REGISTRY

from service import clock
from service.database import Database
from tests.api.conftest import MakeClient
from tests.api.test_items import problem

KEYS = "/api/v1/keys"
KEY_CACHE_SECONDS = 0.2  # in the settings of these tests


@pytest.fixture
async def boss(client_with: MakeClient) -> AsyncClient:
    return await client_with("admin")


async def last_used(boss: AsyncClient, prefix: str) -> str | None:
    listed = {item["prefix"]: item for item in (await boss.get(KEYS)).json()["items"]}
    when: str | None = listed[prefix]["last_used_at"]
    return when


async def test_key_is_shown_once_works_and_can_be_revoked(
    boss: AsyncClient, client_with: MakeClient, database: Database
) -> None:
    made = await boss.post(KEYS, json={"name": "robot", "scopes": ["shop:read"]})
    assert made.status_code == 201, made.text
    key = made.json().pop("key")
    headers = {"X-API-Key": key}
    anyone = await client_with()
    assert (await anyone.get("/api/v1/articles", headers=headers)).status_code == 200
    problem(await anyone.post("/api/v1/articles", json={}, headers=headers), 403, "forbidden")
    for _ in range(100):
        if used := await last_used(boss, made.json()["prefix"]):
            break
        await asyncio.sleep(0.1)
    assert used
    assert key not in (await boss.get(KEYS)).text
    rows = await database.fetch("SELECT secret_hash FROM api_key WHERE prefix = $1", [made.json()["prefix"]])
    assert key.encode() not in rows[0]["secret_hash"]
    assert (await boss.delete(f"{KEYS}/{made.json()['prefix']}")).status_code == 204
    await asyncio.sleep(0.3)  # longer than key_cache_seconds of these tests
    refused = await anyone.get("/api/v1/articles", headers=headers)
    problem(refused, 401, "unauthenticated")
    assert refused.headers["www-authenticate"] == 'Bearer realm="slipway", error="invalid_token"'


async def test_expired_key_is_refused(
    boss: AsyncClient, client_with: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await boss.post(KEYS, json={"name": "short", "scopes": ["shop:read"], "days": 1})
    anyone, headers = await client_with(), {"Authorization": f"Bearer {made.json()['key']}"}
    assert (await anyone.get("/api/v1/articles", headers=headers)).status_code == 200
    later = clock.now() + timedelta(days=1, seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    problem(await anyone.get("/api/v1/articles", headers=headers), 401, "unauthenticated")


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": "", "scopes": ["a"]}, {"name": "x", "scopes": []}, {"name": "x", "scopes": ["A B"]},
        {"name": "x", "scopes": ["a"], "days": 0}, {"name": "x", "scopes": ["a"], "more": 1},
    ],
)  # fmt: skip
async def test_wrong_keys_are_refused(boss: AsyncClient, body: object) -> None:
    problem(await boss.post(KEYS, json=body), 422, "validation_failed")


async def test_key_routes_validate_strictly(boss: AsyncClient) -> None:
    problem(await boss.get(f"{KEYS}?foo=1"), 400, "invalid_parameter")
    problem(await boss.get(KEYS, headers={"Accept": "text/html"}), 406, "not_acceptable")
    problem(await boss.post(KEYS, json={"name": "a\x1b[31m", "scopes": ["a"]}), 422, "validation_failed")


async def test_unknown_key_cannot_be_revoked(boss: AsyncClient) -> None:
    problem(await boss.delete(f"{KEYS}/nothing"), 404, "not_found")


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Bearer"}, {"Authorization": "Bearer x"}, {"Authorization": "Basic dTpw"},
        {"X-API-Key": ""}, {"X-API-Key": "slw_aaaaaaaaaaaa_" + "x" * 43}, {"Authorization": "Bearer " + "a" * 9000},
    ],
)  # fmt: skip
async def test_invalid_credentials_get_the_same_response(
    client_with: MakeClient, header: dict[str, str]
) -> None:
    response = await (await client_with()).get("/api/v1/articles", headers=header)
    body = problem(response, 401, "unauthenticated")
    assert set(body) == {"type", "title", "status", "code", "instance", "request_id"}
    assert response.headers["www-authenticate"].startswith("Bearer ")


def look_ups() -> float:
    labels = {"cache": "api_keys", "result": "miss"}
    return REGISTRY.get_sample_value("slipway_cache_requests_total", labels) or 0.0


@pytest.mark.parametrize("good", [True, False])
async def test_concurrent_requests_with_one_key_cause_one_lookup(
    client_with: MakeClient, *, good: bool
) -> None:
    """As a cache entry expires, also for refused keys, and if the first callers disconnect."""
    client = await client_with("shop:read")
    await client.get("/api/v1/articles")
    if not good:
        key = client.headers["authorization"]
        client.headers["authorization"] = key[:-1] + ("B" if key.endswith("A") else "A")
    await asyncio.sleep(0.3)  # longer than key_cache_seconds of these tests
    before, began = look_ups(), clock.monotonic()
    crowd = [asyncio.create_task(client.get("/api/v1/articles")) for _ in range(32)]
    while look_ups() == before:  # noqa: ASYNC110  # a metric does not announce changes
        await asyncio.sleep(0)
    for first in crowd[:3]:
        first.cancel()
    responses = await asyncio.gather(*crowd[3:])
    assert {response.status_code for response in responses} == {200 if good else 401}
    # Refused keys are not cached: a caller after the flight starts another one, and flights are short.
    expired = int((clock.monotonic() - began) / KEY_CACHE_SECONDS)  # on a busy machine
    assert look_ups() <= before + (1 if good else len(crowd) / 2) + expired


async def test_unknown_scope_and_invalid_name_are_refused(boss: AsyncClient) -> None:
    response = await boss.post(KEYS, json={"name": "robot", "scopes": ["shop:read", "shop:raed"]})
    [error] = problem(response, 422, "validation_failed")["errors"]
    assert error["pointer"] == "/scopes/1"
    assert "Did you mean shop:read" in error["message"]
    assert re.search("Known scopes: admin, features:admin, .*shop:read, shop:write", error["message"])
    for name in ("a\nb", "a\u2028b", "a\x85b", "a\n"):
        refused = await boss.post(KEYS, json={"name": name, "scopes": ["shop:read"]})
        assert problem(refused, 422, "validation_failed")["errors"][0]["pointer"] == "/name"
    assert (await boss.post(KEYS, json={"name": "Ada 👩‍💻", "scopes": ["shop:read"]})).status_code == 201
