"""Fakes the metrics of kube-state-metrics, cAdvisor and postgres_exporter, since there is no cluster here.

Names and labels come from their documentation: kube-state-metrics docs/metrics/workload/, cAdvisor
docs/storage/prometheus.md, postgres_exporter's collectors pg_stat_activity and pg_settings. The
values are made up and change as in a rollout.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from service.dev.free_ports import LOOPBACK
from tests.observability.rules import NAMESPACE, RELEASE

Sample = tuple[str, dict[str, str], float]


def samples(pods: list[str], age: float) -> Iterator[Sample]:
    """Return the samples `age` seconds after the first call: pods start and containers restart again and again, because
    scrapes hit arbitrary moments."""
    deployment = {"namespace": NAMESPACE, "deployment": RELEASE}
    ready = len(pods) if age % 40 > 20 else len(pods) - 1
    yield "kube_deployment_spec_replicas", deployment, len(pods)
    yield "kube_deployment_status_replicas", deployment, len(pods)
    yield "kube_deployment_status_replicas_updated", deployment, ready
    yield "kube_deployment_status_replicas_available", deployment, ready
    yield "kube_deployment_status_replicas_unavailable", deployment, len(pods) - ready
    for status in ("true", "false", "unknown"):
        where = {**deployment, "condition": "Progressing", "status": status, "reason": "ReplicaSetUpdated"}
        yield "kube_deployment_status_condition", where, float(status == "true")
    autoscaler = {"namespace": NAMESPACE, "horizontalpodautoscaler": RELEASE}
    yield "kube_horizontalpodautoscaler_status_current_replicas", autoscaler, len(pods)
    yield "kube_horizontalpodautoscaler_spec_max_replicas", autoscaler, 10
    job = {"namespace": NAMESPACE, "job_name": f"{RELEASE}-migrate-0a1b2c3d4e"}
    yield "kube_job_failed", {**job, "condition": "true"}, 0
    yield "kube_job_created", job, time.time() - age
    cronjob = {"namespace": NAMESPACE, "cronjob": f"{RELEASE}-purge"}
    yield "kube_cronjob_next_schedule_time", cronjob, time.time() + 600
    server = {"namespace": NAMESPACE, "service": f"{RELEASE}-postgresql-metrics"}
    yield "pg_stat_activity_count", {**server, "datname": "slipway", "state": "idle"}, 21
    yield "pg_settings_max_connections", server, 100
    claim = {"namespace": NAMESPACE, "persistentvolumeclaim": f"data-{RELEASE}-postgresql-0"}
    yield "kubelet_volume_stats_available_bytes", claim, 6 * 2**30
    yield "kubelet_volume_stats_capacity_bytes", claim, 8 * 2**30
    for number, pod in enumerate(pods):
        yield from _pod(pod, number, age, ready=number < ready)


def _pod(pod: str, number: int, age: float, *, ready: bool) -> Iterator[Sample]:
    labels = {"namespace": NAMESPACE, "pod": pod, "uid": f"0000-{number}"}
    server = {**labels, "container": "server"}
    for condition, holds in (("true", ready), ("false", not ready), ("unknown", False)):
        yield "kube_pod_status_ready", {**labels, "condition": condition}, float(holds)
    yield "kube_pod_init_container_status_ready", {**labels, "container": "gate"}, float(ready)
    if not ready and age < 5:
        waiting = {**labels, "container": "gate", "reason": "PodInitializing"}
        yield "kube_pod_init_container_status_waiting_reason", waiting, 1
    yield "kube_pod_container_status_restarts_total", server, float(number == 1) * (age // 30)
    if not ready:
        yield "kube_pod_container_status_waiting_reason", {**server, "reason": "PodInitializing"}, 1
    if number == 1 and age > 30:
        yield "kube_pod_container_status_last_terminated_reason", {**server, "reason": "OOMKilled"}, 1
    limits = {"cpu": ("core", 1.0), "memory": ("byte", 402653184.0)}
    for resource, (unit, value) in limits.items():
        where = {**server, "node": "node-1", "resource": resource, "unit": unit}
        yield "kube_pod_container_resource_limits", where, value
    measured = {
        "namespace": NAMESPACE,
        "pod": pod,
        "container": "server",
        "image": "slipway",
        "name": "0",
        "id": "/pod",
    }
    yield "container_cpu_usage_seconds_total", {**measured, "cpu": "total"}, age * (0.3 + 0.1 * number)
    yield "container_cpu_cfs_periods_total", measured, age * 10
    yield "container_cpu_cfs_throttled_periods_total", measured, age * (0.2 + number)
    yield "container_memory_working_set_bytes", measured, (150 + 20 * number + age / 5) * 2**20


def exposition(pods: list[str], age: float) -> str:
    """Return the samples in Prometheus' text format."""
    lines = []
    for name, labels, value in samples(pods, age):
        written = ",".join(f'{label}="{text}"' for label, text in labels.items())
        lines.append(f"{name}{{{written}}} {float(value)}\n")
    return "".join(lines)


@contextmanager
def exporters(pods: list[str]) -> Iterator[int]:
    """Serve the samples on a local port until the block ends."""
    began = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library requires this name
            body = exposition(pods, time.monotonic() - began).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):  # the client has disconnected
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
