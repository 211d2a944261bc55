"""A client connection without retries or pooling, for one request at a time."""

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson

from service.dev.free_ports import LOOPBACK

HEAD_END = b"\r\n\r\n"


class NoResponseError(Exception):
    """The connection was closed, or timed out, before the response was complete."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def digest(self) -> str:
        """Return a short hash of the body."""
        return hashlib.sha256(self.body).hexdigest()[:12]


def _request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: slipway.test", *(f"{n}: {v}" for n, v in headers.items())]
    if body or method not in {"GET", "HEAD", "DELETE"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + HEAD_END + body


class Connection:
    """A connection to a local port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._closing = False

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect. Raises `NoAnswerError` if nothing listens."""
        try:
            return cls(*await asyncio.open_connection(LOOPBACK, port))
        except OSError as error:
            raise NoResponseError(f"connect: {error}") from error

    @property
    def usable(self) -> bool:
        """Whether another request may be sent on this connection."""
        return not (self._closing or self._reader.at_eof() or self._writer.is_closing())

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        self._writer.write(_request(method, path, headers, body))

    def send_part(
        self, share: float, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Send only this share of the bytes of a request."""
        whole = _request(method, path, headers, body)
        self._writer.write(whole[: int(len(whole) * share)])

    async def response(self) -> Response:
        """Return the response to the request. Raises `NoAnswerError`."""
        try:
            head = (await self._reader.readuntil(HEAD_END)).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
            status = int(first.split()[1])
            length = int(headers.get("content-length", 0))
            body = await self._reader.readexactly(length) if length else b""
        except asyncio.IncompleteReadError as error:
            raise NoResponseError(f"closed after {len(error.partial)} bytes") from error
        except OSError as error:
            raise NoResponseError(f"{type(error).__name__}: {error}") from error
        self._closing = headers.get("connection", "").lower() == "close"
        return Response(status, headers, body)

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", *, seconds: float = 30
    ) -> Response:
        """Send a request and return the response. Raises `NoAnswerError`."""
        self.send(method, path, headers, body)
        try:
            return await asyncio.wait_for(self.response(), seconds)
        except TimeoutError as error:
            self._closing = True
            raise NoResponseError(f"no response in {seconds:g} s") from error

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has already ended
            self._writer.close()

    def reset(self) -> None:
        """Disappear without closing the connection, as a killed client does."""
        self._writer.transport.abort()


async def get(port: int, path: str, *, seconds: float = 2) -> Response | None:
    """Return the response to a GET on a new connection, or None if the connection fails."""
    try:
        connection = await Connection.open(port)
    except NoResponseError:
        return None
    try:
        return await connection.ask("GET", path, {"Connection": "close"}, seconds=seconds)
    except NoResponseError:
        return None
    finally:
        connection.close()
