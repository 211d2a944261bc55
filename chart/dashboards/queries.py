"""The series that dashboards select, and parts that many queries share."""

# Series of the service itself, as the ServiceMonitor labels them.
SERVER = 'namespace="$namespace", service="$release-admin", pod=~"$pod"'
# Series of kube-state-metrics and of cAdvisor. By the names that a Deployment gives its pods: those that never came up
# have no series of the service.
DEPLOYMENT = 'namespace="$namespace", deployment="$release"'
PODS = 'namespace="$namespace", pod=~"$release-[a-z0-9]+-[a-z0-9]{5}"'
CONTAINER = f'{PODS}, container="server"'
# Log streams of the service, as the collector labels them.
STREAM = '{namespace="$namespace", pod=~"$pod", container="server"}'
RATE = "$__rate_interval"


def rate(metric: str, *where: str, by: str = "", window: str = RATE) -> str:
    """Growth per second of a counter, summed over all pods."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({series(metric, *where)}[{window}]))"


def series(metric: str, *where: str) -> str:
    """A metric of the service's pods."""
    return f"{metric}{{{', '.join([SERVER, *where])}}}"


def share(metric: str, part: str, *where: str, by: str = "", window: str = RATE) -> str:
    """The share of a counter's growth that `part` selects: 0 if that part is absent, no data if nothing grows."""
    whole = rate(metric, *where, by=by, window=window)
    return f"({rate(metric, part, *where, by=by, window=window)} or 0 * {whole}) / ({whole} > 0)"


def quantile(q: float, histogram: str, *where: str, by: str = "", window: str = RATE) -> str:
    """A quantile of a histogram over all pods."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', *where, by=labels, window=window)})"


def reached(dependency: str) -> str:
    """Whether each pod reaches PostgreSQL (`database`) or `redis`: 1 or 0."""
    return series("slipway_dependency_up", f'dependency="{dependency}"')
