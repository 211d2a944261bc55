"""Replicas, restarts, CPU and memory, the event loop, versions: what a rollout shows first."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from chart.dashboards.boards import board
from chart.dashboards.panels import GREEN, ORANGE, Panel, Query, graph, grid, number, states
from chart.dashboards.queries import CONTAINER, DEPLOYMENT, PODS, quantile, rate, series

LAG = "slipway_event_loop_lag_seconds"


def dashboard() -> Dashboard:
    """The dashboard `slipway-pods`. Needs kube-state-metrics, and the kubelet's metrics for CPU and memory."""
    return board(
        "pods",
        "Pods and rollout",
        "Are there enough pods, do they restart, are they at their limits, which versions run?",
        {"Now": _now(), "Rollout": _rollout(), "Resources": _resources(), "Processes": _processes()},
    )


def _now() -> list[Panel]:
    return [
        number(
            "Desired",
            "Pods that the Deployment requests.",
            Query(f"max(kube_deployment_spec_replicas{{{DEPLOYMENT}}})"),
        ),
        number(
            "Available",
            "Pods that have been ready long enough to count as available.",
            Query(f"max(kube_deployment_status_replicas_available{{{DEPLOYMENT}}})"),
        ),
        number(
            "Not available",
            "Desired but not available.",
            Query(f"max(kube_deployment_status_replicas_unavailable{{{DEPLOYMENT}}})"),
            warn=1,
        ),
        number(
            "Restarts",
            "Restarts of the server's containers in the selected time range.",
            Query(f"sum(increase(kube_pod_container_status_restarts_total{{{CONTAINER}}}[$__range]))"),
            warn=1,
            bad=5,
            decimals=0,
        ),
        number(
            "Versions",
            "More than one: a rollout is in progress, or stuck.",
            Query(f"count(count by (version) ({series('slipway_build_info')}))"),
            warn=2,
        ),
        number(
            "Draining",
            "Terminating pods that still serve requests.",
            Query(f"sum({series('slipway_draining')})"),
            warn=1,
        ),
    ]


def _rollout() -> list[Panel]:
    return [
        graph(
            "Replicas",
            "Desired, updated and available replicas.",
            Query(f"max(kube_deployment_spec_replicas{{{DEPLOYMENT}}})", "wanted"),
            Query(f"max(kube_deployment_status_replicas_updated{{{DEPLOYMENT}}})", "of the newest template"),
            Query(f"max(kube_deployment_status_replicas_available{{{DEPLOYMENT}}})", "available"),
        ),
        graph(
            "Pods by version",
            "Pods by the version that they report.",
            Query(f"count by (version) ({series('slipway_build_info')})", "{{version}}"),
            stacked=True,
        ),
        graph(
            "Restarts by pod",
            "Restarts of the server's container. See why it ended.",
            Query(
                f"sum by (pod) (increase(kube_pod_container_status_restarts_total{{{CONTAINER}}}[$__rate_interval]))",
                "{{pod}}",
            ),
        ),
        grid(
            "Last termination reason",
            "OOMKilled is the memory limit; Error is an exit code, see the logs; Completed is a drain.",
            {
                "Containers": (
                    Query(
                        f"sum by (pod, container, reason) (kube_pod_container_status_last_terminated_reason{{{PODS}}})"
                    ),
                    "short",
                )
            },
            span=8,
        ),
        grid(
            "Waiting reason",
            "ImagePullBackOff: the image. CrashLoopBackOff: the logs. PodInitializing: the gate, for the migration.",
            {
                "Containers": (
                    Query(
                        f"sum by (pod, container, reason) (kube_pod_container_status_waiting_reason{{{PODS}}})"
                    ),
                    "short",
                )
            },
            span=8,
        ),
        states(
            "Ready",
            "Whether a pod gets requests.",
            Query(f'max by (pod) (kube_pod_status_ready{{{PODS}, condition="true"}})', "{{pod}}"),
            words={"1": ("ready", GREEN), "0": ("not ready", ORANGE)},
            span=8,
        ),
    ]


def _limit(resource: str) -> str:
    return f'sum by (pod) (kube_pod_container_resource_limits{{{CONTAINER}, resource="{resource}"}})'


def _resources() -> list[Panel]:
    cpu = f"sum by (pod) (rate(container_cpu_usage_seconds_total{{{CONTAINER}}}[$__rate_interval]))"
    memory = f"sum by (pod) (container_memory_working_set_bytes{{{CONTAINER}}})"
    return [
        graph(
            "CPU, share of the limit",
            "A process is at its limit at one core.",
            Query(f"{cpu} / {_limit('cpu')}", "{{pod}}"),
            unit="percentunit",
            bad=0.9,
        ),
        graph(
            "CPU throttled",
            "Share of the scheduler's periods in which the limit stopped the container.",
            Query(
                f"sum by (pod) (rate(container_cpu_cfs_throttled_periods_total{{{CONTAINER}}}[$__rate_interval]))"
                f" / sum by (pod) (rate(container_cpu_cfs_periods_total{{{CONTAINER}}}[$__rate_interval]))",
                "{{pod}}",
            ),
            unit="percentunit",
            bad=0.25,
        ),
        graph(
            "Memory, share of the limit",
            "At 100 % the kernel kills the container (OOMKilled).",
            Query(f"{memory} / {_limit('memory')}", "{{pod}}"),
            unit="percentunit",
            bad=0.9,
        ),
    ]


def _processes() -> list[Panel]:
    return [
        graph(
            "Event loop lag",
            "How late sleeping tasks wake up (99th percentile), by pod. Lag means too little CPU, or code that blocks.",
            Query(quantile(0.99, LAG, by="pod"), "{{pod}}"),
            unit="s",
            bad=0.25,
        ),
        graph(
            "Requests by pod",
            "Requests per second. Pods should have similar rates.",
            Query(rate("http_requests_total", by="pod"), "{{pod}}"),
            unit="reqps",
        ),
        graph(
            "Process memory",
            "As reported by the process: available without kube-state-metrics and the kubelet.",
            Query(f"sum by (pod) ({series('process_resident_memory_bytes')})", "{{pod}}"),
            unit="bytes",
        ),
        graph(
            "CPU of the process",
            "Cores in use, as reported by the process.",
            Query(rate("process_cpu_seconds_total", by="pod"), "{{pod}}"),
            bad=0.9,
        ),
        graph(
            "Open files",
            "Open files, including connections, as a share of the process's limit.",
            Query(f"{series('process_open_fds')} / {series('process_max_fds')}", "{{pod}}"),
            unit="percentunit",
        ),
        graph(
            "Process age",
            "Time since the process started. Drops to 0 at a restart.",
            Query(f"time() - {series('process_start_time_seconds')}", "{{pod}}"),
            unit="s",
        ),
    ]
