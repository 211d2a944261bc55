"""Descriptions in OpenAPI that operations share: parameters, headers and responses."""

from typing import Any

from service.http.content.preconditions import TAGS_PATTERN
from service.http.openapi import NO_NUL
from service.resources.declaration import MAX_SORT_FIELDS, RestResource
from service.resources.engine import Engine
from service.resources.lists.filters import MAX_IN, Filter
from service.resources.lists.parser import COUNTS, LONGEST_SEARCH
from service.resources.relations.expansions import EXPAND
from service.resources.schemas.links import links_of_item


def _always(description: str, pattern: str) -> dict[str, Any]:
    """Describe a header that every response with this status has."""
    return {"description": description, "required": True, "schema": {"type": "string", "pattern": pattern}}


ETAG = {"ETag": _always("Entity tag of this version.", '^"[!#-~]+"$')}
LOCATION = {"Location": _always("Path of the new item.", "^/")}
REPLAYED = {
    "Idempotency-Replayed": {
        "description": "`true` if the response is a replay for its Idempotency-Key; absent from the original response.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
LINK = {"Link": _always("first, next and prev (RFC 8288).", "^<")}

ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "Id of the item.",
    "schema": {"type": "string", "format": "uuid"},
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeated request with the same key gets the stored response and has no further effect.",
    "schema": {
        "type": "string",
        "pattern": "^[!#-~]{1,255}$",
        "examples": ["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    },
}


CURSOR = {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}


def item_response(engine: Engine) -> dict[int | str, dict[str, Any]]:
    """Describe a response with the item that the path names."""
    return {200: {"headers": ETAG, **links_of_item(engine.resource, in_body=False)}}


def created_response(engine: Engine) -> dict[int | str, dict[str, Any]]:
    """Describe a response with a new item."""
    return {201: {"headers": {**LOCATION, **ETAG}, **links_of_item(engine.resource, in_body=True)}}


def tags_header(name: str, *, required: bool) -> dict[str, Any]:
    """Describe a conditional header."""
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": "Entity tags, or `*` (RFC 9110, section 13.1).",
        "schema": {"type": "string", "pattern": TAGS_PATTERN, "examples": ['"3-5f2c1a90"']},
    }


def query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    """Describe a query parameter. A list is a repeated parameter."""
    parameter = {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
    return {**parameter, "style": "form", "explode": True} if schema.get("type") == "array" else parameter


def limit_parameter(most: int) -> dict[str, Any]:
    return query("limit", {"type": "integer", "minimum": 1, "maximum": most}, "Items of a page.")


def list_parameters(engine: Engine, *, paged: bool = True) -> list[dict[str, Any]]:
    """Describe the parameters of a list, or of an export, which has no pages."""
    resource = engine.resource
    parameters = [_sort_parameter(resource)]
    if paged:
        parameters += [
            limit_parameter(engine.services.sizes.page_size_max),
            query("cursor", CURSOR, "`next_cursor` of the page before; only with the same list."),
            query("count", {"type": "string", "enum": list(COUNTS)}, "Adds `total` to the page."),
        ]
    if resource.searchable:
        schema = {"type": "string", "maxLength": LONGEST_SEARCH, "pattern": NO_NUL}
        parameters.append(query("q", schema, f"Words to find in {', '.join(resource.searchable)}."))
    parameters += expand_parameters(engine)
    return parameters + [
        query(f.name, _schema(f), f.description + _note_on(f, resource))
        for f in engine.lister.filters.values()
    ]


def expand_parameters(engine: Engine) -> list[dict[str, Any]]:
    """Describe the parameter of reads and lists that shows other items; none without relations."""
    expansions = engine.expansions
    if not expansions.names:
        return []
    schema = {
        "type": "array",
        "items": {"type": "string", "enum": [*expansions.names]},
        "minItems": 1,
        "uniqueItems": True,
    }
    scopes = ", ".join(f"`{name}` needs the scope `{scope}`" for name, scope in expansions.scopes.items())
    return [query(EXPAND, schema, f"Other items to show within each item. {scopes}.")]


def _sort_parameter(resource: RestResource) -> dict[str, Any]:
    return query(
        "sort",
        {
            "type": "array",
            "items": {
                "type": "string",
                "enum": [f"{sign}{f}" for f in resource.sortable for sign in ("", "-")],
                # Names of the choices for generators; a choice with a hyphen would become VALUE_1.
                "x-enum-varnames": [f"{f}{way}".upper() for f in resource.sortable for way in ("", "_desc")],
            },
            "minItems": 1,
            "maxItems": MAX_SORT_FIELDS,
            "uniqueItems": True,
            "default": resource.default_sort.split(","),
        },
        "The order, by each field at most once; `-` before one for descending."
        + "".join(
            f" `{name}` needs the scope `{resource.visible[name]}`."
            for name in resource.sortable
            if name in resource.visible
        ),
    )


def _note_on(filter_: Filter, resource: RestResource) -> str:
    relation = filter_.relation
    if relation is None:
        return resource.note_on(filter_.column.name)
    target = relation.target
    return f" Needs the scope `{target.scopes.read}`.{target.note_on(filter_.column.name)}"


def _schema(filter_: Filter) -> dict[str, Any]:
    if filter_.operator == "isnull":
        return {"type": "boolean"}
    one = dict(filter_.kind.schema)
    if filter_.operator == "in":
        return {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_IN}
    return one
