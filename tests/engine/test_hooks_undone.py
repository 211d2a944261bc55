"""Writes of hooks are rolled back with a refused change, and only then."""

from uuid import uuid4

import asyncpg
import pytest
from fastapi import HTTPException

from service.http.problems import NotFound, Problem, ValidationFailed
from service.resources.declaration import Change, Hooks
from tests.engine.api import BASE, Json, problem
from tests.engine.conftest import Shop
from tests.engine.tables import gadgets, groups

GADGETS = f"{BASE}/gadgets"
NOTE = """
INSERT INTO idempotency_record (principal, key, fingerprint, status, headers, body)
VALUES ($1, $1, '', 0, '{}', '')
"""


class Outbox(Hooks):
    """Hooks that write a row before each update, and refuse the code `broken` after a failed statement."""

    async def before_update(self, change: Change) -> None:
        await change.connection.execute(NOTE, str(uuid4()))

    async def before_create(self, change: Change) -> None:
        if str(change.values["code"]).startswith("broken"):
            try:
                await change.connection.execute("SELECT 1 / 0")
            except asyncpg.DivisionByZeroError:
                raise ValidationFailed("It cannot be computed.") from None


async def test_refused_changes_roll_back_their_hooks(shop: Shop) -> None:
    api = await shop(groups(), gadgets(hooks=Outbox()))
    made: Json = (await api.client.post(GADGETS, json={"code": "a"})).json()
    url = f"{GADGETS}/{made['id']}"
    stale = {"If-Match": '"stale"'}
    problem(await api.client.patch(url, json={"rank": 1}, headers=stale), 412, "precondition_failed")
    problem(await api.client.patch(f"{GADGETS}/{uuid4()}", json={"rank": 1}, headers=stale), 404, "not_found")
    problem(await api.client.put(url, json={"code": "a"}, headers=stale), 412, "precondition_failed")
    assert await api.database.fetch("SELECT 1 FROM idempotency_record") == []
    assert (await api.client.patch(url, json={"rank": 1}, headers={"If-Match": "*"})).status_code == 200
    assert len(await api.database.fetch("SELECT 1 FROM idempotency_record")) == 1


async def test_failed_hook_statement_affects_only_its_operation(shop: Shop) -> None:
    api = await shop(groups(), gadgets(hooks=Outbox()))
    operations = [{"op": "create", "item": {"code": code}} for code in ("a", "broken", "b")]
    response = await api.client.post(f"{GADGETS}/bulk", json={"mode": "partial", "operations": operations})
    assert [result["status"] for result in response.json()["results"]] == [201, 422, 201]


async def test_omitted_list_is_unavailable_under_its_parents(shop: Shop) -> None:
    api = await shop(groups(), gadgets(without=frozenset({"list"})))
    paths = [path for path in (await api.client.get("/openapi.json")).json()["paths"] if "gadgets" in path]
    assert paths
    assert not [path for path in paths if path.startswith(f"{BASE}/groups/")]


class Refusing(Hooks):
    """Hooks that refuse a change with an HTTPException or a problem."""

    def __init__(self) -> None:
        self.error: Exception = HTTPException(409, {"why": "closed"}, headers={"Retry-After": "60"})

    async def before_create(self, change: Change) -> None:
        if change.values["code"] == "refused":
            raise self.error

    async def before_update(self, _: Change) -> None:
        raise self.error

    async def before_commit(self, change: Change) -> None:
        if change.values.get("code") == "late":
            raise self.error


async def test_exception_in_a_hook_refuses_only_its_operation(shop: Shop) -> None:
    hooks = Refusing()
    api = await shop(groups(), gadgets(hooks=hooks))
    operations = [{"op": "create", "item": {"code": code}} for code in ("a", "refused", "b")]
    body: Json = {"mode": "partial", "operations": operations}
    results = (await api.client.post(f"{GADGETS}/bulk", json=body)).json()["results"]
    assert [result["status"] for result in results] == [201, 409, 201]
    assert results[1]["problem"]["context"] == {"why": "closed"}
    operations = [{"op": "create", "item": {"code": code}} for code in ("c", "refused")]
    for operations_or_item in ({"operations": operations}, {"code": "refused"}, {"code": "late"}):
        url = f"{GADGETS}/bulk" if "operations" in operations_or_item else GADGETS
        refused = await api.client.post(url, json=operations_or_item)
        assert problem(refused, 409, "conflict")["context"] == {"why": "closed"}
        assert refused.headers["retry-after"] == "60"
    assert len((await api.client.get(GADGETS)).json()["items"]) == 2


@pytest.mark.parametrize("error", [NotFound("No such customer."), HTTPException(404, "No such customer.")])
async def test_not_found_from_a_hook_is_not_the_items(shop: Shop, error: Problem | HTTPException) -> None:
    hooks = Refusing()
    hooks.error = error
    api = await shop(groups(), gadgets(hooks=hooks))
    url = (await api.client.post(GADGETS, json={"code": "a"})).headers["location"]
    for response in (
        await api.client.put(url, json={"code": "a"}, headers={"If-Match": "*"}),
        await api.client.patch(url, json={"rank": 1}, headers={"If-Match": "*"}),
        await api.client.post(f"{url}/restore"),
    ):
        assert problem(response, 404, "not_found")["detail"] == "No such customer."
