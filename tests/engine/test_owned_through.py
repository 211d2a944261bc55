"""Owners through a parent: by the engine's condition alone, and by row-level security alone.

With neither, the same requests show rows of another tenant, so each test can fail.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from httpx2 import ASGITransport, AsyncClient
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from service.resources.statements.ownership import Ownership, Rows
from service.security.api_keys.commands import create_key
from service.security.principals import Principal
from tests.engine.api import BASE, PARCELS, SCOPES, Api, Json, problem, running, unique
from tests.engine.labels import RESOURCES, Mark, create_labels, marks
from tests.engine.secured import secured
from tests.engine.test_owners import ANY, MISSING, shown
from tests.engine.test_row_security import _every_row, owners_apply
from tests.engine.test_tenants_apart import CHANGING, FEW, UUID_TEXT
from tests.migrations.roles import execute
from tests.services import Client

LABELS, MARKS = f"{BASE}/labels", f"{BASE}/marks"
BY_ENGINE = pytest.mark.parametrize("world", ["engine"], indirect=True)
"""For what row-level security does not decide."""
LOCKED = pytest.mark.parametrize("world", ["engine", "security"], indirect=True)


class World(NamedTuple):
    """An application, the lock that keeps tenants apart in it, and the superuser's URL of its database."""

    lock: str
    api: Api
    url: str
    stack: AsyncExitStack

    async def tenant(self, name: str = "") -> AsyncClient:
        """A client of a new tenant, or of the one with this name."""
        async with self.api.database.session() as session:
            claims = {"tenant": name or f"tenant-{uuid4()}"}
            _, key = await create_key(session, name="through", scopes=SCOPES, claims=claims)
        transport = ASGITransport(self.api.app, raise_app_exceptions=False)
        client = AsyncClient(transport=transport, base_url="http://t", headers={"X-API-Key": key})
        return await self.stack.enter_async_context(client)


@pytest.fixture(scope="module")
async def urls(services: Client, worker: int) -> AsyncIterator[tuple[str, str]]:
    """The URLs of a database with row-level security, for its superuser, for whom it does not hold, and the service."""
    name = f"through_{worker}"
    url = services.create_database(name, migrated=True)
    await create_labels(url, secure=True)
    async with secured(url) as app_url:
        yield url, app_url
    services.drop_database(name)


@pytest.fixture(scope="module", params=["engine", "security", "nothing"])
async def world(urls: tuple[str, str], request: pytest.FixtureRequest) -> AsyncIterator[World]:
    lock, (url, app_url) = request.param, urls
    assert owners_apply()
    with pytest.MonkeyPatch.context() as mutant:
        if lock != "engine":
            mutant.setattr(Ownership, "arguments", _every_row)
            mutant.setattr(Rows, "key", "")
        settings = {"url": app_url, "row_security": "require"} if lock == "security" else {"url": url}
        async with (
            AsyncExitStack() as stack,
            running(settings["url"], RESOURCES, (*SCOPES, "parcels:all"), database=settings) as api,
        ):
            yield World(lock, api, url, stack)


async def _made(client: AsyncClient, path: str, **item: object) -> str:
    made = await client.post(f"{BASE}/{path}", json=item)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


class Family(NamedTuple):
    """A parcel, its label, and the mark on that."""

    parcel: str
    label: str
    mark: str


async def family(client: AsyncClient) -> Family:
    body = {"number": unique("P"), "labels": [{"number": "L", "text": "brass"}]}
    parcel = await client.post(PARCELS, json=body)
    assert parcel.status_code == 201, parcel.text
    label = parcel.json()["labels"][0]["id"]
    return Family(parcel.json()["id"], label, await _made(client, "marks", label_id=label))


def _bulk(*operations: Json) -> Json:
    return {"mode": "partial", "operations": list(operations)}


def _patch(item: str) -> Json:
    return {"op": "patch", "id": item, "if_match": "*", "changes": {"text": "mine"}}


