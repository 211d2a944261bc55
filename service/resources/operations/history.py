"""`GET /orders/{id}/history`: who changed what and when, newest first."""

from typing import Any

from starlette.responses import Response

from service.http.content.integers import INT32
from service.resources.columns import json_text
from service.resources.documentation import CURSOR, limit_parameter, query
from service.resources.engine import Engine
from service.resources.lists.cursor import Cursor
from service.resources.operations.operation import Call, Operation
from service.resources.requests.json_response import JsonResponse
from service.resources.requests.parameters import page_limit

_BEYOND_NEWEST = INT32.stop


async def _history(call: Call) -> Response:
    """Return one page of versions, also those of a deleted item."""
    engine, item_id = call.engine, call.item_id
    sizes, cursors = engine.services.sizes, engine.services.cursors
    limit = page_limit(call.query, default=sizes.page_size, most=sizes.page_size_max)
    bound_to = f"{engine.resource.path}/{item_id}/history"
    below = _BEYOND_NEWEST
    if "cursor" in call.query:
        (below,) = cursors.read(call.query["cursor"], bound_to=bound_to).values
    rows = await engine.run(
        engine.history.page, {**call.rows.arguments, "id": item_id, "below": below, "limit": limit + 1}
    )
    if not rows and below == _BEYOND_NEWEST:
        raise engine.missing()
    items = [dict(row) | {"item": json_text.read(row["body"])} for row in rows]
    # The additional row is what the page's last version is compared with.
    shown = [_entry(engine, item, *items[i + 1 : i + 2]) for i, item in enumerate(items[:limit])]
    more = len(items) > limit
    cursor = cursors.write(Cursor((shown[-1]["version"],)), bound_to=bound_to) if more else None
    return JsonResponse(200, {}, json_text.write({"items": shown, "next_cursor": cursor}).encode())


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


HISTORY = Operation(
    name="history",
    method="GET",
    suffix="/{id}/history",
    handle=_history,
    summary="Read the history of {a_singular}",
    description="All versions and what each changed, newest first. Also works for deleted items.",
    query=("limit", "cursor"),
    response_model=lambda engine: engine.schemas.history,
    responses=lambda _: {},
    parameters=lambda engine: [
        limit_parameter(engine.services.sizes.page_size_max),
        query("cursor", CURSOR, "`next_cursor` of the page before."),
    ],
)
