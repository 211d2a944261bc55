"""Owners over HTTP: a tenant sees and changes its own items, and learns nothing of the others'."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlmodel import Field

from service.models.indexes import sort_index
from service.resources.declaration import DeclarationError, Owner, RestResource
from service.resources.imports.importer import Importer
from service.resources.statements.ownership import Owners
from service.security.api_keys.commands import create_key
from tests.engine.api import BASE, PARCELS, Api, Json, engine_of, problem, running, unique
from tests.engine.tables import ShopTable
from tests.shop.resources import articles, parcels, shelves

ANY = {"If-Match": "*"}
SCOPES = ("shop:read", "shop:write")


class Booking(ShopTable, table=True):
    """A room is booked once, by any tenant."""

    __table_args__ = (
        ExcludeConstraint(("room", "="), name="no_overlap"),
        sort_index("booking", "created_at"),
    )

    tenant: str = Field(max_length=60)
    room: int


Tenant = AsyncClient
MakeTenant = Callable[..., Awaitable[Tenant]]


@pytest.fixture(scope="module")
async def api(database_url: str) -> AsyncIterator[Api]:
    async with running(database_url) as api:
        yield api


@pytest.fixture(scope="module")
async def caller(api: Api) -> AsyncIterator[MakeTenant]:
    """`await caller("shop:read", tenant="acme")` is a client whose key has this scope and this claim."""
    clients = []

    async def make(*scopes: str, **claims: str) -> Tenant:
        async with api.database.session() as session:
            _, key = await create_key(session, name="owners", scopes=scopes or SCOPES, claims=claims)
        transport = ASGITransport(api.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key}"}
        clients.append(AsyncClient(transport=transport, base_url="http://slipway.test", headers=headers))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture(scope="module")
async def acme(caller: MakeTenant) -> Tenant:
    return await caller(tenant="acme")


@pytest.fixture(scope="module")
async def globex(caller: MakeTenant) -> Tenant:
    return await caller(tenant="globex")


@pytest.fixture(scope="module")
async def boss(caller: MakeTenant) -> Tenant:
    return await caller(*SCOPES, "parcels:all")


async def pack(tenant: Tenant, **item: object) -> Json:
    made = await tenant.post(PARCELS, json={"number": unique("P"), "note": "brass", **item})
    assert made.status_code == 201, made.text
    parcel: Json = made.json()
    return parcel


async def test_service_writes_the_owner(acme: Tenant, caller: MakeTenant) -> None:
    parcel = await pack(acme)
    assert parcel["tenant"] == "acme"
    for method, url in (("post", PARCELS), ("patch", f"{PARCELS}/{parcel['id']}")):
        body = {"number": unique("P"), "tenant": "globex"} if method == "post" else {"tenant": "globex"}
        refused = problem(await acme.request(method, url, json=body, headers=ANY), 422, "validation_failed")
        assert refused["errors"] == [{"message": "is set by the service", "pointer": "/tenant"}]
    assert (await acme.get(f"{PARCELS}/{parcel['id']}")).json()["tenant"] == "acme"


def _patch(item: str) -> Json:
    return {"op": "patch", "id": item, "if_match": "*", "changes": {"note": "mine"}}


def _bulk(mode: str, *operations: Json) -> Json:
    return {"mode": mode, "operations": list(operations)}


# Requests about an item, by its id: (method, path, body, more headers).
ABOUT_AN_ITEM: list[tuple[str, str, Callable[[str], Json | None], Json]] = [
    ("GET", "/{id}", lambda _: None, {}),
    ("GET", "/{id}", lambda _: None, {"If-None-Match": "*"}),
    ("GET", "/{id}?as_of=2999-01-01T00:00:00Z", lambda _: None, {}),
    ("GET", "/{id}?expand=bundle", lambda _: None, {}),
    ("GET", "/{id}/history", lambda _: None, {}),
    ("GET", "/{id}/parcels", lambda _: None, {}),
    ("PATCH", "/{id}", lambda _: {"note": "mine"}, ANY),
    ("PATCH", "/{id}", lambda _: {}, ANY),
    ("PUT", "/{id}", lambda _: {"number": "P-mine"}, ANY),
    ("PUT", "/{id}", lambda _: {"number": "P-mine"}, {"If-None-Match": "*"}),
    ("DELETE", "/{id}", lambda _: None, ANY),
    ("POST", "/{id}/restore", lambda _: None, {}),
    ("POST", "/{id}/send", lambda _: None, {}),
    ("POST", "", lambda item: {"number": "P-child", "bundle_id": item}, {}),
    ("POST", "", lambda item: {"number": "P-child", "bundle_id": item}, {"Idempotency-Key": "child"}),
    ("POST", "/bulk", lambda item: _bulk("atomic", _patch(item)), {}),
    ("POST", "/bulk", lambda item: _bulk("partial", _patch(item)), {}),
    ("POST", "/bulk", lambda i: _bulk("partial", {"op": "delete", "id": i, "if_match": "*"}), {}),
    ("POST", "/bulk", lambda i: _bulk("partial", {"op": "send", "id": i, "if_match": "*"}), {}),
    (
        "POST",
        "/bulk",
        lambda i: _bulk("partial", {"op": "create", "item": {"number": "C", "bundle_id": i}}),
        {},
    ),
    ("GET", "?bundle_id={id}&count=exact", lambda _: None, {}),
    ("GET", "?id__in={id}&count=estimated", lambda _: None, {}),
    ("GET", "/export?id__in={id}", lambda _: None, {}),
]
MISSING = str(UUID(int=2**127))


def shown(response: Response, item: str) -> Json:
    """What a response shows, without the id that was asked for and the request's own."""
    text = response.text.replace(item, "ID")
    headers = {
        name: response.headers[name].replace(item, "ID")
        for name in ("etag", "link")
        if name in response.headers
    }
    lines = [line for line in text.split(",") if "request_id" not in line]
    return {"status": response.status_code, "headers": headers, "lines": lines}


