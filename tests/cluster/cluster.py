"""The tests' namespace, through the Kubernetes API. Objects are dictionaries."""

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
    """No cluster is available. The message says why, and what to do."""


class Cluster:
    """A namespace of a cluster. Its nodes have images of the service, its previous version, Tilt's, and a PgBouncer."""

    def __init__(
        self, namespace: str, image: str, *, previous: str = "", live: str = "", pooler: str = ""
    ) -> None:
        config.load_kube_config()  # type: ignore[no-untyped-call]
        self.namespace, self.image, self.previous, self.live = namespace, image, previous, live
        self.pooler = pooler
        self.others: list[Cluster] = []  # additional namespaces that exist now
        self.core = client.CoreV1Api()
        self._dynamic: Any = DynamicClient(client.ApiClient())  # type: ignore[no-untyped-call]

    def _resource(self, api_version: str, kind: str) -> Any:
        return self._dynamic.resources.get(api_version=api_version, kind=kind)

    def list(self, kind: str, *, api_version: str = "v1", labels: str = "") -> list[Object]:
        """Return the objects of a kind, sorted by name."""
        found = self._resource(api_version, kind).get(
            namespace=self.namespace, label_selector=labels, _request_timeout=REQUEST_SECONDS
        )
        items: list[Object] = found.to_dict()["items"]
        return sorted(items, key=lambda item: str(item["metadata"]["name"]))

    def get(self, kind: str, name: str, *, api_version: str = "v1") -> Object:
        found = self._resource(api_version, kind).get(
            name=name, namespace=self.namespace, _request_timeout=REQUEST_SECONDS
        )
        response: Object = found.to_dict()
        return response

    def version_of(self, kind: str) -> str:
        """Return the API version of a kind, such as `apps/v1`; empty if the cluster does not serve it."""
        found = sorted(self._dynamic.resources.search(kind=kind), key=lambda each: not each.preferred)
        return str(found[0].group_version) if found else ""

    def create(self, manifest: Object, *, dry_run: bool = False) -> Object:
        """Create an object, and return it as the cluster has it. Raises `ApiException` if the cluster refuses it."""
        created = self._resource(manifest["apiVersion"], manifest["kind"]).create(
            body=manifest,
            namespace=self.namespace,
            _request_timeout=REQUEST_SECONDS,
            **({"dry_run": "All"} if dry_run else {}),
        )
        response: Object = created.to_dict()
        return response

    def delete(self, kind: str, name: str) -> None:
        """Delete an object immediately. Does nothing if it does not exist."""
        self.kubectl("delete", kind.lower(), name, "--ignore-not-found", "--wait", "--timeout=60s")

    def everything(self) -> set[str]:
        """Return `Kind/name` of all objects in the namespace, except those of the cluster itself."""
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
        """Run kubectl and return its output. Raises with its error output if it fails."""
        return run("kubectl", "--namespace", self.namespace, *arguments, seconds=seconds)

    def exec(self, target: str, *command: str, container: str) -> str:
        """Run a command in a container and return its output."""
        return self.kubectl("exec", target, "--container", container, "--", *command)

    @contextmanager
    def forward(self, target: str, port: int) -> Iterator[str]:
        """Forward a port of a pod or Service, and yield the local URL."""
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
    """Run a program and return its output. Raises `AssertionError` with its messages if it fails or takes too long."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"{' '.join(command)}: no end after {seconds:.0f} s") from error
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}{done.stdout}")
    return done.stdout


def wait_until(what: str, condition: Callable[[], object], *, seconds: float, pause: float = 0.5) -> None:
    """Wait until the condition holds. Raises `AssertionError`, naming it, if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)


def _prepared(namespace: str) -> Cluster:
    """Return the namespace that `make cluster-up` created; it names the images of the nodes. Raises
    `NoClusterError`."""
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
    """Return the cluster of KUBECONFIG, prepared for these tests. Raises `NoClusterError`."""
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
