"""Fields that only callers with a scope see: for others they do not exist, on any path. Shelves have one, `rent`."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from httpx2 import AsyncClient, Response

from service.resources.declaration import Change, DeclarationError, Hooks, Transition
from service.security.api_keys.commands import create_key
from tests.engine.api import SHELVES, Api, Json, problem, running, unique
from tests.engine.tables import gadgets
from tests.shop.resources import shelves

ANY = {"If-Match": "*"}
RENT = "100.00"
KEY_SECONDS = 0.1


class Callers(NamedTuple):
    """One caller who sees the rent, and one who does not."""

    insider: AsyncClient
    outsider: AsyncClient


@pytest.fixture(scope="module")
async def api(database_url: str) -> AsyncIterator[Api]:
    scopes = ("shop:read", "shop:write", "shop:internal")
    async with running(database_url, scopes=scopes, security={"key_cache_seconds": KEY_SECONDS}) as api:
        yield api


@pytest.fixture(scope="module")
async def callers(api: Api) -> AsyncIterator[Callers]:
    async with api.database.session() as session:
        _, key = await create_key(session, name="outsider", scopes=("shop:read", "shop:write"))
    headers = {"Authorization": f"Bearer {key}"}
    async with AsyncClient(
        transport=api.client._transport, base_url=api.client.base_url, headers=headers
    ) as outsider:
        yield Callers(api.client, outsider)


async def shelf(api: Api, **values: Any) -> Json:
    values = {"slug": unique("seen").lower(), "name": "Shelf", "rent": RENT} | values
    made: Json = (await api.make("shelves", **values)).json()
    return made


async def test_member_is_absent_from_every_representation(api: Api, callers: Callers) -> None:
    item = await shelf(api)
    url = f"{SHELVES}/{item['id']}"
    changed = (await api.client.patch(url, json={"rent": "120.00"}, headers=ANY)).json()
    assert changed["rent"] == "120.00"
    by_slug = {"slug": item["slug"]}

    async def bodies(client: AsyncClient) -> dict[str, Json]:
        exported = await client.get(f"{SHELVES}/export", params=by_slug)
        patch: Json = {"op": "patch", "id": item["id"], "if_match": "*", "changes": {"name": "Shelf"}}
        bulk = await client.post(f"{SHELVES}/bulk", json={"operations": [patch]})
        return {
            "read": (await client.get(url)).json(),
            "cached": (await client.get(url)).json(),
            "as_of": (await client.get(url, params={"as_of": changed["updated_at"]})).json(),
            "list": (await client.get(SHELVES, params=by_slug)).json()["items"][0],
            "export": exported.json(),
            "patch": (await client.patch(url, json={}, headers=ANY)).json(),
            "bulk": bulk.json()["results"][0]["item"],
        }

    seen = await bodies(callers.insider)
    assert seen == dict.fromkeys(seen, changed)
    del changed["rent"]
    assert await bodies(callers.outsider) == dict.fromkeys(seen, changed)


async def test_history_shows_that_something_changed_but_not_what(api: Api, callers: Callers) -> None:
    url = f"{SHELVES}/{(await shelf(api))['id']}"
    await api.client.patch(url, json={"rent": "1.00"}, headers=ANY)

    async def changes(client: AsyncClient) -> list[set[str]]:
        items = (await client.get(f"{url}/history")).json()["items"]
        return [{change["field"] for change in item["changes"]} for item in items]

    assert await changes(callers.insider) == [{"rent"}, {"slug", "name", "description", "rent"}]
    assert await changes(callers.outsider) == [set(), {"slug", "name", "description"}]


async def test_lists_neither_filter_nor_sort_by_it(api: Api, callers: Callers) -> None:
    item = await shelf(api, rent="7654.32")
    for path in (SHELVES, f"{SHELVES}/export"):
        for query in ({"rent": "7654.32"}, {"rent__gte": "1"}, {"rent__isnull": "false"}):
            assert (await callers.insider.get(path, params=query)).status_code == 200
            refused = problem(await callers.outsider.get(path, params=query), 400, "invalid_parameter")
            assert refused["errors"] == [
                {"parameter": next(iter(query)), "message": "This parameter does not exist."}
            ]
        refused = problem(await callers.outsider.get(path, params={"sort": "rent"}), 400, "invalid_parameter")
        assert refused["errors"][0]["message"] == (
            "`rent` is not sortable; sortable fields are created_at, name."
        )
    found = await callers.insider.get(SHELVES, params={"rent": "7654.32", "sort": "-rent"})
    assert [one["id"] for one in found.json()["items"]] == [item["id"]]


async def test_field_cannot_be_written_and_stays_as_it_is(api: Api, callers: Callers) -> None:
    item = await shelf(api)
    url, outsider = f"{SHELVES}/{item['id']}", callers.outsider
    body = {"slug": item["slug"], "name": "Other", "rent": "1.00"}
    operations = [
        {"op": "create", "item": body},
        {"op": "patch", "id": item["id"], "if_match": "*", "changes": {"rent": "1.00"}},
    ]
    bulk = {"operations": operations}
    refusals: list[tuple[Response, list[str]]] = [
        (await outsider.post(SHELVES, json=body), ["/rent"]),
        (await outsider.put(url, json=body, headers=ANY), ["/rent"]),
        (await outsider.put(f"{SHELVES}/{uuid4()}", json=body, headers={"If-None-Match": "*"}), ["/rent"]),
        (await outsider.patch(url, json={"rent": "1.00"}, headers=ANY), ["/rent"]),
        (
            await outsider.post(f"{SHELVES}/bulk", json=bulk),
            ["/operations/0/item/rent", "/operations/1/changes/rent"],
        ),
    ]
    for response, pointers in refusals:
        errors = problem(response, 422, "validation_failed")["errors"]
        assert errors == [{"pointer": pointer, "message": "is not a known field"} for pointer in pointers]
    del body["rent"]
    assert "rent" not in (await outsider.put(url, json=body, headers=ANY)).json()
    after = (await callers.insider.get(url)).json()
    assert (after["name"], after["rent"]) == ("Other", RENT)


async def test_tags_of_one_caller_mean_nothing_to_another(api: Api, callers: Callers) -> None:
    url = f"{SHELVES}/{(await shelf(api))['id']}"
    inside, outside = [(await client.get(url)).headers["etag"] for client in callers]
    assert inside != outside
    for client, own, other in ((callers.insider, inside, outside), (callers.outsider, outside, inside)):
        assert (await client.get(url, headers={"If-None-Match": own})).status_code == 304
        assert (await client.get(url, headers={"If-None-Match": other})).status_code == 200
        problem(
            await client.patch(url, json={"name": "x"}, headers={"If-Match": other}),
            412,
            "precondition_failed",
        )


async def test_change_by_one_caller_is_seen_by_the_other(api: Api, callers: Callers) -> None:
    """Each caller's items are cached apart, and dropped together."""
    url = f"{SHELVES}/{(await shelf(api))['id']}"
    for name in ("a", "b"):
        await callers.insider.patch(url, json={"name": name}, headers=ANY)
        assert [(await client.get(url)).json()["name"] for client in callers] == [name, name]


