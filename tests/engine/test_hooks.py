"""Hooks: what they may change and undo, and when they are called."""

from uuid import UUID, uuid4

import orjson
import pytest

from service.database import Database
from service.http.problems import FieldError, ValidationFailed
from service.resources.declaration import Change, Hooks
from tests.engine.api import BASE, Api, Json, problem
from tests.engine.conftest import Shop
from tests.engine.tables import gadgets, groups

ANY = {"If-Match": "*"}
GADGETS = f"{BASE}/gadgets"


class Recorder(Hooks):
    """Hooks that record their calls, set a title, and refuse codes that begin with `bad` or `late`."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, UUID]] = []
        self.seen_after: list[int] = []
        self.database: Database | None = None

    async def before_create(self, change: Change) -> None:
        self._refuse(change, "bad")
        self._hear("before", change)
        change.values["title"] += f"made by {change.principal.id[:3]}"

    async def before_update(self, change: Change) -> None:
        self._hear("before", change)
        if change.values.get("rank") == 13:
            raise ValidationFailed(errors=[FieldError("is unlucky", pointer="/rank")])
        if "rank" in change.values:
            change.values["title"] = f"rank {change.values['rank']}"

    async def before_delete(self, change: Change) -> None:
        self._hear("before", change)

    async def before_commit(self, change: Change) -> None:
        self._refuse(change, "late")
        self._hear("commit", change)
        rows = await change.connection.fetch("SELECT 1 FROM gadget WHERE id = $1", change.id)
        assert rows, "the change is not there yet"

    async def after_commit(self, change: Change) -> None:
        self._hear("after", change)
        assert self.database is not None
        rows = await self.database.fetch("SELECT 1 FROM gadget WHERE id = $1", [change.id])
        self.seen_after.append(len(rows))

    def _hear(self, when: str, change: Change) -> None:
        orjson.dumps(change.id)  # does not write the driver's own UUIDs
        self.heard.append((when, change.operation, change.id))

    def _refuse(self, change: Change, word: str) -> None:
        if str(change.values.get("code", "")).startswith(word):
            raise ValidationFailed(errors=[FieldError(f"is {word}", pointer="/code")])

    def take(self) -> list[tuple[str, str]]:
        """Return the calls since the last time."""
        heard, self.heard = self.heard, []
        return [(when, operation) for when, operation, _ in heard]


@pytest.fixture
def hooks() -> Recorder:
    return Recorder()


@pytest.fixture
async def api(shop: Shop, hooks: Recorder) -> Api:
    api = await shop(groups(), gadgets(hooks=hooks))
    hooks.database = api.database
    return api


async def make(api: Api, code: str) -> Json:
    made: Json = (await api.make("gadgets", code=code)).json()
    return made


def all_of(operation: str) -> list[tuple[str, str]]:
    return [(when, operation) for when in ("before", "commit", "after")]


async def test_hooks_run_around_every_change(api: Api, hooks: Recorder) -> None:
    item = await make(api, "a")
    assert item["title"] == "made by key"
    assert hooks.take() == all_of("create")
    url = f"{GADGETS}/{item['id']}"
    patched = await api.client.patch(url, json={"rank": 7}, headers=ANY)
    assert (patched.json()["rank"], patched.json()["title"]) == (7, "rank 7")
    assert hooks.take() == all_of("update")
    await api.client.put(url, json={"code": "a", "rank": 8}, headers=ANY)
    assert (await api.client.get(url)).json()["title"] == "rank 8"
    assert hooks.take() == all_of("update")
    assert (await api.client.delete(url, headers=ANY)).status_code == 204
    assert hooks.take() == all_of("delete")
    assert (await api.client.post(f"{url}/restore")).status_code == 200
    assert hooks.take() == all_of("update")
    put = await api.client.put(f"{GADGETS}/{uuid4()}", json={"code": "b"}, headers={"If-None-Match": "*"})
    assert (put.status_code, put.json()["title"]) == (201, "made by key")
    assert hooks.take() == all_of("create")
    assert set(hooks.seen_after) == {1}


async def test_problem_raised_by_a_hook_rolls_back_the_change(api: Api, hooks: Recorder) -> None:
    for code in ("bad", "late"):
        body = problem(await api.client.post(GADGETS, json={"code": code}), 422, "validation_failed")
        assert body["errors"] == [{"pointer": "/code", "message": f"is {code}"}]
    assert ("after", "create") not in hooks.take()
    assert (await api.client.get(GADGETS)).json()["items"] == []
    item = await make(api, "a")
    unlucky = await api.client.patch(f"{GADGETS}/{item['id']}", json={"rank": 13}, headers=ANY)
    problem(unlucky, 422, "validation_failed")
    assert (await api.client.get(f"{GADGETS}/{item['id']}")).json() == item


async def test_after_hooks_do_not_run_without_a_change(api: Api, hooks: Recorder) -> None:
    item = await make(api, "a")
    url = f"{GADGETS}/{item['id']}"
    hooks.take()
    stale = await api.client.patch(url, json={"rank": 1}, headers={"If-Match": '"9-x"'})
    problem(stale, 412, "precondition_failed")
    same = await api.client.patch(url, json={"weight": 0.0}, headers=ANY)
    assert (same.status_code, same.json()) == (200, item)
    operations = [{"op": "patch", "id": item["id"], "if_match": "*", "changes": {"weight": 0.0}}]
    bulk = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
    assert bulk.json()["results"][0]["item"] == item
    problem(await api.client.delete(f"{GADGETS}/{uuid4()}", headers=ANY), 404, "not_found")
    problem(await api.client.post(f"{url}/restore"), 409, "not_deleted")
    problem(await api.client.post(GADGETS, json={"code": "a"}), 409, "duplicate")
    assert {when for when, _ in hooks.take()} == {"before"}


async def test_hook_may_put_other_values_in_their_place(shop: Shop) -> None:
    class Replacing(Hooks):
        async def before_create(self, change: Change) -> None:
            change.values = {**change.values, "title": "made"}

        async def before_update(self, change: Change) -> None:
            change.values = {"title": "changed"}

    api = await shop(groups(), gadgets(hooks=Replacing()))
    item = await make(api, "a")
    patched = await api.client.patch(f"{GADGETS}/{item['id']}", json={"rank": 1}, headers=ANY)
    operations: list[Json] = [
        {"op": "create", "item": {"code": "b"}},
        {"op": "patch", "id": item["id"], "if_match": "*", "changes": {"title": "x", "rank": 1}},
    ]
    bulk = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
    items = [item, patched.json(), *(result["item"] for result in bulk.json()["results"])]
    assert [item["title"] for item in items] == ["made", "changed", "made", "changed"]
    assert [item["rank"] for item in items[1:]] == [item["rank"]] * 3


async def test_sql_error_in_a_hook_becomes_a_problem(shop: Shop) -> None:
    class Clumsy(Hooks):
        async def before_commit(self, change: Change) -> None:
            await change.connection.execute(
                "INSERT INTO gadget SELECT (jsonb_populate_record(g, jsonb_build_object('id', gen_random_uuid()))).* "
                "FROM gadget g WHERE id = $1",
                change.id,
            )

    api = await shop(groups(), gadgets(hooks=Clumsy()))
    problem(await api.client.post(GADGETS, json={"code": "a"}), 409, "duplicate")
    assert (await api.client.get(GADGETS)).json()["items"] == []


async def test_idempotent_create_runs_hooks_once(api: Api, hooks: Recorder) -> None:
    responses = [
        await api.client.post(GADGETS, json={"code": "a"}, headers={"Idempotency-Key": "k"}) for _ in range(2)
    ]
    assert responses[0].content == responses[1].content
    assert hooks.take().count(("after", "create")) == 1


async def test_bulk_runs_hooks_for_each_operation(api: Api, hooks: Recorder) -> None:
    changed, removed = await make(api, "c"), await make(api, "r")
    hooks.take()

    def operations(*codes: str) -> list[Json]:
        return [
            *({"op": "create", "item": {"code": code}} for code in codes),
            {"op": "patch", "id": changed["id"], "if_match": "*", "changes": {"rank": 7}},
            {"op": "delete", "id": removed["id"], "if_match": "*"},
        ]

    refused = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations("x", "bad")})
    assert problem(refused, 422, "validation_failed")["errors"][0]["pointer"] == "/operations/1/item/code"
    assert {when for when, _ in hooks.take()} == {"before"}
    late = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations("late")})
    problem(late, 422, "validation_failed")
    assert ("after", "create") not in hooks.take()
    assert len((await api.client.get(GADGETS)).json()["items"]) == 2

    partial = {"mode": "partial", "operations": operations("x", "bad", "x")}
    results = (await api.client.post(f"{GADGETS}/bulk", json=partial)).json()["results"]
    assert [r["status"] for r in results] == [201, 422, 409, 200, 204]
    assert (results[0]["item"]["title"], results[3]["item"]["title"]) == ("made by key", "rank 7")
    heard = hooks.take()
    assert sorted(op for when, op in heard if when == "after") == ["create", "delete", "update"]
    assert set(hooks.seen_after) == {1}


async def test_bulk_patch_without_changes_runs_no_after_hook(api: Api, hooks: Recorder) -> None:
    item = await make(api, "a")
    hooks.take()
    operation = {"op": "patch", "id": item["id"], "if_match": "*", "changes": {"weight": 0.0}}
    response = await api.client.post(f"{GADGETS}/bulk", json={"operations": [operation]})
    assert response.json()["results"][0]["item"] == item
    assert {when for when, _ in hooks.take()} == {"before"}
