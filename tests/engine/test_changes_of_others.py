"""Rules change items of other resources in one transaction: with their hooks, history, owners and problems."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from fastapi import Request
from httpx2 import Response

from service.actor import Actor, acting_as
from service.http.middleware.state import KEY, RequestState
from service.http.problems import Duplicate
from service.resources.units import UnitOfWork
from tests.engine import units
from tests.engine.api import ARTICLES, PARCELS, SHELVES, Api, Json, problem, running, unique
from tests.engine.wire import Wire, wire_to, without_jobs
from tests.shop.models import Article, Parcel, Shelf

HISTORY = """
SELECT table_name, action, actor FROM row_history WHERE request_id = $1 ORDER BY table_name, at
"""


class Running(NamedTuple):
    api: Api
    wire: Wire

    async def article(self, **more: Any) -> Response:
        """Create an article on a shelf of its own; `shelf_id` names another."""
        sku, shelf = unique("UNIT"), more.pop("shelf_id", None) or await self.api.shelf()
        body = {"sku": sku, "name": "Lamp", "price": "1", "shelf_id": shelf, **more}
        units.calls.clear()
        return await self.api.client.post(ARTICLES, json=body)

    async def parcels(self, number: str) -> list[Json]:
        found: list[Json] = (await self.api.client.get(PARCELS, params={"number": number})).json()["items"]
        return found

    async def shelf(self, shelf_id: str) -> Json:
        found: Json = (await self.api.client.get(f"{SHELVES}/{shelf_id}")).json()
        return found

    async def step(self, article: Json, model: str, call: str, **more: Any) -> Response:
        """Run the action `step`, which makes one call."""
        units.calls.clear()
        url = f"{ARTICLES}/{article['id']}/step"
        return await self.api.client.post(url, json={"model": model, "call": call, **more})


@pytest.fixture(scope="module")
async def served(database_url: str) -> AsyncIterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        without_jobs(patch)
        async with wire_to(database_url) as wire, running(wire.url, units.RESOURCES) as api:
            yield Running(api, wire)


async def test_hook_changes_other_items_as_requests_would(served: Running) -> None:
    made = await served.article()
    assert made.status_code == 201, made.text
    article = made.json()
    assert units.calls == [
        "before article create", "commit article create", "before shelf update", "commit shelf update",
        "before parcel create", "commit parcel create",
        "after shelf update", "after parcel create", "after article create",
    ]  # fmt: skip
    (parcel,) = await served.parcels(article["sku"])
    assert (parcel["tenant"], parcel["note"], parcel["status"]) == ("tests", "Lamp", "packed")
    shelf = await served.shelf(article["shelf_id"])
    assert (shelf["description"], shelf["version"]) == ("1", 2)
    assert shelf["updated_by"] == parcel["created_by"] == article["created_by"]
    rows = await served.api.database.fetch(HISTORY, [made.headers["x-request-id"]], reads=True)
    assert [tuple(row) for row in rows] == [
        ("tests_article", "create", article["created_by"]),
        ("tests_parcel", "create", article["created_by"]),
        ("tests_shelf", "update", article["created_by"]),
    ]


async def test_call_takes_one_statement_in_a_savepoint(served: Running) -> None:
    await served.article()  # prepares the statements
    shelf = await served.api.shelf()
    with served.wire.counted() as statements:
        assert (await served.article(shelf_id=shelf)).status_code == 201
    kinds = [text.split()[0].rstrip(";") for text in statements]
    nested = ["SAVEPOINT", "WITH", "RELEASE"]
    assert kinds == ["BEGIN", "WITH", "SELECT", *nested, *nested, "COMMIT"], statements


async def test_cached_item_is_dropped_when_a_hook_changes_it(served: Running) -> None:
    shelf = await served.api.shelf()
    for count in range(1, 3):
        assert (await served.shelf(shelf))["version"] == count
        await served.article(shelf_id=shelf)
    assert (await served.shelf(shelf))["description"] == "2"


async def test_problem_names_the_other_item_and_undoes_everything(served: Running) -> None:
    api, sku, shelf = served.api, unique("TAKEN"), await served.api.shelf()
    await api.make("parcels", number=sku)
    taken = problem(await served.article(sku=sku, shelf_id=shelf), 409, "duplicate")
    assert taken["detail"] == "A parcel cannot be created: number is already used by another item"
    assert "errors" not in taken
    assert (await served.shelf(shelf))["version"] == 1
    assert not [call for call in units.calls if call.startswith("after")]
    refused = problem(await served.article(name="refused", shelf_id=shelf), 422, "validation_failed")
    assert refused["detail"] == "No such article."


async def test_calls_are_validated(served: Running) -> None:
    """A value that breaks a rule is the caller's problem, by the field's name; a wrong field is a bug."""
    article = (await served.article()).json()
    for more, status, code, detail in (
        ({"model": "parcel", "call": "create", "values": {"number": "x" * 41}}, 422, "validation_failed",
         "A parcel cannot be created: number must have at most 40 characters"),
        ({"model": "shelf", "call": "update", "id": str(uuid4()), "values": {"name": "x"}}, 404, "not_found",
         "There is no such shelf."),
        ({"model": "shelf", "call": "delete", "id": article["shelf_id"]}, 409, "conflict",
         "A shelf cannot be deleted: Other items refer to this one."),
        ({"model": "article", "call": "create", "values":
            {"sku": unique("A"), "name": "b", "price": 1, "shelf_id": str(uuid4())}}, 422, "validation_failed",
         "An article cannot be created: shelf_id refers to an item that does not exist"),
        ({"model": "parcel", "call": "create", "values": {"number": unique("P"), "note": "refused"}}, 422,
         "validation_failed", "No such parcel."),
        ({"model": "parcel", "call": "create", "values": {}}, 500, "internal_error", None),
        ({"model": "parcel", "call": "create", "values": {"number": unique("P"), "id": str(uuid4())}}, 500,
         "internal_error", None),
        ({"model": "article", "call": "update", "id": article["id"], "values": {"sku": "OTHER"}}, 500,
         "internal_error", None),
    ):  # fmt: skip
        found = problem(await served.step(article, **more), status, code)
        assert found.get("detail") == detail, found
    assert (await served.api.client.get(f"{ARTICLES}/{article['id']}")).json()["version"] == 1


async def test_caught_problem_undoes_its_call_alone(served: Running) -> None:
    article = (await served.article()).json()
    done = await served.step(article, "parcel", "create", values={"number": article["sku"]}, caught=True)
    assert done.status_code == 200, done.text
    assert done.json()["description"].startswith("409 A parcel cannot be created: number")
    note = {"number": unique("P"), "note": "refused"}  # refused after its statement
    done = await served.step(article, "parcel", "create", values=note, caught=True)
    assert done.json()["description"] == "422 No such parcel."
    assert await served.parcels(note["number"]) == []
    assert [call for call in units.calls if call.startswith("after")] == ["after article update"]


async def test_caught_problem_keeps_the_changes_before_it(served: Running) -> None:
    article = (await served.article()).json()

    async def work(unit: UnitOfWork) -> None:
        await unit.update(Shelf, article["shelf_id"], {"description": "before"})
        with pytest.raises(Duplicate):
            await unit.create(Parcel, {"number": article["sku"], "tenant": "tests"})

    units.calls.clear()
    acting = Actor("job:try", request_id=unique("try"))
    with acting_as(acting):
        await served.api.app.state.units.run(work)
    assert [call for call in units.calls if call.startswith("after")] == ["after shelf update"]
    assert (await served.shelf(article["shelf_id"]))["description"] == "before"
    rows = await served.api.database.fetch(HISTORY, [acting.request_id], reads=True)
    assert [tuple(row) for row in rows] == [("tests_shelf", "update", "job:try")]


async def test_unit_of_a_request_without_a_principal_says_what_is_missing(served: Running) -> None:
    request = Request({"type": "http", KEY: RequestState("r-1", {})})
    with pytest.raises(RuntimeError, match="add require_scope to the route"):
        await served.api.app.state.units.of_request(request).run(lambda _: asyncio.sleep(0))


async def test_update_without_a_difference_changes_nothing(served: Running) -> None:
    article = (await served.article()).json()
    shelf = await served.shelf(article["shelf_id"])
    same = {"name": shelf["name"]}
    done = await served.step(article, "shelf", "update", id=shelf["id"], values=same)
    assert done.status_code == 200, done.text
    assert units.calls == [
        "before shelf update", "before article update", "commit article update", "after article update",
    ]  # fmt: skip
    assert (await served.shelf(shelf["id"]))["version"] == shelf["version"]


async def test_items_of_other_owners_are_missing(served: Running) -> None:
    article = (await served.article()).json()
    with acting_as(Actor("job:pack")):

        async def pack(unit: UnitOfWork) -> Any:
            return await unit.create(Parcel, {"number": unique("P"), "tenant": "globex"})

        parcel = await served.api.app.state.units.run(pack)
    for call in ("update", "delete"):
        answer = await served.step(
            article, "parcel", call, id=str(parcel), values={"note": "mine"} if call == "update" else {}
        )
        assert problem(answer, 404, "not_found")["detail"] == "There is no such parcel."


async def test_repeated_request_changes_the_others_once(served: Running) -> None:
    sku, shelf = unique("KEYED"), await served.api.shelf()
    body = {"sku": sku, "name": "Lamp", "price": "1", "shelf_id": shelf}
    headers = {"Idempotency-Key": unique("unit")}
    answers = [await served.api.client.post(ARTICLES, json=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert len(await served.parcels(sku)) == 1
    assert (await served.shelf(shelf))["version"] == 2


async def test_bulk_request_undoes_the_calls_of_a_refused_operation(served: Running) -> None:
    shelf, skus = await served.api.shelf(), [unique("BULK") for _ in range(3)]
    names = ("Lamp", "refused before", "Lamp")
    operations = [
        {"op": "create", "item": {"sku": sku, "name": name, "price": "1", "shelf_id": shelf}}
        for sku, name in zip(skus, names, strict=True)
    ]
    for mode, statuses, left in (("atomic", None, [0, 0, 0]), ("partial", [201, 409, 201], [1, 0, 1])):
        units.calls.clear()
        done = await served.api.client.post(f"{ARTICLES}/bulk", json={"mode": mode, "operations": operations})
        if statuses is None:
            problem(done, 409, "conflict")
        else:
            assert [result["status"] for result in done.json()["results"]] == statuses
        assert [len(await served.parcels(sku)) for sku in skus] == left
        assert units.calls.count("after parcel create") == sum(left)
    assert (await served.shelf(shelf))["description"] == "2"


async def test_hooks_that_call_each_other_are_stopped(
    served: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    article = (await served.article()).json()
    url = f"{ARTICLES}/{article['id']}"
    problem(await served.api.client.post(f"{url}/endless"), 500, "internal_error")
    assert (await served.api.client.get(url)).json()["version"] == 1
    assert [units.calls.count(f"before {kind} update") for kind in ("article", "shelf")] == [5, 6]
    trail = "articles: endless → shelves: update → articles: update → shelves: update"
    assert f"hooks call each other in a loop: {trail}" in capsys.readouterr().out


async def test_deadlock_repeats_all_calls_and_after_commit_runs_once(served: Running) -> None:
    shelves = [await served.api.shelf() for _ in range(2)]
    articles = [(await served.article()).json() for _ in range(2)]
    units.calls.clear()
    orders = (shelves, shelves[::-1])
    done = await asyncio.gather(
        *(
            served.api.client.post(f"{ARTICLES}/{article['id']}/cross", json={"shelves": order})
            for article, order in zip(articles, orders, strict=True)
        )
    )
    assert [answer.status_code for answer in done] == [200, 200], [answer.text for answer in done]
    assert sum(units.first_attempt[article["sku"]] for article in articles) == 3
    found = [await served.shelf(shelf) for shelf in shelves]
    assert [shelf["version"] for shelf in found] == [3, 3]
    assert units.calls.count("after shelf update") == 4
    assert found[0]["description"] == found[1]["description"]


async def test_route_runs_a_unit_of_work_again_after_a_deadlock(served: Running) -> None:
    article = (await served.article()).json()
    units.calls.clear()
    url = f"{ARTICLES}/{article['id']}"
    done = await served.api.client.post(f"{url}/announcement")
    assert done.json() == {"attempts": 2}, done.text
    assert [call for call in units.calls if call.startswith("after")] == [
        "after shelf update",
        "after parcel create",
    ]
    (parcel,) = await served.parcels(f"{article['sku']}-2")
    assert (parcel["tenant"], parcel["created_by"]) == ("tests", article["created_by"])
    assert (await served.shelf(article["shelf_id"]))["version"] == 3
    assert (await served.api.client.get(url)).json()["description"] == "announced"
    rows = await served.api.database.fetch(HISTORY, [done.headers["x-request-id"]], reads=True)
    assert {row["actor"] for row in rows} == {article["created_by"]}
    assert len(rows) == 3
    problem(await served.api.client.post(f"{url}/announcement"), 409, "duplicate")


async def test_job_changes_items_of_all_owners_under_its_name(served: Running) -> None:
    article = (await served.article()).json()
    (parcel,) = await served.parcels(article["sku"])

    async def work(unit: UnitOfWork) -> None:
        found = await unit.get(Parcel, parcel["id"])
        assert found is not None
        assert found.note == "Lamp"
        await unit.update(Parcel, found.id, {"note": "by the job", "status": "sent"})
        await unit.delete(Article, article["id"])
        assert await unit.get(Article, article["id"]) is None

    with acting_as(Actor("job:tidy")):
        await served.api.app.state.units.run(work)
    (parcel,) = await served.parcels(article["sku"])
    assert (parcel["note"], parcel["status"], parcel["updated_by"], parcel["version"]) == (
        "by the job", "sent", "job:tidy", 2,
    )  # fmt: skip
    assert (await served.api.client.get(f"{ARTICLES}/{article['id']}")).status_code == 404
