"""One resource at work: what each operation does between a request and its answer."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import sqlalchemy as sa
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from service.config import PerformanceSettings
from service.database import Database
from service.http import problems
from service.http.database_errors import columns_of_constraints, problem_of
from service.http.state import state_of
from service.models.ids import uuid7
from service.resources import preconditions
from service.resources.bodies import MERGE_PATCH, read_body
from service.resources.columns import representation, to_wire
from service.resources.cursor import CursorCodec
from service.resources.declaration import RestResource
from service.resources.listing import Lister, links
from service.resources.parameters import query_of, refuse_all
from service.resources.preconditions import TagMaker
from service.resources.schemas import Schemas, is_text_id
from service.resources.statement import Statement, compile_statement, parameter
from service.resources.writing import Writer
from service.security.principals import Principal


class Engine:
    """Serves one resource. Each operation takes the admitted request and returns its answer, or raises a problem."""

    def __init__(
        self, resource: RestResource, *, database: Database, sizes: PerformanceSettings, cursors: CursorCodec
    ) -> None:
        self.resource = resource
        self.schemas = Schemas(resource)
        self.lister = Lister(resource, sizes, cursors)
        self.tags = TagMaker(resource.shown_fields)
        self._database = database
        self._writer = Writer(resource)
        self._read = _read_statement(resource)
        self._constraints = columns_of_constraints(resource.table)

    async def _run(self, statement: Statement, values: Mapping[str, Any]) -> list[asyncpg.Record]:
        try:
            return await self._database.fetch(statement.sql, statement.arguments(values))
        except asyncpg.PostgresError as error:
            problem = problem_of(error, self._constraints)
            if problem is None:
                raise
            raise problem from error

    async def list_items(self, request: Request, _principal: Principal) -> Response:
        given = query_of(request)
        query = self.lister.read(given)
        total = await self._total(query) if query.count else None
        rows = await self._run(self.lister.statement(query.shape), query.arguments)
        page = self.lister.page(query, [row["body"] for row in rows], total)
        return _json(page.body, headers={"Link": links(request.url.path, given, page)})

    async def _total(self, query: Any) -> int:
        statement = self.lister.count_statement(query.shape)
        if query.count == "exact":
            return int((await self._run(statement, query.arguments))[0][0])
        plan = Statement(f"EXPLAIN (FORMAT JSON) {statement.sql}", statement.parameters, statement.constants)
        node = orjson.loads((await self._run(plan, query.arguments))[0][0])[0]["Plan"]
        while "Aggregate" in node["Node Type"] and "Plans" in node:
            node = node["Plans"][0]
        return int(node["Plan Rows"])

    async def read(self, request: Request, _principal: Principal) -> Response:
        refuse_all(query_of(request))
        unless = preconditions.tags_of(request, "If-None-Match")
        wanted = preconditions.tags_of(request, "If-Match")
        rows = await self._run(self._read, {"id": self._id(request)})
        if not rows:
            raise self._missing()
        body, version = rows[0]
        if (
            wanted is not None
            and (allowed := self.tags.versions(wanted)) is not None
            and version not in allowed
        ):
            raise preconditions.stale()
        headers = {"ETag": self.tags.tag(version)}
        if not self.tags.none_match(unless, version):
            return Response(status_code=304, headers=headers)
        return _json(body.encode(), headers=headers)

    async def create(self, request: Request, principal: Principal) -> Response:
        refuse_all(query_of(request))
        item = await read_body(request, self.schemas.create)
        values = self._wire(item, self.resource.own_fields)
        new_id = uuid7()
        rows = await self._run(self._writer.create, {**values, "id": new_id, **_who(request, principal)})
        body, version = rows[0]
        location = f"{request.url.path.rstrip('/')}/{new_id}"
        return _json(body.encode(), 201, {"Location": location, "ETag": self.tags.tag(version)})

    async def patch(self, request: Request, principal: Principal) -> Response:
        refuse_all(query_of(request))
        item_id = self._id(request)
        versions = preconditions.required_match(request, self.tags)
        changes = await read_body(request, self.schemas.patch, MERGE_PATCH)
        fields = tuple(name for name in self.resource.own_fields if name in changes.model_fields_set)
        if not fields:
            return await self._unchanged(item_id, versions)
        values = self._wire(changes, fields)
        rows = await self._run(
            self._writer.update(fields),
            {**values, "id": item_id, "versions": versions, **_who(request, principal)},
        )
        if not rows:
            raise self._missing()
        row = rows[0]
        if not row["updated"] and (row["changes"] or not row["allowed"]):
            raise preconditions.stale()
        return _json(row["body"].encode(), headers={"ETag": self.tags.tag(row["version"])})

    async def _unchanged(self, item_id: UUID, versions: list[int] | None) -> Response:
        """The answer to a patch that names no field: the item as it is, if the precondition holds."""
        rows = await self._run(self._read, {"id": item_id})
        if not rows:
            raise self._missing()
        body, version = rows[0]
        if versions is not None and version not in versions:
            raise preconditions.stale()
        return _json(body.encode(), headers={"ETag": self.tags.tag(version)})

    async def delete(self, request: Request, principal: Principal) -> Response:
        refuse_all(query_of(request))
        item_id = self._id(request)
        versions = preconditions.required_match(request, self.tags)
        rows = await self._run(
            self._writer.delete, {"id": item_id, "versions": versions, **_who(request, principal)}
        )
        if not rows:
            raise self._missing()
        if not rows[0]["deleted"]:
            raise preconditions.stale()
        return Response(status_code=204)

    def _id(self, request: Request) -> UUID:
        found = is_text_id(request.path_params["id"])
        if found is None:
            raise self._missing()
        return found

    def _missing(self) -> problems.NotFound:
        return problems.NotFound(f"There is no such {self.resource.singular}.")

    def _wire(self, item: BaseModel, fields: tuple[str, ...]) -> dict[str, Any]:
        columns = self.resource.table.c
        return {name: to_wire(columns[name], getattr(item, name)) for name in fields}


def _who(request: Request, principal: Principal) -> dict[str, str]:
    return {"principal": principal.id, "ctx_request_id": state_of(request.scope).request_id}


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")


def _read_statement(resource: RestResource) -> Statement:
    table = resource.table
    names = dict.fromkeys(("version", *resource.shown_fields))
    row = (
        sa.select(*(table.c[name] for name in names))
        .where(table.c.id == parameter("id", sa.Uuid()), table.c.deleted_at.is_(None))
        .subquery("row")
    )
    return compile_statement(representation(row, resource.shown_fields))
