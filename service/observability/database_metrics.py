"""Metrics of database connections and statements. The pools are `fast`, and `session` for ORM sessions."""

from typing import Any

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine

from service import clock

FAST, SESSION = "fast", "session"
_BEGAN = "slipway_began"

_connections = Gauge(
    "slipway_database_connections",
    "Open connections by pool (fast, session) and state (used, idle).",
    ["pool", "state"],
    multiprocess_mode="livesum",
)
_limit = Gauge(
    "slipway_database_connections_limit",
    "Maximum number of connections of a pool.",
    ["pool"],
    multiprocess_mode="livesum",
)
_acquire = Histogram(
    "slipway_database_acquire_seconds",
    "Seconds that requests waited for a connection of the fast pool, successful or not.",
    buckets=(0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
_timeouts = Counter(
    "slipway_database_acquire_timeouts",
    "Requests that got no connection within the acquire timeout, by pool.",
    ["pool"],
)
_statements = Histogram(
    "slipway_database_statement_seconds",
    "Seconds from sending a statement to reading its result, by pool and outcome (ok, error).",
    ["pool", "outcome"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)

observe_wait = _acquire.observe
_fast_ok, _fast_error = _statements.labels(FAST, "ok"), _statements.labels(FAST, "error")
_session_ok, _session_error = _statements.labels(SESSION, "ok"), _statements.labels(SESSION, "error")
_timed_out = {pool: _timeouts.labels(pool) for pool in (FAST, SESSION)}


def count_timeout(pool: str) -> None:
    """Count a wait that ended without a connection."""
    _timed_out[pool].inc()


def observe_statement(seconds: float, succeeded: bool) -> None:  # noqa: FBT001
    """Record the time of a statement on a connection of the fast pool."""
    (_fast_ok if succeeded else _fast_error).observe(seconds)


def time_session_statements(engine: AsyncEngine) -> None:
    """Time the statements of ORM sessions. SQLAlchemy prepares them itself, so asyncpg's query logger misses them."""
    event.listen(engine.sync_engine, "before_cursor_execute", _begin)
    event.listen(engine.sync_engine, "after_cursor_execute", lambda c, *_: _end(c, _session_ok))
    event.listen(engine.sync_engine, "handle_error", lambda context: _end(context.connection, _session_error))


def _begin(connection: Connection, *_: Any) -> None:
    connection.info[_BEGAN] = clock.monotonic()


def _end(connection: Connection | None, histogram: Histogram) -> None:
    """Record the time of a statement. An error may occur without a statement or a connection."""
    began = None if connection is None else connection.info.pop(_BEGAN, None)
    if began is not None:
        histogram.observe(clock.monotonic() - began)


def set_pool_usage(pool: str, *, used: int, idle: int, limit: int) -> None:
    """Set the metrics on the use of a pool."""
    _connections.labels(pool, "used").set(used)
    _connections.labels(pool, "idle").set(idle)
    _limit.labels(pool).set(limit)
