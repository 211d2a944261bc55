"""Tables whose names are SQL keywords, contain capitals, have the maximum length, or are used by the engine: all
operations work, also for a role that owns nothing."""

import asyncio
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from types import new_class
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlmodel import Field

from service.migrations.operations import (
    create_search_statistics,
    guard_reference,
    track_history,
    unguard_reference,
)
from service.migrations.runner import upgrade
from service.models.base import Resource
from service.models.indexes import search_index, sort_index, unique_index
from service.models.table import Table, TableNameError
from service.resources.declaration import DeclarationError, RestResource
from service.resources.engine import Engine, Services
from service.resources.imports.importer import Importer
from service.resources.lists.cursor import CursorCodec
from service.resources.requests.idempotency import IdempotencyStore
from tests.engine.api import BASE, Api, Json, problem, running
from tests.migrations.conftest import in_database, settings_for
from tests.migrations.roles import Roles, roles
from tests.shop.metadata import new_metadata
from tests.shop.resources import SCOPES

__all__ = ["roles"]

ANY = {"If-Match": "*"}
WORDS_OF_SQL = ("order", "user", "select", "lateral", "values")
TYPES = ("date", "point")  # which PostgreSQL finds before the row type of the table
OTHERS = ("CustomerOrder", "x" * 63, "Y2" * 31 + "z", "new", "old")
OF_THE_ENGINE = (
    "item", "changed", "current", "wanted", "asked", "given", "past", "record", "rows", "page", "ctx", "answer",
    "parts",
)  # fmt: skip
NAMES = [n for n in (*WORDS_OF_SQL, *TYPES, *OTHERS, *OF_THE_ENGINE) if n not in Table.metadata.tables]
OF_EACH_KIND = ("order", "date", "CustomerOrder", "x" * 63, "new", "item")
METADATA = new_metadata()


@cache
def declared(name: str) -> RestResource:
    """Return a resource on a table of that name, with awkward column names too."""
    fields: dict[str, Any] = {
        "order": (str, Field(min_length=1, max_length=60)),
        "Select": (str, Field(default="", max_length=60)),
        "end": (int | None, Field(default=None)),
        "parent_id": (UUID | None, Field(default=None, foreign_key=f"{name}.id")),
    }
    namespace = {
        "__module__": __name__,
        "__qualname__": f"Model{NAMES.index(name)}",
        "__tablename__": name,
        "__table_args__": (
            unique_index(name, "order"),
            sort_index(name, "created_at"),
            sort_index(name, "end"),
            sort_index(name, "order"),
            sort_index(name, "parent_id"),
            search_index(name, "order", "Select"),
            sa.CheckConstraint('"end" < 100', name="end"),
        ),
        "__annotations__": {field: kind for field, (kind, _) in fields.items()},
        "metadata": METADATA,
        **{field: info for field, (_, info) in fields.items()},
    }
    metaclass: Any = type(Resource)
    model = metaclass(f"Model{NAMES.index(name)}", (Resource,), namespace, table=True)
    return RestResource(
        model=model,
        path=path(name),
        scopes=SCOPES,
        filterable=("order", "end", "parent_id"),
        sortable=("created_at", "end", "order"),
        searchable=("order", "Select"),
        immutable=("Select",),
    )


def path(name: str) -> str:
    return f"names-{NAMES.index(name)}"


def migrate(connection: sa.Connection, names: Sequence[str]) -> None:
    """Create the tables, as migrations would; drop and recreate guards."""
    METADATA.create_all(connection, tables=[METADATA.tables[name] for name in names])
    with Operations.context(MigrationContext.configure(connection)):
        for name in names:
            track_history(name)
            guard_reference(name, "parent_id", name)
            unguard_reference(name, "parent_id", name)
            guard_reference(name, "parent_id", name)
            create_search_statistics(name, "order", "Select")


@pytest.mark.parametrize(
    "names", [OF_EACH_KIND, pytest.param(NAMES, marks=pytest.mark.long)], ids=["of each kind", "all"]
)
async def test_every_operation_works_with_unusual_table_names(roles: Roles, names: Sequence[str]) -> None:
    resources = [declared(name) for name in names]
    settings = settings_for(roles.owner_url, app_role=roles.app)
    await upgrade(settings)
    await in_database(roles.owner_url, partial(migrate, names=names))
    await upgrade(settings)
    async with running(roles.app_url, resources, ("shop:read", "shop:write")) as api:
        assert await api.app.state.health.ready(), await api.app.state.health.checks()
        for resource in resources:
            walk = Walk(api, resource.table.name, f"{BASE}/{resource.path}")
            await walk.changes()
            await walk.files(resource)


def services_of(api: Api) -> Services:
    settings = api.app.state.settings
    return Services(
        database=api.database,
        records=IdempotencyStore(api.database, 1),
        cursors=CursorCodec(""),
        sizes=settings.performance,
        exports=asyncio.Semaphore(1),
    )


