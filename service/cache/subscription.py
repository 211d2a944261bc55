"""Listens on a channel of Redis, on a connection of its own.

Messages are handled as their bytes arrive, in the protocol's callback: a request that reaches this process after a
message cannot run before it. A reading task would be one step later, and a client might then miss its own write.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from redis.exceptions import RedisError

from service import clock
from service.cache.redis_client import Redis

log = structlog.get_logger(__name__)

PING_SECONDS = 1.0
SILENCE_SECONDS = 3.0  # after which a connection counts as lost
RETRY_SECONDS = 1.0
_PING = b"*1\r\n$4\r\nPING\r\n"


async def listen(
    redis: Redis, channel: str, *, joined: Callable[[], None], received: Callable[[bytes], None]
) -> None:
    """Call `received` with each message until the connection is lost, or Redis has another primary; `joined` when it
    has been subscribed."""
    connection = redis.new_connection()
    try:
        async with asyncio.timeout(redis.connect_timeout):
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
        writer = connection._writer  # noqa: SLF001  # it has no public name
        assert writer is not None
        listener = _Listener(joined, received)
        await _listen(writer.transport, channel.encode(), listener, lambda: redis.outdated(connection))
    except (RedisError, OSError, TimeoutError):
        pass  # the connections for commands log an outage
    finally:
        with contextlib.suppress(RedisError, OSError):
            await connection.disconnect(nowait=True)


async def _listen(
    transport: asyncio.WriteTransport, channel: bytes, listener: "_Listener", outdated: Callable[[], bool]
) -> None:
    transport.set_protocol(listener)
    try:
        transport.write(b"*2\r\n$9\r\nSUBSCRIBE\r\n$%d\r\n%b\r\n" % (len(channel), channel))
        while not (await asyncio.wait({listener.lost}, timeout=PING_SECONDS))[0]:
            if outdated() or clock.monotonic() - listener.heard > SILENCE_SECONDS:
                return
            transport.write(_PING)
    finally:
        transport.abort()


class _Listener(asyncio.Protocol):
    def __init__(self, joined: Callable[[], None], received: Callable[[bytes], None]) -> None:
        self._joined = joined
        self._received = received
        self._buffer = b""
        self.heard = clock.monotonic()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.heard = clock.monotonic()
        self._buffer += data
        at = 0
        for reply, at in _replies(self._buffer):  # noqa: B007  # the end of the last one
            match reply:
                case [b"message", _, bytes(message)]:
                    self._received(message)
                case [b"subscribe", *_]:
                    self._joined()
                case RedisError():
                    log.warning("redis refuses the feed of changes", reason=str(reply)[:200])
        self._buffer = self._buffer[at:]

    def connection_lost(self, _: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)


class _IncompleteError(Exception):
    """The rest of a reply has not arrived yet."""


def _replies(data: bytes) -> Iterator[tuple[Any, int]]:
    """Yield each complete reply of Redis's protocol (RESP2 or 3), and where it ends."""
    at = 0
    with contextlib.suppress(_IncompleteError):
        while at < len(data):
            reply, at = _reply(data, at)
            yield reply, at


def _reply(data: bytes, at: int) -> tuple[Any, int]:
    line_end = data.find(b"\r\n", at)
    if line_end < 0:
        raise _IncompleteError
    kind, line, end = data[at : at + 1], data[at + 1 : line_end], line_end + 2
    if kind == b"$" and line != b"-1":
        value_end = end + int(line)
        if len(data) < value_end + 2:
            raise _IncompleteError
        return data[end:value_end], value_end + 2
    if kind in {b"*", b">"}:
        items = []
        for _ in range(int(line)):
            item, end = _reply(data, end)
            items.append(item)
        return items, end
    return RedisError(line.decode(errors="replace")) if kind == b"-" else line, end
