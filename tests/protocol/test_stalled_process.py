"""A process that gets no processor for a while answers requests that were sent in time, although it reads them late."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import uvloop
from starlette.types import Receive, Scope, Send

from service.config.server import ServerSettings
from service.dev.free_ports import LOOPBACK
from service.http.protocol.limits import LAST_REQUEST_SECONDS
from service.http.server.run import _server
from tests.protocol.case import get

SECONDS = 1
QUEUED = 20
TICK_SECONDS = 0.15  # uvicorn looks every 0.1 s whether it is to stop
REQUEST = get(b"X: 1")


async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[tuple[Any, tuple[str, int]]]:
    """Run a server on the event loop of the service. Yields it, and its address."""
    given = ServerSettings(keep_alive=SECONDS, header_timeout=SECONDS)
    listener = socket.create_server((LOOPBACK, 0))
    server = _server(app, given, lifespan=False)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        async with asyncio.timeout(15):
            while not server.started:  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0)
        yield server, listener.getsockname()
    finally:
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[tuple[Any, socket.socket]]:
    """Yields the server's side of a connection, and the client's socket."""
    async with running() as (server, address):
        with socket.create_connection(address) as made:
            async with asyncio.timeout(15):
                while not server.server_state.connections:  # noqa: ASYNC110  # it tells nobody
                    await asyncio.sleep(0)
            [connection] = server.server_state.connections
            yield connection, made


async def stalled_after(what: Callable[[], object], seconds: float) -> None:
    """Call a function, and stall the process before it reads anything."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    one, other = socket.socketpair()

    def do() -> None:
        loop.remove_reader(one)
        what()
        time.sleep(seconds)
        done.set()

    with one, other:
        loop.add_reader(one, do)  # while the loop handles input: it calls timers next
        other.send(b"now")
        await asyncio.wait_for(done.wait(), 15)


async def first_line(made: socket.socket) -> bytes:
    """Return the first line of the response."""
    made.setblocking(False)
    async with asyncio.timeout(15):
        received = await asyncio.get_running_loop().sock_recv(made, 4096)
    return received.partition(b"\r\n")[0]


async def status_after(made: socket.socket, stall: float) -> bytes:
    """Send a request, and stall the process before it reads it. Return the first line of the response."""
    await stalled_after(lambda: made.send(REQUEST), stall)
    return await first_line(made)


def test_request_sent_before_the_stop_is_answered() -> None:
    async def stopping() -> bytes:
        async with client() as (connection, made):
            connection.shutdown()
            return await status_after(made, LAST_REQUEST_SECONDS + 0.1)

    assert uvloop.run(stopping()) == b"HTTP/1.1 204 No Content"


def test_connections_in_the_accept_queue_are_served_at_the_stop() -> None:
    async def stopping() -> set[bytes]:
        async with contextlib.AsyncExitStack() as stack:
            server, address = await stack.enter_async_context(running())
            made: list[socket.socket] = []

            def queue_and_stop() -> None:
                for _ in range(QUEUED):
                    made.append(stack.enter_context(socket.create_connection(address)))
                    made[-1].send(REQUEST)
                server.should_exit = True

            await stalled_after(queue_and_stop, TICK_SECONDS)
            return {await first_line(one) for one in made}

    assert uvloop.run(stopping()) == {b"HTTP/1.1 204 No Content"}


def test_first_request_sent_before_its_deadline_is_answered() -> None:
    async def first() -> bytes:
        async with client() as (_, made):
            return await status_after(made, SECONDS + 0.1)

    assert uvloop.run(first()) == b"HTTP/1.1 204 No Content"


def test_request_on_a_connection_about_to_be_idle_for_too_long_is_answered() -> None:
    async def second() -> bytes:
        async with client() as (_, made):
            assert await status_after(made, 0) == b"HTTP/1.1 204 No Content"
            return await status_after(made, SECONDS + 0.1)

    assert uvloop.run(second()) == b"HTTP/1.1 204 No Content"