@pytest.mark.parametrize("gone", [False, True], ids=["there", "deleted"])
async def test_item_of_another_owner_is_like_one_that_does_not_exist(
    acme: Tenant, globex: Tenant, *, gone: bool
) -> None:
    parcel = await pack(acme)
    url = f"{PARCELS}/{parcel['id']}"
    await pack(acme, bundle_id=parcel["id"]) if not gone else await acme.delete(url, headers=ANY)
    before = [(await acme.get(f"{url}{more}")).text for more in ("", "/history")]
    for method, path, body, headers in ABOUT_AN_ITEM:
        seen = []
        for item in (parcel["id"], MISSING):
            content = body(item)
            more: dict[str, Any] = {} if content is None else {"json": content}
            response = await globex.request(
                method, PARCELS + path.replace("{id}", item), headers=headers, **more
            )
            seen.append(shown(response, item))
        assert seen[0] == seen[1], (method, path)
        assert seen[0]["status"] < 500, (method, path, seen)
    after = [(await acme.get(f"{url}{more}")).text for more in ("", "/history")]
    assert [line.split('"request_id"')[0] for line in after] == [
        line.split('"request_id"')[0] for line in before
    ]


async def test_relations_lead_to_own_items_only(api: Api, acme: Tenant, globex: Tenant) -> None:
    parcel, own = await pack(acme), await pack(globex)
    bundled = await pack(globex, bundle_id=own["id"])
    url = f"{PARCELS}/{bundled['id']}"
    expansions = (f"{url}?expand=bundle", f"{PARCELS}?expand=bundle&id__in={bundled['id']}")
    for query in expansions:
        assert f'"bundle":{{"id":"{own["id"]}"' in (await globex.get(query)).text
    found = await globex.get(f"{PARCELS}?bundle.number={own['number']}&count=exact")
    assert found.json()["total"] == 1
    past_the_api = "UPDATE tests_parcel SET bundle_id = $1 WHERE id = $2"
    await api.database.fetch(past_the_api, [UUID(parcel["id"]), UUID(bundled["id"])])
    for query in expansions:
        assert '"bundle":null' in (await globex.get(query, headers={"Cache-Control": "no-cache"})).text
    for more in (f"bundle.number={parcel['number']}", "bundle.number__in=" + parcel["number"]):
        page = (await globex.get(f"{PARCELS}?{more}&count=exact")).json()
        assert (page["items"], page["total"]) == ([], 0)


