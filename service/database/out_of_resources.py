"""Errors of a server that lacks disk, memory or access to its files.

PostgreSQL reports them with SQLSTATE classes 53 and 58 (appendix A of its manual). The statement is correct and may
succeed later.
"""

from collections import Counter

import asyncpg
import structlog

from service import clock
from service.database.errors import OutOfResourcesError, describe

log = structlog.get_logger(__name__)

CLASSES = frozenset({"53", "58"})
LOG_SECONDS = 10.0  # between two log lines for the same SQLSTATE


class _Throttle:
    """For each SQLSTATE, the time of the last log line and the number of errors since."""

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
        """Return the number of errors since the last log line, and reset it."""
        return self._since.pop(sqlstate)


_throttle = _Throttle()


def is_out_of_resources(error: BaseException | None) -> bool:
    """Whether the server lacked the resources to run the statement."""
    return isinstance(error, asyncpg.PostgresError) and str(error.sqlstate)[:2] in CLASSES


def out_of_resources(error: asyncpg.PostgresError) -> OutOfResourcesError:
    """Return the error to raise instead. Logs the cause, at most once per SQLSTATE in ten seconds."""
    sqlstate, reason = str(error.sqlstate), describe(error)
    if _throttle.passes(sqlstate):
        count = _throttle.take(sqlstate)
        log.error("database out of resources", sqlstate=sqlstate, reason=reason, errors=count)
    return OutOfResourcesError(reason)
