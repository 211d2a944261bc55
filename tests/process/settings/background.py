"""An event loop in a separate thread, which runs servers of a process while a test waits."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

T = TypeVar("T")

SECONDS = 30.0


class Background:
    """Runs coroutines, and keeps asynchronous contexts open until `close`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._closing: list[tuple[asyncio.Event, Any]] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)

    def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter a context, which one task holds open until `close`."""
        entered: asyncio.Future[T] = self._loop.create_future()
        closing = asyncio.Event()

        async def hold() -> None:
            async with context as value:
                entered.set_result(value)
                await closing.wait()

        async def begin() -> "asyncio.Task[None]":
            return asyncio.create_task(hold())

        async def value() -> T:
            pending: set[asyncio.Future[Any]] = {entered, holding}
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if not entered.done():
                await holding  # raises the error of the task
            return entered.result()

        holding = self.run(begin())
        self._closing.append((closing, holding))
        return self.run(value())

    def close(self) -> None:
        """Leave the contexts in reverse order, and end the thread."""
        for closing, holding in reversed(self._closing):
            self._loop.call_soon_threadsafe(closing.set)
            self.run(_finished(holding))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._loop.close()


async def _finished(holding: "asyncio.Task[None]") -> None:
    await holding
