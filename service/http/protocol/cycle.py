"""A request and its response on a connection: uvicorn's, but the response is checked once and sent in one write.

uvicorn sends the head and the content apart, and looks for forbidden characters in each name and each value. For a
small response, that takes a tenth of the request's time. It also makes an event for each request, for which few
requests wait.
"""

import asyncio
import re
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.http.content.media_types import JSON_CONTENT
from service.http.middleware.exchange import OVERLOADED
from service.http.middleware.response_headers import SECURITY_HEADERS
from service.http.middleware.state import CONTENT, WHOLE
from service.http.protocol.limits import SHORT

_SEPARATE = 65_536  # bytes of content that cost more to copy than to send apart from the head
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_NO_CONTENT = frozenset({204, 304})
# Not allowed in a field's value (RFC 9110, 5.5). CR and LF end each line, so they are counted.
_CONTROLS = bytes({*range(0x20), 0x7F} - {0x09})
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.1
# Fields that almost every response has, or every refusal in an overload, by the identity of these constants: ASGI also
# allows lists, which have no hash.
_LINES = {id(field): b"%b: %b\r\n" % field for field in (*SECURITY_HEADERS, JSON_CONTENT, *OVERLOADED.fields)}
_EXTENSIONS: Any = {WHOLE: {}}
_MOST_NAMES = 1000
_names: set[bytes] = set()  # valid ones, in lower case


class Cycle(RequestResponseCycle):
    """The head waits for the first part of the content, as ASGI requires, and is sent along with it."""

    _head = b""
    _event: asyncio.Event | None = None
    _notified = False  # before there was an event

    def __init__(self, connection: HttpToolsProtocol, *, keep_alive: bool) -> None:
        """The exchange for the request in the connection's scope, with the members of uvicorn's."""
        self.scope, self.transport, self.flow = connection.scope, connection.transport, connection.flow
        self.scope["extensions"] = _EXTENSIONS
        self.logger, self.default_headers = connection.logger, connection.server_state.default_headers
        self.on_response = connection.on_response_complete
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = connection.expect_100_continue
        self.disconnected = self.response_started = self.response_complete = False
        self.body, self.more_body = bytearray(), True
        self.chunked_encoding, self.expected_content_length = None, 0

    @property
    def message_event(self) -> asyncio.Event:  # type: ignore[override]
        """What `receive` waits for, made when it first does."""
        if self._event is None:
            self._event = asyncio.Event()
            if self._notified:
                self._event.set()
        return self._event

    def notify(self) -> None:
        """Wake `receive`: something has arrived, or nothing more will. What each request does has the same lines in
        place of a call."""
        self._notified = True
        if self._event is not None:
            self._event.set()

    def take(self, content: bytes) -> None:
        """Take a part of the content, unless the response is over."""
        if self.response_complete:
            return
        self.body += content
        if len(self.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self._notified = True
        if self._event is not None:
            self._event.set()

    def take_end(self, length: int) -> None:
        """The content is complete. Puts it into the scope if it is short and of the announced length: the application
        need not wait to receive it.

        It has to receive it to make the response to an expectation.
        """
        if 0 < length <= SHORT and len(self.body) == length and not self.waiting_for_100_continue:
            scope: Any = self.scope
            scope[CONTENT] = bytes(self.body)
        if not self.response_complete:
            self.more_body, self._notified = False, True
            if self._event is not None:
                self._event.set()

    @property
    def is_blocked(self) -> bool:
        """Whether the client must read earlier responses first."""
        return self.flow.write_paused

    def respond(self, status: int, headers: Any, content: bytes) -> None:
        """Send a whole response, for a request without a task."""
        if not self.disconnected:
            self._start(status, headers)
            self._send(content, more=False)
        self.on_response = _nothing  # as at the end of a task: connection and cycle must not hold each other

    async def send(self, message: Any) -> None:
        """See ASGI; also takes a whole response, see `WHOLE`. Raises `RuntimeError` for messages out of order, and for
        a malformed field or length."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == WHOLE and not self.response_started:
            self._start(message["status"], message["headers"])
            self._send(message["body"], more=False)
            return
        if self.response_complete or kind != (
            "http.response.body" if self.response_started else "http.response.start"
        ):
            raise RuntimeError(f"The application sent {kind!r} out of order.")
        if self.response_started:
            self._send(message.get("body", b""), more=message.get("more_body", False))
        else:
            self._start(message["status"], message.get("headers", ()))

    def _start(self, status: int, headers: Any) -> None:
        """Make the head, with the framing of the content that follows (RFC 9112, 6)."""
        self.response_started = True
        self.waiting_for_100_continue = False
        lines, says_close = [STATUS_LINE[status]], False
        for field in (*self.default_headers, *headers):
            if (line := _LINES.get(id(field))) is not None:
                lines.append(line)
                continue
            name, value = field
            if name not in _names:
                name = _checked(name.lower())
            if name in _FRAMING:
                says_close = self._frame(name, value) or says_close
            lines.append(b"%b: %b\r\n" % (name, value))
        if not (self.keep_alive or says_close):
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in _NO_CONTENT:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)
        if len(self._head) - len(self._head.translate(None, _CONTROLS)) != 2 * len(lines):
            raise RuntimeError("A header field of the response has a forbidden character.")

    def _frame(self, name: bytes, value: bytes) -> bool:
        """Take a field's part in the framing. Returns whether it says that the connection closes."""
        if name == b"content-length" and self.chunked_encoding is None:
            self.expected_content_length, self.chunked_encoding = int(value), False
        elif name == b"transfer-encoding" and value.lower() == b"chunked":
            self.expected_content_length, self.chunked_encoding = 0, True
        elif name == b"connection" and b"close" in [option.strip() for option in value.lower().split(b",")]:
            self.keep_alive = False
            return True
        return False

    def _send(self, body: bytes, *, more: bool) -> None:
        """Send a part of the content, after the head if that has not been sent."""
        if self.scope["method"] == "HEAD":
            self.expected_content_length, body = 0, b""
        elif self.chunked_encoding:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("The response is longer than its Content-Length.")
        head, self._head = self._head, b""
        if head and len(body) > _SEPARATE:
            self.transport.write(head)
            head = b""
        if head or body:
            self.transport.write(head + body)
        if not more:
            self._complete()

    def _complete(self) -> None:
        if self.expected_content_length:
            raise RuntimeError("The response is shorter than its Content-Length.")
        self.response_complete = self._notified = True
        if self._event is not None:
            self._event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _nothing() -> None:
    pass


def _checked(name: bytes) -> bytes:
    if not _NAME.fullmatch(name):
        raise RuntimeError("A header field of the response has a malformed name.")
    if len(_names) < _MOST_NAMES:
        _names.add(name)
    return name
