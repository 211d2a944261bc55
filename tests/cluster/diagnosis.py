"""Prints the state of a namespace after a failure: pods, events, logs."""

from collections.abc import Iterator

from tests.cluster.cluster import Cluster, Object

EVENTS = 40
LOG_LINES = 40
SEARCHED_LINES = 5000


def report(cluster: Cluster) -> str:
    """Return the state of all namespaces of the tests. Never raises: errors appear in the text."""
    return "\n".join(_report(namespace) for namespace in (*cluster.others, cluster))


def _report(cluster: Cluster) -> str:
    lines = [f"=== namespace {cluster.namespace}"]
    for part in (_pods, _events, _logs):
        try:
            lines += part(cluster)
        except Exception as error:  # noqa: BLE001 - the failure that is being reported matters more
            lines.append(f"({part.__name__.strip('_')}: {error!r})")
    return "\n".join(lines)


def _statuses(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _pods(cluster: Cluster) -> Iterator[str]:
    for pod in cluster.list("Pod"):
        yield f"pod {pod['metadata']['name']}: {pod['status'].get('phase')}"
        for container in _statuses(pod):
            states: Object = container.get("state", {})
            words = [f"{state} {detail}" for state, detail in states.items()]
            yield (
                f"  {container['name']}: {' '.join(words)}"
                f" ready={container['ready']} restarts={container['restartCount']}"
            )


def _events(cluster: Cluster) -> Iterator[str]:
    events = cluster.list("Event")
    events.sort(key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""))
    for event in events[-EVENTS:]:
        about = event["involvedObject"]
        yield f"event {about['kind']}/{about.get('name')}: {event.get('reason')}: {event.get('message')}"


def _logs(cluster: Cluster) -> Iterator[str]:
    for pod in cluster.list("Pod"):
        for container in _statuses(pod):
            name, previous = pod["metadata"]["name"], container["restartCount"] > 0
            yield f"--- log of {name}/{container['name']}{' (before its restart)' if previous else ''}"
            try:
                log = cluster.logs(name, container["name"], lines=SEARCHED_LINES, previous=previous)
                yield from _telling(log.splitlines())
            except Exception as error:  # noqa: BLE001 - a container that never started has none
                yield f"(none: {type(error).__name__})"


def _telling(lines: list[str]) -> list[str]:
    """Return the errors in a log, and its end."""
    marks = ('"level":"error"', '"level":"warning"', '"status":5')
    errors = [line for line in lines[:-LOG_LINES] if any(mark in line for mark in marks)]
    return [*errors[-LOG_LINES:], *lines[-LOG_LINES:]]
