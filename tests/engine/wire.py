"""A proxy in front of PostgreSQL that records each statement.

It parses the frontend protocol ("Message Formats" in PostgreSQL's manual): Query carries the text of a simple query;
Parse gives a text a name, Bind makes a portal of it, Execute runs the portal.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import pytest

from service.features.flag_store import FlagStore
from tests.listener import listener


def without_jobs(patch: pytest.MonkeyPatch) -> None:
    """Keep background jobs, which run at arbitrary times, from adding to the statements that are counted."""
    patch.setattr("service.main._jobs", lambda *_, **__: [])
    patch.setattr(FlagStore, "jobs", [])


@dataclass
class Wire:
    """The `url` of the proxy, and the recorded statements."""

    url: str
    statements: list[str] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    """What the last connection was started with."""
    bound: list[bytes] = field(default_factory=list)
    """Each Bind message: names, then formats and values of the arguments."""
    named: int = 0
    """How many statements were prepared under a name, to be used again."""
    round_trips: int = 0
    """How often a client has waited for the server: Query and Sync messages."""

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """Yield a list of the statements that run within the block, in order."""
        began = len(self.statements)
        found: list[str] = []
        yield found
        found += self.statements[began:]


class _Frontend:
    """Parses the client's side of a connection, in chunks of any size."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._statements = wire.statements
        self._buffer = b""
        self._started = False
        self._texts: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head = 1 if self._started else 0  # the start-up message has no type
            if len(self._buffer) < head + 4:
                return
            (length,) = struct.unpack_from("!I", self._buffer, head)
            if len(self._buffer) < head + length:
                return
            kind, body = self._buffer[:head], self._buffer[head + 4 : head + length]
            self._buffer = self._buffer[head + length :]
            if self._started:
                self._note(kind, body)
            else:  # protocol version, then names and values in turn
                words = body[4:].decode().split("\0")
                self._wire.parameters = dict(zip(words[::2], words[1::2], strict=False))
            self._started = True

    def _note(self, kind: bytes, body: bytes) -> None:
        self._wire.round_trips += kind in (b"Q", b"S")
        if kind == b"Q":
            self._statements.append(body.rstrip(b"\0").decode())
        elif kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            self._texts[name] = text.decode()
            self._wire.named += bool(name)
        elif kind == b"B":
            self._wire.bound.append(body)
            portal, name, _ = body.split(b"\0", 2)
            self._portals[portal] = self._texts[name]
        elif kind == b"E":
            self._statements.append(self._portals[body.split(b"\0", 1)[0]])


@asynccontextmanager
async def wire_to(url: str) -> AsyncIterator[Wire]:
    """Run a proxy in front of the server of `url`. Clients must not use TLS."""
    target, wire = urlsplit(url), Wire(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(target.hostname, target.port)
        frontend = _Frontend(wire)
        ways = [_pump(reader, there_writer, frontend), _pump(there_reader, writer, None)]
        pumps = [asyncio.create_task(way) for way in ways]
        # Closed whatever comes: the end of the test may cancel the last line.
        with contextlib.closing(there_writer):
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)

    login = target.netloc.rpartition("@")[0]
    async with listener(serve) as port:
        there = target._replace(netloc=f"{login}@127.0.0.1:{port}", query="sslmode=disable")
        wire.url = urlunsplit(there)
        yield wire


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frontend: _Frontend | None
) -> None:
    while data := await reader.read(65536):
        if frontend is not None:
            frontend.feed(data)
        writer.write(data)
        await writer.drain()
