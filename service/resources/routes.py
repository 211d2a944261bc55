"""The routes of a resource. FastAPI documents them; the engine handles their requests.

FastAPI's dependencies and response models cost more time than the database does. So the endpoint's signature is only
for OpenAPI, and `EngineRoute` calls the operation, behind the same gate.
"""

import inspect
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import JSONResponse

from service.http.content.negotiation import require_acceptable
from service.http.handwritten.refuse_idempotency_key import refuse_key
from service.http.problems import Problem
from service.http.problems.handlers import problem_response
from service.resources.columns.text import UUID_PATTERN
from service.resources.engine import Engine
from service.resources.operations import ALL
from service.resources.operations.lists import list_under
from service.resources.operations.operation import Call, Operation
from service.resources.requests.parameters import query_of, refuse_others
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


def routers_of(engines: Sequence[Engine], gate: Gate) -> list[APIRouter]:
    """Return a router for each resource, with its operations, its extra routes, and its lists under their parents."""
    routers = []
    by_resource = {engine.resource: engine for engine in engines}
    for engine in engines:
        resource = engine.resource
        router = APIRouter(tags=[resource.path])
        if resource.extra is not None:
            router.include_router(resource.extra, prefix=f"/{resource.path}")
        for operation in ALL:
            if operation.name not in resource.without:
                _add(router, engine, operation, gate)
        for parent, field in resource.parents(tuple(by_resource)) if "list" not in resource.without else ():
            _add(router, engine, list_under(by_resource[parent], field), gate)
        routers.append(router)
    return routers


def _add(router: APIRouter, engine: Engine, operation: Operation, gate: Gate) -> None:
    resource = engine.resource
    scope = resource.scopes.write if operation.writes else resource.scopes.read
    name = operation.id_in(resource)
    router.add_api_route(
        operation.path_of(resource).replace("{id}", "{id:item}"),
        _endpoint(scope, operation.body(engine) if operation.body else None),
        methods=[operation.method],
        name=name,
        operation_id=name,
        route_class_override=_route_class(engine, operation, gate, scope),
        response_class=_answering(operation.produces[0]),
        **operation.route_arguments(engine),
    )


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
        raise AssertionError("EngineRoute handles the request")

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("principal", keyword, annotation=Principal, default=require_scope(scope))]
    if body is not None:
        parameters.append(inspect.Parameter("item", keyword, annotation=body))
    endpoint.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return endpoint


async def _handle(engine: Engine, operation: Operation, gate: Gate, scope: str, request: Request) -> Response:
    try:
        principal = await gate.admit(request, (scope,))
        require_acceptable(request, *operation.produces)
        if not operation.takes_key:
            refuse_key(request)
        known = operation.query
        query = {} if known is None else refuse_others(query_of(request), *known)
        return await operation.handle(Call(engine, request, principal, query))
    except Problem as problem:
        return problem_response(request, problem)


def _route_class(engine: Engine, operation: Operation, gate: Gate, scope: str) -> type[APIRoute]:
    class EngineRoute(APIRoute):
        checks_requests = True  # in the operations

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            return partial(_handle, engine, operation, gate, scope)

    return EngineRoute