async def test_own_item_does_not_move_below_anothers(acme: Tenant, globex: Tenant) -> None:
    parcel, own = await pack(acme), await pack(globex)
    url = f"{PARCELS}/{own['id']}"
    changes: Json = {"bundle_id": parcel["id"]}
    bulk = _bulk("partial", {"op": "patch", "id": own["id"], "if_match": "*", "changes": changes})
    refusal = {"message": "refers to an item that does not exist", "pointer": "/bundle_id"}
    for response in (
        await globex.patch(url, json=changes, headers=ANY),
        await globex.put(url, json={"number": own["number"], **changes}, headers=ANY),
    ):
        assert problem(response, 422, "validation_failed")["errors"] == [refusal]
    (result,) = (await globex.post(f"{PARCELS}/bulk", json=bulk)).json()["results"]
    assert result["problem"]["errors"] == [{**refusal, "pointer": "/operations/0/changes/bundle_id"}]
    own_bundle = await pack(globex)
    moved = await globex.patch(url, json={"bundle_id": own_bundle["id"]}, headers=ANY)
    assert moved.json()["bundle_id"] == own_bundle["id"]


async def test_lists_show_own_items(caller: MakeTenant) -> None:
    one, other = await caller(tenant=unique("one")), await caller(tenant=unique("other"))
    theirs = [await pack(other, weight=n) for n in (1, 2, 3)]
    own = [await pack(one, weight=n) for n in (2, 4, 6)]
    lists = (
        "",
        "?q=brass",
        "?sort=-weight",
        f"?tenant={theirs[0]['tenant']}",
        "?weight__lte=3",
        "?sort=weight&limit=2",
    )
    counts = [3, 3, 3, 0, 1, 3]
    for query, count in zip(lists, counts, strict=True):
        for kind in ("exact", "estimated"):
            page = (await one.get(f"{PARCELS}{query}{'&' if query else '?'}count={kind}")).json()
            assert page["total"] == count, (query, kind)
            assert {item["id"] for item in page["items"]} <= {item["id"] for item in own}
    exported = (await one.get(f"{PARCELS}/export?sort=weight")).text.splitlines()
    assert [item["id"] for item in own] == [line.split('"id":"')[1][:36] for line in exported]


async def test_cursors_belong_to_the_owner(acme: Tenant, globex: Tenant) -> None:
    for tenant in (acme, acme, globex, globex):
        await pack(tenant)
    cursor = (await acme.get(f"{PARCELS}?limit=1")).json()["next_cursor"]
    assert (await acme.get(f"{PARCELS}?limit=1&cursor={cursor}")).status_code == 200
    problem(await globex.get(f"{PARCELS}?limit=1&cursor={cursor}"), 400, "invalid_cursor")


async def test_unique_values_are_unique_for_each_owner(acme: Tenant, globex: Tenant) -> None:
    parcel = await pack(acme)
    body = {"number": parcel["number"]}
    assert (await globex.post(PARCELS, json=body)).status_code == 201
    taken = [{"message": "is already used by another item", "pointer": "/number"}]
    assert problem(await acme.post(PARCELS, json=body), 409, "duplicate")["errors"] == taken
    bulk = _bulk("partial", {"op": "create", "item": body})
    (result,) = (await acme.post(f"{PARCELS}/bulk", json=bulk)).json()["results"]
    assert [error["pointer"] for error in result["problem"]["errors"]] == ["/operations/0/item/number"]


