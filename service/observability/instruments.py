"""The instruments that each request uses, without what prometheus_client checks at each use: that takes three times as
long as counting.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

Observe = Callable[[float], None]
"""Counts a duration in seconds."""


def adder(child: Any) -> Callable[[float], None]:
    """Return the function that adds to a counter or gauge without labels, or to a child of one with labels.

    Call it in the event loop only, as the functions of `observer`.
    """
    value: Any = child._value  # noqa: SLF001

    def add(amount: float) -> None:
        value._value += amount  # noqa: SLF001

    # Several workers share the values through files, which only `inc` writes.
    shared: Callable[[float], None] = value.inc
    return shared if value._multiprocess else add  # noqa: SLF001


def observer(child: Any, counter: Any = None) -> Observe:
    """Return the function that counts a duration in a histogram without labels, or in a child of one with labels, and
    in a `counter` of the same events.

    Call it in the event loop only: it adds to the values of a process without their locks, each of which costs a call.
    """
    bounds: list[float] = child._upper_bounds  # noqa: SLF001
    buckets: list[Any] = child._buckets  # noqa: SLF001
    total: Any = child._sum  # noqa: SLF001
    count: Any = None if counter is None else counter._value  # noqa: SLF001

    def observe(seconds: float) -> None:
        buckets[bisect_left(bounds, seconds)]._value += 1  # noqa: SLF001
        total._value += seconds  # noqa: SLF001
        if count is not None:
            count._value += 1  # noqa: SLF001

    def observe_shared(seconds: float) -> None:
        """Several workers share the values through files, which only `inc` writes."""
        buckets[bisect_left(bounds, seconds)].inc(1)
        total.inc(seconds)
        if count is not None:
            count.inc(1)

    return observe_shared if total._multiprocess else observe  # noqa: SLF001
