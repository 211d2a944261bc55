"""NetworkPolicies allow only the listed connections."""

from typing import Any

import pytest

from tests.chart.rendering import WORKLOADS, Object, objects, one, own, pods, profile, template

SERVICE = {"app.kubernetes.io/name": "slipway", "app.kubernetes.io/instance": "slipway"}
EXTERNAL = profile("02-external-values.yaml")


def _policy(text: str, name: str) -> Object:
    spec: Object = one(text, "NetworkPolicy", name)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    return spec


def _ports(rules: list[Object]) -> list[list[Any]]:
    return [[port["port"] for port in rule["ports"]] for rule in rules]


def _pod(name: str) -> Object:
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "slipway"}
    return {"podSelector": {"matchLabels": labels}}


def test_pods_allow_only_the_declared_edges() -> None:
    text = own()
    spec = _policy(text, "slipway")
    assert spec["podSelector"] == {"matchLabels": SERVICE}
    assert "ingress" not in spec
    assert "egress" not in spec
    labels = [template(found)["metadata"]["labels"] for found in objects(text) if found["kind"] in WORKLOADS]
    assert len(labels) == len(pods(text))
    assert all(SERVICE.items() <= found.items() for found in labels)


def test_ingress_allows_public_port_to_all_and_admin_port_to_prometheus() -> None:
    public, test, admin = _policy(own(), "slipway-server")["ingress"]
    assert public == {"ports": [{"port": "http"}]}
    assert test["ports"] == [{"port": "http"}, {"port": "admin"}]
    assert test["from"] == [
        {"podSelector": {"matchLabels": {**SERVICE, "app.kubernetes.io/component": "test"}}}
    ]
    assert admin["ports"] == [{"port": "admin"}]
    (peer,) = admin["from"]
    assert peer["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}


def test_ingress_can_be_restricted_and_metrics_closed() -> None:
    controller = '[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"ingress"}}}]'
    text = own(
        "--set-json",
        f"networkPolicy.public.from={controller}",
        "--set-json",
        "networkPolicy.metrics.from=[]",
    )
    public, _test = _policy(text, "slipway-server")["ingress"]
    (peer,) = public["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "ingress"}


def test_service_egress_allows_dns_database_and_redis() -> None:
    dns, database, redis = _policy(own(), "slipway-server")["egress"]
    assert {(port["protocol"], port["port"]) for port in dns["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert dns["to"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    ]
    assert database == {"ports": [{"port": 5432}], "to": [_pod("postgresql")]}
    assert redis == {"ports": [{"port": 6379}], "to": [_pod("redis")]}


def test_egress_to_external_servers_is_limited_to_their_addresses() -> None:
    assert _ports(_policy(own(*EXTERNAL), "slipway-server")["egress"]) == [[53, 53], [6432], [6379]]
    block = '[{"ipBlock":{"cidr":"10.0.0.0/28"}}]'
    text = own(*EXTERNAL, "--set-json", f"networkPolicy.database.to={block}")
    for name in ("slipway-server", "slipway-jobs"):
        database = _policy(text, name)["egress"][1]
        assert database == {"ports": [{"port": 6432}], "to": [{"ipBlock": {"cidr": "10.0.0.0/28"}}]}
    direct = _policy(text, "slipway-jobs")["egress"][2]
    assert direct == {"ports": [{"port": 5432}], "to": [{"ipBlock": {"cidr": "10.0.0.0/28"}}]}


def test_disabled_redis_has_no_egress_rule() -> None:
    text = own(*profile("03-single-values.yaml"))
    assert _ports(_policy(text, "slipway-server")["egress"]) == [[53, 53], [5432]]
    assert "name: slipway-redis\n" not in text


def test_collector_and_issuers_get_egress_rules_when_configured() -> None:
    rule = '[{"ports":[{"port":443}]}]'
    collector = '[{"podSelector":{"matchLabels":{"app":"collector"}}}]'
    text = own(
        "--set-json", f"networkPolicy.egress={rule}", "--set-json", f"networkPolicy.otlp.to={collector}"
    )
    otlp, issuers = _policy(text, "slipway-server")["egress"][3:]
    assert otlp == {"ports": [{"port": 4317}], "to": [{"podSelector": {"matchLabels": {"app": "collector"}}}]}
    assert issuers == {"ports": [{"port": 443}]}


def test_jobs_have_no_ingress_and_reach_only_dns_and_database() -> None:
    spec = _policy(own(), "slipway-jobs")
    assert "ingress" not in spec
    assert _ports(spec["egress"]) == [[53, 53], [5432]]


def test_jobs_and_service_take_separate_egress_rules() -> None:
    rule = '[{"ports":[{"port":%d}]}]'
    text = own(
        "--set-json",
        f"networkPolicy.egress={rule % 443}",
        "--set-json",
        f"networkPolicy.jobs.egress={rule % 15012}",
    )
    assert _ports(_policy(text, "slipway-jobs")["egress"]) == [[53, 53], [5432], [15012]]
    assert _ports(_policy(text, "slipway-server")["egress"])[-1] == [443]


@pytest.mark.parametrize(
    ("server", "port", "callers"),
    [("postgresql", 5432, {"server", "migration", "purge"}), ("redis", 6379, {"server"})],
)
def test_bundled_servers_accept_only_the_service(server: str, port: int, callers: set[str]) -> None:
    spec = _policy(own(), f"slipway-{server}")
    assert spec["podSelector"] == _pod(server)["podSelector"]
    assert "egress" not in spec
    (rule,) = spec["ingress"]
    assert rule["ports"] == [{"port": port}]
    (peer,) = rule["from"]
    assert peer["podSelector"]["matchLabels"] == SERVICE
    (components,) = peer["podSelector"]["matchExpressions"]
    assert components["operator"] == "In"
    assert set(components["values"]) == callers


@pytest.mark.parametrize(("server", "port"), [("postgresql", 9187), ("redis", 9121)])
def test_prometheus_may_scrape_exporters_of_bundled_servers(server: str, port: int) -> None:
    rule = _policy(own("--set", f"{server}.metrics.enabled=true"), f"slipway-{server}")["ingress"][1]
    assert rule["ports"] == [{"port": port}]
    (peer,) = rule["from"]
    assert peer["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}


def test_policies_follow_the_names_of_bundled_servers() -> None:
    text = own("--set", "postgresql.nameOverride=db,postgresql.service.targetPort=6000")
    assert _policy(text, "slipway-db")["podSelector"] == _pod("db")["podSelector"]
    assert _policy(text, "slipway-server")["egress"][1] == {"ports": [{"port": 6000}], "to": [_pod("db")]}


def test_network_policies_can_be_disabled() -> None:
    assert "kind: NetworkPolicy" not in own("--set", "networkPolicy.enabled=false")
