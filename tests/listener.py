"""A TCP server of a test, which leaves no socket open."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from ssl import SSLContext

TURNS = 5
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def few_turns() -> None:
    """Let the event loop start the tasks of connections just accepted, and end closed sockets."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def listener(serve: Serve, *, ssl: SSLContext | None = None) -> AsyncIterator[int]:
    """Serve each connection to a free port of 127.0.0.1, and close it at the end. Yields the port.

    At the end of the block, open connections are cancelled and their sockets closed: one that is left to the garbage
    collector fails a later test.
    """
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await serve(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has left, or the block has ended
        finally:
            writer.transport.abort()
            talks.discard(task)

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=ssl)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await few_turns()
        for running in talks:
            running.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await few_turns()
