"""Log lines in Loki: JSON, parsed by queries."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from chart.dashboards.boards import board, text_variable
from chart.dashboards.panels import LOKI, Panel, Query, graph, lines
from chart.dashboards.queries import STREAM

# Lines of the gate and of jobs are from other containers; those of jobs also from other pods.
SETUP = '{namespace="$namespace", pod=~"$release-.*", container=~"gate|migration|purge"}'
ACCESS = '| event="request"'


def dashboard() -> Dashboard:
    """The dashboard `slipway-logs`."""
    return board(
        "logs",
        "Logs",
        "All lines of one request; errors; slow requests. Lines have the `request_id` of the response.",
        {"Overview": _overview(), "Lines": _lines()},
        (
            text_variable("request", "Request or trace id"),
            text_variable("slower", "Slow threshold, ms", "500"),
        ),
    )


def _overview() -> list[Panel]:
    return [
        graph(
            "Lines by level",
            "Log lines per second.",
            Query(f"sum by (level) (rate({STREAM} | json level [$__auto]))", "{{level}}"),
            unit="short",
            stacked=True,
            source=LOKI,
        ),
        graph(
            "Failed requests by route",
            "Access lines with 5xx per second.",
            Query(
                f"sum by (method, route, status) (rate({STREAM} | json {ACCESS} | status >= 500 [$__auto]))",
                "{{status}} {{method}} {{route}}",
            ),
            source=LOKI,
        ),
        graph(
            "Busiest principals",
            "Requests per second of the ten busiest callers. No metric has callers, because there may be many.",
            Query(
                f"topk(10, sum by (principal) (rate({STREAM} | json {ACCESS} [$__auto])))", "{{principal}}"
            ),
            source=LOKI,
        ),
    ]


def _lines() -> list[Panel]:
    return [
        lines(
            "One request",
            "Every line with the request id or trace id in the variable above, from all pods.",
            Query(f'{STREAM} |= "$request" | json | request_id="$request" or trace_id="$request"'),
        ),
        lines(
            "Errors and warnings",
            "Errors and warnings of the service, without failed requests.",
            Query(f'{STREAM} | json | level=~"warning|error|critical"'),
        ),
        lines(
            "Failed requests",
            "Access lines with 5xx. Enter a request_id in the variable above.",
            Query(f"{STREAM} | json {ACCESS} | status >= 500"),
            span=12,
        ),
        lines(
            "Slow requests",
            "Access lines slower than the time above. Exports take as long as their client reads.",
            Query(f'{STREAM} | json {ACCESS} | duration_ms > $slower | route!~".*/export"'),
            span=12,
        ),
        lines(
            "Gate, migration and purge",
            "Why a rollout waits, and what the jobs log.",
            Query(SETUP),
        ),
    ]
