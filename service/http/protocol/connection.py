"""One client connection: uvicorn's httptools protocol with its gaps closed.

A request that is refused here becomes one that the application handles like any other: the problem travels in the
scope under `REFUSAL`, and the edge raises it before anything else looks at the request. So it has a request id, an
access line, metrics and headers, and comes in its turn among pipelined requests.
"""

import asyncio
from functools import partial
from typing import Any, ClassVar, NoReturn, cast
from urllib.parse import unquote

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.deadline import Deadline
from service.http import problems
from service.http.middleware.admission import turned_away
from service.http.middleware.body_budget import SPARED, BodyBudget, forget
from service.http.middleware.entrance import Entrance, OpenEntrance
from service.http.middleware.state import REFUSAL
from service.http.problems import Problem
from service.http.protocol import request_head
from service.http.protocol.closing import ClosingTransport
from service.http.protocol.cycle import Cycle
from service.http.protocol.lifetime import Lifetime
from service.http.protocol.limits import (
    DISCARDED,
    LAST_REQUEST_SECONDS,
    LINGER_SECONDS,
    PIPELINED,
    REFUSED_AT_A_TIME,
    REQUEST_LINE,
    Limits,
    Unread,
)
from service.http.protocol.request_head import SINGLE
from service.http.protocol.slow_readers import ReaderWatch
from service.http.protocol.unchunked import unchunked
from service.lazy_timer import LazyTimer

log = structlog.get_logger(__name__)

IDLE, HEAD, BODY = range(3)  # between messages; in a request line or header; in a body or its trailers


