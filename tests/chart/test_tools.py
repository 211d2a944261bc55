"""pgAdmin and Redis Commander: off by default, and connected only to the bundled server."""

import json

import pytest

from tests.chart.rendering import Object, one, own, pods, profile

DEVELOPMENT = profile("06-development-values.yaml")
TOOLS = [("pgadmin", "postgresql", 5432), ("redis-commander", "redis", 6379)]


def _files(pod: Object) -> set[tuple[str, str]]:
    sources = next(v for v in pod["volumes"] if v["name"] == "secrets")["projected"]["sources"]
    secrets = [source["secret"] for source in sources if "secret" in source]
    return {(secret["name"], item["key"]) for secret in secrets for item in secret["items"]}


def test_tools_are_disabled_by_default() -> None:
    assert not [name for name in pods(own()) if "pgadmin" in name or "commander" in name]


@pytest.mark.parametrize(("name", "server", "port"), TOOLS)
def test_tools_reach_only_their_server_and_accept_no_callers(name: str, server: str, port: int) -> None:
    text = own(*DEVELOPMENT)
    spec = one(text, "NetworkPolicy", f"slipway-{name}")["spec"]
    assert "ingress" not in spec
    dns, called = spec["egress"]
    assert {p["port"] for p in dns["ports"]} == {53}
    assert called["ports"] == [{"port": port}]
    assert called["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == server
    (rule,) = one(text, "NetworkPolicy", f"slipway-{server}")["spec"]["ingress"]
    (components,) = rule["from"][0]["podSelector"]["matchExpressions"]
    assert name in components["values"]
    (rule,) = one(own(), "NetworkPolicy", f"slipway-{server}")["spec"]["ingress"]
    (components,) = rule["from"][0]["podSelector"]["matchExpressions"]
    assert name not in components["values"]


def test_passwords_are_mounted_as_files_only() -> None:
    text = own(*DEVELOPMENT)
    found = pods(text)
    assert _files(found["Deployment/slipway-pgadmin"]) == {("slipway-credentials", "pgadmin-password")}
    assert _files(found["Deployment/slipway-redis-commander"]) == {
        ("slipway-credentials", "redis-commander-password"),
        ("slipway-credentials", "redis-password"),
    }
    assert {"pgadmin-password", "redis-commander-password"} <= set(one(text, "Secret")["data"])
    for name, _, _ in TOOLS:
        (container,) = found[f"Deployment/slipway-{name}"]["containers"]
        assert not [v for v in container["env"] if "valueFrom" in v]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slipway", "config.server.backlog=100"),  # settings are in the pod's environment
        ("slipway-pgadmin", "postgresql.auth.username=other"),  # its ConfigMap has a checksum there
    ],
)
def test_changed_configuration_replaces_the_pods(name: str, value: str) -> None:
    before, after = (
        one(own(*DEVELOPMENT, *more), "Deployment", name)["spec"]["template"]
        for more in ((), ("--set", value))
    )
    assert before != after


def test_pgadmin_is_preconfigured_without_a_password() -> None:
    servers = json.loads(one(own(*DEVELOPMENT), "ConfigMap", "slipway-pgadmin")["data"]["servers.json"])
    assert servers["Servers"]["1"] == {
        "Name": "slipway",
        "Group": "slipway",
        "Host": "slipway-postgresql",
        "Port": 5432,
        "MaintenanceDB": "slipway",
        "Username": "slipway",
        "SSLMode": "prefer",
    }
