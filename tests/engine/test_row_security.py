"""Row-level security alone: with the engine's condition mutated away, a tenant still learns nothing of the others.

The same requests leak without row-level security, so each of these tests can fail.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from asyncpg import DataError
from httpx2 import ASGITransport, AsyncClient, Response
from hypothesis import given
from sqlmodel import col, select

from service.actor import EVERY_ROW, Actor, acting_as
from service.database.row_teller import TELL
from service.resources.requests.idempotency import IdempotencyStore
from service.resources.rows_of_callers import rows_told
from service.resources.statements.ownership import Owners, Ownership, Rows
from service.security.api_keys.commands import create_key
from service.security.principals import Principal
from tests.engine.api import PARCELS, SCOPES, Json, problem, running, unique
from tests.engine.replayed import MINE, THEIRS, World, replayed, replayed_bulk, replayed_with_fewer_scopes
from tests.engine.secured import secured
from tests.engine.test_owners import ABOUT_AN_ITEM, ANY, MISSING, shown
from tests.engine.test_tenants_apart import MANY, check, histories
from tests.engine.wire import wire_to, without_jobs
from tests.migrations.roles import execute
from tests.services import Client
from tests.shop.models import Parcel
from tests.shop.resources import parcels

_UNCHANGED = Ownership.arguments


def owners_apply() -> bool:
    """Whether no test has left its patch in place."""
    return Ownership.arguments is _UNCHANGED


def _every_row(self: Ownership, principal: Principal) -> dict[str, Any]:
    """As `Ownership.arguments`, for a caller who sees the rows of all owners."""
    return {**self.every_row(), self._own: self.value_of(principal)}


@pytest.fixture(scope="module")
def mutant() -> Iterator[pytest.MonkeyPatch]:
    """Every condition of the engine holds for every row, and nothing is bound to the rows that a caller sees."""
    assert owners_apply()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ownership, "arguments", _every_row)
        patch.setattr(Rows, "key", "")
        yield patch


@pytest.fixture(scope="module")
async def urls(services: Client, worker: int) -> AsyncIterator[tuple[str, str]]:
    """The URLs of a database with row-level security, for its superuser and for the service."""
    name = f"secured_{worker}"
    url = services.create_database(name, migrated=True)
    async with secured(url) as app_url:
        yield url, app_url
    services.drop_database(name)


async def _world(stack: AsyncExitStack, url: str, app_url: str, **settings: object) -> World:
    api = await stack.enter_async_context(running(app_url, database={"url": app_url, **settings}))
    clients = []
    for tenant in (MINE, THEIRS):
        async with api.database.session() as session:
            _, key = await create_key(session, name=tenant, scopes=SCOPES, claims={"tenant": tenant})
        transport = ASGITransport(api.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key}"}
        client = AsyncClient(transport=transport, base_url="http://slipway.test", headers=headers)
        clients.append(await stack.enter_async_context(client))
    return World(api, clients[0], clients[1], url)


@pytest.fixture(scope="module")
async def worlds(mutant: pytest.MonkeyPatch, urls: tuple[str, str]) -> AsyncIterator[dict[bool, World]]:
    """Two applications, by whether row-level security holds for them: it does not for a superuser."""
    url, app_url = urls
    async with AsyncExitStack() as stack:
        yield {
            True: await _world(stack, url, app_url, row_security="require"),
            False: await _world(stack, url, url),
        }


LOCKED = pytest.mark.parametrize("locked", [True, False], ids=["locked", "open"])


@LOCKED
@pytest.mark.parametrize("number", range(len(ABOUT_AN_ITEM)))
async def test_item_of_another_owner(worlds: dict[bool, World], number: int, *, locked: bool) -> None:
    """Under row-level security it is like one that does not exist, and stays as it is."""
    world = worlds[locked]
    method, path, body, headers = ABOUT_AN_ITEM[number]
    parcel = await world.pack(world.mine)
    if "delete" not in str(body(MISSING)) and method not in ("DELETE", "PUT"):
        await world.pack(world.mine, bundle_id=parcel["id"])
    if "restore" in path:
        await world.mine.delete(f"{PARCELS}/{parcel['id']}", headers=ANY)
    seen = []
    for item in (parcel["id"], MISSING):
        content = body(item)
        more: dict[str, Any] = {} if content is None else {"json": content}
        url = PARCELS + path.replace("{id}", item)
        seen.append(shown(await world.theirs.request(method, url, headers=headers, **more), item))
    assert (seen[0] == seen[1]) is locked, seen
    assert seen[1]["status"] < 500
    versions = (await world.mine.get(f"{PARCELS}/{parcel['id']}/history")).json()["items"]
    assert not locked or {one["actor"] for one in versions} == {parcel["created_by"]}


async def _texts(client: AsyncClient, *urls: str) -> list[str]:
    found = []
    for url in urls:
        response = await client.get(url)
        assert response.status_code == 200, response.text
        found.append(response.text)
    return found


@LOCKED
async def test_lists_hide_items_of_another_owner(worlds: dict[bool, World], *, locked: bool) -> None:
    world = worlds[locked]
    bundle = await world.pack(world.mine, weight=77)
    parcel = await world.pack(world.mine, weight=77, bundle_id=bundle["id"])
    own = await world.pack(world.theirs, weight=77)
    queries = (
        *("count=exact", "count=estimated", "q=brass&count=exact", "sort=-weight&weight=77", "tenant=acme"),
        *(f"number={parcel['number']}", f"bundle.number={bundle['number']}", "weight=77&expand=bundle"),
    )
    urls = [f"{PARCELS}?limit=200&{query}" for query in queries] + [f"{PARCELS}/export?sort=weight"]
    for url, text in zip(urls, await _texts(world.theirs, *urls), strict=True):
        assert ('"tenant":"acme"' in text) is not locked, url
    for url in urls[:3]:
        page = (await world.theirs.get(url)).json()
        assert not locked or (len(page["items"]) == page["total"] and own["id"] in str(page)), url


async def _cursor(world: World) -> Response:
    """A page after one of the other tenant's."""
    for _ in range(2):
        await world.pack(world.mine, weight=5)
    page = await world.mine.get(f"{PARCELS}?limit=1&sort=-created_at&weight=5")
    return await world.theirs.get(
        f"{PARCELS}?limit=1&weight=5&sort=-created_at&cursor={page.json()['next_cursor']}"
    )


