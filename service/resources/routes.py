"""Routes of a resource: declared to FastAPI for the documentation, answered by the engine directly.

FastAPI's own way through dependencies and response models costs more than the database does. The endpoint's
signature tells OpenAPI the truth; `EngineRoute` answers from the engine's operation, under the same gate.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from service.http.answers import problem_response
from service.http.problems import Problem
from service.resources.documentation import Documented, body_of, document
from service.resources.engine import Engine
from service.security.access import Gate, needs
from service.security.principals import Principal

Handler = Callable[[Request, Principal], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a resource: how it is reached, what it needs, who answers."""

    name: str
    method: str
    path: str
    scope: str
    handler: Handler
    documented: Documented


def operations_of(engine: Engine) -> list[Operation]:
    """The operations that the resource offers, in the order of the documentation."""
    resource = engine.resource
    one = f"/{resource.path}/{{id}}"
    reading, writing = resource.scopes.read, resource.scopes.write
    table: list[tuple[str, str, str, str, Handler]] = [
        ("list", "GET", f"/{resource.path}", reading, engine.list_items),
        ("create", "POST", f"/{resource.path}", writing, engine.create),
        ("read", "GET", one, reading, engine.read),
        ("patch", "PATCH", one, writing, engine.patch),
        ("delete", "DELETE", one, writing, engine.delete),
    ]
    return [
        Operation(name, method, path, scope, handler, document(engine, name))
        for name, method, path, scope, handler in table
    ]


def router_of(engine: Engine, gate: Gate) -> APIRouter:
    """A router with every operation of the resource."""
    router = APIRouter(tags=[engine.resource.path])
    for operation in operations_of(engine):
        router.add_api_route(
            operation.path,
            _endpoint(operation, body_of(engine, operation.name)),
            methods=[operation.method],
            name=f"{operation.name}_{engine.resource.path}",
            operation_id=f"{operation.name}_{engine.resource.path}",
            route_class_override=_route_class(operation, gate),
            **operation.documented,
        )
    return router


def _endpoint(operation: Operation, body: type[Any] | None) -> Callable[..., Any]:
    """A function whose signature says what the operation takes; `EngineRoute` answers in its place."""

    async def endpoint(request: Request, **_: Any) -> Response:
        principal: Principal = request.state.principal
        return await operation.handler(request, principal)

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request),
        inspect.Parameter("principal", keyword, annotation=Principal, default=needs(operation.scope)),
    ]
    if body is not None:
        parameters.append(inspect.Parameter("item", keyword, annotation=body))
    endpoint.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return endpoint


def _route_class(operation: Operation, gate: Gate) -> type[APIRoute]:
    class EngineRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            async def handle(request: Request) -> Response:
                try:
                    principal = await gate.admit(request, operation.scope)
                    return await operation.handler(request, principal)
                except Problem as problem:
                    return problem_response(request, problem)

            return handle

    return EngineRoute
