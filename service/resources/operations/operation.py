"""An operation of a resource: its route, its handler, and what OpenAPI says about it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict
from uuid import UUID

import asyncpg
from fastapi import Request, Response

from service.database.row_id import row_id
from service.http.middleware.state import state_of
from service.http.openapi import ALWAYS, WITH_BODY, responses_of
from service.http.openapi.operation_details import BODY_MEDIA_TYPE
from service.http.problems import NotFound, Problem
from service.resources.declaration import RestResource
from service.resources.documentation import ID, IDEMPOTENCY_KEY, REPLAYED, item_response
from service.resources.engine import Engine
from service.resources.requests.idempotency import KeyedRequest, keyed_request
from service.resources.statements.ownership import Rows
from service.resources.units.engine_unit import Caller, EngineUnit, unit_on
from service.security.principals import Principal


@dataclass(slots=True)
class Call:
    """A request for an operation, by a caller who sees `rows`. `query` has its parameters, unless the operation parses
    them itself."""

    engine: Engine
    request: Request
    principal: Principal
    rows: Rows
    query: Mapping[str, str]

    @property
    def caller(self) -> Caller:
        """Who makes the changes of the request."""
        return Caller(self.principal, state_of(self.request.scope).request_id)

    def unit_on(self, connection: asyncpg.Connection) -> EngineUnit:
        """Return the unit of work in the transaction of the connection."""
        return unit_on(connection, self.engine.services.engines, self.caller)

    def keyed(self, unseen: Sequence[str] = ()) -> KeyedRequest | None:
        """Return the Idempotency-Key of the request, whose content has been read; None without one.

        `unseen` are fields of other resources that the response lacks for want of a scope. Raises `MalformedRequest`.
        """
        return keyed_request(self.request, self.principal, self.rows, (*self.engine.unseen, *unseen))

    @property
    def item_id(self) -> UUID:
        """The id in the path."""
        return UUID(self.request.scope["path_params"]["id"])

    @property
    def row_id(self) -> UUID:
        """As `item_id`, for statements, caches and `apply_change`: see `service.database.row_id`."""
        return row_id(self.request.scope["path_params"]["id"])


class RouteArguments(TypedDict):
    """Arguments of `add_api_route` that describe the operation."""

    summary: str
    description: str
    status_code: int
    response_model: Any
    responses: dict[int | str, dict[str, Any]]
    openapi_extra: dict[str, Any]


def _no_parameters(_: Engine) -> Sequence[dict[str, Any]]:
    return ()


def _item(engine: Engine) -> Any:
    return engine.schemas.read


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. The defaults are those of an operation that responds with 200 and one item.

    The route is `prefix`, the resource's path, then `suffix`. `summary` and `description` may contain `{singular}`,
    `{a_singular}` and `{plural}`. `query` names the query parameters; None if the handler parses them. `body` is the
    schema of the body, and `media_type` its type; `response_model` is the schema of the response, which has one of the
    types in `produces`, usually the first. `responses` documents more responses; `problems` are those beyond what every
    operation has, what every body has, and `NotFound` where there is an id in the path. `parameters` describes
    parameters other than that id and the Idempotency-Key; an operation without `takes_key` refuses the key. `scope` is
    required instead of the resource's.
    """

    name: str
    method: str
    handle: Callable[[Call], Awaitable[Response]]
    summary: str
    description: str
    prefix: str = ""
    suffix: str = ""
    query: tuple[str, ...] | None = ()
    takes_key: bool = False
    body: Callable[[Engine], type[Any]] | None = None
    media_type: str = "application/json"
    status: int = 200
    response_model: Callable[[Engine], Any] = _item
    produces: tuple[str, ...] = ("application/json",)
    responses: Callable[[Engine], dict[int | str, dict[str, Any]]] = item_response
    problems: tuple[type[Problem], ...] = ()
    parameters: Callable[[Engine], Sequence[dict[str, Any]]] = _no_parameters
    operation_id: Callable[[RestResource], str] | None = None
    scope: str | None = None

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    def path_of(self, resource: RestResource) -> str:
        return f"{self.prefix}/{resource.path}{self.suffix}"

    def id_in(self, resource: RestResource) -> str:
        """Return the operation id in OpenAPI."""
        return resource.operation_id(self.name) if self.operation_id is None else self.operation_id(resource)

    def route_arguments(self, engine: Engine) -> RouteArguments:
        """Return the description of the route."""
        resource = engine.resource
        words = {
            "singular": resource.singular,
            "a_singular": resource.a_singular,
            "plural": resource.plural,
        }
        has_id = "{id}" in f"{self.prefix}{self.suffix}"
        responses = self.responses(engine)
        if self.takes_key:
            responses[self.status] = {
                **responses[self.status],
                "headers": {**responses[self.status].get("headers", {}), **REPLAYED},
            }
        extra: dict[str, Any] = {
            "parameters": [
                *([ID] if has_id else []),
                *([IDEMPOTENCY_KEY] if self.takes_key else []),
                *self.parameters(engine),
            ]
        }
        if self.body is not None:
            extra[BODY_MEDIA_TYPE] = self.media_type
        with_id = (NotFound,) if has_id else ()
        with_body = WITH_BODY if self.body is not None else ()
        return {
            "summary": self.summary.format(**words),
            "description": self.description.format(**words),
            "status_code": self.status,
            "response_model": self.response_model(engine),
            "responses": {**responses, **responses_of(*ALWAYS, *with_id, *with_body, *self.problems)},
            "openapi_extra": extra,
        }
