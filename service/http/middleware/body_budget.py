"""How much of request bodies a process holds, of all together.

Bodies that wait for slow clients take no place among the running requests, so something else must bound their memory.
They are counted as they arrive, as thousands may before any of their requests gets its turn. The first bytes of each
are not counted, so that whoever fills the rest with large ones does small ones no harm.
"""

from collections.abc import MutableMapping
from typing import Any

from service.http.middleware.admission import turned_away
from service.http.problems import Overloaded

SPARED = 16_384
_KEY = "slipway.body"  # of the scope: how much of the request's body is held


class BodyBudget:
    """Counts the bytes of the bodies that one process holds; `most` of them are counted."""

    __slots__ = ("_free",)

    def __init__(self, most: int) -> None:
        self._free = most

    def grow(self, scope: MutableMapping[str, Any], more: int) -> None:
        """Count `more` bytes of the body of this request. Raises `Overloaded` when there is no room for them."""
        held = scope.get(_KEY)
        if held is None:
            held = scope[_KEY] = _Held(self)
        size = held.size + more
        counted = _counted(size) - _counted(held.size)
        if counted > self._free:
            turned_away.labels("bodies").inc()
            raise Overloaded("Too much of other requests is held in memory.")
        self._free -= counted
        held.size = size

    def release(self, size: int) -> None:
        self._free += _counted(size)


class _Held:
    __slots__ = ("bodies", "size")

    def __init__(self, bodies: BodyBudget) -> None:
        self.bodies = bodies
        self.size = 0


def forget(scope: MutableMapping[str, Any]) -> None:
    """Give back the room of a body that is done with."""
    if (held := scope.pop(_KEY, None)) is not None:
        held.bodies.release(held.size)


def _counted(size: int) -> int:
    return max(size - SPARED, 0)