def _about(parcel: str, label: str, mark: str) -> list[tuple[str, str, Json | None, Json]]:
    """Requests about items: (method, URL, body, more headers)."""
    item = {"number": "C", "parcel_id": parcel}
    return [
        ("GET", f"{LABELS}/{label}", None, {}),
        ("GET", f"{MARKS}/{mark}", None, {}),
        ("GET", f"{LABELS}/{label}?as_of=2999-01-01T00:00:00Z", None, {}),
        ("GET", f"{LABELS}/{label}?expand=parcel", None, {}),
        ("GET", f"{LABELS}/{label}/history", None, {}),
        ("GET", f"{MARKS}/{mark}/history", None, {}),
        ("GET", f"{PARCELS}/{parcel}/labels", None, {}),
        ("GET", f"{LABELS}/{label}/marks?count=exact", None, {}),
        ("GET", f"{LABELS}?parcel_id={parcel}&count=exact", None, {}),
        ("GET", f"{LABELS}?id__in={label}&count=estimated", None, {}),
        ("GET", f"{MARKS}?id__in={mark}&expand=label", None, {}),
        ("GET", f"{LABELS}/export?id__in={label}", None, {}),
        ("PATCH", f"{LABELS}/{label}", {"text": "mine"}, ANY),
        ("PATCH", f"{LABELS}/{label}", {}, ANY),
        ("PATCH", f"{MARKS}/{mark}", {"name": "mine"}, ANY),
        ("POST", f"{LABELS}/{label}/glue", None, {}),
        ("POST", f"{LABELS}/{label}/restore", None, {}),
        ("POST", LABELS, item, {}),
        ("POST", LABELS, item, {"Idempotency-Key": unique("through")}),
        ("POST", LABELS, {**item, "marks": [{"name": "C"}]}, {}),
        ("POST", MARKS, {"label_id": label}, {}),
        ("PUT", f"{LABELS}/{label}", item, {"If-None-Match": "*"}),
        ("POST", f"{LABELS}/bulk", _bulk(_patch(label)), {}),
        ("POST", f"{LABELS}/bulk", _bulk({"op": "glue", "id": label, "if_match": "*"}), {}),
        ("POST", f"{LABELS}/bulk", _bulk({"op": "create", "item": item}), {}),
        ("POST", f"{LABELS}/bulk", _bulk({"op": "delete", "id": label, "if_match": "*"}), {}),
        ("DELETE", f"{MARKS}/{mark}", None, ANY),
        ("DELETE", f"{LABELS}/{label}", None, ANY),
    ]


def _plain(text: str, *ids: str) -> str:
    for item in ids:
        text = text.replace(item, "ID")
    return re.sub(r'"Idempotency[^"]*"|(through|P)-\d+', "", text)


async def _answers(client: AsyncClient, number: int, items: Family) -> Json:
    method, url, body, headers = _about(*items)[number]
    more: dict[str, Any] = {} if body is None else {"json": body}
    response = await client.request(method, url, headers=headers, **more)
    seen = shown(response, items.label)
    assert seen["status"] < 500, response.text
    return {"status": seen["status"], "shown": _plain(str(seen), *items)}


class Neighbours(NamedTuple):
    """A tenant with a family, and another who has nothing."""

    one: AsyncClient
    other: AsyncClient
    items: Family

    async def seen(self) -> list[str]:
        """What the first sees of its family."""
        own = (
            f"{LABELS}/{self.items.label}",
            f"{MARKS}/{self.items.mark}",
            f"{PARCELS}/{self.items.parcel}/labels?count=exact",
        )
        return [(await self.one.get(url)).text for url in own]


@pytest.fixture(scope="module")
async def neighbours(world: World) -> Neighbours:
    one, other = await world.tenant(), await world.tenant()
    return Neighbours(one, other, await family(one))


@pytest.fixture(scope="module")
async def before(neighbours: Neighbours) -> list[str]:
    return await neighbours.seen()


@pytest.mark.parametrize("number", range(len(_about("", "", ""))))
async def test_item_of_another_owner_is_like_one_that_does_not_exist(
    world: World, neighbours: Neighbours, before: list[str], number: int
) -> None:
    # Where requests reach the items of others, they change them.
    items = await family(neighbours.one) if world.lock == "nothing" else neighbours.items
    theirs = await _answers(neighbours.other, number, items)
    missing = await _answers(neighbours.other, number, Family(MISSING, MISSING, MISSING))
    assert (theirs == missing) is (world.lock != "nothing"), (theirs, missing)
    if world.lock != "nothing":
        assert await neighbours.seen() == before