class Connection(HttpToolsProtocol):
    """Create subclasses with `limited`. Timers run only while a message is incomplete, so most requests need none."""

    limits: ClassVar[Limits]
    unread: ClassVar[Unread]
    bodies: ClassVar[BodyBudget]
    entrance: ClassVar[Entrance | OpenEntrance]
    cycle: Cycle

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = IDLE
        self._discards = False  # input is discarded: the connection is about to close
        self._objection: Problem | None = None
        self._deadline: Deadline | None = None
        self._idle = LazyTimer(self.loop, self.timeout_keep_alive, self.timeout_keep_alive_handler)
        self._reader: ReaderWatch
        self._fed = 0  # bytes of the current head, or since the last byte of content
        self._room = 0  # bytes left for the header
        self._length = 0  # of the content, as announced
        self._most = self.limits.headers
        self._start = b""  # input from the start of the current head, up to the end of the request line
        self._inside = False  # a message starts in the middle of a read
        self._noted: request_head.Noted = {}
        self._keeps = False  # keep the connection open if the whole body arrives
        self._ignored_upgrade = False  # the parser would not read the body of this request
        self._continuing = False
        self._running: Cycle | None = None
        self._lifetime: Lifetime

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        closing = ClosingTransport(
            transport,
            unread=lambda: self._discards or self._phase != IDLE,
            lingering=self._linger,
            closing=lambda: self._arm(self.limits.write_seconds, transport.abort),
        )
        super().connection_made(closing)  # type: ignore[arg-type]
        seconds = self.limits.write_seconds
        self._reader = ReaderWatch(self.loop, closing, unread=self.unread, seconds=seconds)
        self._lifetime = Lifetime(self.limits, self.loop.time())
        self._arm(self.limits.header_seconds, self._too_slow)
        beyond = len(self.connections) - self.limits.connections
        if beyond > 0:
            self._turn_away(beyond)

    def _turn_away(self, beyond: int) -> None:
        """Respond that too many connections are open; close without a response beyond `REFUSED_AT_A_TIME` of them."""
        turned_away.labels("connections").inc()
        if beyond > REFUSED_AT_A_TIME:
            self.transport.abort()
        else:
            self._refuse(problems.Overloaded("Too many connections are open."))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._running is not None:  # uvicorn tells only the last request, which may be queued behind it
            self._running.disconnected = not self._running.response_complete
            self._running.notify()
        for waiting, _ in self.pipeline:
            forget(cast("Any", waiting.scope))
        self._idle.stop()
        self._disarm()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._discards:
            return
        self._idle.end()
        if self._phase == IDLE:
            self._inside = False
            self._start = data
        else:
            self._inside = True
            self._fed += len(data)
            if self._phase == HEAD and not self.headers:
                self._start += data
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._refuse(self._reason(error), data)
        else:
            cycle = self.cycle
            waits = cycle is None or cycle.response_complete
            if self._phase != IDLE or (waits and not self._idle.running):
                self._incomplete(len(data))

    def _waits(self) -> bool:
        """Whether every request so far is answered."""
        return self.cycle is None or self.cycle.response_complete

    def _feed(self, data: bytes) -> None:
        """Hand the data to the parser. Upgrades are ignored (RFC 9110, 7.8), `h2c` too."""
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if self._ignored_upgrade:
                    self._continue_with_body()
            else:
                return

    def _continue_with_body(self) -> None:
        """After an upgrade, the parser takes the body for another protocol. A new parser with the same framing reads
        it."""
        self._ignored_upgrade, self._continuing = False, True
        name = request_head.CODING if request_head.CODING in self._noted else request_head.LENGTH
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b: %b\r\n\r\n" % (name, self._noted[name]))
        self._continuing = False

    def _incomplete(self, size: int) -> None:
        """A message continues in a later read: bound what is kept of it, and how long it may take."""
        if self._phase == IDLE:
            self._fed += size  # only empty lines so far
        most = self.limits.target_bytes + REQUEST_LINE
        if len(self._start) > most:
            self._start = self._start.lstrip(b"\r\n")[:most]
        if self._fed > self.limits.header_bytes + self.limits.target_bytes:
            self._refuse(problems.HeadersTooLarge())
        elif self._deadline is None:
            self._arm_for_phase()

    def _reason(self, error: httptools.HttpParserError) -> Problem:
        if self._objection is not None:
            return self._objection.with_traceback(None)  # its frames hold the input
        cause = error.__context__
        if cause is not None and not isinstance(cause, httptools.HttpParserError | UnicodeError):
            log.error("cannot read a request", exc_info=cause)
        return request_head.problem_of_parse_error(error, self._start)

    def _object(self, problem: Problem) -> NoReturn:
        """Stop the parser, from inside one of its calls."""
        self._objection = problem
        raise problem

    # Callbacks of the parser, in the order of a message.

    def on_message_begin(self) -> None:
        if self._continuing:
            return
        if self.cycle is not None and not self.cycle.keep_alive:
            self._discards = True  # no request is read after one that closes the connection (RFC 9112, 9.6)
            self._object(problems.MalformedRequest())
        super().on_message_begin()
        self._phase = HEAD
        self._fed = 0 if self._inside else len(self._start)
        if self._inside:
            self._start = b""
        self._inside = True
        self._room = self.limits.header_bytes
        self._noted = {}

    def on_url(self, url: bytes) -> None:
        if self._continuing:
            return
        self.url += url
        if len(self.url) > self.limits.target_bytes:
            self._object(problems.TargetTooLong())

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self.headers
        room = self._room = self._room - len(name) - len(value) - 4  # colon, space, CR, LF
        if room < 0:
            self._object(problems.HeadersTooLarge())
        if self._phase == BODY:
            return  # a trailer is not a header (RFC 9110, 6.5.1)
        if len(headers) >= self._most:
            self._object(problems.HeadersTooLarge())
        name, value = name.lower(), value.strip(b" \t")  # RFC 9110, 5.5; the parser keeps trailing whitespace
        headers.append((name, value))
        if name in SINGLE:
            if name in self._noted:
                self._object(problems.MalformedRequest("A header field that must be unique is repeated."))
            self._noted[name] = value

    def on_headers_complete(self) -> None:
        if self._continuing:
            return
        noted = self._noted
        version = self.parser.get_http_version()
        method = self.parser.get_method()
        if problem := request_head.find_problem(method, version, self.url, noted):
            self._object(problem)
        if b" RTSP/" in self._start and b"%b %b RTSP/" % (method, self.url) in self._start:
            self._object(problems.MalformedRequest())  # the parser takes its versions for those of HTTP
        if len(self.pipeline) >= PIPELINED:
            self._object(problems.TooManyRequests(headers={"Retry-After": "1"}))
        coded, length = request_head.CODING in noted, int(noted.get(request_head.LENGTH, 0))
        # To a client of HTTP/1.0 a 100 means nothing (RFC 9110, 10.1.1).
        self.expect_100_continue = request_head.EXPECT in noted and version == "1.1" and (coded or length > 0)
        if self.url[:1] != b"/" and (authority := request_head.authority(self.url)) is not None:
            self.headers[:] = [(n, authority if n == request_head.HOST else v) for n, v in self.headers]
        self._begin(method, version)
        self._phase, self._fed, self._start, self._length = BODY, 0, b"", length
        self._room = self.limits.header_bytes  # for trailers
        if self._deadline is not None:
            self._disarm()
        if self._lifetime.ends_with_request(self.loop.time()):
            self.cycle.keep_alive = False
        if coded or length:
            self._ignored_upgrade = self.parser.should_upgrade()
            # If the response comes before the end of a long body, close the connection after it.
            if coded or length > DISCARDED or self.expect_100_continue:
                self._keeps, self.cycle.keep_alive = self.cycle.keep_alive, False

    def _begin(self, method: bytes, version: str) -> None:
        """Put what the head says into the scope, and start the request."""
        scope: Any = self.scope
        target = httptools.parse_url(self.url)
        path = target.path.decode("ascii")
        scope["method"], scope["http_version"] = method.decode("ascii"), version
        scope["path"], scope["raw_path"] = unquote(path) if "%" in path else path, target.path
        scope["query_string"] = target.query or b""
        self._start_in_turn(Cycle(self, keep_alive=version == "1.1" and self.parser.should_keep_alive()))

    def _start_in_turn(self, cycle: Cycle) -> None:
        """Start the request, or queue it behind those that are not answered yet."""
        before, self.cycle = self.cycle, cycle
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_body(self, body: bytes) -> None:
        self._fed = 0
        if not 0 < self._length <= SPARED and not self.cycle.response_complete:
            try:
                self.bodies.grow(cast("Any", self.cycle.scope), len(body))
            except problems.Overloaded as problem:
                self._object(problem)
        self.cycle.take(body)

    def on_message_complete(self) -> None:
        if self._ignored_upgrade:
            return  # the body is yet to come
        self._phase, self._fed = IDLE, 0
        if self._deadline is not None:
            self._disarm()
        cycle = self.cycle
        if self._keeps:
            self._keeps, cycle.keep_alive = False, not cycle.response_started
        cycle.take_end(self._length)
        if cycle.response_complete and not self.transport.is_closing():
            self._idle.begin()

    def on_response_complete(self) -> None:
        """As in uvicorn, which sets a timer after each response."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*cast("tuple[Cycle, Any]", self.pipeline.pop()))
        else:
            self._idle.begin()

    def _start_asgi_task(self, cycle: Cycle, app: Any) -> None:  # type: ignore[override]
        self._running = cycle
        if cycle.scope["http_version"] == "1.0":
            app = unchunked(app, cycle)
        self.entrance.admit(cycle, partial(super()._start_asgi_task, cycle, app))

    # Refusals.

    def _refuse(self, problem: Problem, data: bytes = b"") -> None:
        """Respond with the problem after the requests before it, and close. `data` is the last input."""
        if self._discards:
            return
        self._discards = True
        self._disarm()
        if self._phase == BODY:
            self._fail(self.cycle, problem)
            return
        self._start_in_turn(self._refused(problem, data))

    def _fail(self, cycle: Cycle, problem: Problem) -> None:
        """Give up the rest of the body, and wake the route that waits for it."""
        self._keeps = cycle.keep_alive = False
        cast("Any", cycle.scope)[REFUSAL] = problem
        cycle.notify()
        if cycle.response_complete:
            self.transport.close()

    def _refused(self, problem: Problem, data: bytes) -> Cycle:
        """Return an exchange for a refused request; only its method and origin are passed on, if known."""
        origin = request_head.origin(self.headers if self._phase == HEAD else (), data or self._start)
        method = self.parser.get_method().decode("ascii") if self._phase == HEAD and self.url else "OTHER"
        HttpToolsProtocol.on_message_begin(self)
        scope: Any = self.scope
        self.headers += origin
        scope |= {"method": method, "path": "/", "raw_path": b"/", "query_string": b"", REFUSAL: problem}
        return Cycle(self, keep_alive=False)

    def shutdown(self) -> None:
        """Close after the running request. An idle connection stays open for a moment: a request that the client sent
        before it could know still gets its response, which closes the connection."""
        self._keeps = False
        if self._waits():
            Deadline(self.loop, LAST_REQUEST_SECONDS, self._close_if_nothing_came)
        else:
            super().shutdown()

    def _close_if_nothing_came(self) -> None:
        if self._phase == IDLE:
            super().shutdown()

    # Deadlines.

    def _arm(self, seconds: float, then: Any) -> None:
        self._disarm()
        self._deadline = Deadline(self.loop, seconds, then)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _arm_for_phase(self) -> None:
        limits = self.limits
        self._arm(limits.body_seconds if self._phase == BODY else limits.header_seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self.flow.read_paused:
            self._arm_for_phase()  # the server makes the client wait, not the other way round
        elif self._phase == IDLE and not self._fed:
            self.transport.close()  # a connection that never sent anything
        else:
            self._refuse(problems.RequestTimeout())

    def _linger(self) -> None:
        self._discards = True
        self.flow.resume_reading()
        self._arm(LINGER_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reader.stop()


def limited(limits: Limits, entrance: Entrance | None = None) -> type[Connection]:
    """The protocol class for a server with these limits, to an application behind this entrance."""
    room = {"unread": Unread(limits.buffered_bytes), "bodies": BodyBudget(limits.buffered_bytes)}
    members = {"limits": limits, "entrance": entrance or OpenEntrance(), **room}
    return type("LimitedConnection", (Connection,), members)
