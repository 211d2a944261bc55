"""A thread for blocking calls that start and stop servers, so that the event loop keeps serving clients.

A server ends with the thread that started it (service/dev/server_process.py), so the thread must outlive every server.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_THREAD = ThreadPoolExecutor(1, thread_name_prefix="servers")


async def in_server_thread(what: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function in the servers' thread and return its result."""
    return await asyncio.wrap_future(_THREAD.submit(what, *args, **kwargs))
