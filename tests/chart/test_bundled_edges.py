"""The connections and permissions of bundled programs, as this chart writes them, without the programs' own charts."""

import functools
from typing import Any

import pytest
import yaml

from tests.chart.rendering import Object, objects, one, own, profile

PROMETHEUS = {
    "namespaceSelector": {},
    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
}
ALL: list[int] = []
EDGES: dict[str, tuple[list[int], bool, dict[str, list[int]]]] = {
    "alertmanager": ([9093, 8080], False, {"alertmanager": ALL}),
    "alloy": ([12345], True, {"loki": [3100]}),
    "grafana": ([3000], True, {"loki": [3100], "prometheus": [9090]}),
    "kube-state-metrics": ([8080], True, {}),
    "loki": ([3100], False, {"loki": ALL}),
    "prometheus": ([9090, 8080], True, {"alertmanager": [9093]}),
    "prometheus-operator": ([8080], True, {}),
    "traefik": ([9100], True, {}),
}
"""The ports of a program's metrics, whether it asks the API server, and which others it calls at which ports."""
MORE: dict[str, dict[str, list[Object]]] = {
    "alertmanager": {"egress": [{}]},
    "prometheus": {"egress": [{"to": [{"namespaceSelector": {}}]}, {"ports": [{"port": 10250}]}]},
    "traefik": {
        "egress": [{"to": [{"podSelector": {}}]}],
        "ingress": [{"ports": [{"port": "web"}, {"port": "websecure"}]}],
    },
}


@functools.cache
def _text() -> str:
    everything = "traefik.enabled=true,kube-prometheus-stack.alertmanager.enabled=true"
    return own(*profile("07-full-values.yaml"), "--set", everything)


def _policy(name: str) -> Object:
    spec: Object = one(_text(), "NetworkPolicy", f"slipway-{name}")["spec"]
    return spec


def _edge(side: str, name: str, ports: list[int]) -> Object:
    peer = {side: [{"podSelector": _policy(name)["podSelector"]}]}
    return {**peer, "ports": [{"port": port} for port in ports]} if ports else peer


def _sorted(rules: list[Object]) -> list[str]:
    return sorted(yaml.safe_dump(rule) for rule in rules)


@pytest.mark.parametrize("name", EDGES)
def test_bundled_program_has_its_edges_and_no_others(name: str) -> None:
    metrics, asks, calls = EDGES[name]
    spec, more = _policy(name), MORE.get(name, {})
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    callers = [(caller, called[name]) for caller, (_, _, called) in EDGES.items() if name in called]
    scraped = {"ports": [{"port": port} for port in metrics], "from": [PROMETHEUS]}
    entering = [scraped, *(_edge("from", caller, ports) for caller, ports in callers)]
    assert _sorted(spec["ingress"]) == _sorted([*entering, *more.get("ingress", [])])
    dns, *leaving = spec["egress"]
    assert dns == one(_text(), "NetworkPolicy", "slipway-test")["spec"]["egress"][0]
    api: list[Object] = [{"ports": [{"port": 443}, {"port": 6443}]}] if asks else []
    called_ = [_edge("to", other, ports) for other, ports in calls.items()]
    assert _sorted(leaving) == _sorted([*api, *called_, *more.get("egress", [])])


def test_roles_of_this_chart_read_what_they_need() -> None:
    found: dict[str, Any] = {
        o["metadata"]["name"]: o["rules"] for o in objects(_text()) if o["kind"] == "Role"
    }
    assert found == {
        "slipway-grafana": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}
        ],
        "slipway-alloy": [
            {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list", "watch"]}
        ],
    }
    for name in ("grafana", "alloy"):
        binding = one(_text(), "RoleBinding", f"slipway-{name}")
        assert binding["roleRef"]["name"] == f"slipway-{name}"
        assert [(s["name"], s["namespace"]) for s in binding["subjects"]] == [(f"slipway-{name}", "shop")]


def test_lines_of_a_request_lead_to_all_lines_with_its_id() -> None:
    found = one(_text(), "ConfigMap", "slipway-loki-datasource")
    assert found["metadata"]["labels"]["grafana_datasource"] == "1"
    (source,) = yaml.safe_load(found["data"]["slipway-loki.yaml"])["datasources"]
    assert (source["uid"], source["url"]) == ("loki", "http://slipway-loki:3100")
    fields = {
        f["name"]: (f["matcherRegex"], f["datasourceUid"], f["url"])
        for f in source["jsonData"]["derivedFields"]
    }
    lines = '{namespace="shop"} |= "$${__value.raw}"'
    assert fields == {
        "Request": ('"request_id":"([^"]+)"', "loki", lines),
        "Trace": ('"trace_id":"([^"]+)"', "loki", lines),
    }
