"""A client that disconnects while one of its requests runs and another waits."""

import asyncio
import socket
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from service.config.server import ServerSettings
from service.http.middleware.body_budget import SPARED
from service.http.protocol.connection import limited
from service.http.protocol.limits import Limits
from tests.protocol.case import get, post


async def test_disconnect_reaches_a_request_with_another_queued() -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    room = ServerSettings().max_buffered_bytes

    async def application(_scope: Any, receive: Any, _send: Any) -> None:
        while (kind := (await receive())["type"]) != "http.disconnect":
            await heard.put(kind)
        await heard.put(kind)

    config = Config(application, http=limited(Limits.of(ServerSettings())), ws="none", log_config=None)
    config.load()
    protocol: Any = config.http_protocol_class
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(get(b"X: 1") + post(b"Content-Length: 20000", b"x" * 20_000))
        state = ServerState()
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol(config=config, server_state=state, app_state={}, _loop=loop), ours
        )
        async with asyncio.timeout(5):
            assert await heard.get() == "http.request"
    async with asyncio.timeout(5):
        assert await heard.get() == "http.disconnect"
        await asyncio.gather(*state.tasks)
    assert heard.empty()
    assert transport.is_closing()
    assert not state.connections
    protocol.bodies.grow({}, SPARED + room)  # also that of the queued body is free
