"""Runs a request with an Idempotency-Key. Its effect and its stored response commit together."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.responses import Response

from service.http.problems import Busy, Duplicate, Problem, StillRunning
from service.resources.requests.idempotency.idempotency_key import KeyedRequest
from service.resources.requests.idempotency.store import IdempotencyStore

_ATTEMPTS = 4

T = TypeVar("T")


async def run_once(
    store: IdempotencyStore, keyed: KeyedRequest, effect: Callable[[], Awaitable[T]]
) -> T | Response:
    """Return what `effect` returns, which stores the response, or the response that is stored already.

    The unique key of the records decides between concurrent requests: the second waits for the first one's commit,
    fails, and finds the response. Since both want the same change, its failure may have any other cause too.
    Raises `KeyReused` for another request with the key, and `StillRunning` if the first does not end in time.
    """
    for _ in range(_ATTEMPTS):
        try:
            return await effect()
        except Problem as problem:
            stored = await store.replay(keyed)
            if stored is not None:
                return stored
            if isinstance(problem, Busy) and problem.waited_for_twin:
                raise StillRunning from problem
            if not isinstance(problem, Duplicate):
                raise
            # No valid record: an expired one caused the conflict, or one that was just removed.
            dropped = await store.drop_expired(keyed)
            if problem.errors and not dropped:
                raise
    return await effect()