async def test_cached_item_is_its_owners(acme: Tenant, globex: Tenant, boss: Tenant) -> None:
    parcel = await pack(acme)
    url = f"{PARCELS}/{parcel['id']}"
    readers = (acme, globex, boss, globex, acme, boss)
    assert [(await reader.get(url)).status_code for reader in readers] == [200, 404, 200, 404, 200, 200]
    assert (await globex.get(url, headers={"Cache-Control": "no-cache"})).status_code == 404


async def test_key_is_replayed_for_its_tenant_only(api: Api, caller: MakeTenant) -> None:
    """One principal may act for several tenants, as a subject with several tokens does."""
    mover = await caller(tenant="first")
    key = {"Idempotency-Key": unique("moved")}
    body = {"number": unique("P")}
    first = await mover.post(PARCELS, json=body, headers=key)
    item = f"{PARCELS}/{first.json()['id']}"
    sent = [await mover.post(f"{item}/send", headers={"Idempotency-Key": "send"}) for _ in range(2)]
    assert [response.status_code for response in sent] == [200, 200]
    verifier = api.app.state.gate._verifiers[0]  # the key moves to another tenant
    await api.database.fetch(
        "UPDATE api_key SET claims = $1 WHERE claims ->> 'tenant' = 'first'", ['{"tenant": "second"}']
    )
    verifier._verified.clear()
    second = await mover.post(PARCELS, json=body, headers=key)
    assert (second.status_code, second.json()["tenant"]) == (201, "second")
    assert "idempotency-replayed" not in second.headers
    problem(await mover.post(f"{item}/send", headers={"Idempotency-Key": "send"}), 404, "not_found")


async def test_caller_without_the_claim_gets_a_clear_problem(caller: MakeTenant, acme: Tenant) -> None:
    parcel = await pack(acme)
    stranger = await caller()
    for method, path, _, headers in ABOUT_AN_ITEM:
        url = PARCELS + path.replace("{id}", parcel["id"])
        refused = problem(await stranger.request(method, url, headers=headers), 403, "forbidden")
        assert refused["detail"] == "Each parcel has an owner: the credential needs the claim tenant."
    assert (await stranger.get(f"{BASE}/shelves")).status_code == 200


async def test_scope_of_the_owner_sees_all(acme: Tenant, boss: Tenant) -> None:
    parcel = await pack(acme)
    url = f"{PARCELS}/{parcel['id']}"
    assert (await boss.patch(url, json={"weight": 9}, headers=ANY)).json()["tenant"] == "acme"
    assert len((await boss.get(f"{url}/history")).json()["items"]) == 2
    assert parcel["id"] in {
        item["id"] for item in (await boss.get(f"{PARCELS}?id__in={parcel['id']}")).json()["items"]
    }
    assert (await boss.delete(url, headers=ANY)).status_code == 204
    assert (await boss.post(f"{url}/restore")).status_code == 200
    problem(await boss.post(PARCELS, json={"number": "P"}), 403, "forbidden")
    bulk = _bulk("partial", {"op": "create", "item": {"number": "P"}}, _patch(parcel["id"]))
    results = (await boss.post(f"{PARCELS}/bulk", json=bulk)).json()["results"]
    assert [result["status"] for result in results] == [403, 200]


