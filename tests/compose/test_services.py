"""What the services of the Docker Compose stack have in common with the service's settings, and what they wait for."""

import re
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from service.config import ServerSettings, Settings
from tests.compose.proxy import CONFIGURATION
from tests.unit.rules.rule import ROOT

HEALTHY, COMPLETED = {"condition": "service_healthy"}, {"condition": "service_completed_successfully"}


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return loaded


def test_only_networks_of_published_ports_lead_outside(stack: dict[str, Any]) -> None:
    networks, services = stack["networks"], stack["services"]
    assert {name for name, network in networks.items() if not network.get("internal")} == {"public"}
    outside = {name for name, service in services.items() if "public" in service["networks"]}
    assert outside == {name for name, service in services.items() if service.get("ports")} | {"load"}
    reached = {
        network: {name for name, service in services.items() if network in service["networks"]}
        for network in networks
    }
    # The proxy's network is trusted, and the database's holds the data.
    assert reached["edge"] == {"nginx", "slipway"}
    assert reached["data"] == {"postgres", "redis", "migrate", "slipway", "pgadmin", "redis-commander"}
    assert reached["scrape"] == {"prometheus", "slipway"}
    assert reached["logs"] == {"alloy", "grafana", "loki"}


def test_service_trusts_the_network_of_its_proxy_alone(stack: dict[str, Any]) -> None:
    (edge,) = stack["networks"]["edge"]["ipam"]["config"]
    trusted = stack["services"]["slipway"]["environment"]["SLIPWAY_SERVER__TRUSTED_PROXIES"]
    assert trusted == edge["subnet"]


def test_each_service_waits_for_what_it_needs(stack: dict[str, Any]) -> None:
    services = stack["services"]
    assert services["migrate"]["depends_on"] == {"postgres": HEALTHY}
    assert services["slipway"]["depends_on"] == {
        "postgres": HEALTHY,
        "redis": HEALTHY,
        "migrate": COMPLETED,
    }
    assert services["nginx"]["depends_on"] == {"slipway": HEALTHY}
    probes = {
        name: " ".join(services[name]["healthcheck"]["test"]) for name in ("postgres", "slipway", "nginx")
    }
    assert "--host=127.0.0.1" in probes["postgres"], "the server that initialises the data has a socket alone"
    assert "127.0.0.1/9000 " in probes["slipway"]
    assert "GET /readyz " in probes["slipway"]
    assert "127.0.0.1/8080 " in probes["nginx"]
    assert all('== *" 200 "*' in probes[name] for name in ("slipway", "nginx"))


def test_containers_end_as_gently_as_they_need(stack: dict[str, Any]) -> None:
    server, services = ServerSettings(), stack["services"]
    grace = int(services["slipway"]["stop_grace_period"].removesuffix("s"))
    assert grace >= server.drain_delay + server.shutdown_timeout + 5
    assert services["slipway"]["deploy"]["replicas"] >= 2
    assert services["postgres"]["stop_signal"] == "SIGINT", "a fast shutdown, which waits for no client"
    for name, service in services.items():
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        assert service["logging"]["options"]["max-size"] == "10m", name
        user = service.get("user", "10001:10001").partition(":")[0]  # that of the service's image
        assert user.isdecimal(), name
        assert (user == "0") == (name == "alloy"), name


def test_redis_takes_a_password_and_keeps_nothing(stack: dict[str, Any]) -> None:
    lines = {line.strip() for line in stack["services"]["redis"]["command"][-1].splitlines()}
    assert {
        "requirepass $$(cat /run/secrets/redis_password)",
        'save ""',
        "maxmemory 128mb",
        "maxmemory-policy allkeys-lru",
    } <= lines


def test_settings_and_secrets_are_those_of_the_service(stack: dict[str, Any]) -> None:
    for name in ("slipway", "migrate"):
        service = stack["services"][name]
        given = service["environment"]
        folder = PurePosixPath(given["SLIPWAY_SECRETS_DIR"])
        assert given["SLIPWAY_APP__ENVIRONMENT"] == "production", name
        secrets = {str(folder / secret["target"]): secret["source"] for secret in service["secrets"]}
        assert secrets == {
            "/run/secrets/database/password": "database_password",
            "/run/secrets/redis/password": "redis_password",
            "/run/secrets/security/secret_key": "secret_key",
        }
        for path in secrets:
            group, field = PurePosixPath(path).parts[-2:]
            assert field in Settings.model_fields[group].annotation.model_fields  # type: ignore[union-attr]
    servers = {"SLIPWAY_DATABASE__HOST": "postgres", "SLIPWAY_REDIS__HOST": "redis"}
    assert given.items() >= servers.items()
    assert {*servers.values()} <= stack["services"].keys()


def test_proxy_replaces_what_the_service_trusts_and_repeats_only_reads() -> None:
    text = CONFIGURATION.read_text("utf-8")
    fields = dict(re.findall(r"proxy_set_header (\S+) (\S+);", text))
    assert fields == {
        "Connection": '""',
        "Host": "$http_host",
        "X-Request-ID": "$id",
        "X-Forwarded-For": "$remote_addr",
        "X-Forwarded-Proto": "$scheme",
        "X-Forwarded-Prefix": '""',
    }
    assert "proxy_next_upstream error timeout;" in text, "not non_idempotent"
    assert 'if ($request_method !~ "^(GET|HEAD)$") {\n                return 503;' in text
    assert "add_header Retry-After 1 always;" in text
    assert "underscores_in_headers off;" in text