async def _expanded(world: World) -> Response:
    """An own item that refers to one of another owner, which no request can make."""
    parcel, own = await world.pack(world.mine), await world.pack(world.theirs)
    past_the_api = f"UPDATE tests_parcel SET bundle_id = '{parcel['id']}' WHERE id = '{own['id']}'"
    await execute(world.url, past_the_api)
    return await world.theirs.get(f"{PARCELS}/{own['id']}?expand=bundle")


async def _cached(world: World) -> Response:
    """An item in memory, read for its owner."""
    parcel = await world.pack(world.mine)
    url = f"{PARCELS}/{parcel['id']}"
    for _ in range(2):
        await world.mine.get(url)
    return await world.theirs.get(url)


async def _past(world: World) -> Response:
    """A version of an item from before it was the caller's."""
    parcel = await world.pack(world.mine)
    given = f"UPDATE tests_parcel SET tenant = 'globex' WHERE id = '{parcel['id']}'"
    await execute(world.url, given)
    return await world.theirs.get(f"{PARCELS}/{parcel['id']}?as_of={parcel['updated_at']}")


async def _history(world: World) -> Response:
    parcel = await world.pack(world.mine)
    given = f"UPDATE tests_parcel SET tenant = 'globex' WHERE id = '{parcel['id']}'"
    await execute(world.url, given)
    return await world.theirs.get(f"{PARCELS}/{parcel['id']}/history")


