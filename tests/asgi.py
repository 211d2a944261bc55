"""Runs applications in this process through the ASGI lifespan, as a server does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Message


@asynccontextmanager
async def lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """Start an application through the ASGI lifespan protocol and all its layers; shut it down at the end.

    Raises what the application raises at its start or end. `app.router.lifespan_context` passes by the layers.
    """
    incoming: asyncio.Queue[Message] = asyncio.Queue()
    outgoing: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    running = asyncio.ensure_future(app(scope, incoming.get, outgoing.put))
    await _step("startup", running, incoming, outgoing)
    try:
        yield
    finally:
        await _step("shutdown", running, incoming, outgoing)
        await running


async def _step(
    name: str,
    running: asyncio.Future[None],
    incoming: asyncio.Queue[Message],
    outgoing: asyncio.Queue[Message],
) -> None:
    """Send `lifespan.<name>` and wait for its completion."""
    await incoming.put({"type": f"lifespan.{name}"})
    answer = asyncio.ensure_future(outgoing.get())
    pending: set[asyncio.Future[Any]] = {answer, running}
    await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    if answer.done() and answer.result()["type"] == f"lifespan.{name}.complete":
        return
    answer.cancel()
    await running  # raises the error of the application
    raise RuntimeError(f"the application ended without an answer to lifespan.{name}")
