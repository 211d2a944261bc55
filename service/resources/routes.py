"""The routes of a resource. FastAPI documents them; the edge finds their handlers and calls them.

FastAPI's routing, dependencies and response models cost more time than the database does. So its routes are only for
OpenAPI; `handlers_of` has the operations, behind the gate that the routes name.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import FastAPI, Request, Response
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import JSONResponse

from service.http.content.negotiation import require_acceptable
from service.http.handwritten.refuse_idempotency_key import refuse_key
from service.http.middleware.dispatch import Handler, Route
from service.resources.columns.text import UUID_PATTERN
from service.resources.documented_route import DocumentedRoute
from service.resources.engine import Engine
from service.resources.operations import ALL
from service.resources.operations.action import operation_of
from service.resources.operations.create import CREATE
from service.resources.operations.create_nested import create_with
from service.resources.operations.lists import list_under
from service.resources.operations.operation import Call, Operation
from service.resources.relations.children import children_of
from service.resources.requests.parameters import query_of, refuse_others
from service.resources.visibility import EngineOf, engine_of_caller
from service.security.access import require_scope
from service.security.gate import Gate
from service.security.principals import Principal


class _ItemId(Convertor[UUID]):
    """Matches only UUIDs in paths, so `/orders/bulk` is not an item and has no item methods."""

    regex = UUID_PATTERN

    def convert(self, value: str) -> UUID:
        return UUID(value)

    def to_string(self, value: UUID) -> str:
        return str(value)


register_url_convertor("item", _ItemId())


def document_operations(app: FastAPI, engines: Sequence[Engine], *, prefix: str) -> None:
    """Add the routes of all operations to the application, and the extra routes of each resource before them."""
    for engine in engines:
        resource = engine.resource
        if resource.extra is not None:
            app.include_router(resource.extra, prefix=f"{prefix}/{resource.path}", tags=[resource.path])
        for operation in _operations(engine, engines):
            app.router.routes.append(_documented(engine, operation, prefix))


def handlers_of(engines: Sequence[Engine], gate: Gate, *, prefix: str) -> list[Route]:
    """Return the routes of all operations, as the edge dispatches them."""
    routes = []
    for engine in engines:
        find = engine_of_caller(engine)
        for operation in _operations(engine, engines):
            handler = _handler(engine, operation, gate, find)
            routes.append(Route(operation.method, prefix + operation.path_of(engine.resource), handler))
    return routes


def _operations(engine: Engine, engines: Sequence[Engine]) -> Iterator[Operation]:
    """Yield the operations of a resource, and its lists under the resources that it refers to."""
    resource = engine.resource
    for operation in ALL:
        if operation.name not in resource.without:
            nested = operation is CREATE and resource.children
            yield create_with(children_of(engine, engines)) if nested else operation
    yield from map(operation_of, resource.actions)
    if "list" not in resource.without:
        by_resource = {other.resource: other for other in engines}
        for parent, field in resource.parents(tuple(by_resource)):
            yield list_under(by_resource[parent], field)


def _scope_of(engine: Engine, operation: Operation) -> str:
    scopes = engine.resource.scopes
    if operation.scope is not None:
        return operation.scope
    return scopes.write if operation.writes else scopes.read


def _documented(engine: Engine, operation: Operation, prefix: str) -> DocumentedRoute:
    resource = engine.resource
    return DocumentedRoute(
        operation.method,
        prefix + operation.path_of(resource).replace("{id}", "{id:item}"),
        operation_id=operation.id_in(resource),
        scope=_scope_of(engine, operation),
        describe=partial(_description, engine, operation),
    )


def _description(engine: Engine, operation: Operation) -> dict[str, Any]:
    engine.schemas.build()
    return {
        "endpoint": _endpoint(
            _scope_of(engine, operation), operation.body(engine) if operation.body else None
        ),
        "tags": [engine.resource.path],
        "response_class": _answering(operation.produces[0]),
        **operation.route_arguments(engine),
    }


def _answering(media_type: str) -> type[Response]:
    """Return a response class that gives OpenAPI the media type; the operation makes the response."""
    return (
        JSONResponse
        if media_type == JSONResponse.media_type
        else type("", (Response,), {"media_type": media_type})
    )


def _endpoint(scope: str, body: type[Any] | None) -> Callable[..., Any]:
    """Return a function whose signature describes the request. It is never called."""

    async def endpoint(**_: Any) -> None:
        raise AssertionError("the edge handles the request")

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("principal", keyword, annotation=Principal, default=require_scope(scope))]
    if body is not None:
        parameters.append(inspect.Parameter("item", keyword, annotation=body))
    endpoint.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return endpoint


def _handler(engine: Engine, operation: Operation, gate: Gate, find: EngineOf | None) -> Handler:
    scopes = (_scope_of(engine, operation),)

    async def handle(request: Request) -> Response:
        principal = await gate.admit(request, scopes)
        rows = engine.access.of(principal)
        require_acceptable(request, *operation.produces)
        if not operation.takes_key:
            refuse_key(request)
        known = operation.query
        query: Mapping[str, str] = {}
        if known is not None and request.scope["query_string"]:
            query = refuse_others(query_of(request), *known)
        seen = engine if find is None else find(principal)
        return await operation.handle(Call(seen, request, principal, rows, query))

    return handle
