"""Items that are created together with their children: groups with their gadgets, all or none."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from service.http.problems import Conflict
from service.main import create_app
from service.resources.declaration import Change, DeclarationError, Hooks, RestResource, Scopes
from service.security.api_keys.commands import create_key
from tests.engine.api import BASE, PARCELS, Api, Json, domain_of, problem, running, settings_for, unique
from tests.engine.tables import create_tables, gadgets, groups
from tests.services import Client
from tests.shop.resources import parcels

GROUPS, GADGETS = f"{BASE}/groups", f"{BASE}/gadgets"
PARENT = groups(children={"gadgets": "gadgets"})
KEY_SECONDS = 0.1
READ, WRITE, PARTS, INTERNAL = "shop:read", "shop:write", "parts:write", "shop:internal"


class Log(Hooks):
    """Notes each call; refuses a gadget that is too heavy, and marks the group of each gadget."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name
        self.calls = calls

    async def before_create(self, change: Change) -> None:
        if change.values.get("weight", 0) > 9:
            raise Conflict("It is too heavy.")
        self.calls.append(f"before {self.name}")

    async def before_commit(self, change: Change) -> None:
        self.calls.append(f"commit {self.name}")
        if "group_id" in change.values:
            await change.connection.execute(
                'UPDATE "group" SET "select" = "select" || \'+\', version = version + 1 WHERE id = $1',
                change.values["group_id"],
            )

    async def after_commit(self, change: Change) -> None:
        self.calls.append(f"after {self.name}: {change.operation}")


class Running(NamedTuple):
    """An application, the calls of its hooks, and a caller who may neither create gadgets nor see their price."""

    api: Api
    calls: list[str]
    stranger: dict[str, str]


@pytest.fixture(scope="module")
async def served(services: Client, worker: int) -> AsyncIterator[Running]:
    name, calls = f"children_{worker}", list[str]()
    url = services.create_database(name, migrated=True)
    await create_tables(url)
    parents = replace(PARENT, hooks=Log("group", calls))
    parts = gadgets(
        hooks=Log("gadget", calls),
        readonly=("rank",),
        visible={"price": INTERNAL},
        scopes=Scopes(read=READ, write=PARTS),
    )
    try:
        scopes, cached = (READ, WRITE, PARTS, INTERNAL), {"key_cache_seconds": KEY_SECONDS}
        async with running(url, (parents, parts), scopes, security=cached) as api:
            async with api.database.session() as session:
                _, key = await create_key(session, name="stranger", scopes=(READ, WRITE))
            yield Running(api, calls, {"Authorization": f"Bearer {key}"})
    finally:
        services.drop_database(name)


def new(*codes: str, **more: Any) -> Json:
    return {"order": unique("a"), "gadgets": [{"code": code, **more} for code in codes]}


async def test_item_and_children_are_created_in_one_request(served: Running) -> None:
    client = served.api.client
    first, second = unique("a"), unique("b")
    made = await client.post(GROUPS, json=new(first, second, colours=["red"], price="1.50"))
    assert made.status_code == 201, made.text
    item = made.json()
    children = item.pop("gadgets")
    read = await client.get(made.headers["location"])
    assert (read.json(), read.headers["etag"]) == (item, made.headers["etag"])
    assert made.headers["location"] == f"{GROUPS}/{item['id']}"
    assert [(child["code"], child["colours"], child["price"]) for child in children] == [
        (first, ["red"], "1.50"), (second, ["red"], "1.50"),
    ]  # fmt: skip
    under = await client.get(f"{GROUPS}/{item['id']}/gadgets", params={"sort": "created_at"})
    assert under.json()["items"] == children
    entries = [
        (await client.get(f"{path}/history")).json()["items"][-1]
        for path in (made.headers["location"], *(f"{GADGETS}/{child['id']}" for child in children))
    ]
    assert [entry["action"] for entry in entries] == ["create"] * 3
    assert len({(entry["actor"], entry["request_id"]) for entry in entries}) == 1


async def test_children_may_be_left_out(served: Running) -> None:
    for body in ({"order": unique("a")}, {"order": unique("a"), "gadgets": []}):
        made = await served.api.client.post(GROUPS, json=body, headers=served.stranger)
        assert (made.status_code, made.json()["gadgets"]) == (201, [])


