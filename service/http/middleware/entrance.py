"""Where a request gets its place among the running ones, before a task exists for it.

In an overload, most requests only wait and are refused. A task with its context, the coroutines of the application and
what ASGI passes between them cost more than the rest of a refusal. So the connection asks here first, and runs the
application for requests with a place. What the response says is made as for all other responses (`exchange`).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from starlette.types import Message, Scope

from service import clock
from service.http.middleware.admission import count_refusal
from service.http.middleware.body_budget import forget
from service.http.middleware.cors import RawHeaders
from service.http.middleware.exchange import open_exchange
from service.http.middleware.services import EdgeServices
from service.http.middleware.state import ARRIVED, REFUSAL


class Responder(Protocol):
    """A request on a connection."""

    scope: Any

    @property
    def is_blocked(self) -> bool:
        """Whether the client must read earlier responses first."""

    def respond(self, status: int, headers: RawHeaders, content: bytes) -> None:
        """Send a whole response."""


class Entrance:
    """The entrance to the application inside an edge with these services."""

    def __init__(self, services: EdgeServices) -> None:
        self._admission = services.admission
        self._services = services

    def admit(self, request: Responder, start: Callable[[], None]) -> None:
        """Run `start` as soon as there is a place. If there is none for too long, respond instead.

        A request that is refused anyway, and one for which no route runs, need no place.
        """
        scope = request.scope
        if REFUSAL in scope or scope["method"] == "OPTIONS":
            start()
            return
        now = clock.monotonic()
        if self._admission.enter():
            scope[ARRIVED] = now
            start()
        else:
            self._admission.queue().add_done_callback(partial(self._end_wait, request, start, now))

    def _end_wait(
        self, request: Responder, start: Callable[[], None], arrived: float, place: "asyncio.Future[None]"
    ) -> None:
        if place.exception() is None:
            request.scope[ARRIVED] = arrived
            start()
        elif request.is_blocked:
            start()  # the edge can wait for the client
        else:
            request.respond(*self._turn_away(request.scope, arrived))

    def _turn_away(self, scope: Scope, arrived: float) -> tuple[int, RawHeaders, bytes]:
        exchange = open_exchange(scope, _receive, _send, self._services)
        exchange.began = arrived
        response = exchange.turn_away()
        if exchange.turned_away:
            count_refusal(1)
        forget(scope)
        self._services.metrics.began(scope["method"])
        exchange.report(scope["method"])
        return response


class OpenEntrance:
    """Admits every request."""

    def admit(self, request: Responder, start: Callable[[], None]) -> None:  # noqa: ARG002  # as `Entrance`
        start()


async def _receive() -> Message:
    raise AssertionError("a request without a task is not read")


async def _send(_: Message) -> None:
    raise AssertionError("a request without a task is answered by its connection")
