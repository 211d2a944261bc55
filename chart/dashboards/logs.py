"""Log lines in Loki: JSON, taken apart when they are read."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from chart.dashboards.boards import board, text_variable
from chart.dashboards.panels import LOKI, Panel, Query, graph, lines
from chart.dashboards.queries import STREAM

# Lines of the gate and of the jobs are of other containers and, the jobs', of other pods.
SETUP = '{namespace="$namespace", pod=~"$release-.*", container=~"gate|migration|purge"}'
ACCESS = '| event="request"'


def dashboard() -> Dashboard:
    """The dashboard `slipway-logs`."""
    return board(
        "logs",
        "Logs",
        "What happened to one request; errors; slow requests. Lines carry `request_id`, which every answer has too.",
        {"Overview": _overview(), "Lines": _lines()},
        (
            text_variable("request", "Request or trace id"),
            text_variable("slower", "Slow is over, ms", "500"),
        ),
    )


def _overview() -> list[Panel]:
    return [
        graph(
            "Lines by level",
            "Log lines in a second.",
            Query(f"sum by (level) (rate({STREAM} | json level [$__auto]))", "{{level}}"),
            unit="short",
            stacked=True,
            source=LOKI,
        ),
        graph(
            "Failed requests by route",
            "Access lines with 5xx in a second.",
            Query(
                f"sum by (method, route, status) (rate({STREAM} | json {ACCESS} | status >= 500 [$__auto]))",
                "{{status}} {{method}} {{route}}",
            ),
            source=LOKI,
        ),
        graph(
            "Busiest principals",
            "Requests in a second of the ten callers with the most. No metric has them: there may be many.",
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
            "Every line with the id in the variable above, of all pods: a request id or a trace id.",
            Query(f'{STREAM} |= "$request" | json | request_id="$request" or trace_id="$request"'),
        ),
        lines(
            "Errors and warnings",
            "What the service itself found worth saying, failed requests apart.",
            Query(f'{STREAM} | json | level=~"warning|error|critical"'),
        ),
        lines(
            "Failed requests",
            "Access lines with 5xx. Put their request_id into the variable above.",
            Query(f"{STREAM} | json {ACCESS} | status >= 500"),
            span=12,
        ),
        lines(
            "Slow requests",
            "Access lines over the time above. Exports take as long as their reader does.",
            Query(f'{STREAM} | json {ACCESS} | duration_ms > $slower | route!~".*/export"'),
            span=12,
        ),
        lines(
            "Gate, migration and purge",
            "Why a rollout waits, and what the jobs say.",
            Query(SETUP),
        ),
    ]
