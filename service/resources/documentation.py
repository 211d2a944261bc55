"""What OpenAPI says of a resource's operations: parameters, bodies, answers and their headers."""

from typing import Any, TypedDict

import sqlalchemy as sa

from service.http import problems
from service.http.openapi import responses_of
from service.http.problems import Problem
from service.resources.bodies import MERGE_PATCH
from service.resources.columns import kind_of
from service.resources.engine import Engine
from service.resources.filters import Filter
from service.resources.listing import COUNTS, LONGEST_SEARCH

ETAG = {"ETag": {"description": "Entity tag of this version.", "schema": {"type": "string"}}}
LOCATION = {"Location": {"description": "Path of the new item.", "schema": {"type": "string"}}}
LINK = {"Link": {"description": "first, next and prev (RFC 8288).", "schema": {"type": "string"}}}

_ALWAYS: tuple[type[Problem], ...] = (
    problems.MalformedRequest,
    problems.Unauthenticated,
    problems.Forbidden,
    problems.TooManyRequests,
    problems.InternalError,
    problems.Unavailable,
    problems.Overtime,
)
_WITH_BODY = (
    problems.BodyTooLarge,
    problems.UnsupportedMediaType,
    problems.ValidationFailed,
    problems.Conflict,
)
_ON_ONE = (problems.NotFound, problems.PreconditionFailed)


class Documented(TypedDict):
    """Arguments of `add_api_route`."""

    summary: str
    description: str
    status_code: int
    response_model: Any
    responses: dict[int | str, dict[str, Any]]
    openapi_extra: dict[str, Any]


def body_of(engine: Engine, operation: str) -> type[Any] | None:
    """The schema of an operation's body."""
    bodies: dict[str, type[Any]] = {"create": engine.schemas.create, "patch": engine.schemas.patch}
    return bodies.get(operation)


def document(engine: Engine, operation: str) -> Documented:
    """The documentation of one operation."""
    makers = {"list": _list, "create": _create, "read": _read, "patch": _patch, "delete": _delete}
    return makers[operation](engine)


def _list(engine: Engine) -> Documented:
    resource = engine.resource
    return {
        "summary": f"List {resource.path}",
        "description": f"One page of the {resource.path} that pass every filter, in the order of `sort`.",
        "status_code": 200,
        "response_model": engine.schemas.page,
        "responses": {200: {"headers": LINK}, **responses_of(*_ALWAYS)},
        "openapi_extra": {"parameters": _list_parameters(engine)},
    }


def _create(engine: Engine) -> Documented:
    singular = engine.resource.singular
    return {
        "summary": f"Create a {singular}",
        "description": f"Stores a new {singular} under an id of the service's making.",
        "status_code": 201,
        "response_model": engine.schemas.read,
        "responses": {201: {"headers": {**LOCATION, **ETAG}}, **responses_of(*_ALWAYS, *_WITH_BODY)},
        "openapi_extra": {},
    }


def _read(engine: Engine) -> Documented:
    singular = engine.resource.singular
    return {
        "summary": f"Read a {singular}",
        "description": "With `If-None-Match`, 304 when the client's copy is still good.",
        "status_code": 200,
        "response_model": engine.schemas.read,
        "responses": {
            200: {"headers": ETAG},
            304: {"description": "The client's copy is still good.", "headers": ETAG},
            **responses_of(*_ALWAYS, *_ON_ONE),
        },
        "openapi_extra": {"parameters": [_ID, _header("If-None-Match", required=False)]},
    }


def _patch(engine: Engine) -> Documented:
    schema = {"$ref": f"#/components/schemas/{engine.schemas.patch.__name__}"}
    return {
        "summary": f"Change a {engine.resource.singular}",
        "description": "A JSON merge patch (RFC 7396). A patch that changes nothing makes no new version.",
        "status_code": 200,
        "response_model": engine.schemas.read,
        "responses": {
            200: {"headers": ETAG},
            **responses_of(*_ALWAYS, *_ON_ONE, *_WITH_BODY, problems.PreconditionRequired),
        },
        "openapi_extra": {
            "parameters": [_ID, _header("If-Match", required=True)],
            "requestBody": {"content": {kind: {"schema": schema} for kind in MERGE_PATCH}},
        },
    }


def _delete(engine: Engine) -> Documented:
    return {
        "summary": f"Delete a {engine.resource.singular}",
        "description": "A soft delete: the row stays in the history, and can be restored.",
        "status_code": 204,
        "response_model": None,
        "responses": responses_of(*_ALWAYS, *_ON_ONE, problems.Conflict, problems.PreconditionRequired),
        "openapi_extra": {"parameters": [_ID, _header("If-Match", required=True)]},
    }


_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "Id of the item.",
    "schema": {"type": "string", "format": "uuid"},
}


def _header(name: str, *, required: bool) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": "Entity tags, or `*` (RFC 9110, section 13.1).",
        "schema": {"type": "string", "pattern": r'^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$'},
    }


def _list_parameters(engine: Engine) -> list[dict[str, Any]]:
    resource, sizes = engine.resource, engine.lister.sizes
    keys = [f"{sign}{name}" for name in resource.sortable for sign in ("", "-")]
    one = "|".join(resource.sortable)
    parameters = [
        _query(
            "limit", {"type": "integer", "minimum": 1, "maximum": sizes.page_size_max}, "Items of a page."
        ),
        _query("cursor", {"type": "string"}, "`next_cursor` of the page before; only with the same list."),
        _query(
            "sort",
            {
                "type": "string",
                "pattern": f"^-?({one})(,-?({one})){{0,2}}$",
                "default": resource.default_sort,
            },
            f"Up to three of: {', '.join(keys)}; separated by commas.",
        ),
        _query("count", {"type": "string", "enum": list(COUNTS)}, "Adds `total` to the page."),
    ]
    if resource.searchable:
        schema = {"type": "string", "maxLength": LONGEST_SEARCH}
        parameters.append(_query("q", schema, f"Words to find in {', '.join(resource.searchable)}."))
    return parameters + [_query(f.name, _schema(f), f.description) for f in engine.lister.filters.values()]


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    parameter = {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
    return {**parameter, "style": "form", "explode": False} if schema.get("type") == "array" else parameter


def _schema(filter_: Filter) -> dict[str, Any]:
    kind = kind_of(filter_.column)
    if filter_.operator == "isnull" or isinstance(kind, sa.Boolean):
        return {"type": "boolean"}
    if isinstance(kind, sa.Enum):
        one: dict[str, Any] = {"type": "string", "enum": list(kind.enums)}
    elif isinstance(kind, sa.Integer):
        one = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
    elif isinstance(kind, sa.Numeric):
        one = {"type": "string", "pattern": r"^-?[0-9]{1,30}(\.[0-9]{1,20})?$"}
    elif isinstance(kind, sa.DateTime):
        one = {"type": "string", "format": "date-time"}
    elif isinstance(kind, sa.Uuid):
        one = {"type": "string", "format": "uuid"}
    else:
        one = {"type": "string"}
    return {"type": "array", "items": one, "maxItems": 100} if filter_.operator == "in" else one
