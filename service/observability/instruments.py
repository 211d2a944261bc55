"""The instruments that each request uses, without what prometheus_client checks at each use: that takes three times as
long as counting.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any


def adder(child: Any) -> Callable[[float], None]:
    """Return the function that adds to a counter or gauge without labels, or to a child of one with labels."""
    add: Callable[[float], None] = child._value.inc  # noqa: SLF001
    return add


class Timing:
    """A histogram without labels, or a child of one with labels."""

    __slots__ = ("_add", "_bounds", "_buckets")

    def __init__(self, child: Any) -> None:
        self._bounds: list[float] = child._upper_bounds  # noqa: SLF001
        self._buckets: list[Callable[[float], None]] = [bucket.inc for bucket in child._buckets]  # noqa: SLF001
        self._add: Callable[[float], None] = child._sum.inc  # noqa: SLF001

    def observe(self, seconds: float) -> None:
        """Count a duration."""
        self._buckets[bisect_left(self._bounds, seconds)](1)
        self._add(seconds)

    def observe_none(self) -> None:
        """Count a duration of 0 seconds."""
        self._buckets[0](1)
