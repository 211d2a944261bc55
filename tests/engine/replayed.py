"""Requests that are repeated with the same Idempotency-Key by a caller who sees other rows meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from httpx2 import AsyncClient, Response

from tests.engine.api import PARCELS, SCOPES, Api, Json, unique
from tests.migrations.roles import execute

MINE, THEIRS = "acme", "globex"


class World(NamedTuple):
    """An application without the engine's condition, and a client of each tenant."""

    api: Api
    mine: AsyncClient
    theirs: AsyncClient
    url: str
    """Of the superuser, who is told of everything."""

    async def pack(self, tenant: AsyncClient, **item: object) -> Json:
        made = await tenant.post(PARCELS, json={"number": unique("P"), "note": "brass", **item})
        assert made.status_code == 201, made.text
        parcel: Json = made.json()
        return parcel


async def replayed(world: World) -> Response:
    """A key of one principal that acts for two tenants in turn."""
    return await _as_another(world, "create")


async def replayed_bulk(world: World) -> Response:
    return await _as_another(world, "bulk")


async def _as_another(world: World, kind: str) -> Response:
    item = {"number": unique("P")}
    key = {"Idempotency-Key": unique("moved")}
    bulk = {"mode": "atomic", "operations": [{"op": "create", "item": item}]}
    url, body = (PARCELS, item) if kind == "create" else (f"{PARCELS}/bulk", bulk)
    first = await world.mine.post(url, json=body, headers=key)
    assert first.status_code in (200, 201), first.text
    async with _acting_for(world, MINE, "other"):
        return await world.mine.post(url, json=body, headers=key)


async def replayed_with_fewer_scopes(world: World) -> Response:
    """A key that saw the rows of all owners when the response was stored."""
    item, key = {"number": unique("P")}, {"Idempotency-Key": unique("fewer")}
    async with _seeing_all(world):
        first = await world.mine.post(PARCELS, json=item, headers=key)
    assert first.status_code == 201, first.text
    return await world.mine.post(PARCELS, json=item, headers=key)


@asynccontextmanager
async def _acting_for(world: World, tenant: str, other: str) -> AsyncIterator[None]:
    """Give the tenant's key another tenant meanwhile."""
    verifier = world.api.app.state.gate._verifiers[0]
    for before, after in ((tenant, other), (other, tenant)):
        await execute(
            world.url,
            f"""UPDATE api_key SET claims = '{{"tenant": "{after}"}}' WHERE claims ->> 'tenant' = '{before}'""",
        )
        verifier._verified.clear()
        if after == other:
            yield


@asynccontextmanager
async def _seeing_all(world: World) -> AsyncIterator[None]:
    """Let the first tenant's key see the rows of all owners meanwhile."""
    for scopes in ((*SCOPES, "parcels:all"), SCOPES):
        given = f"UPDATE api_key SET scopes = '{{{','.join(scopes)}}}' WHERE claims ->> 'tenant' = '{MINE}'"
        await execute(world.url, given)
        world.api.app.state.gate._verifiers[0]._verified.clear()
        if scopes != SCOPES:
            yield
