"""What the edge knows about a request, for the code that it calls."""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from service.actor import SeenRows
from service.models.uuid7 import uuid7_hex

KEY = "slipway"
ANYBODY = "anonymous"
REFUSAL = "slipway.refusal"  # in the scope: the problem with which the connection refuses the request
ARRIVED = "slipway.arrived"  # in the scope: when the request came, if the connection has taken a place for it
CONTENT = "slipway.content"  # in the scope: the whole content, if it is short and as long as announced
WHOLE = "slipway.response"
"""An ASGI extension of our server: one message of this type is a whole response (`status`, `headers`, `body`), which
takes half the time of two."""
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$")
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,128}$")


Fields = Mapping[bytes, list[bytes]]
"""The values of each header field, by its name in lower case."""


@dataclass(slots=True)
class RequestState:
    request_id: str
    fields: Fields
    trace_id: str | None = None
    span_id: str | None = None
    principal: Any = None
    admitted: Any = None
    """The principal, once it has passed authentication and rate limits."""
    flags: object = None
    """The states of feature flags when the request began."""
    rows: SeenRows | None = None
    """The rows that row-level security lets the principal see, once it is admitted; None if it is off."""
    template: str | None = None
    """The template of a generated route."""
    head: bool = False
    """HEAD: handlers may skip building an expensive body."""
    content: bytes | None = None
    """The content of the request, once it is read: see `service.http.content.body.content_of`."""
    extra_headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def actor(self) -> str:
        """The actor of changes: the principal. Routes without scopes have an anonymous actor."""
        return ANYBODY if self.principal is None else str(self.principal.id)


def state_of(scope: MutableMapping[str, Any]) -> RequestState:
    """Return the state that the edge created for this request."""
    state: RequestState = scope[KEY]
    return state


def field_values(scope: MutableMapping[str, Any], name: bytes) -> list[str]:
    """Return the values of a header field of the request, whose name is in lower case."""
    values = scope[KEY].fields.get(name)
    if values is None:
        return []
    if len(values) == 1:  # in nearly all requests
        return [values[0].decode("latin-1")]
    return [value.decode("latin-1") for value in values]


def fields_of(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return the fields in a list of headers: walked once for each request, while a dozen readers look for theirs."""
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in fields:
            fields[name].append(value)
        else:
            fields[name] = [value]
    return fields


def new_state(headers: Iterable[tuple[bytes, bytes]]) -> RequestState:
    """Create the state from the client's headers: its request id if well-formed, its trace (W3C Trace Context)."""
    fields = fields_of(headers)
    request_id = trace_id = span_id = None
    for value in fields.get(b"x-request-id", ()):
        if _REQUEST_ID.match(text := value.decode("latin-1")):
            request_id = text
    for value in fields.get(b"traceparent", ()):
        if match := _TRACEPARENT.match(value.decode("latin-1")):
            trace_id, span_id = match.groups()
    return RequestState(request_id or uuid7_hex(), fields, trace_id, span_id)


def route_of(scope: MutableMapping[str, Any]) -> Any:
    """Return the matched route, as included by its routers; None if none matched.

    FastAPI keeps an included route's context in a private place; this is the only reader of it.
    """
    context = scope.get("fastapi", {}).get("effective_route_context")
    if context is not None and scope.get("route") is context.original_route:
        return context
    return scope.get("route")


def template_of(scope: MutableMapping[str, Any]) -> str | None:
    """Return the template of the matched route, such as `/api/v1/orders/{id}`; None if none matched."""
    return state_of(scope).template or getattr(route_of(scope), "path_format", None)
