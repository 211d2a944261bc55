"""One request and its response on their way through the edge: refusals, admission, body limits, added headers."""

import contextlib

import asyncpg
from starlette.types import Message, Receive, Scope, Send

from service import clock
from service.database import DatabaseUnavailableError
from service.http import problems
from service.http.handwritten.arriving_body import BodyCheck
from service.http.middleware.cors import RawHeaders
from service.http.middleware.public_path import own_path, place_under
from service.http.middleware.response_headers import edge_headers
from service.http.middleware.services import EdgeServices
from service.http.middleware.state import ARRIVED, KEY, REFUSAL, WHOLE, RequestState, new_state, template_of
from service.http.problems import Problem
from service.observability.access_log import AccessLine

HEALTH = "/health"  # asked by load balancers that know the pod by its address only
CLIENT_GONE = 499  # nginx's code for a client that disconnected before the response
OK, UNAUTHENTICATED = 200, 401
OVERLOADED = problems.Overloaded()  # not raised: in an overload, most requests get it
_UNREAD = frozenset({400, 408, 413, 415, 422})  # to identify the caller of a request refused before its route


class Exchange:
    """`scope` is what the application gets. The connection may refuse the request at any time, in the scope that it
    made itself: `_connection_scope`."""

    __slots__ = (
        "_check",
        "_connection_scope",
        "_gone",
        "_has_body",
        "_receive",
        "_received",
        "_send",
        "_services",
        "began",
        "entered",
        "scope",
        "size",
        "state",
        "status",
        "turned_away",
    )

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, state: RequestState, services: EdgeServices
    ) -> None:
        self.scope = self._connection_scope = scope
        self.state = state
        self.status = CLIENT_GONE
        self.size = 0
        arrived = scope.get(ARRIVED)
        self.entered = arrived is not None  # the connection has taken a place
        self.began = clock.monotonic() if arrived is None else arrived
        self._receive = receive
        self._send = send
        self._received = 0
        self._check: BodyCheck | None = None
        self._services = services
        self.turned_away = False
        self._gone = False  # the client disconnected before the body was complete
        self._has_body = False  # the body is complete

    def enter(self) -> bool:
        """Take a place among the running requests. False if all are taken."""
        if not self.entered:
            self.entered = self._services.admission.enter()
        return self.entered

    async def wait(self) -> bool:
        """Wait for a place. False if none becomes free in time."""
        self.entered = await self._services.admission.wait()
        self.turned_away = not self.entered
        return self.entered

    def leave(self) -> None:
        """Give the place back, if the request holds one."""
        if self.entered:
            self.entered = False
            self._services.admission.leave()

    def refusal(self) -> Problem | None:
        """Return the problem for which the connection, the host name or the length rules out this request."""
        refused: Problem | None = self._connection_scope.get(REFUSAL)
        if refused is not None:
            return refused
        fields = self.state.fields
        for value in fields.get(b"content-length", ()):
            if int(value) > self._services.max_body_bytes:
                return self._too_large()
        if (
            not self._services.hosts.include(fields.get(b"host", [b""])[-1])
            and own_path(self.scope) != HEALTH
        ):
            return problems.UnknownHost()
        return None

    def _too_large(self) -> Problem:
        return problems.BodyTooLarge(f"The limit is {self._services.max_body_bytes} bytes.")

    async def receive(self) -> Message:
        if self._has_body:
            return await self._receive()
        if (
            self._check is None and self.state.template is None
        ):  # a hand-written route, which is not known earlier
            self._check = BodyCheck(self.scope)
            await self._services.callers.admit_early(self.scope)
        self.leave()  # waiting for the client is no work
        message = await self._receive()
        if REFUSAL in self._connection_scope:
            raise self._connection_scope[REFUSAL]
        if message["type"] == "http.disconnect":
            self._gone = True
        elif message["type"] == "http.request":
            if self.status == CLIENT_GONE:
                await self._enter_again()
            self._has_body = not message.get("more_body", False)
            chunk = message.get("body", b"")
            self._received += len(chunk)
            if self._received > self._services.max_body_bytes:
                raise self._too_large()
            if self._check is not None:
                await self._check.add(chunk, last=self._has_body)
        return message

    async def _enter_again(self) -> None:
        """Take a place again after waiting for the client. Raises `Overloaded`."""
        if not (self.enter() or await self.wait()):
            raise problems.Overloaded

    async def send(self, message: Message) -> None:
        if self._gone and self.status == CLIENT_GONE:
            return  # FastAPI responds with 400 when it cannot read a body
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status in _UNREAD and self.state.principal is None:
                await self._identify()
            self._complete(message)
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
        await self._send(message)

    async def respond(self, status: int, headers: RawHeaders, content: bytes) -> None:
        """Send a whole response: in one message if the server takes that."""
        if self._gone and self.status == CLIENT_GONE:
            return
        self.status = status
        if status in _UNREAD and self.state.principal is None:
            await self._identify()
        start: Message = {"type": "http.response.start", "status": status, "headers": headers}
        self._complete(start)
        self.size += len(content)
        if WHOLE in self._connection_scope.get("extensions", ()):
            start["type"], start["body"] = WHOLE, content
            await self._send(start)
        else:
            await self._send(start)
            await self._send({"type": "http.response.body", "body": content})

    def _complete(self, start: Message) -> None:
        """Add to the start of a response what the edge adds."""
        self.leave()  # sending the response depends on the client, too
        added = edge_headers(self.scope, self.state, self._services, start)
        start["headers"] = [*start.get("headers", ()), *added]

    async def _identify(self) -> None:
        """Identify the caller for the access line, if a place is free."""
        with contextlib.suppress(Problem, DatabaseUnavailableError, asyncpg.PostgresError):
            if self.enter():
                await self._services.callers.identify(self.scope)

    async def send_empty(self, status: int, headers: RawHeaders) -> None:
        """Respond without content."""
        await self.respond(status, headers, b"")

    @property
    def begun(self) -> bool:
        """Whether a response has begun."""
        return self.status != CLIENT_GONE

    async def send_problem(self, problem: Problem) -> None:
        """Respond with a problem, unless a response has begun: the server then closes the connection."""
        if not self.begun:
            await self.respond(problem.status, *self._content_of(problem))

    def turn_away(self) -> tuple[int, RawHeaders, bytes]:
        """Return the response to a request without a task, for which no place became free: status, headers, content."""
        problem = self.refusal() or OVERLOADED
        self.turned_away = problem is OVERLOADED
        self.status = problem.status
        headers, content = self._content_of(problem)
        start: Message = {"headers": headers}
        self._complete(start)
        self.size = 0 if self.state.head else len(content)
        return self.status, start["headers"], content

    def _content_of(self, problem: Problem) -> tuple[RawHeaders, bytes]:
        content = problem.as_bytes(instance=self.scope["path"], request_id=self.state.request_id)
        return [*problem.fields, (b"content-length", b"%d" % len(content))], content

    def report(self, method: str) -> None:
        """Count the request, and write its access line."""
        scope, state, access = self.scope, self.state, self._services.access
        seconds = clock.monotonic() - self.began
        template = state.template or template_of(scope)
        self._services.metrics.ended(method, template, self.status, seconds)
        if self.turned_away and not access.lists_refusal():
            return
        principal = state.principal
        if principal is None and self.status not in {OK, UNAUTHENTICATED}:
            principal = self._services.callers.known(scope)
        access.write(
            AccessLine(
                method,
                template,
                self.status,
                seconds,
                self.size,
                None if principal is None else principal.id,
                state.request_id,
                state.trace_id,
                state.span_id,
            )
        )


class HeadExchange(Exchange):
    """HEAD: the application answers a GET, and its content is dropped."""

    __slots__ = ()

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, state: RequestState, services: EdgeServices
    ) -> None:
        super().__init__(scope, receive, send, state, services)
        self.scope = {
            **scope,
            "method": "GET",
        }  # a copy: the server drops the content of a HEAD by its own scope

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await super().send(message)

    async def respond(self, status: int, headers: RawHeaders, content: bytes) -> None:  # noqa: ARG002
        await super().respond(status, headers, b"")


def open_exchange(scope: Scope, receive: Receive, send: Send, services: EdgeServices) -> Exchange:
    """Return the exchange of a request, with the client's address and path and the request's id and trace."""
    state = scope[KEY] = new_state(scope["headers"])
    services.proxies.unveil(scope, state.fields)
    if public_path := services.public_path or scope.get("root_path", ""):
        place_under(scope, public_path)
    # HEAD is GET without the content (RFC 9110, 9.3.2), so routes need not know of it.
    state.head = scope["method"] == "HEAD"
    return (HeadExchange if state.head else Exchange)(scope, receive, send, state, services)
