"""One thread for what blocks: starting and stopping servers, while the loop carries on with clients.

A server ends with the thread that started it (service/dev/server_process.py), so the thread must outlive every server.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_THREAD = ThreadPoolExecutor(1, thread_name_prefix="servers")


async def aside(what: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What it returns, run in the thread of the servers."""
    return await asyncio.wrap_future(_THREAD.submit(what, *args, **kwargs))
