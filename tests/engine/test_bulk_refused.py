"""Bulk requests that the database refuses: the errors name the operations, and their cost is bounded."""

import random
from collections.abc import AsyncIterator, Callable
from string import ascii_letters
from typing import Any, NamedTuple, cast
from uuid import UUID, uuid4

import pytest
from sqlalchemy import CheckConstraint, Index, String, Table, literal_column
from sqlmodel import Field

from service.models.indexes import sort_index, unique_index
from service.resources.declaration import RestResource
from tests.engine.api import BASE, Api, Json, running, unique
from tests.engine.tables import ShopTable, create_tables, groups
from tests.engine.wire import Wire, wire_to, without_jobs
from tests.services import Client
from tests.shop.resources import SCOPES

MANY, SOME = 1000, 120  # the most that a request has, and some more than the errors that a response names
BUDGET = 12  # statements of a request with any number of refused operations, BEGIN and COMMIT included
WRONG: dict[str, tuple[str, Json]] = {
    "/a": ("duplicate", {"a": "taken"}),
    "/b": ("duplicate", {"b": "taken"}),
    "/low /high": ("validation_failed", {"low": 5, "high": 4}),
    "/group_id": ("validation_failed", {"group_id": str(uuid4())}),
    "/must": ("validation_failed", {"must": None}),
    "/word": ("validation_failed", {"word": "longer than its column"}),
}
UNNAMED: dict[str, Json] = {
    "an index of no column": {"text": "".join(random.Random(1).choices(ascii_letters, k=9000))},
    "a calculation": {"share": 0},
}


class Slot(ShopTable, table=True):
    """What only the database checks: two unique keys, a rule on two fields, a narrow column, the size of an index's
    entries, a calculation."""

    __table_args__ = (
        unique_index("slot", "a"),
        unique_index("slot", "b"),
        sort_index("slot", "created_at"),
        Index("ix_slot_text", literal_column("lower(text)")),
        CheckConstraint("low <= high", name="order"),
        CheckConstraint("100 / share > 0", name="share"),
    )

    a: str = Field(max_length=40)
    b: str = Field(max_length=40)
    low: int = Field(default=0)
    high: int = Field(default=10)
    word: str = Field(default="", max_length=40, sa_type=String(5))
    text: str = Field(default="", max_length=10_000)
    share: int = Field(default=1)
    must: int | None = Field(default=0, nullable=False)
    group_id: UUID | None = Field(default=None, foreign_key="group.id")


SLOTS = RestResource(model=Slot, path="slots", scopes=SCOPES)
BULK = f"{BASE}/slots/bulk"


class Desk(NamedTuple):
    """An application whose statements are recorded."""

    api: Api
    wire: Wire

    async def send(self, operations: list[Json], mode: str = "partial", path: str = BULK) -> tuple[Json, int]:
        """Return the body of the response, and the number of statements."""
        with self.wire.counted() as statements:
            response = await self.api.client.post(path, json={"mode": mode, "operations": operations})
        body: Json = response.json()
        return body, len(statements)

    async def slots(self, count: int) -> list[str]:
        body, _ = await self.send([create() for _ in range(count)])
        return [result["id"] for result in body["results"]]


@pytest.fixture(scope="module")
async def desk(services: Client, worker: int) -> AsyncIterator[Desk]:
    name = f"refused_{worker}"
    url = services.create_database(name, migrated=True)
    await create_tables(url, cast("Table", Slot.__table__))  # type: ignore[attr-defined]
    async with wire_to(url) as wire:
        database = {"url": wire.url, "pool_min": 1, "pool_max": 1}
        scopes = ("shop:read", "shop:write")
        with pytest.MonkeyPatch.context() as patch:
            without_jobs(patch)
            async with running(wire.url, (groups(), SLOTS), scopes, database=database) as api:
                desk = Desk(api, wire)
                body, _ = await desk.send([create(a="taken", b="taken")])
                assert body["results"][0]["status"] == 201, body
                yield desk
    services.drop_database(name)


def create(**values: Any) -> Json:
    return {"op": "create", "item": {"a": unique("a"), "b": unique("b"), **values}}


def patch_of(item_id: str, **changes: Any) -> Json:
    return {"op": "patch", "id": item_id, "if_match": "*", "changes": changes}


@pytest.mark.parametrize("pointers", WRONG)
async def test_invalid_member_is_reported(desk: Desk, pointers: str) -> None:
    code, values = WRONG[pointers]
    good, bad = await desk.slots(2)
    for member, operations in (
        ("item", [create(), create(**values)]),
        ("changes", [patch_of(good, low=1), patch_of(bad, **values)]),
    ):
        here = f"/operations/1/{member}"
        body, _ = await desk.send(operations)
        assert body["results"][0]["status"] in {200, 201}
        found = body["results"][1]["problem"]
        assert found["code"] == code, found
        expected = {here + pointer for pointer in pointers.split(" ")}
        assert {error["pointer"] for error in found["errors"]} == expected
        refused, _ = await desk.send(operations[1:], "atomic")
        assert {error["pointer"] for error in refused["errors"]} == {
            p.replace("/1", "/0", 1) for p in expected
        }


