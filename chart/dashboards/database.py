"""Connections, waits for them, and statements."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from chart.dashboards.boards import board
from chart.dashboards.panels import GREEN, RED, Panel, Query, graph, heat_map, number
from chart.dashboards.queries import quantile, rate, reached, series

OPEN, MOST = "slipway_database_connections", "slipway_database_connections_limit"
WAITS, STATEMENTS = "slipway_database_acquire_seconds", "slipway_database_statement_seconds"
GIVEN_UP = "slipway_database_acquire_timeouts_total"
BACKUP = "slipway_backup"


def dashboard() -> Dashboard:
    """The dashboard `slipway-database`."""
    return board(
        "database",
        "Database",
        "Does PostgreSQL respond, are there enough connections, how long do statements take?",
        {
            "Now": _now(),
            "Connections": _connections(),
            "Statements": _statements(),
            "Backups": _backups(),
        },
    )


def _now() -> list[Panel]:
    return [
        number(
            "PostgreSQL",
            "Down if at least one pod cannot reach it.",
            Query(f"min({reached('database')})"),
            words={"1": ("up", GREEN), "0": ("down", RED)},
        ),
        number(
            "Schema",
            "Whether a pod waits for a migration: it is not ready until the database is at its head.",
            Query(f"max({series('slipway_migration_pending')})"),
            words={"0": ("migrated", GREEN), "1": ("pending", RED)},
        ),
        number(
            "Pool in use",
            "Connections in use, as a share of the limit, of the pod with the most.",
            Query(f"max({_used('pod')})"),
            unit="percentunit",
            warn=0.7,
            bad=0.9,
        ),
        number(
            "Acquire timeouts",
            "Requests per second that got no connection within SLIPWAY_DATABASE__ACQUIRE_TIMEOUT and were answered "
            "with 503.",
            Query(rate(GIVEN_UP)),
            unit="reqps",
            warn=0.01,
            bad=1,
        ),
        number(
            "Statements",
            "Statements per second, over all pods.",
            Query(rate(f"{STATEMENTS}_count")),
            unit="ops",
        ),
        number(
            "Statements per request",
            "Resources need one or two. More means that a route runs statements in a loop.",
            Query(f"{rate(f'{STATEMENTS}_count')} / {rate('http_requests_total')}"),
            decimals=2,
            warn=3,
            bad=6,
        ),
    ]


def _used(by: str) -> str:
    used = series(OPEN, 'state="used"')
    return f"sum by ({by}) ({used}) / sum by ({by}) ({series(MOST)})"


def _connections() -> list[Panel]:
    return [
        graph(
            "Connections",
            "Open connections of all pods. Compare with PostgreSQL's max_connections.",
            Query(f"sum by (state) ({series(OPEN)})", "{{state}}"),
            stacked=True,
        ),
        graph(
            "Pools in use",
            "Connections in use as a share of the pool's limit, by pod. At 100 % requests wait.",
            Query(_used("pod"), "{{pod}}"),
            unit="percentunit",
            most=1,
            bad=0.9,
        ),
        graph(
            "Waiting for a connection",
            "How long requests wait for a connection.",
            *(Query(quantile(q, WAITS), f"{q:.0%}") for q in (0.5, 0.95, 0.99)),
            unit="s",
        ),
        graph(
            "Acquire timeouts by pod",
            "Requests per second that got no connection in time. If it is only one pod, it holds connections too long.",
            Query(rate(GIVEN_UP, by="pod"), "{{pod}}"),
            unit="reqps",
        ),
        graph(
            "Connections busy with statements",
            "Average number of busy connections. Compare with the pool's limit.",
            Query(rate(f"{STATEMENTS}_sum"), "connections"),
        ),
        graph(
            "PostgreSQL as seen by each pod",
            "0 is a pod that does not reach it: the network, if others do.",
            Query(f"min by (pod) ({reached('database')})", "{{pod}}"),
            most=1,
        ),
    ]


def _statements() -> list[Panel]:
    return [
        graph(
            "Statements by outcome",
            "Statements per second. Errors include unique violations and lock timeouts.",
            Query(rate(f"{STATEMENTS}_count", by="outcome"), "{{outcome}}"),
            unit="ops",
        ),
        graph(
            "Statement duration",
            "Until the result was read.",
            *(Query(quantile(q, STATEMENTS), f"{q:.0%}") for q in (0.5, 0.95, 0.99)),
            unit="s",
        ),
        heat_map(
            "Distribution of statement durations",
            "Distribution of durations. A band at 2 s is lock_timeout, at 5 s statement_timeout.",
            Query(f"sum by (le) (increase({series(f'{STATEMENTS}_bucket')}[$__rate_interval]))", "{{le}}"),
        ),
    ]


def _backups() -> list[Panel]:
    return [
        number(
            "Last backup",
            "Time since the last successful backup.",
            Query(f"time() - max({series(f'{BACKUP}_last_success_timestamp_seconds')} > 0)"),
            unit="s",
            warn=26 * 3600,
            bad=50 * 3600,
        ),
        number(
            "Last drill",
            "Whether the newest backup was restored and served at the last drill.",
            Query(f"min({series(f'{BACKUP}_drill_success')})"),
            words={"1": ("good", GREEN), "0": ("failed", RED)},
        ),
        number(
            "Storage in use",
            "Share of the storage for backups after the last run. Object storages do not tell.",
            Query(
                f"1 - min({series(f'{BACKUP}_storage_free_bytes')}) / min({series(f'{BACKUP}_storage_size_bytes')})"
            ),
            unit="percentunit",
            warn=0.7,
            bad=0.85,
        ),
        number(
            "Since the last drill",
            "A backup that has not been restored lately is a hope.",
            Query(f"time() - max({series(f'{BACKUP}_drill_timestamp_seconds')} > 0)"),
            unit="s",
        ),
        number(
            "Size of the last backup",
            "Compressed and sealed, as stored. A sudden drop means that data is gone.",
            Query(f"max({series(f'{BACKUP}_last_size_bytes')})"),
            unit="bytes",
        ),
        number(
            "Duration of the last backup",
            "While a backup runs, migrations that need an exclusive lock wait.",
            Query(f"max({series(f'{BACKUP}_last_duration_seconds')})"),
            unit="s",
        ),
    ]
