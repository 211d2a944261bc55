"""An API server with a few objects, which Helm asks when it renders for a cluster (`lookup`)."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.chart.rendering import CHART, Object, bare, run

KINDS = {
    "v1": {"ConfigMap", "PersistentVolumeClaim", "Secret", "Service", "ServiceAccount"},
    "apps/v1": {"Deployment", "StatefulSet"},
    "batch/v1": {"CronJob", "Job"},
    "networking.k8s.io/v1": {"NetworkPolicy"},
    "policy/v1": {"PodDisruptionBudget"},
}


def _discovery() -> dict[str, Object]:
    """Return what a client asks first: the server's version, its groups and their kinds."""
    groups = [group for group in KINDS if "/" in group]
    versions = {group: [{"groupVersion": group, "version": "v1"}] for group in groups}
    found: dict[str, Object] = {
        "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {
            "kind": "APIGroupList",
            "groups": [
                {"name": g.partition("/")[0], "versions": v, "preferredVersion": v[0]}
                for g, v in versions.items()
            ],
        },
    }
    for group, kinds in KINDS.items():
        resources = [
            {
                "name": _plural(kind),
                "singularName": kind.lower(),
                "namespaced": True,
                "kind": kind,
                "verbs": [],
            }
            for kind in kinds
        ]
        found[_path(group)] = {"kind": "APIResourceList", "groupVersion": group, "resources": resources}
    return found


def _plural(kind: str) -> str:
    return f"{kind.lower().removesuffix('y')}{'ies' if kind.endswith('y') else 's'}"


def _path(group: str) -> str:
    return f"/apis/{group}" if "/" in group else f"/api/{group}"


class ApiServer:
    """Serves these objects, all of namespace `shop`; a test may change them."""

    def __init__(self, port: int, objects: list[Object]) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.objects = objects

    def at(self, path: str) -> Any:
        for found in self.objects:
            plural = _plural(found["kind"])
            if path == f"{_path(found['apiVersion'])}/namespaces/shop/{plural}/{found['metadata']['name']}":
                return found
        return DISCOVERY.get(path)

    def render(self, *arguments: str, helm: str = "helm", whole: bool = False) -> Any:
        """Render the chart for an upgrade in this cluster: its own manifests, or those of bundled charts too."""
        asking = ("--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", self.address)
        given = ("--namespace", "shop", "--is-upgrade", *asking, *arguments)
        return run(helm, "template", "slipway", str(CHART) if whole else bare(), *given, helm=helm)


DISCOVERY = _discovery()


@contextmanager
def api_server(*objects: Object) -> Iterator[ApiServer]:
    """Start an API server that has these objects."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = served.at(self.path.partition("?")[0])
            body = json.dumps(found or {"kind": "Status", "reason": "NotFound", "code": 404}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = ApiServer(server.server_port, list(objects))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield served
        finally:
            server.shutdown()
