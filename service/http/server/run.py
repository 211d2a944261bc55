"""Runs the two servers of one process, public and admin, from start to stop. `shutdown` says how they stop."""

import asyncio
import contextlib
import select
import signal
import socket
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import structlog
import uvicorn
from starlette.types import ASGIApp

from service.config.server import ServerSettings
from service.http.middleware.entrance import Entrance
from service.http.protocol.connection import limited
from service.http.protocol.limits import Limits
from service.http.server.descriptors import make_room
from service.http.server.lifecycle import Lifecycle
from service.http.server.listeners import listeners
from service.http.server.shutdown import StopSignals, drain, finish

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Applications:
    """What one process serves. `entrance` is that of the public application."""

    public: ASGIApp
    admin: ASGIApp
    lifecycle: Lifecycle
    entrance: Entrance


async def serve(applications: Applications, settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return; a second signal cuts the waiting short.

    Raises `PortTakenError`, or `SystemExit` when the application's start fails.
    """
    stop_signals = (signal.SIGTERM, signal.SIGINT)
    await serve_on(listeners(settings), applications, settings, stop_signals)


async def serve_on(
    sockets: Sequence[socket.socket],
    applications: Applications,
    settings: ServerSettings,
    stop_signals: Sequence[int],
) -> None:
    """As `serve`, on a public and an admin socket that are already listening."""
    make_room(settings.max_connections)
    public_server = _server(applications.public, settings, applications.entrance, lifespan=True)
    admin_server = _server(applications.admin, settings, lifespan=False)
    signals = StopSignals(stop_signals)
    admin_task = asyncio.create_task(admin_server.serve([sockets[1]]))
    public_task = asyncio.create_task(public_server.serve([sockets[0]]))
    stopping = asyncio.create_task(signals.stop.wait())
    try:
        await asyncio.wait({public_task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if signals.stop.is_set():
            await drain(settings, applications.lifecycle, signals.hurry)
        await finish(public_server, public_task, signals.hurry)
    finally:
        stopping.cancel()
        admin_server.should_exit = True
        await admin_task
    log.info("stopped")


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to `serve_on`, which runs two servers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the connections in the accept queue before stopping: closing the listener would reset them."""
        await self._accept_queued()
        for server in self.servers:
            server.close()
        await _turns_of_the_loop()  # the last accepted sockets become connections
        await super().shutdown(sockets)
        # Requests that did not end within the shutdown timeout.
        for connection in [*self.server_state.connections]:
            connection.transport.abort()
        await _turns_of_the_loop()

    async def _accept_queued(self) -> None:
        """Return when the accept queues are empty. The event loop accepts one connection a turn (libuv 1.45), and more
        may arrive all the time, so there are as many turns as a queue has places."""
        queues = select.poll()
        for server in self.servers:
            for listener in server.sockets:
                queues.register(listener.fileno(), select.POLLIN)
        for _ in range(self.config.backlog):
            await asyncio.sleep(0)
            if not queues.poll(0):
                return


def _server(
    app: ASGIApp, settings: ServerSettings, entrance: Entrance | None = None, *, lifespan: bool
) -> _Server:
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=limited(Limits.of(settings), entrance),
        ws="none",
        lifespan="on" if lifespan else "off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the edge reads them
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=round(settings.shutdown_timeout),
        backlog=settings.backlog,
    )
    return _Server(config)


async def _turns_of_the_loop() -> None:
    for _ in range(3):
        await asyncio.sleep(0)
