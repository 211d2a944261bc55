"""`GET /orders/{id}/history`: who changed what and when, newest first."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.http import problems
from service.http.openapi import ALWAYS, responses_of
from service.resources.columns import json_text
from service.resources.documentation import CURSOR, ID, Documented, limit_parameter, query
from service.resources.engine import Engine
from service.resources.lists.cursor import Cursor
from service.resources.operations.operation import Operation
from service.resources.requests.idempotency import answer
from service.resources.requests.parameters import page_limit, query_of, refuse_others
from service.security.principals import Principal

_NEWEST = 2**31


async def history(engine: Engine, request: Request, _principal: Principal) -> Response:
    """One page of the item's versions, also when it is deleted."""
    given = refuse_others(query_of(request), "limit", "cursor")
    item_id = engine.item_id(request)
    sizes, cursors = engine.services.sizes, engine.services.cursors
    limit = page_limit(given, default=sizes.page_size, most=sizes.page_size_max)
    bound_to = f"{engine.resource.path}/{item_id}/history"
    below = _NEWEST
    if "cursor" in given:
        (below,) = cursors.read(given["cursor"], bound_to=bound_to).values
    rows = await engine.run(engine.historian.page, {"id": item_id, "below": below, "limit": limit + 1})
    if not rows and below == _NEWEST:
        raise engine.missing()
    items = [dict(row) | {"item": json_text.read(row["body"])} for row in rows]
    # One row more than asked for: the page's last version is compared with it.
    shown = [_entry(engine, item, *items[i + 1 : i + 2]) for i, item in enumerate(items[:limit])]
    more = len(items) > limit
    cursor = cursors.write(Cursor((shown[-1]["version"],)), bound_to=bound_to) if more else None
    return answer(200, {}, json_text.write({"items": shown, "next_cursor": cursor}).encode())


def _entry(engine: Engine, row: dict[str, Any], before: dict[str, Any] | None = None) -> dict[str, Any]:
    old = before["item"] if before is not None else {}
    new = row["item"]
    return {
        **{name: row[name] for name in ("version", "action", "actor", "request_id", "at")},
        "changes": [
            {"field": name, "before": old.get(name), "after": new.get(name)}
            for name in engine.resource.shown_own_fields
            if old.get(name) != new.get(name)
        ],
    }


def _document(engine: Engine) -> Documented:
    return {
        "summary": f"Read the history of {engine.resource.a_singular}",
        "description": "Every version with what it changed, newest first; also of a deleted item.",
        "status_code": 200,
        "response_model": engine.schemas.history,
        "responses": responses_of(*ALWAYS, problems.NotFound),
        "openapi_extra": {
            "parameters": [
                ID,
                limit_parameter(engine.services.sizes.page_size_max),
                query("cursor", CURSOR, "`next_cursor` of the page before."),
            ]
        },
    }


HISTORY = Operation("history", "GET", "/{id}/history", writes=False, handle=history, document=_document)
