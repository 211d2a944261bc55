"""Retries transactions that PostgreSQL rolled back. Nothing else in the engine retries for this reason."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from service.http.problems import Busy
from service.http.problems.sqlstate import UNDONE

ATTEMPTS = 4
_PAUSE = 0.02  # seconds; grows with each attempt

T = TypeVar("T")
P = ParamSpec("P")


async def retry_rolled_back(attempt: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of `attempt` with these arguments, which runs one transaction. Makes up to `ATTEMPTS` attempts.

    An attempt is repeated if it raises the problem of a deadlock, a serialization failure or a stale plan: PostgreSQL
    has then rolled back everything, through no fault of the request.
    """
    for number in range(1, ATTEMPTS):
        try:
            return await attempt(*args, **kwargs)
        except Busy as busy:
            if not isinstance(busy.__cause__, UNDONE):
                raise
            await pause_after(number)
    return await attempt(*args, **kwargs)


async def pause_after(attempt: int) -> None:
    """Let other transactions go on before the next attempt. Attempts count from 1."""
    await asyncio.sleep(_PAUSE * attempt * random.random())  # noqa: S311  # jitter, no secret