@pytest.mark.parametrize("name", UNNAMED)
async def test_refusal_without_a_column_concerns_its_operation_alone(desk: Desk, name: str) -> None:
    good, bad = await desk.slots(2)
    for operations, done in (
        ([create(), create(**UNNAMED[name])], [201, 422]),
        ([patch_of(good, low=1), patch_of(bad, **UNNAMED[name]), patch_of(str(uuid4()))], [200, 422, 404]),
    ):
        body, _ = await desk.send(operations)
        assert [result["status"] for result in body["results"]] == done
        (error,) = body["results"][1]["problem"]["errors"]
        assert error["pointer"] == "/operations/1"


async def test_deletion_of_a_referenced_item_is_reported(desk: Desk) -> None:
    group = (await desk.api.make("groups", order=unique("g"))).json()["id"]
    await desk.send([create(group_id=group)])
    body, _ = await desk.send(
        [{"op": "delete", "id": group, "if_match": "*"}], "atomic", f"{BASE}/groups/bulk"
    )
    assert (body["code"], [error["pointer"] for error in body["errors"]]) == ("conflict", ["/operations/0"])


REFUSED: dict[str, tuple[int, Callable[[int], Json]]] = {
    "dead references": (SOME, lambda _: {"group_id": str(uuid4())}),
    "broken rules": (SOME, lambda _: {"low": 5, "high": 4}),
    "taken values": (SOME, lambda _: {"a": "taken"}),
    "half dead": (MANY, lambda n: {"group_id": str(uuid4())} if n % 2 else {}),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_many_refusals_cost_few_statements(desk: Desk, name: str) -> None:
    many, values = REFUSED[name]
    ids = await desk.slots(many)
    for operations, good in (
        ([create(**values(n)) for n in range(many)], 201),
        ([patch_of(item_id, high=20, **values(n) or {"low": 1}) for n, item_id in enumerate(ids)], 200)
        if name != "broken rules"
        else ([patch_of(item_id, **values(0)) for item_id in ids], 200),
    ):
        expected = [good if values(n) == {} else None for n in range(many)]
        body, count = await desk.send(operations)
        statuses = [result["status"] for result in body["results"]]
        assert [s if s == good else None for s in statuses] == expected
        assert count <= BUDGET, count
        refused, count = await desk.send(operations, "atomic")
        assert refused["code"] in {"validation_failed", "duplicate"}
        assert len(refused["errors"]) <= 100
        assert count <= BUDGET, count


async def test_atomic_request_ends_with_its_hundredth_error(desk: Desk) -> None:
    """A response has no room for more, and the rest would be undone anyway."""
    absent = patch_of(str(uuid4()), low=1)

    async def statements(wrong: int, *more: Json) -> int:
        operations = [create(low=5, high=4) for _ in range(wrong)]
        return (await desk.send([*operations, *more], "atomic"))[1]

    assert await statements(99) < await statements(99, absent)
    assert await statements(100) == await statements(100, absent)


async def test_many_stale_missing_and_used_items_cost_few_statements(desk: Desk) -> None:
    ids = await desk.slots(MANY // 2)
    operations = [{**patch_of(item_id, low=1), "if_match": '"9-x"'} for item_id in ids]
    operations += [{"op": "delete", "id": str(uuid4()), "if_match": "*"} for _ in ids]
    body, count = await desk.send(operations)
    assert [r["status"] for r in body["results"]] == [412] * len(ids) + [404] * len(ids)
    assert count <= BUDGET, count
    made, _ = await desk.send(
        [{"op": "create", "item": {"order": unique("g")}} for _ in range(300)], path=f"{BASE}/groups/bulk"
    )
    used = [result["id"] for result in made["results"]]
    await desk.send([create(group_id=group) for group in used[1:]])
    removal = [{"op": "delete", "id": group, "if_match": "*"} for group in used]
    body, count = await desk.send(removal, path=f"{BASE}/groups/bulk")
    assert [r["status"] for r in body["results"]] == [204] + [409] * 299
    assert count <= BUDGET, count


async def test_swapped_unique_values_are_checked_one_by_one(desk: Desk) -> None:
    first, second = sorted(await desk.slots(2))
    values = {i: (await desk.api.client.get(f"{BASE}/slots/{i}")).json()["a"] for i in (first, second)}
    body, _ = await desk.send([patch_of(second, a=unique("a")), patch_of(first, a=values[second])])
    assert sorted(result["status"] for result in body["results"]) in ([200, 200], [200, 409])
