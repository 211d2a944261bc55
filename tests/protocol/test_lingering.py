"""How a connection closes: a reset must not overtake the response, nor may a closed connection take memory."""

import asyncio
import socket
from typing import Any

from tests.protocol.applications import listening
from tests.protocol.case import get, post


async def refuses(_scope: Any, _receive: Any, send: Any) -> None:
    """Respond without a look at the body, and close."""
    headers = [(b"content-length", b"2"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b"no"})


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


async def test_connection_is_closed_at_once_after_a_whole_request() -> None:
    assert not await takes_more_after_its_response(get(b"X: 1"))
    assert not await takes_more_after_its_response(post(b"Content-Length: 2", b"{}"))
