"""Row-level security reaches what the engine's own condition does not: views, computed members, units of work.

The same requests show rows of other tenants without it, so each of these tests can fail.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Annotated, Any
from uuid import UUID

import orjson
import pytest
import sqlalchemy as sa
from fastapi import APIRouter
from sqlmodel import col, func, select

from service.jobs.job import Job
from service.jobs.job_runner import JobRunner, Outcome
from service.jobs.leases import Leases
from service.resources.declaration import Action, Change, Computed
from service.resources.domain import Domain
from service.resources.units import UnitOfWork, UnitsDep
from service.security.access import require_scope
from service.security.api_keys.commands import create_key
from service.security.principals import Principal
from tests.engine.api import BASE, PARCELS, SCOPES, SHELVES, Api, Json, problem, running, unique
from tests.engine.secured import secured
from tests.engine.test_views import LOADS, create_views, loads
from tests.services import Client
from tests.shop.models import Parcel
from tests.shop.resources import articles, parcels, shelves
from tests.shop.tables import in_database

LOCKED = pytest.mark.parametrize("locked", [True, False], ids=["locked", "open"])
OWNERS = ("acme", "globex")
router = APIRouter()


def all_parcels(_: Any) -> sa.ScalarSelect[int]:
    """A subquery that forgets whose parcels they are."""
    return select(sa.cast(func.count(), sa.BigInteger)).select_from(Parcel).scalar_subquery()


async def sum_up(change: Change, parcel: Parcel) -> None:
    """Sets the weight to that of all parcels of the same note, by SQL that forgets whose they are."""
    async with change.session() as session:
        weights = select(func.sum(Parcel.weight)).where(Parcel.note == parcel.note)
        change.values["weight"] = (await session.exec(weights)).one()
    seen = "UPDATE tests_parcel SET note = 'seen' WHERE note = $1 AND id <> $2"
    await change.connection.execute(seen, parcel.note, parcel.id)


@router.post("/gifts/{tenant}")
async def give(
    tenant: str, units: UnitsDep, _: Annotated[Principal, require_scope("shop:write")]
) -> dict[str, UUID]:
    async def work(unit: UnitOfWork) -> UUID:
        return await unit.create(Parcel, {"number": unique("G"), "tenant": tenant})

    return {"id": await units.run(work)}


@dataclass(frozen=True)
class World:
    """An application, and the headers of each tenant's key."""

    api: Api
    tenants: dict[str, Json]

    async def pack(self, tenant: str, **item: object) -> Json:
        made = await self.api.client.post(
            PARCELS, json={"number": unique("P"), **item}, headers=self.tenants[tenant]
        )
        assert made.status_code == 201, made.text
        parcel: Json = made.json()
        return parcel


DOMAIN = Domain(
    "tests",
    (
        replace(
            shelves, cache=None, computed={"parcels": Computed(all_parcels, "Parcels of the whole shop.")}
        ),
        articles,
        replace(parcels, actions=(Action("sum_up", sum_up),)),
        replace(loads, owner=None),
    ),
    (router,),
)


@pytest.fixture(scope="module")
async def worlds(services: Client, worker: int) -> AsyncIterator[dict[bool, World]]:
    """Two applications, by whether row-level security holds for them: it does not for a superuser."""
    name = f"reach_{worker}"
    url = services.create_database(name, migrated=True)
    await in_database(url, create_views)
    async with secured(url) as app_url, AsyncExitStack() as stack:
        made = {}
        for locked, login in ((True, app_url), (False, url)):
            database = {"url": login, "row_security": "require" if locked else "disable"}
            api = await stack.enter_async_context(running(login, domains=(DOMAIN,), database=database))
            tenants = {}
            async with api.database.session() as session:
                for tenant in OWNERS:
                    _, key = await create_key(session, name=tenant, scopes=SCOPES, claims={"tenant": tenant})
                    tenants[tenant] = {"Authorization": f"Bearer {key}"}
            made[locked] = World(api, tenants)
        yield made
    services.drop_database(name)


