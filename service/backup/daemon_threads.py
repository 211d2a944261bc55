"""Runs blocking calls in threads that nothing waits for at the end of the process."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Return the result of `work`, or raise its error.

    If the caller is cancelled, the thread goes on, but does not keep the process from ending, as one of
    `asyncio.to_thread` would.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def end(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # the result of `work`

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001  # raised where the result is awaited
            error = raised
        try:
            loop.call_soon_threadsafe(end, result, error)
        except RuntimeError:
            return  # the loop has been closed: nobody waits any more

    threading.Thread(target=run, daemon=True).start()
    return await done
