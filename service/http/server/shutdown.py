"""What happens on SIGTERM: report not ready and keep serving (drain), then stop accepting and finish what runs."""

import asyncio
import contextlib
from collections.abc import Iterable

import structlog
import uvicorn

from service.config.server import ServerSettings
from service.http.server.lifecycle import Lifecycle
from service.observability.metrics import draining

log = structlog.get_logger(__name__)


class StopSignals:
    """The first signal asks the process to stop; a second one cuts the waiting short."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self.stop, self.hurry = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in numbers:
            loop.add_signal_handler(number, self._received)

    def _received(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()


async def drain(settings: ServerSettings, lifecycle: Lifecycle, hurry: asyncio.Event) -> None:
    """Report not ready and keep serving, so that no load balancer sends a request to a closed port."""
    lifecycle.draining = True
    draining.set(1)
    log.info("draining", seconds=settings.drain_delay)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(hurry.wait(), settings.drain_delay)


async def finish(server: uvicorn.Server, serving: asyncio.Task[None], hurry: asyncio.Event) -> None:
    """Stop accepting connections, and let running requests end within the shutdown timeout; `hurry` cuts it to zero."""
    server.should_exit = True
    hurrying = asyncio.create_task(hurry.wait())
    await asyncio.wait({serving, hurrying}, return_when=asyncio.FIRST_COMPLETED)
    hurrying.cancel()
    if hurry.is_set():
        server.force_exit = True
        await serving
        await server.lifespan.shutdown()  # uvicorn skips it when forced
    await serving
