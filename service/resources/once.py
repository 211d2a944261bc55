"""Running a request under an Idempotency-Key: its effect and its stored answer come together, or neither does."""

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from service.http.problems import Busy, Duplicate, StillRunning
from service.resources.engine import Engine
from service.resources.idempotency import KeyedRequest


async def once(engine: Engine, keyed: KeyedRequest, effect: Callable[[], Awaitable[Response]]) -> Response:
    """The answer of `effect`, which stores it; or the answer that is stored already.

    The unique key of the records decides who wins: a second request waits for the first one's commit, fails, and
    finds the answer. Its failure may also name a unique key of the table, since it has the same values. Raises
    `KeyReused` for another request under the key, `StillRunning` when the first does not end in time.
    """
    try:
        return await effect()
    except Duplicate:
        stored = await engine.services.records.replay(keyed)
        if stored is not None:
            return stored
        if not await engine.services.records.drop_expired(keyed):
            raise
    except Busy as error:
        raise StillRunning from error
    return await effect()
