"""How a connection closes: a reset must not overtake the response, nor may a closed connection take memory."""

import asyncio
import socket
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from service.config.server import ServerSettings
from service.http.protocol import connection
from service.http.protocol.connection import limited
from service.http.protocol.limits import DISCARDED, Limits
from tests.protocol.applications import listening
from tests.protocol.case import get, post


async def refuses(_scope: Any, _receive: Any, send: Any) -> None:
    """Respond without a look at the body, and close."""
    headers = [(b"content-length", b"2"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b"no"})


async def fills_the_socket(_scope: Any, _receive: Any, send: Any) -> None:
    """Respond until some bytes wait for the client, and close."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    cycle = send.__self__
    while not cycle.transport.get_write_buffer_size():
        await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
    await send({"type": "http.response.body"})


async def responds_in_parts(_scope: Any, receive: Any, send: Any) -> None:
    """Begin the response, receive the body, and end the response."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"o", "more_body": True})
    while (await receive())["more_body"]:
        pass
    await send({"type": "http.response.body", "body": b"k"})


async def ignores_the_body(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def takes_more_after_its_response(request: bytes) -> bool:
    """Whether the server still takes bytes after it has responded and shut down its side."""
    loop = asyncio.get_running_loop()
    async with listening(refuses) as address:
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, address)
            await loop.sock_sendall(client, request)
            response = b""
            while received := await loop.sock_recv(client, 65536):
                response += received
            assert response.endswith(b"\r\n\r\nno")
            try:
                for _ in range(2):  # the first one makes a closed socket send the reset
                    await loop.sock_sendall(client, b"x" * 100)
            except (BrokenPipeError, ConnectionResetError):
                return False
            return True


async def test_client_that_still_sends_its_body_is_not_reset() -> None:
    assert await takes_more_after_its_response(post(b"Content-Length: 100000", b"x" * 100))


async def test_client_that_sends_forever_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.05)
    async with listening(refuses) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(post(b"Content-Length: 100000", b"x"))
        assert (await reader.read()).endswith(b"no")
        with pytest.raises(ConnectionError):
            await _sends_forever(writer)


async def _sends_forever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def test_connection_that_says_it_closes_is_not_kept_when_the_body_arrives() -> None:
    async with listening(responds_in_parts) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(post(b"Transfer-Encoding: chunked", b""))
        assert b"connection: close" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"0\r\n\r\n")
        assert await reader.read() == b"ok"
        writer.close()


async def test_connection_closes_if_one_of_the_options_of_a_response_says_so() -> None:
    async def says_more(_scope: Any, _receive: Any, send: Any) -> None:
        options = [(b"content-length", b"2"), (b"connection", b"X-Hop, Close")]
        await send({"type": "http.response.start", "status": 200, "headers": options})
        await send({"type": "http.response.body", "body": b"ok"})

    async with listening(says_more) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(get(b"X: 1"))
        head, _, content = (await reader.read()).partition(b"\r\n\r\n")
        assert (head.count(b"connection"), content) == (1, b"ok")
        writer.close()


@pytest.mark.parametrize(
    ("fields", "closes"),
    [
        (b"Transfer-Encoding: chunked", True),
        (b"Content-Length: %d" % (DISCARDED + 1), True),
        (b"Expect: 100-continue\r\nContent-Length: 1", True),  # the body may follow or not
        (b"Content-Length: %d" % DISCARDED, False),
    ],
)
async def test_connection_closes_before_a_body_that_is_long_or_unknown(
    fields: bytes, *, closes: bool
) -> None:
    async with listening(ignores_the_body) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(post(fields, b""))
        assert (b"connection: close" in await reader.readuntil(b"\r\n\r\nok")) is closes
        writer.close()


async def test_last_bytes_for_a_client_that_does_not_read_are_dropped() -> None:
    """So few that nothing else watches them."""
    state, config = ServerState(), Config(fills_the_socket, http="httptools", ws="none", log_config=None)
    config.load()
    protocol: Any = limited(Limits.of(ServerSettings(write_timeout=0.1)))
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(get(b"X: 1"))
        await loop.connect_accepted_socket(
            lambda: protocol(config=config, server_state=state, app_state={}, _loop=loop), ours
        )
        async with asyncio.timeout(5):
            while state.total_requests == 0 or state.connections:  # noqa: ASYNC110  # the server tells nobody
                await asyncio.sleep(0.01)


async def test_connection_is_closed_at_once_after_a_whole_request() -> None:
    assert not await takes_more_after_its_response(get(b"X: 1"))
    assert not await takes_more_after_its_response(post(b"Content-Length: 2", b"{}"))