@LOCKED
@pytest.mark.parametrize(
    "ask",
    [
        _cursor, _expanded, _cached, replayed, replayed_bulk, replayed_with_fewer_scopes, _past, _history,
    ],
)  # fmt: skip
async def test_no_response_shows_an_item_of_another_owner(
    worlds: dict[bool, World], ask: Callable[[World], Awaitable[Response]], *, locked: bool
) -> None:
    response = await ask(worlds[locked])
    assert response.status_code < 500
    shows = '"acme"' in response.text or '"bundle":{' in response.text
    assert (shows or "idempotency-replayed" in response.headers) is not locked, response.text


@LOCKED
async def test_item_is_not_created_for_another_owner(
    worlds: dict[bool, World], monkeypatch: pytest.MonkeyPatch, *, locked: bool
) -> None:
    world = worlds[locked]
    monkeypatch.setattr(Ownership, "arguments", lambda self, _: {**self.every_row(), self._own: MINE})
    number = unique("P")
    bulk = {"mode": "partial", "operations": [{"op": "create", "item": {"number": f"{number}-bulk"}}]}
    made = [
        await world.theirs.post(PARCELS, json={"number": number}),
        await world.theirs.post(
            PARCELS, json={"number": f"{number}-once"}, headers={"Idempotency-Key": number}
        ),
        await world.theirs.post(f"{PARCELS}/bulk", json=bulk),
    ]
    assert [response.status_code for response in made] == ([500] * 3 if locked else [201, 201, 200])
    found = (await world.mine.get(f"{PARCELS}?limit=200&sort=-created_at")).text
    assert (number in found) is not locked


async def test_sql_of_a_team_sees_the_rows_of_the_caller(worlds: dict[bool, World]) -> None:
    """Hooks, hand-written routes, jobs and commands: what they forget to filter, and what acts for nobody."""
    world = worlds[True]
    parcel, own = await world.pack(world.mine), await world.pack(world.theirs)
    tell = rows_told(Owners([parcels]))
    every = [UUID(parcel["id"]), UUID(own["id"])]
    seen = {}
    for name, rows in {
        "theirs": tell(Principal("key:x", frozenset(), {"tenant": THEIRS})),
        "without a claim": tell(Principal("key:x", frozenset())),
        "all": tell(Principal("key:x", frozenset({"parcels:all"}))),
        "service": EVERY_ROW,
        "nobody": None,
    }.items():
        with acting_as(Actor("test", rows=rows)):
            async with world.api.database.session() as session:
                found = (await session.exec(select(Parcel).where(col(Parcel.id).in_(every)))).all()
            sql = "SELECT id FROM tests_parcel WHERE id = ANY ($1)"
            for reads in (True, True, False):  # prepared, sent with what is told, in a transaction
                again = await world.api.database.fetch(sql, [every], reads=reads)
                assert {row["id"] for row in again} == {item.id for item in found}
            changed = await world.api.database.fetch(
                "UPDATE tests_parcel SET weight = weight WHERE id = ANY ($1) RETURNING id", [every]
            )
            assert len(changed) == len(found)
            seen[name] = len(found)
    assert seen == {"theirs": 1, "without a claim": 0, "all": 2, "service": 2, "nobody": 0}


async def test_actors_of_one_transaction(worlds: dict[bool, World]) -> None:
    """Code that acts for somebody else within a transaction sees that actor's rows, and no others afterwards."""
    world = worlds[True]
    await world.pack(world.mine)
    count = "SELECT count(*) > 0 FROM tests_parcel WHERE tenant = 'acme'"
    tell = rows_told(Owners([parcels]))
    found = []
    with acting_as(Actor("test", rows=tell(Principal("key:x", frozenset(), {"tenant": THEIRS})))):
        async with world.api.database.transaction() as connection:
            found.append(await connection.fetchval(count))
            with acting_as(Actor("test", rows=EVERY_ROW)):
                found.append(await connection.fetchval(count))
            with acting_as(Actor("test")):
                found.append(await connection.fetchval(count))
            found.append(await connection.fetchval(count))
    assert found == [False, True, False, False]


