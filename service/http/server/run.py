"""Running the two ports in one process: the order of starting, draining and stopping."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import structlog
import uvicorn
from starlette.types import ASGIApp

from service.config.server import ServerSettings
from service.http.middleware.edge import Edge
from service.http.middleware.services import EdgeServices
from service.http.protocol.connection import limited
from service.http.protocol.limits import Limits
from service.http.server.descriptors import make_room
from service.http.server.lifecycle import Lifecycle
from service.observability.metrics import draining

log = structlog.get_logger(__name__)


class PortTakenError(Exception):
    """Something else listens on the port."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {host}:{port}: {reason}")
        self.port = port


@dataclass(frozen=True, slots=True)
class Applications:
    """What one process serves."""

    public: ASGIApp
    admin: ASGIApp
    lifecycle: Lifecycle


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the supervisor of both."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept what waits in the backlog, which closing the listener would reset, before all is told to end."""
        await _turns_of_the_loop()
        for server in self.servers:
            server.close()
        await _turns_of_the_loop()  # what was accepted last becomes a connection
        await super().shutdown(sockets)
        # Those that were given up, as they have not come to their end in time.
        for connection in [*self.server_state.connections]:
            connection.transport.abort()
        await _turns_of_the_loop()


async def _turns_of_the_loop() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """A listening socket. Raises `PortTakenError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise PortTakenError(host, port, error.strerror or str(error)) from error
    return listener


def _server(app: ASGIApp, settings: ServerSettings, *, lifespan: bool) -> _Server:
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=limited(Limits.of(settings)),
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


def _admin(applications: Applications, settings: ServerSettings) -> ASGIApp:
    """The admin application behind an edge that neither counts nor logs: probes come every second."""
    services = EdgeServices(lifecycle=applications.lifecycle, max_body_bytes=settings.max_body_bytes)
    return Edge(applications.admin, services)


def listeners(settings: ServerSettings) -> list[socket.socket]:
    """The public and the admin socket, listening. Raises `PortTakenError`."""
    public = listen(settings.host, settings.port, settings.backlog)
    try:
        return [public, listen(settings.admin_host, settings.admin_port, settings.backlog)]
    except PortTakenError:
        public.close()
        raise


async def serve(app: ASGIApp, admin: ASGIApp, settings: ServerSettings, lifecycle: Lifecycle) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return; a second signal cuts the waiting short.

    Raises `PortTakenError`, or `SystemExit` when the application's start fails.
    """
    stop_signals = (signal.SIGTERM, signal.SIGINT)
    await serve_on(listeners(settings), Applications(app, admin, lifecycle), settings, stop_signals)


async def serve_on(
    sockets: Sequence[socket.socket],
    applications: Applications,
    settings: ServerSettings,
    stop_signals: Sequence[int],
) -> None:
    """As `serve`, on a public and an admin socket that listen already."""
    make_room(settings.max_connections)
    public_server = _server(applications.public, settings, lifespan=True)
    admin_server = _server(_admin(applications, settings), settings, lifespan=False)
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stop_signals:
        loop.add_signal_handler(number, _on_signal, stop, hurry)
    admin_task = asyncio.create_task(admin_server.serve([sockets[1]]))
    public_task = asyncio.create_task(public_server.serve([sockets[0]]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({public_task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            await _drain(settings, applications.lifecycle, hurry)
        await _finish(public_server, public_task, hurry)
    finally:
        stopping.cancel()
        admin_server.should_exit = True
        await admin_task
    log.info("stopped")


def _on_signal(stop: asyncio.Event, hurry: asyncio.Event) -> None:
    (hurry if stop.is_set() else stop).set()


async def _drain(settings: ServerSettings, lifecycle: Lifecycle, hurry: asyncio.Event) -> None:
    """Say not ready and keep serving, so that no balancer sends a request to a closed port."""
    lifecycle.draining = True
    draining.set(1)
    log.info("draining", seconds=settings.drain_delay)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(hurry.wait(), settings.drain_delay)


async def _finish(server: uvicorn.Server, serving: asyncio.Task[None], hurry: asyncio.Event) -> None:
    """Accept nothing more and let running requests end, in bounded time; `hurry` gives them none."""
    server.should_exit = True
    hurrying = asyncio.create_task(hurry.wait())
    await asyncio.wait({serving, hurrying}, return_when=asyncio.FIRST_COMPLETED)
    hurrying.cancel()
    if hurry.is_set():
        server.force_exit = True
        await serving
        await server.lifespan.shutdown()  # which uvicorn leaves out when it is forced
    await serving
