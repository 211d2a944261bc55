"""The caller's features, and the administration of flags through the API."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from service.database import Database
from service.features.flag_store import FlagStore
from tests.api.conftest import MakeClient, unique
from tests.api.test_items import problem

FEATURES, FLAGS = "/api/v1/features", "/api/v1/feature-flags"
ANY = {"If-Match": "*"}
FLAG = f"{FLAGS}/value_of_active"


@pytest.fixture
async def boss(client_with: MakeClient) -> AsyncIterator[AsyncClient]:
    """An administrator of flags; all flags are unset in the end."""
    boss = await client_with("features:admin", "features:read", "shop:read", "shop:write")
    yield boss
    for item in (await boss.get(FLAGS)).json()["items"]:
        assert (await boss.delete(f"{FLAGS}/{item['name']}", headers=ANY)).status_code == 204


async def feature(client: AsyncClient, name: str) -> dict[str, Any]:
    items = (await client.get(FEATURES)).json()["items"]
    return next(item for item in items if item["name"] == name)


async def put(client: AsyncClient, url: str, etag: str = "*", **body: Any) -> Response:
    return await client.put(url, json=body, headers={"If-Match": etag})


async def changed(app: FastAPI) -> None:
    """Read the flags as the job does."""
    store: FlagStore = app.state.flags
    await store.refresh()


async def test_flag_is_set_guarded_unset_and_its_history_names_who(
    boss: AsyncClient, client_with: MakeClient
) -> None:
    first = await boss.get(FLAG)
    unset = first.json()
    assert (unset["default"], unset["value"], unset["type"]) == (False, None, "boolean")
    problem(await boss.put(FLAG, json={"value": True}), 428, "precondition_required")
    done = await put(boss, FLAG, first.headers["etag"], value=True)
    assert (done.status_code, done.json()["value"]) == (200, True)
    assert done.headers["etag"] != first.headers["etag"]
    problem(await put(boss, FLAG, first.headers["etag"], value=False), 412, "precondition_failed")
    other = await client_with("features:admin")
    rule = {"percent": 10.5, "value": False}
    assert (await put(other, FLAG, done.headers["etag"], value=True, rules=[rule])).status_code == 200
    assert (await boss.get(FLAG)).json()["rules"] == [rule]
    for _ in range(2):  # the second one changes nothing
        assert (await boss.delete(FLAG, headers=ANY)).status_code == 204
    again = (await boss.get(FLAG)).json()
    assert (again["value"], again["rules"]) == (None, [])
    changes = (await boss.get(f"{FLAG}/history")).json()["items"][:3]
    assert [(one["action"], one["value"], one["rules"]) for one in changes] == [
        ("unset", None, []), ("set", True, [rule]), ("set", True, []),
    ]  # fmt: skip
    assert len({one["actor"] for one in changes}) == 2
    assert all(one["actor"].startswith("key:") and one["request_id"] for one in changes)


async def test_bounds_of_names_and_etags_are_held(boss: AsyncClient) -> None:
    shortest = {"value": False, "principals": ["a"], "claims": {"b": ["c"]}}
    done = await put(boss, FLAG, value=True, rules=[shortest])
    assert (done.status_code, done.json()["rules"]) == (200, [shortest])
    for empty in ({"principals": [""]}, {"claims": {"": ["c"]}}):
        problem(await put(boss, FLAG, value=True, rules=[{"value": False} | empty]), 422, "validation_failed")
    problem(await put(boss, FLAG, done.headers["etag"].strip('"'), value=True), 400, "invalid_parameter")


async def test_caller_sees_a_change_within_a_second(boss: AsyncClient) -> None:
    assert (await feature(boss, "greeting"))["reason"] == "default"
    assert (await put(boss, f"{FLAGS}/greeting", value="ciao")).status_code == 200
    await asyncio.sleep(1)
    seen = await feature(boss, "greeting")
    assert seen == {"name": "greeting", "value": "ciao", "variant": "value", "reason": "static"}


async def test_domain_code_follows_the_flag(app: FastAPI, boss: AsyncClient) -> None:
    body = {"slug": unique("flags").lower(), "name": "Flags"}
    shelf = (await boss.post("/api/v1/shelves", json=body)).json()["id"]
    article = {"sku": unique("FLAG"), "name": "Lamp", "price": "2", "stock": 3, "shelf_id": shelf}
    assert (await boss.post("/api/v1/articles", json=article)).status_code == 201
    for value, worth in ((False, "6.00"), (True, "0")):
        assert (await put(boss, FLAG, value=value)).status_code == 200
        await changed(app)
        assert (await boss.get(f"/api/v1/shelves/{shelf}/summary")).json()["value"] == worth


async def test_rule_for_one_principal(app: FastAPI, boss: AsyncClient, client_with: MakeClient) -> None:
    one, other = await client_with("features:read"), await client_with("features:read")
    prefix = one.headers["authorization"].split("_")[1]
    rules = [{"principals": [f"key:{prefix}"], "value": 7}]
    assert (await put(boss, f"{FLAGS}/page_size", rules=rules)).status_code == 200
    await changed(app)
    assert (await feature(one, "page_size"))["value"] == 7
    assert (await feature(other, "page_size"))["value"] == 20


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"value": 1}, "/value"),
        ({"rules": [{"percent": 1, "value": "x"}]}, "/rules/0/value"),
        ({"rules": [{"value": True}]}, "/rules/0"),
        ({"rules": [{"percent": 101, "value": True}]}, "/rules/0/percent"),
        ({"rules": [{"percent": 1, "value": True}] * 21}, "/rules"),
        ({"valeu": True}, "/valeu"),
    ],
)
async def test_wrong_values_are_refused_and_change_nothing(
    boss: AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    before = (await boss.get(FLAG)).headers["etag"]
    [error] = problem(await put(boss, FLAG, **body), 422, "validation_failed")["errors"]
    assert error["pointer"] == pointer
    assert (await boss.get(FLAG)).headers["etag"] == before


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_unknown_flag_names_similar_ones(boss: AsyncClient, method: str) -> None:
    response = await boss.request(method, f"{FLAGS}/value_of_activ", headers=ANY)
    detail = problem(response, 404, "not_found")["detail"]
    assert detail == "There is no feature flag value_of_activ. Did you mean value_of_active?"


async def test_stored_value_of_another_type_is_ignored(
    app: FastAPI, boss: AsyncClient, database: Database
) -> None:
    """As after a rollback to a version in which the flag had another type."""
    assert (await put(boss, f"{FLAGS}/page_size", value=7)).status_code == 200
    await database.fetch("""UPDATE feature_flag SET value = '"many"' WHERE name = 'page_size' RETURNING 1""")
    await changed(app)
    assert (await feature(boss, "page_size"))["value"] == 20


async def test_concurrent_first_changes_do_not_collide(boss: AsyncClient) -> None:
    """One of those that saw the same state wins."""
    url = f"{FLAGS}/discount"
    etag = (await boss.get(url)).headers["etag"]
    responses = await asyncio.gather(*(put(boss, url, etag, value=number) for number in range(1, 5)))
    assert sorted(response.status_code for response in responses) == [200, 412, 412, 412]


async def test_setting_is_for_administrators_and_takes_no_rules(boss: AsyncClient) -> None:
    names = [item["name"] for item in (await boss.get(FLAGS)).json()["items"]]
    assert {"logging_access", "logging_access_sample", "logging_level"} <= set(names)
    assert "logging_level" not in [item["name"] for item in (await boss.get(FEATURES)).json()["items"]]
    response = await put(boss, f"{FLAGS}/logging_level", rules=[{"percent": 10, "value": "debug"}])
    assert problem(response, 422, "validation_failed")["errors"][0]["pointer"] == "/rules"
