"""The one layer around the application: client address, host name, request id, admission, body limits, last resort,
access line, metrics, headers."""

import asyncio
import contextlib
from typing import Any, Protocol

import asyncpg
import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import clock
from service.actor import acting_as
from service.database import DatabaseUnavailableError
from service.http import problems
from service.http.handwritten.bodies import BodyCheck
from service.http.middleware.admission import Admission
from service.http.middleware.body_budget import forget
from service.http.middleware.cors import Cors, RawHeaders
from service.http.middleware.forwarded import TrustedProxies
from service.http.middleware.public_path import own_path, place_under
from service.http.middleware.state import KEY, REFUSAL, RequestState, new_state, template_of
from service.http.middleware.trusted_hosts import TrustedHosts
from service.http.problems import Problem
from service.http.protocol.framing import ALLOW
from service.http.server.lifecycle import Lifecycle
from service.observability.access_log import AccessLine, AccessLog
from service.observability.metrics import RequestMetrics

log = structlog.get_logger(__name__)

_UNREAD = frozenset({400, 408, 413, 415, 422})  # to identify the caller of a request refused before its route
HEALTH = "/health"  # asked by whoever finds the pod by its address
OK, UNAUTHENTICATED = 200, 401
CLIENT_GONE = 499  # nginx's number for a client that went away before the answer

SECURITY_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
]
# Of `OPTIONS *`, which asks about the server and not about any resource (RFC 9110, 9.3.7).
_ALLOW = [(name.lower().encode(), value.encode()) for name, value in ALLOW.items()]
HSTS = (b"strict-transport-security", b"max-age=31536000")  # RFC 6797; seconds, a year


class Callers(Protocol):
    """Identifies the caller of a request."""

    async def identify(self, scope: Scope) -> None:
        """Write the principal into the request's state. May raise a problem or a database error."""

    def known(self, scope: Scope) -> Any:
        """Return the principal if it is cached."""


