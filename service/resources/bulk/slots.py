"""Limits how many bulk requests run at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.http.middleware.admission import turned_away
from service.http.problems import Overloaded

SLOT_SECONDS = 5.0  # most time that a bulk request waits for earlier ones, without holding a connection


@asynccontextmanager
async def slot(slots: asyncio.Semaphore) -> AsyncIterator[None]:
    """Wait for a slot, and hold it. Raises `Overloaded`."""
    try:
        async with asyncio.timeout(SLOT_SECONDS):
            await slots.acquire()
    except TimeoutError:
        turned_away.labels("bulks").inc()
        raise Overloaded("Too many bulk requests are running.") from None
    try:
        yield
    finally:
        slots.release()
