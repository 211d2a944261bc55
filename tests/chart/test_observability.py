"""The bundled monitoring: its network connections, permissions and logins."""

import functools
from itertools import product
from typing import Any

import pytest
import yaml

from tests.chart.rendering import Object, containers, objects, one, own, pods, profile, template, whole
from tests.chart.rules.manifests import matches

FULL = "07-full-values.yaml"
SERVER = {
    "app.kubernetes.io/name": "slipway",
    "app.kubernetes.io/instance": "slipway",
    "app.kubernetes.io/component": "server",
}
# The operator creates these pods from a Prometheus object; no rendering shows them.
PROMETHEUS = {
    "app.kubernetes.io/name": "prometheus",
    "app.kubernetes.io/instance": "slipway-kube-prometheus-st-prometheus",
    "app.kubernetes.io/managed-by": "prometheus-operator",
    "operator.prometheus.io/name": "slipway-kube-prometheus-st-prometheus",
}
STRANGER = {"app": "stranger"}
NODE: dict[str, str] = {}


@functools.cache
def _full() -> str:
    return whole(*profile(FULL), "--set", "traefik.enabled=true")


@functools.cache
def _labels() -> dict[str, dict[str, str]]:
    """Return the labels of pods, by the name of their workload."""
    found = {
        made["metadata"]["name"]: template(made)["metadata"]["labels"]
        for made in objects(_full())
        if made["kind"] in {"Deployment", "StatefulSet"}
    }
    return {**found, "prometheus": PROMETHEUS, "stranger": STRANGER}


def _policies(labels: dict[str, str]) -> list[Object]:
    specs = [found["spec"] for found in objects(_full()) if found["kind"] == "NetworkPolicy"]
    return [spec for spec in specs if matches(spec["podSelector"], labels)]


def _allows(rule: Object, side: str, labels: dict[str, str], port: Any) -> bool:
    ports = [p["port"] for p in rule.get("ports", [])]
    peers = [p["podSelector"] for p in rule.get(side, []) if "podSelector" in p]
    everybody = side not in rule or {"namespaceSelector": {}} in rule[side]
    return (not ports or port in ports) and (everybody or any(matches(peer, labels) for peer in peers))


def _open(caller: str, called: str, *ports: Any) -> bool:
    """Whether all policies of both pods allow the connection. The port is a number, or a number and its name."""
    source, target = _labels()[caller], _labels()[called]
    leaves = [rule for policy in _policies(source) for rule in policy.get("egress") or []]
    enters = [rule for policy in _policies(target) for rule in policy.get("ingress") or []]
    out = not _policies(source) or any(_allows(r, "to", target, p) for r, p in product(leaves, ports))
    return out and (
        not _policies(target) or any(_allows(r, "from", source, p) for r, p in product(enters, ports))
    )


def test_every_pod_of_the_release_denies_by_default() -> None:
    for name, labels in _labels().items():
        found = _policies(labels)
        assert all(policy["policyTypes"] == ["Ingress", "Egress"] for policy in found)
        assert bool(found) == (name != "stranger"), name


@pytest.mark.parametrize(
    ("caller", "called", "ports"),
    [
        ("prometheus", "slipway", (9000, "admin")),
        ("prometheus", "slipway-postgresql", (9187,)),
        ("prometheus", "slipway-redis", (9121,)),
        ("prometheus", "slipway-kube-state-metrics", (8080,)),
        ("prometheus", "slipway-kube-prometheus-st-operator", (8080,)),
        ("prometheus", "slipway-grafana", (3000,)),
        ("prometheus", "slipway-loki", (3100,)),
        ("prometheus", "slipway-alloy", (12345,)),
        ("slipway-grafana", "prometheus", (9090,)),
        ("slipway-grafana", "slipway-loki", (3100,)),
        ("slipway-alloy", "slipway-loki", (3100,)),
        ("slipway-traefik", "slipway", (8000, "http")),
        ("stranger", "slipway-traefik", (8000, "web")),
        ("stranger", "slipway", (8000, "http")),
    ],
)
def test_required_edges_are_open(caller: str, called: str, ports: tuple[Any, ...]) -> None:
    assert _open(caller, called, *ports)


@pytest.mark.parametrize(
    ("caller", "called", "ports"),
    [
        ("stranger", "prometheus", (9090,)),
        ("stranger", "slipway-grafana", (3000,)),
        ("stranger", "slipway-loki", (3100,)),
        ("stranger", "slipway-alloy", (12345,)),
        ("stranger", "slipway-kube-state-metrics", (8080,)),
        ("stranger", "slipway-postgresql", (5432, 9187)),
        ("slipway-grafana", "slipway-postgresql", (5432, "postgresql")),
        ("slipway-grafana", "slipway", (8000, 9000, "http", "admin")),
        ("slipway-alloy", "slipway-postgresql", (5432,)),
        ("slipway-loki", "slipway-postgresql", (5432,)),
        ("prometheus", "slipway-postgresql", (5432,)),
        ("prometheus", "slipway-redis", (6379,)),
        ("slipway-traefik", "slipway", (9000, "admin")),
        ("slipway-traefik", "slipway-loki", (3100,)),
        ("slipway", "prometheus", (9090,)),
    ],
)
def test_all_other_edges_are_closed(caller: str, called: str, ports: tuple[Any, ...]) -> None:
    assert not _open(caller, called, *ports)


