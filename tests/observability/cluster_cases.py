"""Cases of the alerts about what Kubernetes reports: kube-state-metrics and the kubelet."""

from tests.observability.rules import NAMESPACE, RELEASE, Case

PURGE = "slipway-purge-29400197"
POD = 'pod="slipway-7c9f8d6b5-abcde"'
RESTARTS = f'kube_pod_container_status_restarts_total{{{POD}, container="server"}}'
KILLED = f'kube_pod_container_status_last_terminated_reason{{{POD}, container="server", reason="%s"}}'
CLAIM = 'persistentvolumeclaim="data-slipway-postgresql-0"'
AUTOSCALER = 'horizontalpodautoscaler="slipway"'


def gate(ready: str, reason: str = "") -> dict[str, str]:
    found = {f'kube_pod_init_container_status_ready{{{POD}, container="gate"}}': ready}
    waits = f'kube_pod_init_container_status_waiting_reason{{{POD}, container="gate", reason="{reason}"}}'
    return {**found, waits: "1x60"} if reason else found


def volume(available: int, claim: str = CLAIM) -> dict[str, str]:
    """Of a volume of 1000 bytes."""
    return {
        f"kubelet_volume_stats_available_bytes{{{claim}}}": f"{available}x60",
        f"kubelet_volume_stats_capacity_bytes{{{claim}}}": "1000x60",
    }


def job(name: str, failed: str, *, created: int = 0) -> dict[str, str]:
    """Of a Job that was created so many seconds after the start of the test."""
    return {
        f'kube_job_failed{{job_name="{name}", condition="true"}}': failed,
        f'kube_job_created{{job_name="{name}"}}': f"{created}x60",
    }


def scaled(pods: str, most: int = 10, autoscaler: str = AUTOSCALER) -> dict[str, str]:
    return {
        f"kube_horizontalpodautoscaler_status_current_replicas{{{autoscaler}}}": pods,
        f"kube_horizontalpodautoscaler_spec_max_replicas{{{autoscaler}}}": f"{most}x60",
    }


def next_time(minutes: float, name: str = "slipway-purge") -> dict[str, str]:
    """Of a CronJob that never ran: when it should have, in minutes after the start of the test."""
    return {f'kube_cronjob_next_schedule_time{{cronjob="{name}"}}': f"{60 * minutes:g}x60"}


def seen_by_new(series: dict[str, str]) -> dict[str, str]:
    """Return the series as a second kube-state-metrics has them, while the old one is replaced."""
    return {name.replace("{", '{instance="new", '): values for name, values in series.items()}


def open_connections(number: int, service: str = f"{RELEASE}-postgresql-metrics") -> dict[str, str]:
    """Of a server that accepts 100, half of them idle."""
    about = f'namespace="{NAMESPACE}", service="{service}"'
    active, idle = (f'pg_stat_activity_count{{{about}, state="{state}"}}' for state in ("active", "idle"))
    return {
        active: f"{number - 50}x60",
        idle: "50x60",
        f"pg_settings_max_connections{{{about}}}": "100x60",
    }


CLUSTER_CASES: dict[str, list[Case]] = {
    "SlipwayRestarting": [
        Case("every ten minutes", {RESTARTS: "0x9 1x9 2x9 3x9 4x9"}, "45m", fires=True),
        Case("twice", {RESTARTS: "0x9 1x9 2x60"}, "45m", fires=False),
        Case("another program", {RESTARTS.replace("slipway-", "shop-"): "0+1x60"}, "45m", fires=False),
    ],
    "SlipwayOutOfMemory": [
        Case("once", {RESTARTS: "0x9 1x60", KILLED % "OOMKilled": "1x60"}, "15m", fires=True),
        Case("for another reason", {RESTARTS: "0x9 1x60", KILLED % "Error": "1x60"}, "15m", fires=False),
        Case("long ago", {RESTARTS: "0x9 1x90", KILLED % "OOMKilled": "1x90"}, "80m", fires=False),
    ],
    "SlipwayVolumeFilling": [
        Case("86 % full", volume(140), "20m", fires=True),
        Case("84 % full", volume(160), "20m", fires=False),
        Case("another volume", volume(10, 'persistentvolumeclaim="data-other-0"'), "20m", fires=False),
    ],
    "SlipwayJobFailed": [
        Case("the migration", job("slipway-migrate-0a1b2c3d4e", "1x60"), "10m", fires=True),
        Case("the purge", job(PURGE, "0x3 1x60"), "12m", fires=True),
        Case("not this one", job(PURGE, "0x60"), "10m", fires=False),
        Case("another program's", job("shop-purge-29400197", "1x60"), "10m", fires=False),
        Case("the day before", job(PURGE, "1x60", created=-86400), "20m", fires=False),
    ],
    "SlipwayCronJobLate": [
        Case("half an hour ago", next_time(5), "45m", fires=True),
        Case("a backup", next_time(5, "slipway-backup-create"), "45m", fires=True),
        Case("its Job starts late", next_time(5), "30m", fires=False),
        Case(
            "started since, as a new exporter knows",
            next_time(5) | seen_by_new(next_time(50)),
            "45m",
            fires=False,
        ),
        Case("soon", next_time(50), "45m", fires=False),
        Case("another program's", next_time(5, "shop-purge"), "45m", fires=False),
    ],
    "SlipwayServerConnectionsFull": [
        Case("90 of 100", open_connections(90), "20m", fires=True, foreign=True),
        Case("80 of 100", open_connections(80), "20m", fires=False, foreign=True),
        Case("another server", open_connections(99, "other-metrics"), "20m", fires=False, foreign=True),
    ],
    "SlipwayAutoscalerAtMaximum": [
        Case("for long", scaled("10x60"), "20m", fires=True),
        Case("one below", scaled("9x60"), "20m", fires=False),
        Case("for a moment", scaled("10x5 9x60"), "20m", fires=False),
        Case("another's", scaled("10x60", 10, 'horizontalpodautoscaler="shop"'), "20m", fires=False),
    ],
}
AT_THE_GATE = [
    Case("behind the gate", gate("0x60"), "20m", fires=True),
    Case("behind a gate that gives up and starts again", gate("0x60", "CrashLoopBackOff"), "20m", fires=True),
    Case("through the gate", gate("0x9 1x60"), "30m", fires=False),
    Case("its image cannot be pulled", gate("0x60", "ImagePullBackOff"), "20m", fires=False),
]
"""Of SlipwayMigrationPending: new pods, which have no metrics of their own yet."""
