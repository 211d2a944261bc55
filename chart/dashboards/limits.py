"""Redis, caches, rate limits, and expiring keys."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from chart.dashboards.boards import board
from chart.dashboards.panels import GREEN, ORANGE, Panel, Query, graph, grid, number
from chart.dashboards.queries import quantile, rate, reached, series, share

DECISIONS, CACHE = "slipway_limiter_decisions_total", "slipway_cache_requests_total"
INVALIDATIONS, FEED = "slipway_cache_invalidations_total", "slipway_cache_feed_up"
CREDENTIALS, ITEMS = 'cache=~"api_keys|tokens"', 'cache!~"api_keys|tokens"'
COMMANDS, FAILURES = "slipway_redis_command_seconds", "slipway_redis_failures_total"
SHARERS = "slipway_limiter_processes"
EXPIRY, FETCHED = "slipway_api_key_expiry_timestamp_seconds", "slipway_token_keys_fetched_timestamp_seconds"
# A process admits requests by its own count only without Redis. It may refuse by it at any time.
ALONE = 'counted_by="process", decision="allowed"'


def dashboard() -> Dashboard:
    """The dashboard `slipway-limits`."""
    return board(
        "limits",
        "Cache and limits",
        "Does Redis respond, do all pods share limits, which clients are refused, which keys expire soon?",
        {"Now": _now(), "Limits": _limits(), "Redis and cache": _redis(), "Keys": _keys()},
    )


def _now() -> list[Panel]:
    return [
        number(
            "Redis",
            "Down if at least one pod cannot reach it. Requests are still served; each pod counts limits for itself.",
            Query(f"min({reached('redis')})"),
            words={"1": ("up", GREEN), "0": ("down", ORANGE)},
        ),
        number(
            "Pods with an open breaker",
            "After a failure, a process does not use Redis for SLIPWAY_REDIS__RETRY_AFTER seconds.",
            Query(f"sum({series('slipway_redis_breaker_open')})"),
            warn=1,
        ),
        number(
            "Refused",
            "Share of decisions that refused a request with 429.",
            Query(share(DECISIONS, 'decision="refused"')),
            unit="percentunit",
            warn=0.05,
            bad=0.5,
        ),
        number(
            "Limited without Redis",
            "Share of admitted requests that Redis did not count. 0 while Redis is up.",
            Query(share(DECISIONS, ALONE)),
            unit="percentunit",
            warn=0.01,
        ),
        number(
            "Credential cache hits",
            "Share of credentials found in the cache. Each miss costs a statement or a signature check.",
            Query(share(CACHE, 'result="hit"', CREDENTIALS)),
            unit="percentunit",
        ),
        number(
            "Next API key expires in",
            "Time until the next valid key expires, without keys made for 14 days or less. No data without such keys.",
            Query(f"min({series(EXPIRY)}) - time()"),
            unit="s",
        ),
    ]


def _limits() -> list[Panel]:
    return [
        graph(
            "Decisions",
            "Decisions of the limiter per second, by policy.",
            Query(rate(DECISIONS, by="policy, decision"), "{{policy}} {{decision}}"),
            unit="reqps",
        ),
        graph(
            "Refused by policy",
            "Requests per second answered with 429.",
            Query(rate(DECISIONS, 'decision="refused"', by="policy"), "{{policy}}"),
            unit="reqps",
        ),
        graph(
            "Decisions by limiter",
            "`lease` are tokens that a process took from Redis earlier, `redis` those that it requests, `process` "
            "what it decides alone: refusals of a caller it knows to be over the limit, and all without Redis.",
            Query(rate(DECISIONS, by="counted_by, decision"), "{{counted_by}} {{decision}}"),
            unit="reqps",
            stacked=True,
        ),
    ]


def _redis() -> list[Panel]:
    return [
        graph(
            "Command duration",
            "As measured by the service. A command fails after SLIPWAY_REDIS__TIMEOUT.",
            *(Query(quantile(q, COMMANDS), f"{q:.0%}") for q in (0.5, 0.95, 0.99)),
            unit="s",
            span=12,
        ),
        graph(
            "Commands and failures",
            "Commands per second, and those that failed.",
            Query(rate(f"{COMMANDS}_count"), "commands"),
            Query(rate(FAILURES), "failures"),
            unit="ops",
            span=12,
        ),
        graph(
            "Cache hits by cache",
            "Share of lookups answered from memory: credentials (`api_keys`, `tokens`) and the items of resources.",
            Query(share(CACHE, 'result="hit"', by="cache"), "{{cache}}"),
            unit="percentunit",
            most=1,
            span=12,
        ),
        graph(
            "Lookups of cached items",
            "Per second, by result: `hit` costs no statement, `shared` waited for the statement of another request.",
            Query(rate(CACHE, ITEMS, by="result"), "{{result}}"),
            unit="reqps",
            stacked=True,
            span=12,
        ),
        graph(
            "Invalidations",
            "Changes that removed items from a cache, per second, and the pods that are not told of the changes of "
            "other pods: there, items are up to a second old.",
            Query(rate(INVALIDATIONS, by="cache"), "{{cache}}"),
            Query(f"sum(1 - {series(FEED)})", "pods not told"),
            span=12,
        ),
        graph(
            "Processes that share the limits",
            "As the pod that knows of most of them counts, and as the one that knows of fewest. Without Redis each "
            "takes its share of as many.",
            Query(f"max({series(SHARERS)})", "most"),
            Query(f"min({series(SHARERS)})", "fewest"),
            span=12,
        ),
    ]


def _keys() -> list[Panel]:
    return [
        graph(
            "Age of issuers' keys",
            "Time since a token issuer's keys were last fetched, by the pod that is furthest behind. "
            "They are trusted for SLIPWAY_SECURITY__JWKS_MAX_AGE.",
            Query(f"max by (issuer) (time() - {series(FETCHED)})", "{{issuer}}"),
            unit="s",
            span=12,
        ),
        grid(
            "Dependencies by pod",
            "1: responded to the last request; 0: did not. Token issuers are listed by URL.",
            {"Up": (Query(f"min by (dependency, pod) ({series('slipway_dependency_up')})"), "short")},
            span=12,
        ),
    ]