def test_only_pods_that_need_it_reach_the_api_server() -> None:
    asking = {
        name
        for name, labels in _labels().items()
        for policy in _policies(labels)
        if any(_allows(rule, "to", NODE, 6443) and "to" not in rule for rule in policy.get("egress") or [])
    }
    programs = ("kube-prometheus-st-operator", "kube-state-metrics", "grafana", "alloy", "traefik")
    assert asking == {"prometheus", *(f"slipway-{name}" for name in programs)}


def test_grafana_ingress_can_be_opened_to_named_callers() -> None:
    peers = '[{"podSelector":{"matchLabels":{"role":"friend"}}}]'
    text = own(*profile(FULL), "--set-json", f"networkPolicy.grafana.from={peers}")
    rules = one(text, "NetworkPolicy", "slipway-grafana")["spec"]["ingress"]
    assert {"ports": [{"port": 3000}], "from": yaml.safe_load(peers)} in rules


def test_grafana_and_alloy_have_minimal_permissions() -> None:
    roles = [found for found in objects(_full()) if found["kind"] == "Role"]
    asked = {
        role["metadata"]["name"]: {r for rule in role["rules"] for r in rule["resources"]} for role in roles
    }
    assert asked["slipway-grafana"] == {"configmaps"}
    assert asked["slipway-alloy"] == {"pods", "pods/log"}
    assert "secrets" not in asked["slipway-kube-state-metrics"]
    accounts = {found["metadata"]["name"] for found in objects(_full()) if found["kind"] == "ServiceAccount"}
    for binding in (found for found in objects(_full()) if found["kind"] == "RoleBinding"):
        assert {subject["name"] for subject in binding["subjects"]} <= accounts


def test_grafana_password_comes_from_the_generated_secret() -> None:
    secret = one(_full(), "Secret", "slipway-credentials")
    assert secret["data"]["grafana-user"] == "YWRtaW4="
    grafana = pods(_full())["Deployment/slipway-grafana"]
    (main,) = (c for c in containers(grafana) if c["name"] == "grafana")
    keys = {v["name"]: v.get("valueFrom", {}).get("secretKeyRef") for v in main["env"]}
    assert keys["GF_SECURITY_ADMIN_USER"] == {"name": "slipway-credentials", "key": "grafana-user"}
    assert keys["GF_SECURITY_ADMIN_PASSWORD"] == {"name": "slipway-credentials", "key": "grafana-password"}
    assert {"grafana-user", "grafana-password"} <= set(secret["data"])


def test_grafana_has_both_data_sources_by_uid() -> None:
    sources = {
        source["uid"]: source
        for found in objects(_full())
        if (found["metadata"].get("labels") or {}).get("grafana_datasource") == "1"
        for text in found["data"].values()
        for source in yaml.safe_load(text)["datasources"]
    }
    services = {found["metadata"]["name"] for found in objects(_full()) if found["kind"] == "Service"}
    assert set(sources) == {"prometheus", "loki"}
    for source in sources.values():
        assert source["url"].removeprefix("http://").partition(":")[0].partition(".")[0] in services
    fields = sources["loki"]["jsonData"]["derivedFields"]
    assert [field["matcherRegex"] for field in fields] == ['"request_id":"([^"]+)"', '"trace_id":"([^"]+)"']


def test_alloy_sends_to_the_bundled_loki() -> None:
    content = one(_full(), "ConfigMap", "slipway-alloy")["data"]["config.alloy"]
    assert 'url = "http://slipway-loki:3100/loki/api/v1/push"' in content
    service = one(_full(), "Service", "slipway-loki")
    assert 3100 in {port["port"] for port in service["spec"]["ports"]}


def test_prometheus_selects_monitors_and_rules_with_any_label() -> None:
    spec = one(_full(), "Prometheus")["spec"]
    for kind in ("serviceMonitor", "podMonitor", "rule", "probe", "scrapeConfig"):
        assert spec[f"{kind}Selector"] == {}, kind
        assert spec[f"{kind}NamespaceSelector"] == {}, kind


def test_development_controller_serves_our_ingress_class() -> None:
    text = whole(*profile("06-development-values.yaml"))
    assert one(text, "Ingress")["spec"]["ingressClassName"] == one(text, "IngressClass")["metadata"]["name"]
    (port,) = one(text, "Service", "slipway-traefik")["spec"]["ports"]
    assert port["nodePort"] == 30080
