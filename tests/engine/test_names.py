"""A table whose columns have all names that the engine's statements use, through every operation."""

import io
import re
import types
from typing import Any, cast
from uuid import uuid4

import orjson
from pydantic import BaseModel
from sqlalchemy import MetaData, Table
from sqlmodel import Field, SQLModel

from service.models.base import SYSTEM_FIELDS
from service.models.idempotency_record import IdempotencyRecord
from service.models.indexes import sort_index, unique_index
from service.resources.declaration import RESERVED, Change, Hooks, RestResource
from service.resources.engine import Engine
from service.resources.imports.importer import Importer
from service.resources.lists.sorting import SortKey
from service.resources.lists.sql import Shape
from tests.conftest import DatabaseFactory
from tests.engine.api import BASE, Api, Json, engine_of, running
from tests.engine.tables import ShopTable, create_tables, gadgets
from tests.shop.resources import SCOPES

ANY = {"If-Match": "*"}
URL = f"{BASE}/oddities"
# Names reserved by the model's libraries, and those that every table has.
FORBIDDEN = SYSTEM_FIELDS | set(dir(SQLModel)) | set(dir(BaseModel)) | {"metadata", "registry"}
EXTRA = (
    "ordinality", "item", "patch", "is_allowed", "has_changes", "record_status", "record_key", "principal", "key",
    "fingerprint", "status", "body", "headers", "page", "Order", "größe", "user", "all", "null", "line", "code",
    "errors", "f_a_1", "field_a", "id_1", "version_1", "param_1", "x" * 63, "x" * 62, "a$1",
)  # fmt: skip


def statements_of(engine: Engine) -> str:
    """Return all statements that the engine sends for a resource, with the names of parameters."""
    writer, batches = engine.writer, engine.batches
    fields = engine.resource.own_fields
    keys = (SortKey("rank", descending=True), SortKey("id", descending=True))
    filters = tuple(engine.lister.filters)
    made = [
        writer.create, writer.create_once, writer.delete, writer.restore(fields), writer.patch(fields),
        writer.replace(fields), batches.create, batches.create_strictly, batches.patch, batches.delete,
        engine.read_one, engine.history.as_of, engine.history.page,
        engine.lister.statements.page(Shape(filters, keys, search=False, cursor=True)),
    ]  # fmt: skip
    return " ".join(f"{statement.sql} {' '.join(statement.parameters)}" for statement in made)


def names(text: str) -> list[str]:
    columns = (column.name for column in cast("Table", IdempotencyRecord.__table__).columns)  # type: ignore[attr-defined]
    words = {*re.findall(r"[A-Za-z]\w*", text), *columns, *EXTRA}
    return sorted(word for word in words if word not in FORBIDDEN)


def table_of(fields: list[str]) -> type[ShopTable]:
    namespace: dict[str, Any] = {
        "__module__": __name__,
        "__tablename__": "oddity",
        "__annotations__": dict.fromkeys(fields, str),
        "metadata": MetaData(naming_convention=ShopTable.metadata.naming_convention),
        "__table_args__": (
            sort_index("oddity", "created_at"),
            sort_index("oddity", "item"),
            sort_index("oddity", "a$1"),
            unique_index("oddity", "ordinality"),
        ),
    }
    namespace |= {name: Field(default="", max_length=40) for name in fields}
    made = types.new_class("Oddity", (ShopTable,), {"table": True}, lambda body: body.update(namespace))
    return cast("type[ShopTable]", made)


class Echo(Hooks):
    """All hooks, without changes."""

    async def before_create(self, change: Change) -> None:
        change.values = dict(change.values)

    async def before_update(self, change: Change) -> None:
        change.values = dict(change.values)


async def test_columns_may_have_names_used_by_the_engine(fresh_database: DatabaseFactory) -> None:
    url = fresh_database()
    async with running(url, [gadgets()]) as api:
        fields = names(statements_of(engine_of(api, gadgets())))
    assert {"changed", "current", "principal", "versions", "excluded", "SELECT", "given"} <= set(fields)
    model = table_of(fields)
    await create_tables(url, cast("Table", model.__table__))  # type: ignore[attr-defined]
    for hooks in (None, Echo()):
        resource = RestResource(
            model=model,
            path="oddities",
            scopes=SCOPES,
            # `f__in` is already a filter on `f`, so it cannot be a field.
            filterable=tuple(name for name in fields if name not in RESERVED and "__" not in name.strip("_")),
            sortable=("created_at", "item", "a$1"),
            immutable=("versions", "ordinality"),
            hooks=hooks,
        )
        async with running(url, [resource], ("shop:read", "shop:write")) as api:
            await walk(api, fields, engine_of(api, resource))


