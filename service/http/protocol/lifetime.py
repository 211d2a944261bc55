"""How long a connection is kept, so that clients that reuse connections reach new pods.

A Service of Kubernetes balances connections, not requests: a client that keeps its connection stays with one pod.
"""

import math
from random import Random

from service.http.protocol.limits import Limits

JITTER = 0.1  # of the age, so that connections opened together do not all close together
_random = Random()  # noqa: S311 - spreads load, protects nothing


class Lifetime:
    """The age and number of requests after which a connection closes with its next response (RFC 9112, 9.6)."""

    __slots__ = ("_end", "_left")

    def __init__(self, limits: Limits, now: float) -> None:
        spread = _random.uniform(1 - JITTER, 1 + JITTER)
        self._end = now + limits.connection_seconds * spread if limits.connection_seconds else math.inf
        self._left = limits.connection_requests or math.inf

    def ends_with_request(self, now: float) -> bool:
        """Count a request; return whether its response is the last one."""
        self._left -= 1
        return self._left <= 0 or now >= self._end
