"""Unusual but legitimate values of unusual.yaml arrive where a platform team expects them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import Object, containers, environment, objects, one, own, template

FILE = Path(__file__).parent / "unusual.yaml"
VALUES: Object = yaml.safe_load(FILE.read_text("utf-8"))
SERVICE = {"Deployment/slipway": "server", "Job": "migration", "CronJob/slipway-purge": "purge"}

# The value, and what holds it: `objects` all of the chart's own, `pods` those of the service, `jobs` those of its jobs,
# `containers` the service's own in these pods; then the path there.
ARRIVES = [
    ("commonLabels", "objects metadata.labels"),
    ("commonLabels", "pods metadata.labels"),
    ("commonAnnotations", "objects metadata.annotations"),
    ("extraEnv", "containers env"),
    ("extraEnvFrom", "containers envFrom"),
    ("extraVolumes", "pods spec.volumes"),
    ("extraVolumeMounts", "containers volumeMounts"),
    ("extraInitContainers", "pods spec.initContainers"),
    ("extraContainers", "server spec.containers"),
    ("lifecycle.postStart", "main lifecycle.postStart"),
    ("deploymentAnnotations", "Deployment metadata.annotations"),
    ("strategy.maxUnavailable", "Deployment spec.strategy.rollingUpdate.maxUnavailable"),
    ("strategy.maxSurge", "Deployment spec.strategy.rollingUpdate.maxSurge"),
    ("revisionHistoryLimit", "Deployment spec.revisionHistoryLimit"),
    ("minReadySeconds", "Deployment spec.minReadySeconds"),
    ("jobs.podLabels", "jobs metadata.labels"),
    ("jobs.podAnnotations", "jobs metadata.annotations"),
    ("podLabels", "server metadata.labels"),
    ("podAnnotations", "server metadata.annotations"),
    ("podSecurityContext.runAsUser", "pods spec.securityContext.runAsUser"),
    ("podSecurityContext.fsGroupChangePolicy", "pods spec.securityContext.fsGroupChangePolicy"),
    ("podSecurityContext.supplementalGroups", "pods spec.securityContext.supplementalGroups"),
    ("securityContext.runAsGroup", "containers securityContext.runAsGroup"),
    ("priorityClassName", "pods spec.priorityClassName"),
    ("runtimeClassName", "pods spec.runtimeClassName"),
    ("schedulerName", "pods spec.schedulerName"),
    ("dnsPolicy", "pods spec.dnsPolicy"),
    ("dnsConfig.nameservers", "pods spec.dnsConfig.nameservers"),
    ("hostAliases", "pods spec.hostAliases"),
    ("nodeSelector", "pods spec.nodeSelector"),
    ("tolerations", "pods spec.tolerations"),
    ("affinity.nodeAffinity", "pods spec.affinity.nodeAffinity"),
    ("image.pullSecrets", "pods spec.imagePullSecrets"),
    ("service.type", "Service spec.type"),
    ("service.ipFamilyPolicy", "Service spec.ipFamilyPolicy"),
    ("service.loadBalancerClass", "Service spec.loadBalancerClass"),
    ("service.loadBalancerSourceRanges", "Service spec.loadBalancerSourceRanges"),
    ("service.labels", "Service metadata.labels"),
    ("service.annotations", "Service metadata.annotations"),
    ("autoscaling.metrics", "HorizontalPodAutoscaler spec.metrics"),
    ("autoscaling.behavior", "HorizontalPodAutoscaler spec.behavior"),
    ("purge.timeZone", "CronJob spec.timeZone"),
    ("serviceMonitor.relabelings", "ServiceMonitor spec.endpoints.0.relabelings"),
    ("serviceMonitor.metricRelabelings", "ServiceMonitor spec.endpoints.0.metricRelabelings"),
    ("ingress.tls", "Ingress spec.tls"),
    ("httpRoute.parentRefs", "HTTPRoute spec.parentRefs"),
    ("httpRoute.filters", "HTTPRoute spec.rules.0.filters"),
    ("httpRoute.timeouts", "HTTPRoute spec.rules.0.timeouts"),
    ("serviceAccount.annotations", "ServiceAccount metadata.annotations"),
]


def _at(found: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(found, list):
            found = found[int(name)]
            continue
        assert name in found, f"{path}: no {name}"
        found = found[name]
    return found


def _text() -> str:
    return own("--values", str(FILE))


def _pods() -> dict[str, Object]:
    """Return the pod templates of the service, by component."""
    found = {}
    for manifest in objects(_text()):
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        for start, component in SERVICE.items():
            if name.startswith(start):
                found[component] = template(manifest)
    return found


def _holders(what: str) -> Iterator[Object]:
    pods = _pods()
    if what == "objects":
        yield from (o for o in objects(_text()) if not o["metadata"]["name"].endswith(("-first", "-second")))
    elif what == "pods":
        yield from pods.values()
    elif what == "jobs":
        yield from (pods["migration"], pods["purge"])
    elif what == "server":
        yield pods["server"]
    elif what in {"main", "containers"}:
        names = {"server"} if what == "main" else {"server", "gate", "migration", "purge"}
        yield from (c for pod in pods.values() for c in containers(pod["spec"]) if c["name"] in names)
    else:
        yield one(_text(), what, "slipway-purge" if what == "CronJob" else "slipway")


@pytest.mark.parametrize(("value", "place"), ARRIVES)
def test_value_arrives(value: str, place: str) -> None:
    given = _at(VALUES, value)
    what, path = place.split(" ")
    holders = list(_holders(what))
    assert len(holders) >= {"objects": 12, "pods": 3, "jobs": 2, "containers": 4}.get(what, 1)
    for holder in holders:
        found = _at(holder, path)
        if isinstance(given, dict):
            assert given.items() <= found.items()
        elif isinstance(given, list):
            assert [item for item in given if item not in found] == []
        else:
            assert found == given


def test_image_and_its_secrets_come_from_the_global_registry() -> None:
    for pod in _pods().values():
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}]
        images = {c["image"].rpartition(":")[0] for c in containers(pod["spec"])}
        assert "mirror.example.com/ghcr/shop/slipway" in images
    text = own(
        "--set-json",
        '{"global": {"imageRegistry": "mirror.example.com"}, "redisCommander": {"enabled": true},'
        ' "pgadmin": {"enabled": true, "email": "a@example.com"}}',
    )
    images = {c["image"] for o in objects(text) if o["kind"] == "Deployment" for c in _containers(o)}
    assert {image.partition("/")[0] for image in images} == {"mirror.example.com"}
    assert "mirror.example.com/slipway:0.1.0" in images
    assert any(image.startswith("mirror.example.com/dpage/pgadmin4:") for image in images)


def _containers(workload: Object) -> list[Object]:
    return containers(template(workload)["spec"])


def test_null_removes_a_field_of_a_security_context() -> None:
    for pod in _pods().values():
        assert "fsGroup" not in pod["spec"]["securityContext"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True


def test_additional_objects_may_use_templates() -> None:
    assert one(_text(), "ConfigMap", "slipway-first")["data"] == {"service": "slipway"}
    assert one(_text(), "ConfigMap", "slipway-second")["data"] == {"replicas": "2"}


def test_spread_constraint_defaults_to_the_pods_of_the_deployment() -> None:
    (ours, *_) = _pods()["server"]["spec"]["topologySpreadConstraints"]
    assert ours["topologyKey"] == "example.com/rack"
    assert ours["labelSelector"] == one(_text(), "Deployment")["spec"]["selector"]


def test_lifecycle_keeps_the_wait_of_the_drain_unless_it_has_its_own() -> None:
    (main,) = _holders("main")
    assert main["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    text = own("--set-json", 'lifecycle={"preStop": {"exec": {"command": ["leave"]}}}')
    (main,) = _containers(one(text, "Deployment"))[1:]
    assert main["lifecycle"]["preStop"] == {"exec": {"command": ["leave"]}}


def test_autoscaler_looks_at_memory_too() -> None:
    memory = one(_text(), "HorizontalPodAutoscaler")["spec"]["metrics"][1]["containerResource"]
    assert memory == {
        "name": "memory",
        "container": "server",
        "target": {"type": "AverageValue", "averageValue": "300Mi"},
    }


def test_monitor_in_another_namespace_finds_the_pods_of_the_release() -> None:
    monitor = one(_text(), "ServiceMonitor")
    assert monitor["metadata"]["namespace"] == "monitoring"
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["shop"]}


def test_ingress_without_a_class_leaves_it_to_the_cluster() -> None:
    ingress = one(_text(), "Ingress")
    assert "ingressClassName" not in ingress["spec"]
    assert not [name for name in ingress["metadata"]["annotations"] if name.startswith("nginx.")]


def test_annotations_of_nginx_are_for_its_class_and_can_be_replaced() -> None:
    limit = "nginx.ingress.kubernetes.io/proxy-body-size"
    escaped = limit.replace(".", "\\.")
    given = ("--set", f"ingress.enabled=true,ingress.hosts[0]=a.example,ingress.annotations.{escaped}=9m")
    internal = one(own(*given, "--set", "ingress.className=nginx-internal"), "Ingress")["metadata"][
        "annotations"
    ]
    assert internal[limit] == "9m"
    assert len(internal) == 5
    other = one(own(*given, "--set", "ingress.className=traefik"), "Ingress")["metadata"]["annotations"]
    assert other == {limit: "9m"}


def test_rules_of_a_route_lead_to_the_service_unless_they_say_otherwise() -> None:
    rules: list[Object] = [
        {"matches": [{"path": {"value": "/api"}}], "timeouts": {"request": "9s"}},
        {"filters": [{"type": "RequestRedirect"}], "backendRefs": []},
    ]
    route = json.dumps({"enabled": True, "hosts": ["a"], "parentRefs": [{"name": "g"}], "rules": rules})
    first, second = one(own("--set-json", f"httpRoute={route}"), "HTTPRoute")["spec"]["rules"]
    assert first == {**rules[0], "backendRefs": [{"name": "slipway", "port": 80}]}
    assert second == rules[1]


def test_data_sources_of_dashboards_have_the_uids_of_your_grafana() -> None:
    text = own(
        "--set",
        "dashboards.enabled=true",
        "--set-json",
        'dashboards.datasources={"prometheus": "p1", "loki": "l1"}',
    )
    assert all(uid not in text for uid in ('"uid": "prometheus"', '"uid": "loki"'))
    assert '"uid": "p1"' in text
    assert '"uid": "l1"' in text


def test_long_names_that_begin_alike_differ() -> None:
    names = [one(own("--set", f"fullnameOverride={'a' * 45}-{end}"), "Deployment") for end in ("b", "c")]
    first, second = (found["metadata"]["name"] for found in names)
    assert first != second
    assert len(first) <= 40


def test_gate_can_be_left_out() -> None:
    pod = template(one(own("--set", "migration.gate=false"), "Deployment"))["spec"]
    assert "initContainers" not in pod
    assert "probes" not in pod


def test_recreate_takes_no_amounts() -> None:
    strategy = one(own("--set", "strategy.type=Recreate"), "Deployment")["spec"]["strategy"]
    assert strategy == {"type": "Recreate"}


def test_settings_may_come_from_the_platform_if_unset_in_the_chart() -> None:
    text = own(
        "--set-json",
        '{"config": {"logging": {"format": null}}, "extraEnvFrom": [{"configMapRef": {"name": "platform"}}]}',
    )
    for container in _containers(one(text, "Deployment")):
        assert container["envFrom"] == [{"configMapRef": {"name": "platform"}}]
        assert "SLIPWAY_LOGGING__FORMAT" not in environment(container)
