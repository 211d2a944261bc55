"""Running a request under an Idempotency-Key: its effect and its stored answer come together, or neither does."""

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from service.http.problems import Busy, Duplicate, Problem, StillRunning
from service.resources.engine import Engine
from service.resources.requests.idempotency import KeyedRequest

_ATTEMPTS = 4


async def once(engine: Engine, keyed: KeyedRequest, effect: Callable[[], Awaitable[Response]]) -> Response:
    """The answer of `effect`, which stores it; or the answer that is stored already.

    The unique key of the records decides who wins: a second request waits for the first one's commit, fails, and
    finds the answer. Its failure may have any other cause too, since it wants the same once more. Raises
    `KeyReused` for another request under the key, `StillRunning` when the first does not end in time.
    """
    records = engine.services.records
    for _ in range(_ATTEMPTS):
        try:
            return await effect()
        except Problem as problem:
            stored = await records.replay(keyed)
            if stored is not None:
                return stored
            if isinstance(problem, Busy) and problem.waited_for_twin:
                raise StillRunning from problem
            if not isinstance(problem, Duplicate):
                raise
            # Nothing valid is stored, so an expired record may be what stood in the way, or another one's haste.
            dropped = await records.drop_expired(keyed)
            if problem.errors and not dropped:
                raise
    return await effect()
