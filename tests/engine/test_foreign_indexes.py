"""Indexes and constraints as SQLAlchemy makes them: on expressions, on some rows, on a column itself."""

from collections.abc import AsyncIterator, Mapping
from uuid import UUID

import pytest
from sqlalchemy import Index, UniqueConstraint, func, literal_column, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlmodel import Field, col

from service.models.indexes import plain_index, sort_index
from service.resources.declaration import DeclarationError, RestResource
from tests.engine.api import BASE, Api, Json, problem, running, unique
from tests.engine.tables import ShopTable, create_tables
from tests.services import Client
from tests.shop.resources import SCOPES


class Room(ShopTable, table=True):
    """A code that is unique in use, a badge in all rows, names regardless of case, times that do not overlap."""

    __table_args__ = (
        sort_index("room", "created_at"),
        Index("uq_room_code", "code", unique=True, postgresql_where=text("in_use")),
        Index("uq_room_kind", "kind", literal_column("lower(label)"), unique=True),
        UniqueConstraint("badge"),
        ExcludeConstraint(
            (literal_column("int4range(opens, closes)"), "&&"), name="opening", where=text("opens < closes")
        ),
    )

    code: str = Field(max_length=20)
    in_use: bool = Field(default=False)
    kind: str = Field(default="", max_length=20)
    label: str = Field(max_length=20)
    badge: str = Field(max_length=20)
    title: str = Field(max_length=20)
    opens: int = Field(default=0)
    closes: int = Field(default=0)


Index("uq_room_title", func.lower(col(Room.title)), unique=True)
Index("ix_room_opens", col(Room.opens).desc(), postgresql_where=col(Room.deleted_at).is_(None))


class Lesson(ShopTable, table=True):
    """Refers to a room; its only key is a column's own constraint."""

    __table_args__ = (sort_index("lesson", "created_at"), plain_index("lesson", "room_id"))

    name: str = Field(max_length=20, unique=True)
    room_id: UUID = Field(foreign_key="room.id")


ROOMS = RestResource(model=Room, path="rooms", scopes=SCOPES, filterable=("code", "kind", "badge"))
LESSONS = RestResource(
    model=Lesson,
    path="lessons",
    scopes=SCOPES,
    filterable=("room_id", "room.code", "room.kind", "room.badge"),
)


@pytest.fixture(scope="module")
async def api(services: Client, worker: int) -> AsyncIterator[Api]:
    name = f"indexes_{worker}"
    url = services.create_database(name, migrated=True)
    await create_tables(url, ROOMS.table, LESSONS.table)
    async with running(url, (ROOMS, LESSONS), ("shop:read", "shop:write")) as api:
        yield api
    services.drop_database(name)


def room(**values: object) -> Json:
    return {name: unique("r") for name in ("code", "label", "badge", "title")} | values


@pytest.mark.parametrize("field", ["code", "kind"])
async def test_filter_finds_all_items_of_an_index_that_others_share(api: Api, field: str) -> None:
    """An index is unique among some rows, or with an expression; `room.code=` must not expect one row."""
    shared = unique(field)
    rooms = [(await api.make("rooms", **room(**{field: shared}))).json() for _ in range(2)]
    lessons = {(await api.make("lessons", name=unique("l"), room_id=one["id"])).json()["id"] for one in rooms}
    found = await api.client.get(f"{BASE}/lessons", params={f"room.{field}": shared})
    assert {item["id"] for item in found.json()["items"]} == lessons
    found = await api.client.get(f"{BASE}/lessons", params={"room.badge": rooms[0]["badge"]})
    assert len(found.json()["items"]) == 1


TAKEN: Mapping[str, tuple[Json, str, list[str]]] = {
    "some rows": ({"code": "taken", "in_use": True}, "duplicate", ["/code"]),
    "an expression": ({"kind": "taken", "label": "TAKEN"}, "duplicate", ["/kind"]),
    "a function": ({"title": "TAKEN"}, "duplicate", ["/title"]),
    "a constraint": ({"badge": "taken"}, "duplicate", ["/badge"]),
    "an exclusion": ({"opens": 2, "closes": 4}, "conflict", []),
}


@pytest.fixture(scope="module")
async def taken(api: Api) -> Json:
    values = dict.fromkeys(("code", "label", "badge", "title", "kind"), "taken")
    made: Json = (await api.make("rooms", **values, in_use=True, opens=1, closes=3)).json()
    return made


@pytest.mark.parametrize("name", TAKEN)
async def test_conflict_is_reported_alike_alone_and_in_bulk(api: Api, taken: Json, name: str) -> None:
    values, code, pointers = TAKEN[name]
    alone = problem(await api.client.post(f"{BASE}/rooms", json=room(**values)), 409, code)
    assert [error["pointer"] for error in alone.get("errors", [])] == pointers
    operations = [{"op": "create", "item": item} for item in (room(), room(**values))]
    sent = {"mode": "partial", "operations": operations}
    results = (await api.client.post(f"{BASE}/rooms/bulk", json=sent)).json()["results"]
    assert [result["status"] for result in results] == [201, 409]
    assert results[1]["problem"]["code"] == code
    told = [error["pointer"] for error in results[1]["problem"].get("errors", [])]
    assert [pointer for pointer in told if pointer != "/operations/1"] == [
        f"/operations/1/item{pointer}" for pointer in pointers
    ]


async def test_only_key_is_reported_in_bulk(api: Api, taken: Json) -> None:
    name = unique("l")
    items = [{"name": name, "room_id": taken["id"]} for _ in range(2)]
    sent = {"mode": "partial", "operations": [{"op": "create", "item": item} for item in items]}
    created, refused = (await api.client.post(f"{BASE}/lessons/bulk", json=sent)).json()["results"]
    assert (created["status"], refused["problem"]["code"]) == (201, "duplicate")
    assert [error["pointer"] for error in refused["problem"]["errors"]] == ["/operations/1/item/name"]


@pytest.mark.parametrize("field", ["code", "title"])
def test_index_of_some_rows_or_an_expression_sorts_nothing(field: str) -> None:
    with pytest.raises(DeclarationError, match=f'sort_index\\("room", "{field}"\\)'):
        RestResource(model=Room, path="rooms", scopes=SCOPES, sortable=("created_at", field))


def test_index_with_a_condition_built_from_the_column_sorts() -> None:
    RestResource(model=Room, path="rooms", scopes=SCOPES, sortable=("created_at", "opens"))
