"""Actions: changes with a route of their own, on one locked item, with everything that changes have."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from httpx2 import Response

from service.http.content.schemas import Input
from service.http.problems import Conflict, FieldError, ValidationFailed
from service.resources.declaration import Action, Change, DeclarationError, Hooks, Transition
from service.security.api_keys.commands import create_key
from tests.engine.api import BASE, Api, Json, problem, running, unique
from tests.engine.conftest import Shop
from tests.engine.tables import Gadget, create_tables, gadgets, groups
from tests.engine.test_parallel import deadlocks
from tests.services import Client

GADGETS = f"{BASE}/gadgets"


class Weigh(Input):
    """How much to add."""

    grams: int


class TooHeavy(Conflict):
    """The gadget would weigh too much."""

    code, title = "too_heavy", "The gadget would weigh too much."


async def weigh(change: Change, gadget: Gadget, body: Weigh) -> None:
    """Adds to the weight, which clients cannot set."""
    if body.grams == 13:
        raise ValidationFailed(errors=[FieldError("is unlucky", pointer="/grams")])
    if gadget.weight + body.grams > 5:
        raise TooHeavy(f"{gadget.code} weighs {gadget.weight:g} already.")
    change.values["weight"] = gadget.weight + body.grams


async def rename_group(change: Change, gadget: Gadget) -> None:
    await change.connection.execute(
        'UPDATE "group" SET "select" = $1 WHERE id = $2', gadget.code, gadget.group_id
    )


async def spoil(change: Change, gadget: Gadget) -> None:
    await rename_group(change, gadget)
    raise TooHeavy


DEADLOCK = "DO $$ BEGIN RAISE deadlock_detected; END $$"
STUMBLED: list[str] = []


class Path(Input):
    """Where to go."""

    steps: list[int]


async def stumble(change: Change, gadget: Gadget, body: Path) -> None:
    """Loses the first time, as PostgreSQL rolls back one of two transactions that wait for each other."""
    change.values["weight"] = gadget.weight + body.steps.pop()
    if gadget.code not in STUMBLED:
        STUMBLED.append(gadget.code)
        await change.connection.execute(DEADLOCK)


async def recode(change: Change, gadget: Gadget) -> None:
    change.values["code"] = f"{gadget.code}-2"


async def withdraw(change: Change, _: Gadget) -> None:
    await change.connection.execute("UPDATE gadget SET deleted_at = now() WHERE id = $1", change.id)


async def withdraw_and_weigh(change: Change, gadget: Gadget) -> None:
    await withdraw(change, gadget)
    change.values["weight"] = 0


SEEN: list[Gadget] = []


async def look(_: Change, gadget: Gadget) -> None:
    SEEN.append(gadget)


class Recorder(Hooks):
    """Notes what hooks see, and sets a title on every update."""

    def __init__(self) -> None:
        self.seen: list[tuple[str | None, float, Json]] = []

    async def before_update(self, change: Change) -> None:
        change.values["title"] = f"by {change.action}"

    async def before_commit(self, change: Change) -> None:
        item = await change.current()
        if change.operation == "update":
            self.seen.append((change.action, item.weight, dict(change.values)))

    async def after_commit(self, change: Change) -> None:
        if change.operation == "update":
            self.seen.append((change.action, -1, {}))


ACTIONS = (
    Action("weigh", weigh, body=Weigh, problems=(TooHeavy,)),
    Action("rename_group", rename_group, scope="shop:write"),
    Action("spoil", spoil, problems=(TooHeavy,)),
    Action("stumble", stumble, body=Path),
    Action("withdraw", withdraw),
    Action("withdraw_and_weigh", withdraw_and_weigh),
    Action("look", look, scope="shop:read"),
    Action("seal", look, scope="shop:seal"),
    Transition("pack", field="rank", source=(None, 1), target=2, needs_tag=True),
)


def acting(**changes: Any) -> Any:
    given: Json = {"actions": ACTIONS, "readonly": ("weight", "rank"), "immutable": ()}
    return gadgets(**(given | changes))


@pytest.fixture(scope="module")
async def api(services: Client, worker: int) -> AsyncIterator[Api]:
    """One application for the tests that need no hooks."""
    name = f"actions_{worker}"
    url = services.create_database(name, migrated=True)
    await create_tables(url)
    async with running(url, (groups(), acting())) as api:
        yield api
    services.drop_database(name)


async def act(api: Api, item: Json, name: str, body: Json | None = None, **headers: str) -> Response:
    url = f"{GADGETS}/{item['id']}/{name}"
    return await api.client.post(url, json=body, headers={n.replace("_", "-"): v for n, v in headers.items()})


async def entries(api: Api, path: str) -> list[tuple[str, list[str]]]:
    """Return the actions in a history, newest first, with the fields that each changed."""
    items = (await api.client.get(f"{BASE}/{path}/history")).json()["items"]
    assert {item["actor"][:4] for item in items} == {"key:"}
    assert all(item["request_id"] for item in items)
    return [(item["action"], [change["field"] for change in item["changes"]]) for item in items]


async def test_action_changes_its_item_once_and_history_names_it(api: Api) -> None:
    made = await api.make("gadgets", code=unique("act"))
    item = made.json()
    done = await act(api, item, "weigh", {"grams": 2.0}, Idempotency_Key="k")  # an integer in JSON
    assert (done.status_code, done.json()["weight"], done.json()["version"]) == (200, 2, 2)
    again = await act(api, item, "weigh", {"grams": 2.0}, Idempotency_Key="k")
    assert (again.content, again.headers["etag"]) == (done.content, done.headers["etag"])
    assert again.headers["idempotency-replayed"] == "true"
    problem(await act(api, item, "weigh", {"grams": 3}, Idempotency_Key="k"), 422, "idempotency_key_reused")
    for body, status in (({"ignored": 1}, 200), ({"ignored": 1}, 200), ({"ignored": 2}, 422)):
        assert (await act(api, item, "look", body, Idempotency_Key="look")).status_code == status, body
    read = await api.client.get(f"{GADGETS}/{item['id']}")
    assert (read.content, read.headers["etag"]) == (done.content, done.headers["etag"])
    stale = await act(api, item, "weigh", {"grams": 1}, If_Match=made.headers["etag"])
    problem(stale, 412, "precondition_failed")
    assert await entries(api, f"gadgets/{item['id']}") == [("weigh", ["weight"]), ("create", ANY_FIELDS)]


ANY_FIELDS = ["code", "title", "weight", "colours"]


async def test_problem_of_an_action_undoes_it(api: Api) -> None:
    item = (await api.make("gadgets", code=unique("act"))).json()
    told = problem(await act(api, item, "weigh", {"grams": 6}), 409, "too_heavy")
    assert told["detail"] == f"{item['code']} weighs 0 already."
    problem(await act(api, item, "weigh", {"grams": "x"}), 422, "validation_failed")
    told = problem(await act(api, item, "weigh", {"grams": 13}), 422, "validation_failed")
    assert told["errors"] == [{"pointer": "/grams", "message": "is unlucky"}]
    operations = [{"op": "weigh", "id": item["id"], "if_match": "*", "body": {"grams": 13}}]
    bulk = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
    assert problem(bulk, 422, "validation_failed")["errors"] == [
        {"pointer": "/operations/0/body/grams", "message": "is unlucky"}
    ]
    problem(await act(api, item, "weigh"), 415, "unsupported_media_type")
    problem(await act(api, {"id": uuid4()}, "weigh", {"grams": 1}), 404, "not_found")
    await api.client.delete(f"{GADGETS}/{item['id']}", headers={"If-Match": "*"})
    problem(await act(api, item, "weigh", {"grams": 1}), 404, "not_found")


async def test_transition_names_the_states_it_needs(api: Api) -> None:
    made = await api.make("gadgets", code=unique("act"))
    problem(await act(api, made.json(), "pack"), 428, "precondition_required")
    packed = await act(api, made.json(), "pack", If_Match=made.headers["etag"])
    assert (packed.status_code, packed.json()["rank"]) == (200, 2)
    told = problem(await act(api, made.json(), "pack", If_Match="*"), 409, "wrong_state")
    assert told["detail"] == "rank is 2; it must be None or 1."


async def test_actions_on_one_item_take_turns(api: Api) -> None:
    item = (await api.make("gadgets", code=unique("act"))).json()
    done = await asyncio.gather(*(act(api, item, "weigh", {"grams": 1}) for _ in range(8)))
    assert sorted(response.status_code for response in done) == [200] * 5 + [409] * 3
    assert (await api.client.get(f"{GADGETS}/{item['id']}")).json()["weight"] == 5


async def test_action_may_change_other_rows_and_not_its_own(api: Api) -> None:
    group = (await api.make("groups", order=unique("act"))).json()
    made = await api.make("gadgets", code=unique("act"), group_id=group["id"])
    done = await act(api, made.json(), "rename-group")
    assert (done.status_code, done.json(), done.headers["etag"]) == (200, made.json(), made.headers["etag"])
    assert (await api.client.get(f"{BASE}/groups/{group['id']}")).json()["select"] == made.json()["code"]
    assert await entries(api, f"groups/{group['id']}") == [
        ("update", ["select"]),
        ("create", ["order", "select"]),
    ]


async def test_action_that_deletes_its_item_returns_it(api: Api) -> None:
    alone, in_bulk = [(await api.make("gadgets", code=unique("g"))).json() for _ in range(2)]
    returned = await act(api, alone, "withdraw")
    assert (returned.status_code, returned.json()["code"]) == (200, alone["code"])
    operations = [{"op": "withdraw", "id": in_bulk["id"], "if_match": "*"}]
    done = await api.client.post(f"{GADGETS}/bulk", json={"mode": "atomic", "operations": operations})
    assert done.json()["results"][0]["item"]["code"] == in_bulk["code"]
    for item in (alone, in_bulk):
        problem(await api.client.get(f"{GADGETS}/{item['id']}"), 404, "not_found")


async def test_action_that_sets_fields_of_its_deleted_item_is_reported_as_a_bug(api: Api) -> None:
    made = await api.make("gadgets", code=unique("g"))
    with structlog.testing.capture_logs([structlog.processors.format_exc_info]) as lines:
        problem(await act(api, made.json(), "withdraw-and-weigh"), 500, "internal_error")
    reasons = [line["exception"].splitlines()[-1] for line in lines if line["log_level"] == "error"]
    assert [reason.partition("HookError: ")[2] for reason in reasons] == [
        "gadgets.withdraw_and_weigh sets weight of an item that it deletes or gives away"
    ]
    assert (await api.client.get(f"{GADGETS}/{made.json()['id']}")).json() == made.json()


async def test_bulk_runs_actions_after_patches_and_before_deletions(api: Api) -> None:
    heavy, light = [(await api.make("gadgets", code=unique("act"))).json()["id"] for _ in range(2)]
    operations: list[Json] = [
        {"op": "delete", "id": light, "if_match": "*"},
        {"op": "weigh", "id": heavy, "if_match": "*", "body": {"grams": 9}},
        {"op": "pack", "id": heavy, "if_match": "*", "body": {}},
        {"op": "create", "item": {"code": unique("act")}},
    ]
    told = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations[2:]})
    assert problem(told, 422, "validation_failed")["errors"][0]["pointer"] == "/operations/0/body"
    del operations[2]
    told = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
    assert problem(told, 409, "too_heavy")["errors"][0]["pointer"] == "/operations/1"
    done = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations, "mode": "partial"})
    assert [result["status"] for result in done.json()["results"]] == [204, 409, 201]
    operations = [
        {"op": "weigh", "id": heavy, "if_match": "*", "body": {"grams": 3}},
        {"op": "create", "item": {"code": unique("act")}},
    ]
    done = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
    results = done.json()["results"]
    assert [result["status"] for result in results] == [200, 201]
    read = await api.client.get(f"{GADGETS}/{heavy}")
    assert (results[0]["item"], results[0]["etag"]) == (read.json(), read.headers["etag"])
    assert (await entries(api, f"gadgets/{heavy}"))[0] == ("weigh", ["weight"])
    stale = [{"op": "weigh", "id": heavy, "if_match": '"1-x"', "body": {"grams": 1}}]
    problem(await api.client.post(f"{GADGETS}/bulk", json={"operations": stale}), 412, "precondition_failed")


async def test_writes_of_a_refused_action_are_undone(api: Api) -> None:
    group = (await api.make("groups", order=unique("act"))).json()
    spoiled, other = [
        (await api.make("gadgets", code=unique("act"), group_id=group["id"])).json() for _ in range(2)
    ]
    problem(await act(api, spoiled, "spoil"), 409, "too_heavy")
    operations = [
        {"op": "spoil", "id": spoiled["id"], "if_match": "*"},
        {"op": "weigh", "id": other["id"], "if_match": "*", "body": {"grams": 1}},
    ]
    done = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations, "mode": "partial"})
    assert [result["status"] for result in done.json()["results"]] == [409, 200]
    assert (await api.client.get(f"{BASE}/groups/{group['id']}")).json() == group


async def test_action_that_lost_a_deadlock_is_run_again(api: Api) -> None:
    first, second = [(await api.make("gadgets", code=unique("act"))).json() for _ in range(2)]
    done = await act(api, first, "stumble", {"steps": [2, 1]})
    assert (done.status_code, done.json()["weight"]) == (200, 1), "it takes the same step again"
    operations = [{"op": "stumble", "id": second["id"], "if_match": "*", "body": {"steps": [2, 1]}}]
    done = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
    assert (done.status_code, done.json()["results"][0]["item"]["weight"]) == (200, 1)
    assert await entries(api, f"gadgets/{second['id']}") == [("stumble", ["weight"]), ("create", ANY_FIELDS)]


async def test_item_that_others_begin_to_refer_to_can_be_changed(api: Api) -> None:
    """The check of a foreign key keeps other transactions from changing the id, and from nothing else."""
    item = (await api.make("gadgets", code=unique("act"))).json()
    patch = {"op": "patch", "id": item["id"], "if_match": "*", "changes": {"title": "new"}}
    async with api.database.transaction() as connection:
        await connection.execute("SELECT FROM gadget WHERE id = $1 FOR KEY SHARE", UUID(item["id"]))
        for done in (
            await act(api, item, "weigh", {"grams": 1}),
            await api.client.post(f"{GADGETS}/bulk", json={"operations": [patch]}),
        ):
            assert done.status_code == 200, done.text


async def test_actions_in_bulk_take_their_locks_in_one_order(api: Api) -> None:
    ids = [(await api.make("gadgets", code=unique("act"))).json()["id"] for _ in range(12)]

    async def look_at(order: list[str]) -> int:
        operations = [{"op": "look", "id": item_id, "if_match": "*"} for item_id in order]
        done = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
        return done.status_code

    before = await deadlocks(api)
    for _ in range(3):
        orders = [ids[turn:] + ids[:turn] for turn in range(4)] + [ids[::-1]] * 4
        assert set(await asyncio.gather(*map(look_at, orders))) == {200}
    assert await deadlocks(api) == before


async def test_action_cannot_change_an_immutable_field(shop: Shop) -> None:
    api = await shop(groups(), gadgets(actions=(Action("recode", recode),)))
    made = await api.make("gadgets", code=unique("act"))
    with structlog.testing.capture_logs() as lines:
        problem(await act(api, made.json(), "recode"), 500, "internal_error")
    assert [line["event"] for line in lines] == ["request failed"]
    assert (await api.client.get(f"{GADGETS}/{made.json()['id']}")).content == made.content


async def test_scope_of_an_action_is_needed_in_bulk_too_and_is_enough(api: Api) -> None:
    item = (await api.make("gadgets", code=unique("act"))).json()
    SEEN.clear()
    problem(await act(api, item, "seal"), 403, "forbidden")
    operations = [{"op": "seal", "id": item["id"], "if_match": "*"}]
    told = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
    assert problem(told, 403, "forbidden")["detail"] == "The scope shop:seal is needed."
    done = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations, "mode": "partial"})
    assert [result["status"] for result in done.json()["results"]] == [403]
    assert SEEN == []
    async with api.database.session() as session:
        _, key = await create_key(session, name="seals", scopes=["shop:seal"])
    assert (await act(api, item, "seal", Authorization=f"Bearer {key}")).status_code == 200


async def test_hooks_see_what_an_action_changes(shop: Shop) -> None:
    hooks = Recorder()
    api = await shop(groups(), acting(hooks=hooks))
    item = (await api.make("gadgets", code=unique("act"))).json()
    done = await act(api, item, "weigh", {"grams": 2})
    assert (done.json()["title"], done.json()["weight"]) == ("by weigh", 2)
    seen = [("weigh", 2, {"weight": 2, "title": "by weigh"}), ("weigh", -1, {})]
    assert hooks.seen == seen
    operations = [{"op": "weigh", "id": item["id"], "if_match": "*", "body": {"grams": -2}}]
    await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
    assert hooks.seen[2:] == [("weigh", 0, {"weight": 0, "title": "by weigh"}), ("weigh", -1, {})]


async def test_action_gets_the_values_of_an_orm_session(api: Api) -> None:
    given: Json = {
        "code": unique("act"),
        "built": "2026-01-31",
        "price": "1.50",
        "notes": {"a": [1]},
        "secret": "s",
    }
    made = (await api.make("gadgets", **given)).json()
    SEEN.clear()
    assert (await act(api, made, "look")).status_code == 200
    async with api.database.session() as session:
        stored = await session.get(Gadget, SEEN[0].id)
    assert stored is not None
    assert SEEN[0].model_dump() == stored.model_dump()
    assert (SEEN[0].built, SEEN[0].price, SEEN[0].notes) == (date(2026, 1, 31), Decimal("1.50"), {"a": [1]})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"actions": (Action("Weigh", weigh),)}, "needs lowercase words with underscores"),
        ({"actions": (Action("patch", weigh),)}, "patch is an operation already"),
        ({"actions": (Action("weigh", weigh), Action("weigh", weigh))}, "weigh is an operation already"),
        ({"actions": (Action("weigh"),)}, "the action weigh does nothing"),
        ({"actions": (Transition("pack", field="size", source=1, target=2),)}, "pack changes size"),
        ({"readonly": ("weight",)}, "pack guards rank, but clients can set it themselves"),
        ({"actions": (Transition("pack", field="rank", target=2),)}, "pack can never happen"),
    ],
)
def test_action_that_cannot_work_is_refused(changes: Json, told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        acting(**changes)
