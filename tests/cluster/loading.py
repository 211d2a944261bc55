"""Load on the installed service, from a separate pod."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from tests.authorization.samples import Json
from tests.cluster.calls import calls
from tests.cluster.cluster import ROOT, Cluster, Object, wait_until
from tests.cluster.release import NAME, Release

SCRIPT = ROOT / "tests" / "cluster" / "load.py"
PROMISED = 100  # requests a second
RATE = 110  # slightly more, as a busy machine falls behind


@dataclass(frozen=True)
class Saw:
    """The result of a load: responses by status, the first failures, and requests per second."""

    seen: dict[str, int]
    failures: list[str]
    rate: float

    def assert_none_failed(self) -> None:
        assert self.failures == [], "\n".join([str(self.seen), *self.failures])
        assert set(self.seen) in ({"200", "201"}, {"200", "204"})

    def assert_as_promised(self) -> None:
        """Check that no request failed, and that enough were sent."""
        self.assert_none_failed()
        assert self.rate > PROMISED


class Load:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def stop(self) -> Saw:
        """Stop the load."""
        self._cluster.exec("load", "touch", "/tmp/stop", container="load")
        wait_until(
            "the load ends",
            lambda: self._cluster.get("Pod", "load")["status"]["phase"] != "Running",
            seconds=60,
        )
        return Saw(**json.loads(self._cluster.logs("load", "load").splitlines()[-1]))


def plain_pod(name: str, image: str, *command: str, node: str = "") -> Object:
    """Return a pod with the service's image that meets Pod Security "restricted", on any node or a given one."""
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        # Without a request it would be the first to wait for a processor.
        "resources": {"requests": {"cpu": "200m", "memory": "64Mi"}},
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        **({"nodeSelector": {"kubernetes.io/hostname": node}} if node else {}),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@contextmanager
def load(release: Release, key: str, *, node: str = "", document: Json | None = None) -> Iterator[Load]:
    """Run a pod that calls the service from the start of the block until `stop` or the end of the block.

    It calls what the document describes, by default the release's own.
    """
    cluster = release.cluster
    with cluster.forward(f"service/{NAME}", 80) as url:
        what = json.dumps(asdict(calls(url, key, document or release.document)))
    cluster.delete("Pod", "load")
    # By address: a drain may move the cluster's DNS, whose outage is not the service's.
    address = cluster.get("Service", NAME)["spec"]["clusterIP"]
    netloc = f"[{address}]" if ":" in address else address
    arguments = (f"http://{netloc}", key, what, str(RATE))
    command = ("python", "-c", SCRIPT.read_text("utf-8"), *arguments)
    cluster.create(plain_pod("load", cluster.image, *command, node=node))
    try:
        wait_until(
            "the load runs",
            lambda: (
                cluster.get("Pod", "load")["status"]["phase"] == "Running"
                and "started" in cluster.logs("load", "load")
            ),
            seconds=60,
        )
        yield Load(cluster)
    finally:
        cluster.delete("Pod", "load")
