"""Prometheus metrics of requests, with starlette-exporter's names. Clients cannot create new label values."""

from functools import lru_cache
from typing import Any

from prometheus_client import Counter, Gauge, disable_created_metrics
from starlette_exporter import PrometheusMiddleware

from service import __version__
from service.config import Settings
from service.observability.instruments import Observe, adder, observer

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER, NO_ROUTE = "OTHER", "__unknown__"

# Drop the `_created` series; nothing queries them.
disable_created_metrics()  # type: ignore[no-untyped-call]

# With several workers, the lowest value of any worker.
dependency_up = Gauge(
    "slipway_dependency_up",
    "1 if the dependency answered the last check, otherwise 0.",
    ["dependency"],
    multiprocess_mode="livemin",
)
migration_pending = Gauge(
    "slipway_migration_pending",
    "1 if the database lacks migrations that this version needs.",
    multiprocess_mode="livemax",
)
cache_requests = Counter(
    "slipway_cache_requests",
    "Lookups in the caches of a process, by cache (api_keys, tokens, the path of a resource) and result: hit, miss, "
    "shared (waited for the load of another request), stale (an old value, while a new one is loaded).",
    ["cache", "result"],
)
cache_invalidations = Counter(
    "slipway_cache_invalidations",
    "Changes that removed values from a cache, made by this process or told by another one, by cache.",
    ["cache"],
)
hook_failures = Counter(
    "slipway_hook_failures",
    "after_commit hooks that failed, by resource. The change is committed, but the work of the hook is not done.",
    ["resource"],
)
draining = Gauge(
    "slipway_draining",
    "1 after SIGTERM, while the process keeps serving until load balancers have noticed.",
    multiprocess_mode="livemax",
)
# A gauge: `Info` does not work with several workers.
build_info = Gauge("slipway_build_info", "Version of the service.", ["version"], multiprocess_mode="livemax")
build_info.labels(__version__).set(1)


async def _nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    return


class RequestMetrics(PrometheusMiddleware):
    """starlette-exporter's instruments without its middleware.

    The library matches the whole route table again after each request to find the template, which costs more than the
    request. Here the caller passes the template that the router has already found.
    """

    def __init__(self, settings: Settings) -> None:
        name = settings.app.name
        super().__init__(_nothing, app_name=name, prefix="http", buckets=settings.monitoring.duration_buckets)
        in_progress, count, time = self.requests_in_progress, self.request_count, self.request_time

        self._other = adder(in_progress.labels(OTHER, name))
        self._in_progress = {method: adder(in_progress.labels(method, name)) for method in METHODS}

        @lru_cache(maxsize=4096)
        def observer_of(method: str, template: str | None, status: int) -> Observe:
            known = method if method in METHODS else OTHER
            labels = (known, template or NO_ROUTE, status, name)
            return observer(time.labels(*labels), count.labels(*labels))

        self._observer_of = observer_of

    def began(self, method: str) -> None:
        """Count a request as in progress."""
        self._in_progress.get(method, self._other)(1)

    def ended(self, method: str, template: str | None, status: int, seconds: float) -> None:
        """Record a finished request."""
        self._in_progress.get(method, self._other)(-1)
        self._observer_of(method, template, status)(seconds)


class NoRequestMetrics:
    """Counts nothing."""

    def began(self, method: str) -> None:
        pass

    def ended(self, method: str, template: str | None, status: int, seconds: float) -> None:
        pass
