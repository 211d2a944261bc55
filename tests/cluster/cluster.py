"""The namespace that the tests have to themselves, through the Kubernetes API. Objects are dictionaries."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.dynamic import DynamicClient

ROOT = Path(__file__).parents[2]
IMAGE_ANNOTATION = "slipway.test/image"
PREVIOUS_ANNOTATION = "slipway.test/previous"
LIVE_ANNOTATION = "slipway.test/live"
POOLER_ANNOTATION = "slipway.test/pooler"
NAMESPACE = ROOT / "k8s" / "namespace.yaml"
REQUEST_SECONDS = 20

Object = dict[str, Any]


class NoClusterError(Exception):
    """There is no cluster to test on. The message says why, and what to do."""


class Cluster:
    """One namespace of a cluster whose nodes hold an image of the service, of its version before, of Tilt's, and of a
    PgBouncer."""

    def __init__(
        self, namespace: str, image: str, *, previous: str = "", live: str = "", pooler: str = ""
    ) -> None:
        config.load_kube_config()  # type: ignore[no-untyped-call]
        self.namespace, self.image, self.previous, self.live = namespace, image, previous, live
        self.pooler = pooler
        self.others: list[Cluster] = []  # the namespaces beside this one that are there now
        self.core = client.CoreV1Api()
        self._dynamic: Any = DynamicClient(client.ApiClient())  # type: ignore[no-untyped-call]

    def _resource(self, api_version: str, kind: str) -> Any:
        return self._dynamic.resources.get(api_version=api_version, kind=kind)

    def list(self, kind: str, *, api_version: str = "v1", labels: str = "") -> list[Object]:
        """Objects of a kind, in the order of their names."""
        found = self._resource(api_version, kind).get(
            namespace=self.namespace, label_selector=labels, _request_timeout=REQUEST_SECONDS
        )
        items: list[Object] = found.to_dict()["items"]
        return sorted(items, key=lambda item: str(item["metadata"]["name"]))

    def get(self, kind: str, name: str, *, api_version: str = "v1") -> Object:
        found = self._resource(api_version, kind).get(
            name=name, namespace=self.namespace, _request_timeout=REQUEST_SECONDS
        )
        answer: Object = found.to_dict()
        return answer

    def create(self, manifest: Object, *, dry_run: bool = False) -> None:
        """Raises `ApiException` when the cluster refuses it."""
        self._resource(manifest["apiVersion"], manifest["kind"]).create(
            body=manifest,
            namespace=self.namespace,
            _request_timeout=REQUEST_SECONDS,
            **({"dry_run": "All"} if dry_run else {}),
        )

    def delete(self, kind: str, name: str) -> None:
        """Removes an object at once; that it is not there is fine."""
        self.kubectl("delete", kind.lower(), name, "--ignore-not-found", "--wait", "--timeout=60s")

    def everything(self) -> set[str]:
        """`Kind/name` of all that is in the namespace, but for what the cluster puts there itself."""
        kinds = {
            resource
            for resource in self._dynamic.resources.search(namespaced=True)
            if not resource.kind.endswith("List") and "list" in (resource.verbs or [])
        }
        names = set()
        for resource in kinds:
            if resource.kind in {"Event", "PodMetrics", "EndpointSlice", "Endpoints", "ControllerRevision"}:
                continue
            for item in resource.get(namespace=self.namespace, _request_timeout=REQUEST_SECONDS).items:
                names.add(f"{resource.kind}/{item.metadata.name}")
        return names - {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}

    def logs(self, pod: str, container: str, *, lines: int = 1000, previous: bool = False) -> str:
        return self.core.read_namespaced_pod_log(
            pod,
            self.namespace,
            container=container,
            tail_lines=lines,
            previous=previous,
            _request_timeout=REQUEST_SECONDS,
        )

    def kubectl(self, *arguments: str, seconds: float = 90) -> str:
        """What kubectl prints. Raises with what it says on stderr when it fails."""
        return run("kubectl", "--namespace", self.namespace, *arguments, seconds=seconds)

    def exec(self, target: str, *command: str, container: str) -> str:
        """What a command in a container prints on stdout."""
        return self.kubectl("exec", target, "--container", container, "--", *command)

    @contextmanager
    def forward(self, target: str, port: int) -> Iterator[str]:
        """The URL of a port of a pod or Service, on this machine."""
        command = ["kubectl", "--namespace", self.namespace, "port-forward", target, f":{port}"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                assert process.stdout is not None
                # "Forwarding from 127.0.0.1:40123 -> 8000"; when it cannot, it says why and ends.
                line = process.stdout.readline()
                if "127.0.0.1:" not in line:
                    raise AssertionError(f"kubectl port-forward {target}: {line}{process.stdout.read()}")
                yield "http://" + line.split()[2]
            finally:
                process.terminate()


def run(*command: str, seconds: float) -> str:
    """What a program prints. Raises `AssertionError` with its words when it fails or takes too long."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"{' '.join(command)}: no end after {seconds:.0f} s") from error
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}{done.stdout}")
    return done.stdout


def wait_until(what: str, condition: Callable[[], object], *, seconds: float, pause: float = 0.5) -> None:
    """Returns when the condition holds. Raises `AssertionError` naming it when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)


def _prepared(namespace: str) -> Cluster:
    """The namespace that `make cluster-up` made; it says which images the nodes hold. Raises `NoClusterError`."""
    config.load_kube_config()  # type: ignore[no-untyped-call]
    try:
        found = client.CoreV1Api().read_namespace(namespace, _request_timeout=REQUEST_SECONDS)
    except client.ApiException as error:
        if error.status == 404:
            raise NoClusterError(f"no namespace {namespace} there: run `make cluster-up`") from error
        raise
    annotations = (found.metadata.annotations if found.metadata else None) or {}
    if IMAGE_ANNOTATION not in annotations:
        raise NoClusterError(f"namespace {namespace} was not made by `make cluster-up`")
    return Cluster(
        namespace,
        annotations[IMAGE_ANNOTATION],
        previous=annotations.get(PREVIOUS_ANNOTATION, ""),
        live=annotations.get(LIVE_ANNOTATION, ""),
        pooler=annotations.get(POOLER_ANNOTATION, ""),
    )


def connect() -> Cluster:
    """The cluster of KUBECONFIG, when it was prepared for these tests. Raises `NoClusterError`."""
    if not os.environ.get("KUBECONFIG"):
        raise NoClusterError("KUBECONFIG is not set: run `make cluster-up cluster-test`")
    for program in ("helm", "kubectl"):
        if shutil.which(program) is None:
            raise NoClusterError(f"there is no {program} on this machine")
    if not list((ROOT / "chart" / "charts").glob("*.tgz")):
        raise NoClusterError("chart/charts is empty: run `make chart-deps`")
    try:
        run("kubectl", "--request-timeout=10s", "get", "--raw", "/version", seconds=30)
    except AssertionError as error:
        raise NoClusterError(f"the cluster of KUBECONFIG does not answer: {error}") from error
    return _prepared(os.environ.get("SLIPWAY_NAMESPACE", "slipway-test"))


def dumps(value: object) -> str:
    return json.dumps(value, indent=1, default=str)
