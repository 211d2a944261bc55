"""Ends background tasks when what they work for is closed."""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 2.5
"""More than a task may take to clean up."""


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks, and return when they have ended. Their errors are ignored.

    A cancellation can get lost: an error in a `finally` takes its place, and `asyncio.wait_for` of Python 3.11 returns
    a result that arrives at the same moment. Such a task is cancelled again, since it may go on forever.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        ended, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
        for task in ended:
            if not task.cancelled():
                task.exception()  # otherwise asyncio logs that nothing has asked for it
