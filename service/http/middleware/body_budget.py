"""Bounds the memory of all request bodies that a process holds.

Requests that wait for their bodies do not count as running, so admission does not bound their memory. Bodies are
counted as they arrive, since thousands may arrive before their requests run. The first bytes of each body are free, so
that large bodies cannot use up the room of small ones.
"""

from collections.abc import MutableMapping
from typing import Any

from service.http.middleware.admission import turned_away
from service.http.problems import Overloaded

SPARED = 16_384
_KEY = "slipway.body"  # in the scope: how much of the request's body is held


class BodyBudget:
    """Counts the bytes of the bodies that one process holds, at most `most`."""

    __slots__ = ("_free",)

    def __init__(self, most: int) -> None:
        self._free = most

    def grow(self, scope: MutableMapping[str, Any], more: int) -> None:
        """Count `more` bytes of the body of this request. Raises `Overloaded` if there is no room."""
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
    """Give back the room of a body that is no longer needed."""
    if (held := scope.pop(_KEY, None)) is not None:
        held.bodies.release(held.size)


def _counted(size: int) -> int:
    return max(size - SPARED, 0)
