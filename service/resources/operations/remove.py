"""`DELETE /orders/{id}` and `POST /orders/{id}/restore`: soft delete and restore."""

from starlette.requests import Request
from starlette.responses import Response

from service.http import problems
from service.http.openapi import ALWAYS, responses_of
from service.resources.documentation import ETAG, ID, ON_ONE, Documented, tags_header
from service.resources.engine import Engine
from service.resources.operations.change import changed, settle
from service.resources.operations.operation import Operation
from service.resources.requests import preconditions
from service.resources.requests.parameters import query_of, refuse_others
from service.resources.schemas.links import links_of_deleted, links_of_item
from service.security.principals import Principal


async def delete(engine: Engine, request: Request, principal: Principal) -> Response:
    """Nothing. The row stays, marked as deleted, and its history with it."""
    refuse_others(query_of(request))
    item_id = engine.item_id(request)
    guard = preconditions.guard_of(request, engine.tags, required=True)
    async with engine.change(request, principal, "delete", item_id, {}) as (run, arguments):
        changed(engine, await settle(run, engine.writer.delete, arguments, guard), guard)
    return Response(status_code=204)


async def restore(engine: Engine, request: Request, principal: Principal) -> Response:
    """The item, as it was when it was deleted, in a new version."""
    refuse_others(query_of(request))
    item_id = engine.item_id(request)
    guard = preconditions.guard_of(request, engine.tags, required=False)
    rows = None
    try:
        async with engine.change(request, principal, "update", item_id, {}) as (run, arguments):
            statement = engine.writer.restore(engine.fields_in(arguments))
            rows = await settle(run, statement, arguments, guard)
            return changed(engine, rows, guard)
    except problems.NotFound:
        # A hook may raise it about something else.
        if rows == [] and await engine.run(engine.read_one, {"id": item_id}):
            raise problems.NotDeleted from None
        raise


def _document_delete(engine: Engine) -> Documented:
    return {
        "summary": f"Delete {engine.resource.a_singular}",
        "description": "A soft delete: the row stays in the history, and can be restored.",
        "status_code": 204,
        "response_model": None,
        "responses": {
            204: {"description": "The item is deleted.", **links_of_deleted(engine.resource)},
            **responses_of(*ALWAYS, *ON_ONE, problems.Conflict),
        },
        "openapi_extra": {"parameters": [ID, tags_header("If-Match", required=True)]},
    }


def _document_restore(engine: Engine) -> Documented:
    return {
        "summary": f"Restore a deleted {engine.resource.singular}",
        "description": "Brings back an item as it was; 409 when another one has taken its unique values meanwhile.",
        "status_code": 200,
        "response_model": engine.schemas.read,
        "responses": {
            200: {"headers": ETAG, **links_of_item(engine.resource, in_body=False)},
            **responses_of(
                *ALWAYS,
                problems.NotFound,
                problems.PreconditionFailed,
                problems.Conflict,
                problems.ValidationFailed,
            ),
        },
        "openapi_extra": {"parameters": [ID, tags_header("If-Match", required=False)]},
    }


DELETE = Operation("delete", "DELETE", "/{id}", writes=True, handle=delete, document=_document_delete)
RESTORE = Operation(
    "restore", "POST", "/{id}/restore", writes=True, handle=restore, document=_document_restore
)