async def test_lists_show_own_items(world: World) -> None:
    one, other = await world.tenant(), await world.tenant()
    mine, theirs = await family(one), await family(other)
    queries = (
        "count=exact",
        "count=estimated",
        "q=brass&count=exact",
        "sort=created_at&count=exact",
        "number=L&count=exact",
    )
    for query in queries:
        page = (await other.get(f"{LABELS}?limit=200&{query}")).json()
        ids = {item["id"] for item in page["items"]}
        assert theirs.label in ids
        if world.lock != "nothing":
            assert (ids, page["total"]) == ({theirs.label}, 1), query
        else:
            assert mine.label in ids, query
    exported = (await other.get(f"{MARKS}/export")).text
    assert (mine.mark in exported) is (world.lock == "nothing")
    assert theirs.mark in exported


async def test_item_moves_between_own_parents_only(world: World) -> None:
    one, other = await world.tenant(), await world.tenant()
    mine, theirs = await family(one), await family(other)
    url, own = f"{LABELS}/{theirs.label}", await _made(other, "parcels", number="OWN")
    moved = [
        await other.patch(url, json={"parcel_id": parcel, "number": "moved"}, headers=ANY)
        for parcel in (mine.parcel, own)
    ]
    refused = [{"message": "refers to an item that does not exist", "pointer": "/parcel_id"}]
    if world.lock == "nothing":
        assert [response.status_code for response in moved] == [200, 200]
    else:
        assert problem(moved[0], 422, "validation_failed")["errors"] == refused
        assert moved[1].json()["parcel_id"] == own


@LOCKED
async def test_parent_that_changes_hands_takes_all_along(world: World) -> None:
    """Its items, their history and their past are then the new owner's, and nothing to the old one."""
    one, other = await world.tenant("giver"), await world.tenant("taker")
    items = await family(one)
    urls = (
        f"{LABELS}/{items.label}",
        f"{MARKS}/{items.mark}",
        f"{LABELS}/{items.label}/history",
        f"{MARKS}/{items.mark}?as_of=2999-01-01T00:00:00Z",
    )
    assert [(await one.get(url)).status_code for url in urls] == [200] * 4
    assert [(await other.get(url)).status_code for url in urls] == [404] * 4
    await execute(world.url, f"UPDATE tests_parcel SET tenant = 'taker' WHERE id = '{items.parcel}'")
    assert [(await one.get(url)).status_code for url in urls] == [404] * 4
    assert [(await other.get(url)).status_code for url in urls] == [200] * 4
    boss = world.api.client
    assert [(await boss.get(url)).status_code for url in urls] == [200] * 4


@LOCKED
async def test_item_that_moves_to_another_owner_leaves_its_past_behind(world: World) -> None:
    """Who gets an item does not see its past, and who had it sees nothing any more."""
    one, other, boss = await world.tenant(), await world.tenant(), world.api.client
    mine, theirs = await family(one), await family(other)
    empty = await _made(other, "parcels", number=unique("P"))
    moves = (
        (f"{MARKS}/{mine.mark}", "tests_mark", f"label_id = '{theirs.label}'"),
        (f"{LABELS}/{mine.label}", "tests_label", f"parcel_id = '{empty}'"),
    )
    for url, table, parent in moves:
        then = f"{url}?as_of={(await one.get(url)).json()['updated_at']}"
        await execute(world.url, f"UPDATE {table} SET {parent} WHERE id = '{url[-36:]}'")
        for client, versions in ((one, []), (other, [2]), (boss, [2, 1])):
            history = await client.get(f"{url}/history")
            assert [past["version"] for past in history.json().get("items", [])] == versions
            assert (await client.get(then)).status_code == (200 if client is boss else 404)
            assert (await client.get(url)).status_code == (404 if client is one else 200)


@BY_ENGINE
async def test_cursor_belongs_to_the_owner(world: World) -> None:
    one, other = await world.tenant(), await world.tenant()
    for client in (one, one, other):
        await family(client)
    cursor = (await one.get(f"{LABELS}?limit=1")).json()["next_cursor"]
    assert (await one.get(f"{LABELS}?limit=1&cursor={cursor}")).status_code == 200
    problem(await other.get(f"{LABELS}?limit=1&cursor={cursor}"), 400, "invalid_cursor")


@BY_ENGINE
async def test_caller_without_the_claim_gets_a_clear_problem(world: World) -> None:
    stranger = await world.stack.enter_async_context(await _without_claim(world))
    refused = problem(await stranger.get(LABELS), 403, "forbidden")
    assert refused["detail"] == "Each label has an owner: the credential needs the claim tenant."


