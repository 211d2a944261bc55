"""The one layer around the application, pure ASGI: what happens to every request before and after its route.

In this order: the client's address and path (`forwarded`, `public_path`), the request id and trace (`state`), refusals
and limits (`exchange`), CORS preflights (`cors`), the route (`dispatch`, or else the framework), problems for what
was raised, the access line and the metrics. The response passes through `exchange` on its way out, which adds
`response_headers`.
"""

import asyncio

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service import actor
from service.http import problems
from service.http.middleware.body_budget import forget
from service.http.middleware.exchange import OVERLOADED, Exchange, open_exchange
from service.http.middleware.services import EdgeServices
from service.http.middleware.state import CONTENT, REFUSAL, template_of
from service.http.problems import Problem
from service.http.problems.handlers import HANDLED, response_to
from service.http.protocol.request_head import ALLOW

log = structlog.get_logger(__name__)

# Of `OPTIONS *`, which asks about the server and not about any resource (RFC 9110, 9.3.7).
_ALLOW = [(name.lower().encode(), value.encode()) for name, value in ALLOW.items()]


class Edge:
    """Adds no task and no context of its own, so cancellation and contextvars work as they should."""

    def __init__(self, app: ASGIApp, services: EdgeServices) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        services = self._services
        exchange = open_exchange(scope, receive, send, services)
        exchange.state.flags = services.flags()
        services.metrics.began(scope["method"])
        acting = actor.begin(exchange.state)
        try:
            await self._answer(exchange)
        finally:
            actor.end(acting)
            if (refusal := scope.get(REFUSAL)) is not None:
                refusal.__traceback__ = None  # its frames hold the scope and the received body
            forget(scope)
            exchange.report(scope["method"])

    async def _answer(self, exchange: Exchange) -> None:
        try:
            if (problem := exchange.refusal()) is not None:
                await exchange.send_problem(problem)
                return
            if exchange.scope.get("raw_path") == b"*":
                await exchange.send_empty(204, _ALLOW)
                return
            if (
                exchange.scope["method"] == "OPTIONS"
                and (allowed := self._services.cors.preflight(exchange.scope)) is not None
            ):
                await exchange.send_empty(200, [*allowed, (b"content-length", b"0")])
                return
            if exchange.entered or exchange.enter() or await exchange.wait():
                await self._call(exchange)
            else:
                await exchange.send_problem(OVERLOADED)
        except Problem as raised:
            await exchange.send_problem(raised)
        except ClientDisconnect:
            pass  # the client is gone
        except asyncio.CancelledError:  # the shutdown timeout is over
            await exchange.send_problem(problems.Unavailable("The service is shutting down."))
        except Exception:
            log.exception(
                "request failed", method=exchange.scope["method"][:20], route=template_of(exchange.scope)
            )
            await exchange.send_problem(problems.InternalError())
        finally:
            if exchange.entered:  # most have left with their response; saves a call
                exchange.leave()

    async def _call(self, exchange: Exchange) -> None:
        """Call the generated route of the request, or else the framework."""
        scope, receive, send = exchange.scope, exchange.receive, exchange.send
        route = self._services.dispatch.find(scope)
        if route is None:
            await self._app(scope, receive, send)
            return
        exchange.state.template = route.template
        request = Request(scope, receive, send)
        if CONTENT in scope:
            # Nobody needs to receive it, and Starlette would wait for more. Receiving is for hand-written routes, whose
            # bodies it checks, and gives up the place of a request that waits for its client.
            exchange.state.content = request._body = scope[CONTENT]  # noqa: SLF001
        try:
            response = await route.handler(request)
        except HANDLED as error:
            response = await response_to(request, error)
        try:
            is_whole = type(response).__call__ is Response.__call__ and response.background is None
            if is_whole:
                await exchange.respond(response.status_code, response.raw_headers, bytes(response.body))
            else:
                await response(scope, receive, send)
        except Problem as problem:
            if exchange.begun:
                raise RuntimeError(
                    "the response broke off"
                ) from problem  # it cannot be sent: the edge logs it
            raise
