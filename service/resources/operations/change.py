"""`PATCH` and `PUT /orders/{id}`: changing one item, guarded by its tag; `PUT` may also create under a known id."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from service.http import problems
from service.http.content.body import read_body
from service.http.openapi import ALWAYS, WITH_BODY, responses_of
from service.http.problems import FieldError, Problem
from service.resources.documentation import ETAG, ID, LOCATION, ON_ONE, Documented, tags_header
from service.resources.engine import Engine, Run, values_of
from service.resources.operations.create import FIRST_VERSION
from service.resources.operations.operation import Operation
from service.resources.requests import preconditions
from service.resources.requests.idempotency import answer
from service.resources.requests.merge_patch import FIXED, MERGE_PATCH, told_fixed
from service.resources.requests.parameters import query_of, refuse_others
from service.resources.requests.preconditions import Guard
from service.resources.schemas.links import links_of_item
from service.resources.statements.statement import Statement
from service.security.principals import Principal

_ATTEMPTS = 4


async def patch(engine: Engine, request: Request, principal: Principal) -> Response:
    """The item after a merge patch (RFC 7396). One that changes nothing makes no version."""
    refuse_others(query_of(request))
    item_id = engine.item_id(request)
    guard = preconditions.guard_of(request, engine.tags, required=True)
    try:
        changes = await read_body(request, engine.schemas.patch, MERGE_PATCH)
    except problems.ValidationFailed as error:
        raise problems.ValidationFailed(errors=told_fixed(error.errors, engine.resource.immutable)) from None
    fields = tuple(name for name in engine.resource.own_fields if name in changes.model_fields_set)
    if not fields:
        return await _unchanged(engine, item_id, guard)
    values = values_of(changes, fields)
    return await _change(
        engine,
        request,
        principal,
        statement=engine.writer.patch,
        item_id=item_id,
        guard=guard,
        values=values,
        absent=engine.missing(),
    )


async def replace(engine: Engine, request: Request, principal: Principal) -> Response:
    """The item after a replacement; 201 when `If-None-Match: *` has made it."""
    refuse_others(query_of(request))
    item_id = engine.item_id(request)
    unless = preconditions.tags_of(request, "If-None-Match")
    creates = unless is not None and unless.any and preconditions.tags_of(request, "If-Match") is None
    guard = preconditions.guard_of(request, engine.tags, required=not creates)
    item = await read_body(request, engine.schemas.create)
    values = values_of(item, engine.resource.own_fields)
    if creates:
        if "create" in engine.resource.without:
            raise engine.missing()
        return await _create_as(engine, request, principal, item_id, values)
    return await _change(
        engine,
        request,
        principal,
        statement=engine.writer.replace,
        item_id=item_id,
        guard=guard,
        values=values,
        # PUT could have created it, so the precondition decides (RFC 9110, 13.2.1).
        absent=problems.PreconditionFailed("There is no item with this id."),
    )


async def _change(
    engine: Engine,
    request: Request,
    principal: Principal,
    *,
    statement: Callable[[tuple[str, ...]], Statement],
    item_id: UUID,
    guard: Guard,
    values: dict[str, Any],
    absent: Problem,
) -> Response:
    async with engine.change(request, principal, "update", item_id, values) as (run, arguments):
        rows = await settle(run, statement(engine.fields_in(arguments)), arguments, guard)
        # Judged inside: what hooks have written goes with a change that is refused.
        if not rows:
            raise absent
        return changed(engine, rows, guard)


async def settle(
    run: Run, statement: Statement, arguments: Mapping[str, Any], guard: Guard
) -> list[asyncpg.Record]:
    """The rows of a change; once more while another change came between and the guard minds no version."""
    for _ in range(_ATTEMPTS):
        rows = await run(statement, {**arguments, **guard.parameters()})
        lost_a_race = rows and not rows[0]["done"] and rows[0]["allowed"] and rows[0]["changes"]
        if not lost_a_race or rows[0]["refused"] or guard.versions is not None:
            break
    return rows


async def _create_as(
    engine: Engine, request: Request, principal: Principal, item_id: UUID, values: dict[str, Any]
) -> Response:
    try:
        async with engine.change(request, principal, "create", item_id, values) as (run, arguments):
            rows = await run(engine.writer.create, arguments)
    except problems.Duplicate as error:
        if [e.pointer for e in error.errors] != ["/id"]:
            raise
        if await engine.run(engine.read_one, {"id": item_id}):
            raise problems.PreconditionFailed("There is an item with this id already.") from error
        raise problems.Conflict("An item with this id was deleted; restore it instead.") from error
    headers = {"Location": request.url.path, "ETag": engine.tags.tag(FIRST_VERSION)}
    return answer(201, headers, rows[0]["body"].encode())


async def _unchanged(engine: Engine, item_id: UUID, guard: Guard) -> Response:
    """The answer to a patch that names no field: the item as it is, if the precondition holds."""
    rows = await engine.run(engine.read_one, {"id": item_id})
    if not rows:
        raise engine.missing()
    body, version = rows[0]
    if not guard.allows(version):
        raise problems.PreconditionFailed(guard.advice)
    return answer(200, {"ETag": engine.tags.tag(version)}, body.encode())


def changed(engine: Engine, rows: Sequence[asyncpg.Record], guard: Guard) -> Response:
    """The answer to a change out of its statement's row. Raises the problem when nothing was changed."""
    if not rows:
        raise engine.missing()
    row = rows[0]
    if row["done"] or (row["allowed"] and not row["refused"] and not row["changes"]):
        return answer(200, {"ETag": engine.tags.tag(row["version"])}, row["body"].encode())
    if row["allowed"] and row["refused"]:
        names = row["refused"].split(",")
        raise problems.ValidationFailed(errors=[FieldError(FIXED, pointer=f"/{name}") for name in names])
    raise problems.PreconditionFailed(guard.advice)


