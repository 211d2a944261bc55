"""A TCP proxy that can misbehave in both directions."""

import asyncio
import contextlib
import socket
import struct
from typing import NamedTuple, Self

from service.dev.free_ports import LOOPBACK
from tests.listener import few_turns

CHUNK = 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: drop unsent data and send a reset


class Endpoint(NamedTuple):
    host: str
    port: int


ANYWHERE = Endpoint(LOOPBACK, 0)


class Ways:
    """Two gates, one for each direction: to the target, and back."""

    def __init__(self) -> None:
        self.forth, self.back = asyncio.Event(), asyncio.Event()
        self.open()

    def open(self) -> None:
        self.forth.set()
        self.back.set()


class Proxy:
    """Forwards connections on `port` to a target. `delay` is in seconds per chunk, `rate` in bytes per second."""

    def __init__(self, target: Endpoint | None, *, listen: Endpoint = ANYWHERE) -> None:
        self._target = target
        self._listen = listen
        self._server: asyncio.Server | None = None
        self._pairs: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}
        self._ways = Ways()
        self.delay = 0.0
        self.rate: float | None = None

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.refuse()
        await few_turns()  # in which a connection just accepted gets its task
        self.cut()
        await asyncio.gather(*self._pairs, return_exceptions=True)
        await few_turns()

    @property
    def port(self) -> int:
        return self._listen.port

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._pairs)

    def pick(self) -> Endpoint | None:
        """The target of the next connection; None closes it."""
        return self._target

    async def listen(self) -> None:
        """Accept connections again, on the same port."""
        self._server = await asyncio.start_server(self._serve, *self._listen, backlog=2048)
        self._listen = Endpoint(*self._server.sockets[0].getsockname()[:2])

    def refuse(self) -> None:
        """Accept no new connections; open ones continue."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def swallow(self, *, responses_only: bool = False) -> None:
        """Forward nothing, or nothing from the target. Connections are still accepted, and hang."""
        self._ways.back.clear()
        if not responses_only:
            self._ways.forth.clear()

    def heal(self, *, forget: bool = True) -> None:
        """Forward again. With `forget`, old connections hang forever, as behind a firewall that has lost its state
        table."""
        if forget:
            self._ways = Ways()
        self._ways.open()

    def cut(self) -> None:
        """Close every connection gracefully."""
        for task in self._pairs:
            task.cancel()

    def reset(self) -> None:
        """Reset every connection."""
        for writers in self._pairs.values():
            for writer in writers:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pairs[task] = (writer,)
        ways = self._ways
        try:
            await ways.forth.wait()
            target = self.pick()
            if target is None:
                return
            there_reader, there = await asyncio.open_connection(*target)
            self._pairs[task] = (writer, there)
            await asyncio.gather(
                self._pump(reader, there, ways.forth), self._pump(there_reader, writer, ways.back)
            )
        except (OSError, asyncio.CancelledError):
            pass  # one side has closed; the other is closed below
        finally:
            for end in self._pairs.pop(task):
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            await flowing.wait()
            pause = self.delay + (len(data) / self.rate if self.rate else 0)
            if pause:
                await asyncio.sleep(pause)
            writer.write(data)
            await writer.drain()
        await flowing.wait()
        with contextlib.suppress(OSError):
            writer.write_eof()