async def test_hooks_run_for_each_row_and_the_response_shows_what_they_did(served: Running) -> None:
    served.calls.clear()
    made = await served.api.client.post(GROUPS, json=new(unique("a"), unique("b")))
    assert made.status_code == 201, made.text
    assert served.calls == [
        "before group", "before gadget", "before gadget", "commit gadget", "commit gadget", "commit group",
        "after gadget: create", "after gadget: create", "after group: create",
    ]  # fmt: skip
    assert (made.json()["select"], made.json()["version"]) == ("++", 3)


async def test_problems_point_into_the_list_and_undo_everything(served: Running) -> None:
    api = served.api
    taken, order = unique("taken"), unique("once")
    await api.make("gadgets", code=taken)
    invalid = "validation_failed"
    for children, status, code, pointer, words in (
        ([{"code": "x"}, {"code": ""}], 422, invalid, "/gadgets/1/code", "at least 1"),
        (
            [{"code": "x"}] * 99 + [{"code": "y", "rank": 1}],
            422,
            invalid,
            "/gadgets/99/rank",
            "is set by the service",
        ),
        ([{"code": "x", "group_id": None}], 422, invalid, "/gadgets/0/group_id", "is not a known"),
        ([{"code": "x"}, {"code": taken}], 409, "duplicate", "/gadgets/1/code", "is already used"),
        ([{"code": "x"}, {"code": "x"}], 409, "duplicate", "/gadgets/1/code", "is already used"),
        ([{"code": "x"}, {"code": "y", "weight": 10}], 409, "conflict", "/gadgets/1", "It is too heavy."),
        ([{"code": f"{n}"} for n in range(101)], 422, invalid, "/gadgets", "at most 100"),
    ):
        response = await api.client.post(GROUPS, json={"order": order, "gadgets": children})
        (error,) = problem(response, status, code)["errors"]
        assert error["pointer"] == pointer
        assert words in error["message"]
    assert (await api.client.get(GROUPS, params={"order": order})).json()["items"] == []
    assert (await api.client.get(GADGETS, params={"code__in": ["x", "y"]})).json()["items"] == []
    both = problem(await api.client.post(GROUPS, json={"order": "", "gadgets": [{}]}), 422, invalid)
    assert [error["pointer"] for error in both["errors"]] == ["/order", "/gadgets/0/code"]


async def test_repeated_request_creates_once(served: Running) -> None:
    client = served.api.client
    body, headers = new(unique("a"), unique("b")), {"Idempotency-Key": unique("nested")}
    first = await client.post(GROUPS, json=body, headers=headers)
    again = await client.post(GROUPS, json=body, headers=headers)
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"


async def test_replay_after_a_scope_of_the_children_was_lost_is_refused(served: Running) -> None:
    async with served.api.database.session() as session:
        made, key = await create_key(session, name="both", scopes=(READ, WRITE, PARTS, INTERNAL))
    body = new(unique("a"))
    only_key = {"Authorization": f"Bearer {key}"}
    headers = {**only_key, "Idempotency-Key": unique("nested")}
    first = await served.api.client.post(GROUPS, json=body, headers=headers)
    assert "price" in first.json()["gadgets"][0]
    await served.api.database.fetch(
        f"UPDATE api_key SET scopes = '{{{READ},{WRITE},{PARTS}}}' WHERE prefix = $1", [made.prefix]
    )
    async with asyncio.timeout(20):
        while "price" in (await served.api.client.get(GADGETS, headers=only_key)).text:  # noqa: ASYNC110
            await asyncio.sleep(KEY_SECONDS)
    again = await served.api.client.post(GROUPS, json=body, headers=headers)
    problem(again, 422, "idempotency_key_reused")


async def test_large_request_is_read_as_any_other(served: Running) -> None:
    codes = [unique("large") for _ in range(100)]
    body = new(*codes, notes={"text": "x" * 3000})
    made = await served.api.client.post(GROUPS, json=body)
    assert made.status_code == 201, made.text
    assert [(child["code"], child["notes"]) for child in made.json()["gadgets"]] == [
        (code, {"text": "x" * 3000}) for code in codes
    ]


async def test_children_need_their_own_scope(served: Running) -> None:
    response = await served.api.client.post(GROUPS, json=new("x"), headers=served.stranger)
    assert problem(response, 403, "forbidden")["detail"] == f"The scope {PARTS} is needed."


async def test_field_that_the_caller_does_not_see_is_in_no_child(served: Running) -> None:
    async with served.api.database.session() as session:
        _, key = await create_key(session, name="maker", scopes=(READ, WRITE, PARTS))
    maker = {"Authorization": f"Bearer {key}"}
    made = await served.api.client.post(GROUPS, json=new(unique("a")), headers=maker)
    assert "price" not in made.json()["gadgets"][0]
    response = await served.api.client.post(GROUPS, json=new("x", price="1.00"), headers=maker)
    assert problem(response, 422, "validation_failed")["errors"] == [
        {"pointer": "/gadgets/0/price", "message": "is not a known field"}
    ]


