"""A process that gets no processor for a while answers requests that were sent in time, although it reads them late."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import uvloop
from starlette.types import Receive, Scope, Send

from service.config.server import ServerSettings
from service.dev.free_ports import LOOPBACK
from service.http.protocol.limits import LAST_REQUEST_SECONDS
from service.http.server.run import _server
from tests.protocol.case import get

SECONDS = 1
REQUEST = get(b"X: 1")


async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[tuple[Any, socket.socket]]:
    """Run a server on the event loop of the service. Yields its side of a connection, and the client's socket."""
    given = ServerSettings(keep_alive=SECONDS, header_timeout=SECONDS)
    listener = socket.create_server((LOOPBACK, 0))
    server = _server(app, given, lifespan=False)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        with socket.socket() as made:
            made.setblocking(False)
            await asyncio.get_running_loop().sock_connect(made, listener.getsockname())
            async with asyncio.timeout(15):
                while not server.server_state.connections:  # noqa: ASYNC110  # it tells nobody
                    await asyncio.sleep(0)
            [connection] = server.server_state.connections
            yield connection, made
    finally:
        server.should_exit = True
        await serving


async def status_after(made: socket.socket, stall: float) -> bytes:
    """Send a request, and stall the process before it reads it. Return the first line of the response."""
    loop, stalled = asyncio.get_running_loop(), asyncio.Event()
    one, other = socket.socketpair()

    def do() -> None:
        loop.remove_reader(one)
        made.send(REQUEST)
        time.sleep(stall)
        stalled.set()

    with one, other:
        loop.add_reader(one, do)  # while the loop handles input: it calls timers next
        other.send(b"now")
        await asyncio.wait_for(stalled.wait(), 15)
    async with asyncio.timeout(15):
        received = await loop.sock_recv(made, 4096)
    return received.partition(b"\r\n")[0]


def test_request_sent_before_the_stop_is_answered() -> None:
    async def stopping() -> bytes:
        async with client() as (connection, made):
            connection.shutdown()
            return await status_after(made, LAST_REQUEST_SECONDS + 0.1)

    assert uvloop.run(stopping()) == b"HTTP/1.1 204 No Content"


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
