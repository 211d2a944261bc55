"""A server that lacks resources: its disk is full, its memory, its files cannot be read.

PostgreSQL says so with the SQLSTATE classes 53 and 58 (appendix A of its manual). Nothing is wrong with the statement,
which may succeed when it is sent again later.
"""

from collections import Counter

import asyncpg
import structlog

from service import clock
from service.database.errors import OutOfResourcesError, describe

log = structlog.get_logger(__name__)

CLASSES = frozenset({"53", "58"})
LOG_SECONDS = 10.0  # between two log lines of one SQLSTATE


class _Throttle:
    """When a line was last written for each SQLSTATE, and how many errors came since."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._since: Counter[str] = Counter()

    def passes(self, sqlstate: str) -> bool:
        now = clock.monotonic()
        self._since[sqlstate] += 1
        if now - self._last.get(sqlstate, -LOG_SECONDS) < LOG_SECONDS:
            return False
        self._last[sqlstate] = now
        return True

    def take(self, sqlstate: str) -> int:
        """The errors since the last line, which is being written."""
        return self._since.pop(sqlstate)


_throttle = _Throttle()


def is_out_of_resources(error: BaseException | None) -> bool:
    """Whether the server could not run the statement for want of resources."""
    return isinstance(error, asyncpg.PostgresError) and str(error.sqlstate)[:2] in CLASSES


def out_of_resources(error: asyncpg.PostgresError) -> OutOfResourcesError:
    """The error to raise instead. Logs the cause, at most once in ten seconds for each SQLSTATE."""
    sqlstate, reason = str(error.sqlstate), describe(error)
    if _throttle.passes(sqlstate):
        count = _throttle.take(sqlstate)
        log.error("database out of resources", sqlstate=sqlstate, reason=reason, errors=count)
    return OutOfResourcesError(reason)