async def test_replay_after_a_scope_was_lost_is_refused(api: Api, callers: Callers) -> None:
    """A subject is one principal, whatever scopes its next token has; here a key loses one."""
    scopes = ("shop:read", "shop:write", "shop:internal")
    async with api.database.session() as session:
        created, key = await create_key(session, name="both", scopes=scopes)
    slugs = [unique("lost").lower() for _ in range(2)]
    items = [{"slug": slug, "name": "Shelf"} for slug in slugs]
    bulk = {"operations": [{"op": "create", "item": items[1]}]}
    sent = [
        (path, body, {"Authorization": f"Bearer {key}", "Idempotency-Key": unique("lost")})
        for path, body in ((SHELVES, items[0]), (f"{SHELVES}/bulk", bulk))
    ]
    for path, body, headers in sent:
        first = await callers.outsider.post(path, json=body, headers=headers)
        again = await callers.outsider.post(path, json=body, headers=headers)
        assert '"rent":null' in first.text
        assert (again.text, again.headers["idempotency-replayed"]) == (first.text, "true")
    lose = "UPDATE api_key SET scopes = '{shop:read,shop:write}' WHERE prefix = $1"
    await api.database.fetch(lose, [created.prefix])
    by_slug, headers = {"slug": slugs[0]}, {"Authorization": f"Bearer {key}"}
    async with asyncio.timeout(20):
        while "rent" in (await callers.outsider.get(SHELVES, params=by_slug, headers=headers)).text:  # noqa: ASYNC110
            await asyncio.sleep(KEY_SECONDS)
    for path, body, headers in sent:
        problem(await callers.outsider.post(path, json=body, headers=headers), 422, "idempotency_key_reused")


async def test_document_says_who_sees_it(api: Api) -> None:
    document = api.app.openapi()
    schemas = document["components"]["schemas"]
    only = "Only with the scope `shop:internal`."
    for name in ("ShelfRead", "ShelfCreate", "ShelfPatch"):
        assert schemas[name]["properties"]["rent"]["description"].endswith(only)
        assert "rent" not in schemas[name].get("required", ())
    assert "default" not in schemas["ShelfRead"]["properties"]["rent"]
    parameters = {p["name"]: p["description"] for p in document["paths"][SHELVES]["get"]["parameters"]}
    assert parameters["rent__gte"].endswith(only)
    assert parameters["sort"].endswith("`rent` needs the scope `shop:internal`.")
    assert "shop:internal" in api.app.state.scopes


class SetsCode(Hooks):
    async def before_create(self, change: Change) -> None:
        change.values.setdefault("code", unique("set"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"visible": {"colour": "x:y"}}, "visible names colour, but Gadget has no such field"),
        ({"visible": {"title": "shop:read"}}, "all who read have this scope"),
        ({"visible": {"updated_by": "x:y"}}, "history and entity tags tell"),
        ({"visible": {"secret": "x:y"}}, "it is hidden from all"),
        ({"visible": {"rank": "x:y"}, "default_sort": "-rank"}, "every list is sorted by it"),
        ({"visible": {"group_id": "x:y"}}, "the list under the resource that it refers to tells it"),
        (
            {"visible": {"code": "x:y"}, "hooks": SetsCode()},
            "it has no default, so other callers could create no",
        ),
        (
            {
                "visible": dict(
                    zip(("title", "rank", "built", "price"), ("a:a", "b:b", "c:c", "d:d"), strict=True)
                )
            },
            "visible names more than 3 scopes",
        ),
        (
            {
                "visible": {"title": "x:y"},
                "readonly": ("title",),
                "actions": (Transition("name", field="title", source="a", target="b"),),
            },
            "the problem of the action name tells it; give the action this scope",
        ),
        (
            {
                "visible": {"title": "x:y"},
                "readonly": ("title",),
                "actions": (Transition("name", field="title", source="a", target="b", scope="x:z"),),
            },
            "the problem of the action name tells it; give the action this scope",
        ),
    ],
)
def test_field_that_others_would_notice_is_refused(changes: Json, told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        gadgets(**changes)


def test_searched_field_is_refused() -> None:
    with pytest.raises(DeclarationError, match="q= finds items by it"):
        replace(shelves, visible={"description": "x:y"})
