"""A bucket in a pod: an S3 server that the service's image runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.cluster.cluster import ROOT, Cluster, wait_until
from tests.cluster.loading import plain_pod
from tests.cluster.networks import pod_address

NAME, PORT = "bucket", 9090
SCRIPT = ROOT / "tests" / "cluster" / "s3.py"
POLICY = {"port": PORT, "to": [{"podSelector": {"matchLabels": {"app": NAME}}}]}
"""The value `networkPolicy.backup` for it."""


@dataclass(frozen=True)
class Bucket:
    """A running server. `address` is HOST:PORT."""

    cluster: Cluster
    address: str

    def requests(self) -> str:
        """Return the log, with a line for each request."""
        return self.cluster.logs(NAME, NAME)


@contextmanager
def bucket(cluster: Cluster) -> Iterator[Bucket]:
    """Run the server until the block ends."""
    pod = plain_pod(NAME, cluster.image, "python", "-c", SCRIPT.read_text("utf-8"), str(PORT))
    pod["metadata"]["labels"] = {"app": NAME}
    pod["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    cluster.create(pod)
    try:
        wait_until("the bucket's pod is ready", lambda: _ready(cluster), seconds=60)
        yield Bucket(cluster, pod_address(cluster, NAME, PORT))
    finally:
        cluster.delete("Pod", NAME)


def _ready(cluster: Cluster) -> bool:
    statuses = cluster.get("Pod", NAME)["status"].get("containerStatuses", [])
    return bool(statuses) and all(status["ready"] for status in statuses)
