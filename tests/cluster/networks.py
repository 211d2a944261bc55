"""Who reaches whom in a cluster, and whether it enforces NetworkPolicies at all."""

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
# A policy takes hold some moments after it, or the pod that it is about, is made.
SETTLED_SECONDS = 30

Where = tuple[Cluster, str, str]
"""A container that calls others: the namespace, the pod or what makes it, and its name."""
Probe = Callable[..., AbstractContextManager[Where]]


@dataclass(frozen=True)
class Enforced:
    """A cluster that is known to enforce policies: a pod that may call anybody, and one that answers anybody."""

    client: Where
    listener: str  # HOST:PORT, of a pod in another namespace than the release's


def reaches(where: Where, *addresses: str) -> dict[str, bool]:
    cluster, target, container = where
    found: dict[str, bool] = json.loads(
        cluster.exec(target, "python", "-c", PROBE, *addresses, container=container)
    )
    return found


def settles(where: Where, expected: Mapping[str, bool]) -> None:
    """Raises `AssertionError` with who was reached when it does not become as expected, and stay so."""
    seen: dict[str, bool] = {}

    def so() -> bool:
        seen.update(reaches(where, *expected))
        return seen == expected

    try:
        wait_until("each address is reached or not", so, seconds=SETTLED_SECONDS)
    except AssertionError:
        assert seen == expected  # which says what differs
        raise
    assert reaches(where, *expected) == expected


@contextmanager
def running(cluster: Cluster, name: str, labels: Mapping[str, str] | None = None) -> Iterator[Where]:
    """A pod with labels that does nothing, to call others from, and is gone when the block ends."""
    pod = plain_pod(name, cluster.image, "sleep", "600")
    with _running(cluster, {**pod, "metadata": {"name": name, "labels": dict(labels or {})}}) as found:
        yield found


@contextmanager
def listening(cluster: Cluster, name: str) -> Iterator[str]:
    """The address of a pod that answers whoever may reach it, and is gone when the block ends."""
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
    """Why policies of this cluster are of no account; empty when they are. Uses two written by hand, and no chart's."""
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
