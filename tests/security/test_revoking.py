"""Revoking a key: once and for all, by the API and by the command."""

from datetime import timedelta

import pytest
from httpx2 import AsyncClient

from service import clock
from service.database import Database
from service.security.api_keys.commands import revoke_key
from tests.api.conftest import Json, MakeClient

KEYS = "/api/v1/keys"


@pytest.fixture
async def admin(client_with: MakeClient) -> AsyncClient:
    return await client_with("admin")


async def shown(admin: AsyncClient, prefix: str) -> Json:
    listed = {item["prefix"]: item for item in (await admin.get(KEYS)).json()["items"]}
    found: Json = listed[prefix]
    return found


async def test_revoking_twice_keeps_the_first_time(
    admin: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (await admin.post(KEYS, json={"name": "twice", "scopes": ["shop:read"]})).json()
    assert made["revoked_at"] is None
    assert (await admin.delete(f"{KEYS}/{made['prefix']}")).status_code == 204
    first = await shown(admin, made["prefix"])
    assert first["revoked_at"] is not None
    later = clock.now() + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert (await admin.delete(f"{KEYS}/{made['prefix']}")).status_code == 204
    async with database.session() as session:
        await revoke_key(session, made["prefix"])
    assert await shown(admin, made["prefix"]) == first


async def test_other_keys_keep_working(admin: AsyncClient) -> None:
    one, other = [
        (await admin.post(KEYS, json={"name": name, "scopes": ["shop:read"]})).json()
        for name in ("one", "other")
    ]
    await admin.delete(f"{KEYS}/{one['prefix']}")
    assert (await shown(admin, other["prefix"]))["revoked_at"] is None