def _document_patch(engine: Engine) -> Documented:
    return {
        "summary": f"Change {engine.resource.a_singular}",
        "description": "A JSON merge patch (RFC 7396), also accepted as `application/json`. A patch that changes "
        "nothing makes no new version.",
        "status_code": 200,
        "response_model": engine.schemas.read,
        "responses": {
            200: {"headers": ETAG, **links_of_item(engine.resource, in_body=False)},
            **responses_of(*ALWAYS, *ON_ONE, *WITH_BODY),
        },
        "openapi_extra": {"parameters": [ID, tags_header("If-Match", required=True)]},
    }


def _document_replace(engine: Engine) -> Documented:
    return {
        "summary": f"Replace {engine.resource.a_singular}",
        "description": "With `If-Match`, replaces the item; with `If-None-Match: *`, creates it under this id.",
        "status_code": 200,
        "response_model": engine.schemas.read,
        "responses": {
            200: {"headers": ETAG, **links_of_item(engine.resource, in_body=False)},
            201: {
                "description": "The item was created.",
                "headers": {**LOCATION, **ETAG},
                "model": engine.schemas.read,
                **links_of_item(engine.resource, in_body=True),
            },
            **responses_of(*ALWAYS, *ON_ONE, *WITH_BODY),
        },
        "openapi_extra": {
            "parameters": [
                ID,
                tags_header("If-Match", required=False),
                tags_header("If-None-Match", required=False),
            ]
        },
    }


PATCH = Operation(
    "patch",
    "PATCH",
    "/{id}",
    writes=True,
    handle=patch,
    document=_document_patch,
    body=lambda engine: engine.schemas.patch,
    media_type=MERGE_PATCH[0],
)
REPLACE = Operation(
    "replace",
    "PUT",
    "/{id}",
    writes=True,
    handle=replace,
    document=_document_replace,
    body=lambda engine: engine.schemas.create,
)