async def test_history_of_a_moved_item(api: Api, acme: Tenant, globex: Tenant, boss: Tenant) -> None:
    """Who gets an item does not see its past, and who had it sees nothing any more."""
    parcel = await pack(acme)
    url = f"{PARCELS}/{parcel['id']}"
    await api.database.fetch("UPDATE tests_parcel SET tenant = 'globex' WHERE id = $1", [UUID(parcel["id"])])
    then = f"{url}?as_of={parcel['updated_at']}"
    for tenant, versions in ((acme, []), (globex, [2]), (boss, [2, 1])):
        history = await tenant.get(f"{url}/history")
        assert [one["version"] for one in history.json().get("items", [])] == versions
        assert (await tenant.get(then)).status_code == (200 if tenant is boss else 404)
        assert (await tenant.get(url)).status_code == (404 if tenant is acme else 200)
    # In images from before the column was renamed, the owner is under the old name.
    renamed = """UPDATE row_history SET row = replace(row::text, '"tenant"', '"customer"')::jsonb WHERE row_id = $1"""
    await api.database.fetch(renamed, [UUID(parcel["id"])])
    items = (await globex.get(f"{url}/history")).json()["items"]
    assert [(one["version"], one["changes"][0]["after"]) for one in items] == [(2, "globex")]
    await api.database.fetch("UPDATE tests_parcel SET tenant = 'acme' WHERE id = $1", [UUID(parcel["id"])])
    newest = (await acme.get(f"{url}/history?limit=1")).json()
    rest = (await acme.get(f"{url}/history", params={"cursor": newest["next_cursor"]})).json()
    assert [one["version"] for page in (newest, rest) for one in page["items"]] == [3, 1]


async def test_import_keeps_owners(api: Api, acme: Tenant) -> None:
    """Commands act as the service: they see all rows, and no item of theirs is without an owner."""
    parcel = await pack(acme)
    lines = [{"tenant": "initech", "number": unique("P"), "bundle_id": parcel["id"]}, {"number": unique("P")}]
    report = io.BytesIO()
    importer = Importer(engine_of(api, parcels), report=report)
    tally = await importer.run(io.BytesIO(b"\n".join(map(orjson.dumps, lines))))
    assert (tally.added, tally.wrong) == (1, 1)
    assert orjson.loads(report.getvalue())["errors"] == [{"message": "is required", "pointer": "/tenant"}]


REFUSED: list[tuple[Callable[[], object], str]] = [
    (
        lambda: replace(parcels, owner=Owner("renter", claim="tenant")),
        "owner names renter, but Parcel has no such",
    ),
    (
        lambda: replace(parcels, owner=Owner("id", claim="x")),
        "parcels: owner names id, which every resource has; name a field of Parcel",
    ),
    (
        lambda: replace(parcels, immutable=("tenant",)),
        "tenant is set by the service; leave it out of immutable",
    ),
    (lambda: replace(parcels, owner=Owner("bundle_id", claim="x")), "bundle_id is nullable"),
    (lambda: replace(parcels, owner=Owner("status", claim="x")), "owners are texts, integers or UUIDs"),
    (lambda: replace(parcels, owner=Owner("tenant")), "tenant holds principals, so it must be a text of 512"),
    (lambda: replace(parcels, owner=Owner("tenant", claim="org..id")), "which no credential can have"),
    (lambda: replace(parcels, owner=Owner("tenant", claim="x", all_scope="All")), "is not a valid scope"),
    (
        lambda: replace(parcels, owner=Owner("note", claim="x")),
        "uq_tests_parcel_tenant_number would tell a caller",
    ),
    (
        lambda: RestResource(
            model=Booking, path="bookings", scopes=parcels.scopes, owner=Owner("tenant", claim="x")
        ),
        "no_overlap would tell a caller",
    ),
    (
        lambda: Owners(
            (parcels, replace(parcels, path="all-parcels", name="All", owner=None, readonly=("status",)))
        ),
        "another owner",
    ),
]


@pytest.mark.parametrize(("declare", "said"), REFUSED)
def test_declaration_that_would_show_items_to_others_is_refused(
    declare: Callable[[], object], said: str
) -> None:
    with pytest.raises(DeclarationError) as raised:
        declare()
    assert said in str(raised.value)


def test_resource_below_one_with_an_owner_needs_one() -> None:
    with pytest.raises(
        DeclarationError, match="shelf_id refers to rows that have owners, so articles needs an owner"
    ):
        Owners((replace(shelves, owner=Owner("slug", claim="x")), articles))
