"""What the chart sets when nobody configures it, and nobody notices until it is needed."""

from typing import Any

import pytest

from tests.chart.rendering import WORKLOADS, Object, containers, objects, one, own, pods, template

BACKUPS = ("--set", "backup.enabled=true,backup.existingClaim=shop-backups,backup.restore=latest")
EVERYTHING = (*BACKUPS, "--set", "autoscaling.enabled=true,serviceMonitor.enabled=true")
SERVICE = {"app.kubernetes.io/name": "slipway", "app.kubernetes.io/instance": "slipway"}
SERVER = {**SERVICE, "app.kubernetes.io/component": "server"}


def server() -> Object:
    return pods(own())["Deployment/slipway"]


@pytest.mark.parametrize(
    ("probe", "timing"),
    [
        ("startup", {"periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 60}),
        ("liveness", {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6}),
        ("readiness", {"periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 6}),
    ],
)
def test_probes_tolerate_a_slow_start_and_a_short_outage(probe: str, timing: dict[str, int]) -> None:
    (container,) = server()["containers"]
    assert {name: value for name, value in container[f"{probe}Probe"].items() if name != "httpGet"} == timing


def test_cron_jobs_never_overlap_and_leave_one_job_of_each_kind() -> None:
    found = [one_ for one_ in objects(own(*BACKUPS)) if one_["kind"] == "CronJob"]
    assert len(found) == 4
    for cron in found:
        spec = {
            name: value for name, value in cron["spec"].items() if name not in {"schedule", "jobTemplate"}
        }
        assert spec == {
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
        }, cron["metadata"]["name"]


def test_jobs_are_tried_as_often_as_they_may_run() -> None:
    """A restore drops databases: it is not repeated. A migration that failed changes nothing."""
    tries: dict[str, int] = {}
    for found in objects(own(*BACKUPS)):
        if found["kind"] in {"Job", "CronJob"}:
            spec = found["spec"]
            spec = spec["jobTemplate"]["spec"] if found["kind"] == "CronJob" else spec
            component = found["metadata"]["labels"]["app.kubernetes.io/component"]
            tries[f"{found['kind']} {component}"] = spec["backoffLimit"]
            assert spec["activeDeadlineSeconds"] > 0
            assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert tries == {
        "CronJob backup": 1,
        "CronJob purge": 1,
        "CronJob restore": 1,
        "Job migration": 3,
        "Job restore": 0,
    }


def test_pods_prefer_different_nodes_and_zones() -> None:
    pod = server()
    (preferred,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred == {
        "weight": 100,
        "podAffinityTerm": {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": SERVER},
        },
    }
    for spread in pod["topologySpreadConstraints"]:
        assert (spread["maxSkew"], spread["whenUnsatisfiable"]) == (1, "ScheduleAnyway")
        assert spread["labelSelector"] == {"matchLabels": SERVER}


def test_objects_of_the_server_select_the_server() -> None:
    text = own(*EVERYTHING)
    assert one(text, "Deployment")["spec"]["selector"] == {"matchLabels": SERVER}
    assert one(text, "PodDisruptionBudget")["spec"]["selector"] == {"matchLabels": SERVER}
    assert one(text, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "slipway"
    assert {name: one(text, "Service", name)["spec"] for name in ("slipway", "slipway-admin")} == {
        "slipway": {
            "type": "ClusterIP",
            "selector": SERVER,
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
        "slipway-admin": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": SERVER,
            "ports": [{"name": "admin", "port": 9000, "targetPort": "admin"}],
        },
    }


def test_volumes_are_bounded_and_mounted_read_only() -> None:
    for name, pod in pods(own(*BACKUPS)).items():
        assert pod["enableServiceLinks"] is False, name
        sizes = {v["name"]: v["emptyDir"].get("sizeLimit") for v in pod["volumes"] if "emptyDir" in v}
        assert all(sizes.values()), name
        for container in containers(pod):
            written = {m["name"] for m in container["volumeMounts"] if not m.get("readOnly")}
            own_writes = {"tmp", "backups"} | ({"clients"} if container["name"] == "clients" else set())
            assert written <= own_writes, (name, container["name"])


def test_pod_of_helm_test_reaches_the_service_and_nothing_else() -> None:
    spec = one(own(), "NetworkPolicy", "slipway-test")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["podSelector"] == {"matchLabels": {**SERVICE, "app.kubernetes.io/component": "test"}}
    assert "ingress" not in spec
    dns, service = spec["egress"]
    assert [port["port"] for port in dns["ports"]] == [53, 53]
    assert service == {
        "to": [{"podSelector": {"matchLabels": SERVER}}],
        "ports": [{"port": "http"}, {"port": "admin"}],
    }
    pod: Any = one(own(), "Pod")
    assert template(pod)["metadata"]["labels"].items() >= spec["podSelector"]["matchLabels"].items()
    assert pod["metadata"]["annotations"] == {
        "helm.sh/hook": "test",
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
    }
    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["spec"]["containers"][0]["command"][3:] == ["http://slipway:80", "http://slipway-admin:9000"]


def test_labels_of_jobs_are_on_every_job_and_nothing_else() -> None:
    text = own(*BACKUPS, "--set", "jobs.podLabels.team=night,jobs.podAnnotations.shift=late")
    labelled = {
        found["metadata"]["labels"]["app.kubernetes.io/component"]
        for found in objects(text)
        if found["kind"] in WORKLOADS
        and template(found)["metadata"]["labels"].get("team") == "night"
        and template(found)["metadata"]["annotations"].get("shift") == "late"
    }
    assert labelled == {"migration", "purge", "backup", "restore"}