@BY_ENGINE
async def test_key_is_replayed_for_its_tenant_only(world: World) -> None:
    """One principal may act for several tenants, as a subject with several tokens does."""
    name, new = f"tenant-{uuid4()}", f"tenant-{uuid4()}"
    mover = await world.tenant(name)
    item = {"number": "K", "parcel_id": await _made(mover, "parcels", number=unique("P"))}
    key = {"Idempotency-Key": unique("through")}
    made = [await mover.post(LABELS, json=item, headers=key) for _ in range(2)]
    assert [response.status_code for response in made] == [201, 201]
    assert made[1].headers["idempotency-replayed"] == "true"
    claims = f"""UPDATE api_key SET claims = '{{"tenant": "{new}"}}' WHERE claims ->> 'tenant' = '{name}'"""
    await execute(world.url, claims)
    world.api.app.state.gate._verifiers[0]._verified.clear()
    refused = problem(await mover.post(LABELS, json=item, headers=key), 422, "validation_failed")
    assert [error["pointer"] for error in refused["errors"]] == ["/parcel_id"]


async def _without_claim(world: World) -> AsyncClient:
    async with world.api.database.session() as session:
        _, key = await create_key(session, name="stranger", scopes=SCOPES)
    transport = ASGITransport(world.api.app, raise_app_exceptions=False)
    return AsyncClient(transport=transport, base_url="http://t", headers={"X-API-Key": key})


KINDS = [*range(len(_about("", "", ""))), "family", "list", "marks"]
STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(KINDS), st.booleans(), st.integers(0, 2)),
    min_size=4,
    max_size=14,
)


async def _seen(world: World, steps: Any, who: tuple[int, ...]) -> dict[int, list[str]]:
    """What each tenant sees of its steps, ids by number: the tenant's own, and all others alike."""
    clients = {tenant: await world.tenant() for tenant in who}
    made: dict[int, list[Family]] = {0: [], 1: []}
    seen: dict[int, list[str]] = {tenant: [] for tenant in who}
    for tenant, kind, own, index in steps:
        if tenant not in who:
            continue
        client, families = clients[tenant], made[tenant if own else 1 - tenant]
        items = families[index] if index < len(families) else Family(*(str(uuid4()) for _ in range(3)))
        if kind == "family":
            made[tenant].append(await family(client))
            continue
        paths = {
            "list": f"{LABELS}?count=estimated&sort=created_at",
            "marks": f"{MARKS}/export?sort=created_at",
        }
        method, url, body, headers = ("GET", paths[kind], None, {}) if kind in paths else _about(*items)[kind]
        more: dict[str, Any] = {} if body is None else {"json": body}
        response = await client.request(method, url, headers=headers, **more)
        seen[tenant].append(f"{kind} {response.status_code} {_named(response.text, made[tenant])}")
    return seen


def _named(text: str, own: list[Family]) -> str:
    """The text with a name in place of each id: the tenant's own by number, all others alike."""
    names = {part: f"#{number}" for number, one in enumerate(own) for part in one}
    return _plain(UUID_TEXT.sub(lambda found: names.get(found[0], "?"), CHANGING.sub("", text)))


@LOCKED
@FEW
@given(steps=STEPS)
async def test_tenant_gets_what_it_gets_alone(world: World, steps: Any) -> None:
    both = await _seen(world, steps, (0, 1))
    for tenant in (0, 1):
        assert both[tenant] == (await _seen(world, steps, (tenant,)))[tenant]


@BY_ENGINE
async def test_hand_written_query_sees_own_rows(world: World) -> None:
    items = {name: await family(await world.tenant(name)) for name in ("writer", "reader")}
    ids = [UUID(one.mark) for one in items.values()]
    found = []
    for scope, claims in (("x:y", {"tenant": "reader"}), ("x:y", {}), ("parcels:all", {}), ("admin", {})):
        principal = Principal("key:x", frozenset({scope}), claims)
        async with world.api.database.session() as session:
            query = select(Mark.id).where(col(Mark.id).in_(ids), marks.owned_by(principal))
            found.append(set(await session.exec(query)))
    assert found == [{ids[1]}, set(), {*ids}, {*ids}]
