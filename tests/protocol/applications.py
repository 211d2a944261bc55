"""Applications of a test behind our protocol, in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from service.config.server import ServerSettings
from service.dev.free_ports import LOOPBACK
from service.http.protocol.connection import limited
from service.http.protocol.limits import Limits


@asynccontextmanager
async def listening(application: Any, **settings: object) -> AsyncIterator[tuple[str, int]]:
    """Serve the application for at most five seconds. Yields the address."""
    limits = Limits.of(ServerSettings.model_validate(settings))
    config = Config(application, http=limited(limits), ws="none", log_config=None)
    config.load()
    protocol: Any = config.http_protocol_class
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: protocol(config=config, server_state=ServerState(), app_state={}, _loop=loop), LOOPBACK, 0
    )
    async with listener, asyncio.timeout(5):
        yield listener.sockets[0].getsockname()