@dataclass(frozen=True)
class Walk:
    """Use every kind of statement of the engine on one table."""

    api: Api
    name: str
    url: str

    async def ask(self, status: int, method: str, url: str, **more: Any) -> Json:
        response = await self.api.client.request(method, url, **more)
        assert response.status_code == status, (self.name, method, url, response.text)
        return response.json() if response.headers.get("content-type", "").endswith("json") else {}

    async def changes(self) -> None:
        body, once = {"order": "first", "Select": "brass", "end": 1}, {"Idempotency-Key": self.name}
        item = await self.ask(201, "POST", self.url, json=body, headers=once)
        assert await self.ask(201, "POST", self.url, json=body, headers=once) == item
        url = f"{self.url}/{item['id']}"
        await self.refusals()
        child = await self.ask(201, "POST", self.url, json={"order": "second", "parent_id": item["id"]})
        await self.ask(409, "DELETE", url, headers=ANY)
        assert (await self.ask(200, "PATCH", url, json={"end": 2}, headers=ANY))["version"] == 2
        await self.ask(200, "PUT", url, json={**body, "end": 3}, headers=ANY)
        assert await self.ask(200, "GET", url, params={"as_of": item["updated_at"]}) == item
        await self.lists()
        await self.bulk(child["id"])
        await self.ask(204, "DELETE", url, headers=ANY)
        await self.ask(200, "POST", f"{url}/restore")
        actions = [entry["action"] for entry in (await self.ask(200, "GET", f"{url}/history"))["items"]]
        assert actions == ["restore", "delete", "update", "update", "create"], self.name

    async def refusals(self) -> None:
        for wrong, status, code, field in (
            ({"order": "first"}, 409, "duplicate", "/order"),
            ({"order": "x", "end": 100}, 422, "validation_failed", "/end"),
            ({"order": "x", "parent_id": str(uuid4())}, 422, "validation_failed", "/parent_id"),
        ):
            told = problem(await self.api.client.post(self.url, json=wrong), status, code)
            assert [error["pointer"] for error in told["errors"]] == [field], (self.name, told)

    async def lists(self) -> None:
        query = {"q": "brass", "order": "first", "end__gte": "1", "sort": "-end,order", "count": "exact"}
        assert (await self.ask(200, "GET", self.url, params=query))["total"] == 1
        cursor = (await self.ask(200, "GET", self.url, params={"limit": "1"}))["next_cursor"]
        assert (await self.ask(200, "GET", self.url, params={"limit": "1", "cursor": cursor}))["items"]
        assert (await self.ask(200, "GET", self.url, params={"count": "estimated"}))["items"]

    async def bulk(self, id_: str) -> None:
        for mode in ("atomic", "partial"):
            operations: list[Json] = [
                {"op": "create", "item": {"order": f"bulk {mode}"}},
                {"op": "patch", "id": id_, "if_match": "*", "changes": {"order": mode}},
            ]
            done = await self.ask(
                200, "POST", f"{self.url}/bulk", json={"mode": mode, "operations": operations}
            )
            assert [result["status"] for result in done["results"]] == [201, 200], (self.name, done)
        gone = [{"op": "delete", "id": id_, "if_match": "*"}]
        await self.ask(200, "POST", f"{self.url}/bulk", json={"mode": "atomic", "operations": gone})

    async def files(self, resource: RestResource) -> None:
        export = (await self.api.client.get(f"{self.url}/export")).text.splitlines()
        assert sorted(json.loads(line)["order"] for line in export) == [
            "bulk atomic",
            "bulk partial",
            "first",
        ]
        source = io.BytesIO(b'{"order": "of a file"}\n{"order": "first"}\n')
        tally = await Importer(Engine(resource, services_of(self.api))).run(source)
        assert (tally.added, tally.wrong) == (1, 1), self.name


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"schema": "sales"}, "names the schema sales"),
        ({"name": "_item"}, "must begin with a letter"),
        ({"name": 'a "table"'}, "must begin with a letter"),
        ({"name": "pg_class"}, "begins with pg_"),
        ({"name": "größe"}, "must begin with a letter"),
        ({"name": "x" * 64}, "at most 63"),
    ],
)
def test_invalid_table_names_are_refused_at_startup(table: dict[str, Any], told: str) -> None:
    resource = declared("order")
    odd: Any = type("Odd", (), {"model_fields": resource.model.model_fields, "__name__": "Odd"})
    odd.__table__ = resource.table.to_metadata(new_metadata(), **{"name": "plain", **table})
    with pytest.raises(DeclarationError, match=told):
        RestResource(model=odd, path="odd", scopes=SCOPES)


def test_two_models_of_one_table_are_named() -> None:
    def declare(module: str) -> None:
        body = {"__module__": module, "__tablename__": "twin", "metadata": metadata}
        new_class("Twin", (Resource,), {"table": True}, lambda namespace: namespace.update(body))

    metadata = new_metadata()
    declare("service.domains.catalog.models")
    with pytest.raises(TableNameError) as raised:
        declare("service.domains.orders.models")
    assert str(raised.value).startswith(
        "service.domains.orders.models.Twin has the table twin, as service.domains.catalog.models.Twin has; give one"
    )
