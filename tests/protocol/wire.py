"""Sends raw bytes to a server, and parses its responses."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from service.dev.free_ports import LOOPBACK

SECONDS = 5.0
BODILESS = {100, 204, 304}


@dataclass(frozen=True)
class Response:
    """A response, with its body as received."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> Any:
        """Return the problem document. Fails unless the response is complete and well-formed."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["x-content-type-options"] == "nosniff"
        problem = json.loads(self.body)
        assert problem["status"] == self.status
        assert problem["request_id"] == self.headers["x-request-id"]
        return problem


class Wire:
    """A connection."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(SECONDS)
        self.socket.connect((LOOPBACK, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = b""

    def send(self, data: bytes) -> None:
        """Send as much as the server accepts; it may have closed the connection."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def trickle(self, data: bytes) -> None:
        """Send byte by byte."""
        for place in range(len(data)):
            self.send(data[place : place + 1])

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self._got += data
        return bool(data)

    def response(self, *, head: bool = False) -> Response | None:
        """Return the next response, or None if the server closes. Raises `TimeoutError`."""
        while b"\r\n\r\n" not in self._got:
            if not self._more():
                assert not self._got, "the server closed in the middle of a response"
                return None
        start, _, self._got = self._got.partition(b"\r\n\r\n")
        line, *fields = start.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
        status = int(line.split(" ")[1])
        length = 0 if head or status in BODILESS else int(headers["content-length"])
        while len(self._got) < length:
            assert self._more(), "the server closed in the middle of a response"
        body, self._got = self._got[:length], self._got[length:]
        return Response(status, headers, body)

    def rest(self) -> bytes:
        """Return all bytes until the server closes. Raises `TimeoutError`."""
        while self._more():
            pass
        return self._got

    def closed_within(self, seconds: float) -> float:
        """Return the seconds until the server closes. Raises `TimeoutError`."""
        began = time.monotonic()
        self.socket.settimeout(seconds)
        while self._more():
            pass
        return time.monotonic() - began


@contextmanager
def wire(port: int, *, receive_buffer: int | None = None) -> Iterator[Wire]:
    """Open a connection, and close it at the end."""
    made = Wire(port, receive_buffer=receive_buffer)
    try:
        yield made
    finally:
        made.socket.close()


def closes(client: Wire) -> bool:
    """Return whether the next response says that the server closes the connection."""
    found = client.response()
    assert found is not None
    return found.headers.get("connection") == "close"