def app(*resources: RestResource) -> Any:
    return create_app(settings_for("postgresql://nobody@127.0.0.1:1/nothing"), domain_of(*resources))


def test_document_has_the_list_in_the_request_and_the_response() -> None:
    document = app(PARENT, gadgets()).openapi()
    schemas, creation = document["components"]["schemas"], document["paths"][GROUPS]["post"]
    body = creation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    answer = creation["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert schemas[body]["required"] == ["order"]
    assert schemas[body]["properties"]["gadgets"]["items"] == {
        "$ref": "#/components/schemas/GroupGadgetsCreate"
    }
    assert "group_id" not in schemas["GroupGadgetsCreate"]["properties"]
    assert schemas[answer]["properties"]["gadgets"]["items"] == {"$ref": "#/components/schemas/GadgetRead"}
    assert "gadgets" not in schemas["GroupRead"]["properties"]
    assert "gadgets" not in schemas["GroupCreate"]["properties"]


@pytest.mark.parametrize(
    ("children", "more", "told"),
    [
        ({"order": "gadgets"}, (gadgets(),), "children cannot be called order"),
        ({"parts": "parts"}, (gadgets(),), "parts are parts, but no resource has this path"),
        ({"parts": "groups"}, (gadgets(),), "which have 0 foreign keys to group instead of one"),
    ],
)
def test_children_that_cannot_be_created_are_refused(
    children: dict[str, str], more: tuple[RestResource, ...], told: str
) -> None:
    with pytest.raises(DeclarationError, match=told):
        app(groups(children=children), *more)


def test_children_of_items_that_are_not_created_are_refused() -> None:
    with pytest.raises(
        DeclarationError, match="children are created with an item, but without leaves create out"
    ):
        groups(children={"gadgets": "gadgets"}, without=frozenset({"create"}))


async def key_of_acme(api: Api) -> dict[str, str]:
    async with api.database.session() as session:
        _, key = await create_key(session, name="acme", scopes=(READ, WRITE), claims={"tenant": "acme"})
    return {"Authorization": f"Bearer {key}"}


async def test_children_belong_to_the_caller_too(database_url: str) -> None:
    """Parcels have an owner, and a parcel can be packed into another one."""
    children = {"parts": "parcels", "boxes": "boxes"}
    plain = replace(parcels, expand={}, filterable=("number",))
    boxes = replace(plain, path="boxes", name="Box", singular="box", scopes=Scopes(READ, "boxes:write"))
    resource = replace(plain, children=children)
    async with running(database_url, (resource, boxes), (READ, WRITE)) as api:
        acme = await key_of_acme(api)
        body = {"number": unique("P"), "parts": [{"number": unique("P")}, {"number": unique("P")}]}
        made = await api.client.post(PARCELS, json=body, headers=acme)
        assert made.status_code == 201, made.text
        shown = [(part["tenant"], part["bundle_id"]) for part in made.json()["parts"]]
        assert shown == [("acme", made.json()["id"])] * 2
        mixed = body | {"boxes": [{"number": unique("P")}]}
        refused = problem(await api.client.post(PARCELS, json=mixed, headers=acme), 403, "forbidden")
        assert refused["detail"] == "The scope boxes:write is needed."


@pytest.mark.parametrize(
    ("change", "tenant"), [("deleted_at = now()", "acme"), ("tenant = 'other'", "other")], ids=str
)
async def test_item_that_a_hook_takes_from_the_caller_is_created(
    database_url: str, change: str, tenant: str
) -> None:
    class Taking(Hooks):
        async def before_commit(self, created: Change) -> None:
            sql = f"UPDATE tests_parcel SET {change}, version = version + 1 WHERE id = $1"
            await created.connection.execute(sql, created.id)

    resource = replace(parcels, hooks=Taking(), cache=None)
    async with running(database_url, (resource,), (READ, WRITE)) as api:
        acme = await key_of_acme(api)
        made = await api.client.post(PARCELS, json={"number": unique("P")}, headers=acme)
        assert made.status_code == 201, made.text
        assert (made.json()["tenant"], made.json()["version"], made.json()["parts"]) == (tenant, 2, [])
        problem(await api.client.get(made.headers["location"], headers=acme), 404, "not_found")
