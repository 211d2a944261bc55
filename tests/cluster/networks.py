"""Connections between pods, and whether the cluster enforces NetworkPolicies."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tests.cluster.cluster import Cluster, Object, wait_until
from tests.cluster.loading import plain_pod

# Which of the addresses HOST:PORT answer to a connection, as JSON.
PROBE = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def reached(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        return True
    except OSError:
        return False
with ThreadPoolExecutor(len(sys.argv)) as pool:
    print(json.dumps(dict(zip(sys.argv[1:], pool.map(reached, sys.argv[1:])))))
"""
LISTENER_PORT = 8080
# A policy takes effect shortly after it, or its pod, is created.
SETTLED_SECONDS = 30

Where = tuple[Cluster, str, str]
"""A container that calls others: the namespace, the pod or what makes it, and its name."""
Probe = Callable[..., AbstractContextManager[Where]]


@dataclass(frozen=True)
class Enforced:
    """A cluster that enforces policies, with a pod that may connect anywhere, and one that accepts all connections."""

    client: Where
    listener: str  # HOST:PORT of a pod in another namespace


def reaches(where: Where, *addresses: str) -> dict[str, bool]:
    cluster, target, container = where
    found: dict[str, bool] = json.loads(
        cluster.exec(target, "python", "-c", PROBE, *addresses, container=container)
    )
    return found


def settles(where: Where, expected: Mapping[str, bool]) -> None:
    """Wait until connections are as expected, and stay that way. Raises `AssertionError` with the reached addresses."""
    seen: dict[str, bool] = {}

    def reached() -> bool:
        seen.update(reaches(where, *expected))
        return seen == expected

    try:
        wait_until("each address is reached or not", reached, seconds=SETTLED_SECONDS)
    except AssertionError:
        assert seen == expected  # shows the difference
        raise
    assert reaches(where, *expected) == expected


@contextmanager
def running(cluster: Cluster, name: str, labels: Mapping[str, str] | None = None) -> Iterator[Where]:
    """Run an idle pod with labels, to connect from, until the block ends."""
    pod = plain_pod(name, cluster.image, "sleep", "600")
    with _running(cluster, {**pod, "metadata": {"name": name, "labels": dict(labels or {})}}) as found:
        yield found


@contextmanager
def listening(cluster: Cluster, name: str) -> Iterator[str]:
    """Run a pod that accepts connections until the block ends, and yield its address."""
    serve = ("python", "-m", "http.server", str(LISTENER_PORT), "--directory", "/tmp")
    with _running(cluster, plain_pod(name, cluster.image, *serve)):
        yield pod_address(cluster, name, LISTENER_PORT)


@contextmanager
def _running(cluster: Cluster, pod: Object) -> Iterator[Where]:
    name = pod["metadata"]["name"]
    cluster.delete("Pod", name)
    cluster.create(pod)
    try:
        wait_until(
            f"{name} runs", lambda: cluster.get("Pod", name)["status"]["phase"] == "Running", seconds=60
        )
        yield cluster, f"pod/{name}", name
    finally:
        cluster.delete("Pod", name)


def pod_address(cluster: Cluster, pod: str, port: int) -> str:
    """HOST:PORT of a pod."""
    return f"{cluster.get('Pod', pod)['status']['podIP']}:{port}"


def not_enforced(client: Where, listener: str) -> str:
    """Return why this cluster does not enforce policies, or an empty string. Uses two handwritten policies."""
    settles(client, {listener: True})
    cluster = client[0]
    for direction in ("Ingress", "Egress"):
        name = f"nobody-{direction.lower()}"
        cluster.create(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": name},
                "spec": {"podSelector": {}, "policyTypes": [direction]},
            }
        )
        try:
            settles(client, {listener: False})
        except AssertionError:
            return f"this cluster does not enforce NetworkPolicies: one that denies all {direction} changes nothing"
        finally:
            cluster.delete("NetworkPolicy", name)
        settles(client, {listener: True})
    return ""