@LOCKED
async def test_view_whose_declaration_forgets_the_owner(worlds: dict[bool, World], *, locked: bool) -> None:
    world = worlds[locked]
    for tenant in OWNERS:
        await world.pack(tenant)
    get, mine = world.api.client.get, world.tenants["globex"]
    listed = (await get(f"{LOADS}?count=exact&sort=tenant", headers=mine)).json()
    exported = (await get(f"{LOADS}/export", headers=mine)).content.splitlines()
    wanted = {"globex"} if locked else set(OWNERS)
    assert {item["tenant"] for item in listed["items"]} == wanted
    assert listed["total"] == len(wanted)
    assert {orjson.loads(line)["tenant"] for line in exported} == wanted
    theirs = (await get(f"{LOADS}?tenant=acme", headers=world.tenants["acme"])).json()["items"][0]["id"]
    assert (await get(f"{LOADS}/{theirs}", headers=mine)).status_code == (404 if locked else 200)


@LOCKED
async def test_computed_member_counts_rows_of_its_caller(worlds: dict[bool, World], *, locked: bool) -> None:
    """In each representation, and the tag of one caller is not that of another."""
    world = worlds[locked]
    url = f"{SHELVES}/{await world.api.shelf()}"
    await world.pack("acme")
    for _ in range(2):
        await world.pack("globex")
    counts, tags = {}, set()
    for tenant, headers in world.tenants.items():
        read = await world.api.client.get(url, headers=headers)
        listed = await world.api.client.get(f"{SHELVES}?slug={read.json()['slug']}", headers=headers)
        exported = await world.api.client.get(f"{SHELVES}/export?slug={read.json()['slug']}", headers=headers)
        changed = await world.api.client.patch(url, json={}, headers={**headers, "If-Match": "*"})
        shown = [read.json(), listed.json()["items"][0], orjson.loads(exported.content), changed.json()]
        (counts[tenant],) = {one["parcels"] for one in shown}
        tags.add(read.headers["etag"])
        own = await world.api.client.get(f"{PARCELS}?count=exact", headers=headers)
        assert (counts[tenant] == own.json()["total"]) is locked
    assert len(tags) == (2 if locked else 1)


@LOCKED
async def test_sql_of_an_action_reads_and_changes_rows_of_its_caller(
    worlds: dict[bool, World], *, locked: bool
) -> None:
    world, note = worlds[locked], unique("note")
    theirs = await world.pack("acme", note=note, weight=5)
    own = await world.pack("globex", note=note, weight=2)
    summed = await world.api.client.post(f"{PARCELS}/{own['id']}/sum-up", headers=world.tenants["globex"])
    assert summed.status_code == 200, summed.text
    assert summed.json()["weight"] == (2 if locked else 7)
    kept = await world.api.client.get(f"{PARCELS}/{theirs['id']}", headers=world.tenants["acme"])
    assert (kept.json()["note"] == note) is locked


@LOCKED
async def test_unit_of_a_route_gives_nothing_away(worlds: dict[bool, World], *, locked: bool) -> None:
    """A unit of work may name the owner of a new item; row-level security lets a caller name itself alone."""
    world = worlds[locked]
    own, other = [
        (await world.api.client.post(f"{BASE}/gifts/{tenant}", headers=world.tenants["globex"]))
        for tenant in ("globex", "acme")
    ]
    assert (own.status_code, other.status_code) == (200, 500 if locked else 200)
    if locked:
        problem(other, 500, "internal_error")


@LOCKED
async def test_unit_of_a_job_sees_every_row(worlds: dict[bool, World], *, locked: bool) -> None:
    world = worlds[locked]
    made = [UUID((await world.pack(tenant))["id"]) for tenant in OWNERS]

    async def work(unit: UnitOfWork) -> tuple[int, UUID]:
        async with unit.session() as session:
            found = (await session.exec(select(Parcel.id).where(col(Parcel.id).in_(made)))).all()
        return len(found), await unit.create(Parcel, {"number": unique("J"), "tenant": "acme"})

    results = []

    async def pack() -> None:
        results.append(await world.api.app.state.units.run(work))

    outcome = await JobRunner(Leases(world.api.database)).run(Job("gifts", pack, 60))
    assert outcome is Outcome.SUCCESS
    ((found, given),) = results
    assert found == 2
    url = f"{PARCELS}/{given}"
    for tenant, status in (("acme", 200), ("globex", 404)):
        assert (await world.api.client.get(url, headers=world.tenants[tenant])).status_code == status