async def walk(api: Api, fields: list[str], engine: Engine) -> None:
    """Use every operation; `ordinality` is unique, `versions` immutable."""
    item = {name: f"{name[-30:]} {number}" for number, name in enumerate(fields)}
    shown = await create_all(api, item)
    url = f"{URL}/{shown['id']}"
    patch = {name: "new" for name in fields if name not in {"versions", "ordinality"}}
    assert (await api.client.patch(url, json=patch, headers=ANY)).json() == {
        **shown, **patch, "version": 2, "updated_at": (await api.client.get(url)).json()["updated_at"],
    }  # fmt: skip
    put = await api.client.put(url, json=item, headers=ANY)
    assert {name: put.json()[name] for name in fields} == item
    refused = await api.client.put(url, json={**item, "versions": "other"}, headers=ANY)
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/versions"]
    assert (await api.client.delete(url, headers=ANY)).status_code == 204
    assert (await api.client.post(f"{url}/restore")).json()["version"] == 5
    history = (await api.client.get(f"{url}/history")).json()["items"]
    assert [entry["action"] for entry in history] == ["restore", "delete", "update", "update", "create"]
    assert {change["field"] for change in history[3]["changes"]} == set(patch)
    assert (await api.client.get(url, params={"as_of": shown["created_at"]})).json() == shown
    filterable = engine.resource.filterable
    for first in range(0, len(filterable), 90):
        query = {name: item[name] for name in filterable[first : first + 90]}
        found = await api.client.get(URL, params={**query, "sort": "-item,-a$1", "limit": "1"})
        assert found.status_code == 200, found.text
        assert [one["id"] for one in found.json()["items"]] == [shown["id"]]
    await bulk_all(api, item, patch)
    lines = (await api.client.get(f"{URL}/export")).content
    assert (await Importer(engine).run(io.BytesIO(lines))).known == len(lines.splitlines())
    imported = {**item, "ordinality": str(uuid4())}
    tally = await Importer(engine).run(io.BytesIO(orjson.dumps(imported)))
    assert (tally.added, tally.wrong) == (1, 0)


async def create_all(api: Api, item: Json) -> Json:
    item["ordinality"] = str(uuid4())
    key = {"Idempotency-Key": str(uuid4())}
    made = [await api.client.post(URL, json=item, headers=key) for _ in range(2)]
    assert [response.status_code for response in made] == [201, 201], made[0].text
    assert made[0].content == made[1].content
    shown: Json = made[0].json()
    assert {name: shown[name] for name in item} == item
    assert (await api.client.post(URL, json=item)).status_code == 409
    plain = await api.client.post(URL, json={**item, "ordinality": str(uuid4())})
    await api.client.delete(plain.headers["location"], headers=ANY)
    return shown


async def bulk_all(api: Api, item: Json, patch: Json) -> None:
    for wrong in ({}, {"item": None}):
        operations: list[Json] = [
            {"op": "create", "item": {**item, "ordinality": str(uuid4())}} for _ in range(2)
        ]
        made = await api.client.post(f"{URL}/bulk", json={"operations": operations})
        ids = [result["id"] for result in made.json()["results"]]
        page = await api.client.get(URL, params={"sort": "-item,a$1", "limit": "1"})
        assert (await api.client.get(page.links["next"]["url"])).json()["items"]
        operations = [
            {"op": "patch", "id": ids[0], "if_match": "*", "changes": patch | wrong},
            {"op": "delete", "id": ids[1], "if_match": "*"},
            {"op": "create", "item": item},
        ]
        done = await api.client.post(f"{URL}/bulk", json={"operations": operations, "mode": "partial"})
        assert [result["status"] for result in done.json()["results"]] == [422 if wrong else 200, 204, 409]
        await api.client.delete(f"{URL}/{ids[0]}", headers=ANY)
