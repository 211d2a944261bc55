"""What an operation of a resource is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response

from service.resources.declaration import RestResource
from service.resources.documentation import Documented
from service.resources.engine import Engine
from service.security.principals import Principal

Handle = Callable[[Engine, Request, Principal], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its route under the resource's path, its handler, and its OpenAPI description.

    `media_type` is the body's; the answer has one of the types in `produces`, usually the first.
    """

    name: str
    method: str
    suffix: str
    writes: bool
    handle: Handle
    document: Callable[[Engine], Documented]
    body: Callable[[Engine], type[Any]] | None = None
    media_type: str = "application/json"
    produces: tuple[str, ...] = ("application/json",)
    takes_key: bool = False
    """Whether an Idempotency-Key is honoured; other operations refuse it."""
    operation_id: Callable[[RestResource], str] | None = None

    def id_in(self, resource: RestResource) -> str:
        """The operation id in OpenAPI, when it is an operation of this resource."""
        return resource.operation_id(self.name) if self.operation_id is None else self.operation_id(resource)
