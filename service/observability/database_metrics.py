"""Metrics of database connections and statements."""

from typing import Any

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine

from service import clock
from service.observability.instruments import observer

_BEGAN = "slipway_began"

_connections = Gauge(
    "slipway_database_connections",
    "Open connections by state (used, idle).",
    ["state"],
    multiprocess_mode="livesum",
)
_limit = Gauge(
    "slipway_database_connections_limit",
    "Maximum number of connections of a process.",
    multiprocess_mode="livesum",
)
_acquire = Histogram(
    "slipway_database_acquire_seconds",
    "Seconds that requests waited for a connection, successful or not.",
    buckets=(0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
_timeouts = Counter(
    "slipway_database_acquire_timeouts",
    "Requests that got no connection within the acquire timeout.",
)
_statements = Histogram(
    "slipway_database_statement_seconds",
    "Seconds from sending a statement to reading its result, by outcome (ok, error).",
    ["outcome"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)

observe_wait = observer(_acquire)
observe_statement = {ok: observer(_statements.labels("ok" if ok else "error")) for ok in (True, False)}
"""By whether it succeeded."""
count_timeout = _timeouts.inc


def time_statements(engine: AsyncEngine) -> None:
    """Time the statements of ORM sessions, which SQLAlchemy prepares and runs itself."""
    event.listen(engine.sync_engine, "before_cursor_execute", _begin)
    event.listen(engine.sync_engine, "after_cursor_execute", lambda c, *_: _end(c, succeeded=True))
    event.listen(
        engine.sync_engine, "handle_error", lambda context: _end(context.connection, succeeded=False)
    )


def _begin(connection: Connection, *_: Any) -> None:
    connection.info[_BEGAN] = clock.monotonic()


def _end(connection: Connection | None, *, succeeded: bool) -> None:
    """Record the time of a statement. An error may occur without a statement or a connection."""
    began = None if connection is None else connection.info.pop(_BEGAN, None)
    if began is not None:
        observe_statement[succeeded](clock.monotonic() - began)


def set_pool_usage(*, used: int, idle: int, limit: int) -> None:
    """Set the metrics on the use of the pool."""
    _connections.labels("used").set(used)
    _connections.labels("idle").set(idle)
    _limit.set(limit)
