"""Rate, errors and durations of requests: the dashboard to open first."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from chart.dashboards.boards import board, choice_variable
from chart.dashboards.panels import GREEN, ORANGE, RED, Panel, Query, graph, grid, heat_map, number, states
from chart.dashboards.queries import quantile, rate, series, share

REQUESTS, SECONDS = "http_requests_total", "http_request_duration_seconds"
FAILED, FINE = 'status_code=~"5.."', 'status_code!~"5.."'
NOT_FINE = 'status_code=~"[45].."'
READ = series("slipway_feature_refresh_timestamp_seconds")
ALLOWED = "(1 - $objective / 100)"


def dashboard() -> Dashboard:
    """The dashboard `slipway-service`."""
    return board(
        "service",
        "Service",
        "Is it up, failing or slow, and on which routes?",
        {
            "Now": _now(),
            "Requests": _requests(),
            "Routes": _routes(),
            "Error budget": _budget(),
            "Feature flags": _flags(),
        },
        (choice_variable("objective", "Objective, %", "99", "99.5", "99.9", "99.95", default="99.9"),),
    )


def _now() -> list[Panel]:
    return [
        number(
            "Requests",
            "Requests per second, over all pods.",
            Query(rate(REQUESTS)),
            unit="reqps",
        ),
        number(
            "Failed",
            "Share of requests answered with 5xx.",
            Query(share(REQUESTS, FAILED)),
            unit="percentunit",
            warn=0.001,
            bad=0.01,
            decimals=2,
        ),
        number(
            "99 % are faster than",
            "Not counting exports, which take as long as their client reads.",
            Query(quantile(0.99, SECONDS, 'path!~".*/export"')),
            unit="s",
            warn=0.5,
            bad=1,
        ),
        number(
            "Burn rate",
            "How many times faster than the objective allows requests failed in the selected time range. "
            "At 1, a budget of 30 days lasts 30 days; at 14, two.",
            Query(f"{share(REQUESTS, FAILED, window='$__range')} / {ALLOWED}"),
            warn=1,
            bad=6,
            decimals=2,
        ),
        number(
            "Pods up",
            "Pods whose last scrape succeeded.",
            Query(f"sum({series('up')})"),
        ),
        number(
            "In progress",
            "Requests in flight. Each process refuses requests above SLIPWAY_SERVER__MAX_CONCURRENCY.",
            Query(f"sum({series('http_requests_in_progress')})"),
        ),
    ]


def _requests() -> list[Panel]:
    return [
        graph(
            "Requests by status",
            "Requests per second by status.",
            Query(rate(REQUESTS, by="status_code"), "{{status_code}}"),
            unit="reqps",
            stacked=True,
        ),
        graph(
            "Failed requests",
            "Share answered with 5xx, and with 4xx: the former are ours, a jump of the latter is a client's "
            "release or a limit.",
            Query(share(REQUESTS, FAILED), "5xx"),
            Query(share(REQUESTS, 'status_code=~"4.."'), "4xx"),
            unit="percentunit",
            bad=0.01,
        ),
        graph(
            "Durations",
            "From a request's first byte in to its last byte out, without exports.",
            *(Query(quantile(q, SECONDS, 'path!~".*/export"'), f"{q:.0%}") for q in (0.5, 0.95, 0.99)),
            unit="s",
            bad=1,
        ),
        heat_map(
            "Distribution of durations",
            "How many requests took how long. Two bands are two kinds of requests; look at the routes.",
            Query(f"sum by (le) (increase({series(f'{SECONDS}_bucket')}[$__rate_interval]))", "{{le}}"),
        ),
        graph(
            "In progress by pod",
            "A pod far above the others hangs, or gets more than its share of requests.",
            Query(f"sum by (pod) ({series('http_requests_in_progress')})", "{{pod}}"),
        ),
        graph(
            "Refused for overload",
            "Requests refused with 503 because the process is at its limit of requests, connections or bodies.",
            Query(rate("slipway_requests_turned_away_total", by="pod, reason"), "{{pod}} {{reason}}"),
            unit="reqps",
        ),
    ]


def _routes() -> list[Panel]:
    return [
        grid(
            "Routes",
            "Routes requested in the last minutes. `__unknown__` stands for paths without a route.",
            {
                "Requests/s": (Query(rate(REQUESTS, by="method, path")), "reqps"),
                "Failed": (Query(share(REQUESTS, FAILED, by="method, path")), "percentunit"),
                "Median": (Query(quantile(0.5, SECONDS, by="method, path")), "s"),
                "99 %": (Query(quantile(0.99, SECONDS, by="method, path")), "s"),
            },
            sort="Requests/s",
        ),
        graph(
            "Errors by route and status",
            "Requests per second answered with 4xx or 5xx.",
            Query(
                rate(REQUESTS, NOT_FINE, by="method, path, status_code"),
                "{{status_code}} {{method}} {{path}}",
            ),
            unit="reqps",
            span=12,
        ),
        graph(
            "Slowest routes",
            "95th percentile of the duration, by route.",
            Query(quantile(0.95, SECONDS, by="method, path"), "{{method}} {{path}}"),
            unit="s",
            span=12,
        ),
    ]


def _budget() -> list[Panel]:
    return [
        graph(
            "Burn rate of the error budget",
            "The share of failed requests over the share that the objective allows. The alerts go off at 14.4 over "
            "an hour, 6 over six hours, 3 over a day and 1 over three days.",
            *(
                Query(f"{share(REQUESTS, FAILED, window=window)} / {ALLOWED}", f"over {window}")
                for window in ("5m", "1h", "6h")
            ),
            span=12,
            bad=14.4,
        ),
        states(
            "Alerts",
            "Alerts of this release that are pending or firing. Each names its runbook.",
            Query(
                "max by (alertname) ("
                'ALERTS{namespace="$namespace", release="$release", alertstate="firing"} * 2'
                ' or ALERTS{namespace="$namespace", release="$release", alertstate="pending"})',
                "{{alertname}}",
            ),
            words={"1": ("pending", ORANGE), "2": ("firing", RED), "0": ("off", GREEN)},
        ),
    ]


def _flags() -> list[Panel]:
    return [
        graph(
            "Evaluations by flag and variant",
            "Evaluations per second: `true` or `false`, otherwise where the value comes from. A step is a change of a "
            "flag, or of who calls.",
            Query(
                rate("slipway_feature_evaluations_total", by="flag, variant"),
                "{{flag}} {{variant}}",
            ),
            unit="ops",
            stacked=True,
            span=12,
        ),
        graph(
            "Age of the flags",
            "Time since each pod last read the flags from PostgreSQL, which it does twice a second. Changes do not "
            "reach a pod whose flags grow old.",
            Query(f"max by (pod) (timestamp({READ}) - {READ})", "{{pod}}"),
            unit="s",
            bad=60,
            span=12,
        ),
    ]