class Edge:
    """Pure ASGI: it adds no task and no context of its own, so cancellation and contextvars work as they should."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        lifecycle: Lifecycle,
        access: AccessLog,
        metrics: RequestMetrics | None,
        admission: Admission | None,
        max_body_bytes: int,
        proxies: TrustedProxies | None = None,
        hosts: TrustedHosts | None = None,
        cors: Cors | None = None,
        callers: Callers | None = None,
        public_path: str = "",
    ) -> None:
        self._app = app
        self._lifecycle = lifecycle
        self._access = access
        self._metrics = metrics
        self._admission = admission
        self.max_body_bytes = max_body_bytes
        self._proxies = proxies
        self._hosts = hosts
        self._cors = cors
        self._callers = callers
        self._public_path = public_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._proxies is not None:
            self._proxies.unveil(scope)
        place_under(scope, self._public_path or scope.get("root_path", ""))
        state = scope[KEY] = new_state(scope["headers"])
        structlog.contextvars.bind_contextvars(request_id=state.request_id)
        # HEAD is GET without the content (RFC 9110, 9.3.2), so routes need not know of it.
        head = state.head = scope["method"] == "HEAD"
        inner = {**scope, "method": "GET"} if head else scope
        exchange = (_Headless if head else _Exchange)(inner, receive, send, state, self)
        if self._metrics is not None:
            self._metrics.began(scope["method"])
        try:
            with acting_as(state):
                await self._answer(exchange)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
            if (refusal := scope.get(REFUSAL)) is not None:
                refusal.__traceback__ = None  # its frames hold the scope and the received body
            forget(scope)
            self._report(exchange, scope["method"])

    async def _answer(self, exchange: "_Exchange") -> None:
        try:
            exchange.refuse()
            if exchange.scope.get("raw_path") == b"*":
                await exchange.send_empty(204, _ALLOW)
                return
            if self._cors is not None and (allowed := self._cors.preflight(exchange.scope)) is not None:
                await exchange.send_empty(200, [*allowed, (b"content-length", b"0")])
                return
            exchange.enter()
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except Problem as problem:
            await exchange.send_problem(problem)
        except ClientDisconnect:
            pass  # the client is gone
        except asyncio.CancelledError:  # by the end of the process, which could wait no longer
            await exchange.send_problem(problems.Unavailable("The service ends."))
        except Exception:
            log.exception(
                "request failed", method=exchange.scope["method"][:20], route=template_of(exchange.scope)
            )
            await exchange.send_problem(problems.InternalError())
        finally:
            exchange.leave()

    def _report(self, exchange: "_Exchange", method: str) -> None:
        scope, state = exchange.scope, exchange.state
        seconds = clock.monotonic() - exchange.began
        template = template_of(scope)
        if self._metrics is not None:
            self._metrics.ended(method, template, exchange.status, seconds)
        principal = state.principal
        if principal is None and self._callers is not None and exchange.status not in {OK, UNAUTHENTICATED}:
            principal = self._callers.known(scope)
        self._access.write(
            AccessLine(
                method,
                template,
                exchange.status,
                seconds,
                exchange.size,
                None if principal is None else principal.id,
                state.request_id,
                state.trace_id,
                state.span_id,
            )
        )


class _Exchange:
    """One request and its answer on their way through the edge."""

    __slots__ = (
        "_admission",
        "_check",
        "_edge",
        "_entered",
        "_gone",
        "_has_body",
        "_receive",
        "_received",
        "_send",
        "began",
        "scope",
        "size",
        "state",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, state: RequestState, edge: Edge) -> None:
        self.scope = scope
        self.state = state
        self.status = CLIENT_GONE
        self.size = 0
        self.began = clock.monotonic()
        self._receive = receive
        self._send = send
        self._received = 0
        self._check: BodyCheck | None = None
        self._edge = edge
        self._admission = edge._admission  # noqa: SLF001
        self._entered = False
        self._gone = False  # the client disconnected before the body was complete
        self._has_body = False  # the whole of it

    def enter(self) -> None:
        """Take a place among the running requests. Raises `Overloaded`."""
        if self._admission is not None and not self._entered:
            self._admission.enter()
            self._entered = True

    def leave(self) -> None:
        if self._admission is not None and self._entered:
            self._entered = False
            self._admission.leave()

    def refuse(self) -> None:
        """Raise the problem for which the connection refuses this request, or that its host or length is."""
        if REFUSAL in self.scope:
            raise self.scope[REFUSAL]
        host = b""
        for name, value in self.scope["headers"]:
            if name == b"content-length":
                self._check_size(int(value))
            elif name == b"host":
                host = value
        trusted = self._edge._hosts  # noqa: SLF001
        if trusted is not None and not trusted.include(host) and own_path(self.scope) != HEALTH:
            raise problems.UnknownHost

    def _check_size(self, size: int) -> None:
        """Raises `BodyTooLarge` for a body that is, or says that it will be."""
        most = self._edge.max_body_bytes
        if size > most:
            raise problems.BodyTooLarge(f"The limit is {most} bytes.")

    async def receive(self) -> Message:
        if self._has_body:
            return await self._receive()
        self.leave()  # waiting for the client is no work
        message = await self._receive()
        if REFUSAL in self.scope:
            raise self.scope[REFUSAL]
        if message["type"] == "http.disconnect":
            self._gone = True
        elif message["type"] == "http.request":
            if self.status == CLIENT_GONE:
                self.enter()
            self._has_body = not message.get("more_body", False)
            chunk = message.get("body", b"")
            self._received += len(chunk)
            self._check_size(self._received)
            if self._check is None:  # the route is not known yet
                self._check = BodyCheck(self.scope)
            await self._check.add(chunk, last=self._has_body)
        return message

    async def send(self, message: Message) -> None:
        if self._gone and self.status == CLIENT_GONE:
            return  # FastAPI answers with a 400 when it cannot read a body
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status in _UNREAD and self.state.principal is None:
                await self._identify()
            self.leave()  # the rest is up to the client, too
            message["headers"] = [*message.get("headers", ()), *self._own_headers(message)]
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
        await self._send(message)

    async def _identify(self) -> None:
        """Identify the caller for the access line, if a slot is free."""
        callers = self._edge._callers  # noqa: SLF001
        if callers is not None:
            with contextlib.suppress(Problem, DatabaseUnavailableError, asyncpg.PostgresError):
                self.enter()
                await callers.identify(self.scope)

    def _own_headers(self, message: Message) -> list[tuple[bytes, bytes]]:
        given = {name.lower() for name, _ in message.get("headers", ())}
        headers = [(b"x-request-id", self.state.request_id.encode()), *self.state.extra_headers]
        headers += [header for header in SECURITY_HEADERS if header[0] not in given]
        if self.scope["scheme"] == "https":  # as the client came, told by a trusted proxy
            headers.append(HSTS)
        if self._edge._cors is not None:  # noqa: SLF001
            headers += self._edge._cors.headers(self.scope)  # noqa: SLF001
        if self._edge._lifecycle.draining:  # noqa: SLF001
            headers.append((b"connection", b"close"))
        return headers

    async def send_empty(self, status: int, headers: RawHeaders) -> None:
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})

    async def send_problem(self, problem: Problem) -> None:
        if self.status != CLIENT_GONE:
            return  # the answer is on its way; the server closes the connection
        body = problem.as_bytes(instance=self.scope["path"], request_id=self.state.request_id)
        headers = [(name.lower().encode(), value.encode()) for name, value in problem.all_headers.items()]
        headers += [
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


class _Headless(_Exchange):
    """An exchange whose answer loses its content on the way out."""

    __slots__ = ()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await super().send(message)