async def test_row_of_another_owner_keeps_its_parent(worlds: dict[bool, World]) -> None:
    """A guard of references finds rows that the caller does not see."""
    world = worlds[True]
    parent, child = await world.pack(world.theirs), await world.pack(world.mine)
    past_the_api = f"UPDATE tests_parcel SET bundle_id = '{parent['id']}' WHERE id = '{child['id']}'"
    await execute(world.url, past_the_api)
    refused = await world.theirs.delete(f"{PARCELS}/{parent['id']}", headers=ANY)
    assert problem(refused, 409, "conflict")["detail"] == "Other items refer to this one."


async def test_purge_finds_the_stored_responses_of_all_callers(worlds: dict[bool, World]) -> None:
    world = worlds[True]
    await world.theirs.post(PARCELS, json={"number": unique("P")}, headers={"Idempotency-Key": unique("K")})
    with acting_as(Actor("cli:purge", rows=EVERY_ROW)):
        assert await IdempotencyStore(world.api.database, hours=-1).purge() > 0


async def test_refused_arguments_close_the_connection(worlds: dict[bool, World]) -> None:
    """The driver refuses a value after the connection was told whose rows to show."""
    world = worlds[True]
    await world.pack(world.mine)
    sql = "SELECT count(*) FROM tests_parcel WHERE weight > $1"
    with acting_as(Actor("test", rows=EVERY_ROW)):
        async with world.api.database.connection() as connection:
            for _ in range(2):
                assert await connection.fetch_alone(sql, 0)
            with pytest.raises(DataError):
                await connection.fetch_alone(sql, "many")
            assert connection.is_closed()


async def test_everything_stays_one_round_trip(
    urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told goes ahead of each statement, once the connection has prepared both."""
    without_jobs(monkeypatch)
    async with wire_to(urls[1]) as wire:
        database = {"url": wire.url, "pool_min": 1, "pool_max": 1, "row_security": "require"}
        # A creation with children is several statements.
        async with running(wire.url, [replace(parcels, children={})], database=database) as api:
            made = [f"{PARCELS}/{(await api.make('parcels', number=unique('P'))).json()['id']}" for _ in "ab"]
            await api.make("parcels", number=unique("P"))
            none: Json = {"headers": {"Cache-Control": "no-cache"}}
            asked: list[tuple[str, list[str], Json]] = [
                ("GET", made, none),
                ("GET", [f"{url}?expand=bundle" for url in made], {}),
                ("GET", [f"{PARCELS}?sort=weight"] * 2, {}),
                ("GET", [f"{PARCELS}/{UUID(int=1)}"] * 2, none),
                ("GET", [f"{url}/history" for url in made], {}),
                ("POST", [PARCELS] * 2, {}),
                ("PATCH", made, {"json": {"weight": 3}, "headers": ANY}),
                ("DELETE", made, {"headers": ANY}),
            ]
            for method, (first, second), options in asked:
                for url in (first, second):
                    before, more = wire.round_trips, options
                    if method == "POST":
                        more = {"json": {"number": unique("P")}}
                    with wire.counted() as statements:
                        response = await api.client.request(method, url, **more)
                    assert response.status_code < 300 or "0001" in url, response.text
                assert wire.round_trips - before == 1, (method, statements)
                assert [statements[0], len(statements)] == [TELL, 2], (method, statements)


async def test_policies_hold_where_nothing_is_prepared(
    urls: tuple[str, str], worlds: dict[bool, World]
) -> None:
    """As behind PgBouncer: each statement is in a transaction whose BEGIN tells."""
    async with AsyncExitStack() as stack:
        world = await _world(stack, *urls, row_security="require", pgbouncer=True)
        parcel = await world.pack(world.mine)
        url = f"{PARCELS}/{parcel['id']}"
        for _ in range(2):
            read = [(await one.get(url)).status_code for one in (world.mine, world.theirs)]
            listed = [parcel["id"] in (await one.get(PARCELS)).text for one in (world.mine, world.theirs)]
            assert (read, listed) == ([200, 404], [True, False])


@pytest.mark.long
@MANY
@given(history=histories)
async def test_tenant_gets_what_it_gets_alone(worlds: dict[bool, World], history: Any) -> None:
    """As in test_tenants_apart.py, by row-level security alone."""
    await check(worlds[True].api, history)
