"""The files of Docker Compose: read by their own programs where these are installed, and restricted."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.config import ServerSettings
from tests.chart.rendering import helm_or_skip
from tests.compose.proxy import CONFIGURATION, IMAGE, has_image
from tests.observability.programs import program
from tests.unit.rules.rule import ROOT

HARMLESS = {"SLIPWAY_APP__ENVIRONMENT", "SLIPWAY_SECRETS_DIR"}


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return loaded


@pytest.mark.skipif(shutil.which("docker") is None, reason="needs the Docker CLI with its compose plugin")
@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose/tls.yaml")])
def test_compose_accepts_the_files(files: tuple[str, ...]) -> None:
    given = [part for file in files for part in ("-f", file)]
    done = subprocess.run(
        ["docker", "compose", *given, "--profile", "*", "config", "--quiet"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not has_image(), reason=f"needs Docker with the image {IMAGE}")
def test_nginx_accepts_its_configuration() -> None:
    volume = f"{CONFIGURATION}:/etc/nginx/nginx.conf:ro"
    done = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--user", "101:101",
         "--volume", volume, IMAGE, "nginx", "-t"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_prometheus_accepts_its_configuration_and_rules(tmp_path: Path) -> None:
    folder = ROOT / "compose" / "prometheus"
    text = (folder / "prometheus.yml").read_text("utf-8")
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("/etc/prometheus/", f"{folder}/"), "utf-8")
    done = subprocess.run(
        [program("promtool"), "check", "config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"SUCCESS: \d+ rules found", done.stdout)


def test_files_from_the_chart_are_up_to_date() -> None:
    helm_or_skip("helm")
    done = subprocess.run(
        [sys.executable, str(ROOT / "compose" / "generate.py"), "--check"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_rules_need_no_cluster() -> None:
    """An alert on series that no container of the stack has would never fire."""
    rules = yaml.safe_load((ROOT / "compose" / "prometheus" / "rules.yml").read_text("utf-8"))["groups"][0][
        "rules"
    ]
    for rule in rules:
        metrics = set(re.findall(r"\b(\w+)(?=\{)", rule["expr"])) or {rule["expr"]}
        assert not all(re.match("kube_|kubelet_|container_", metric) for metric in metrics), rule


def test_grafana_has_the_data_sources_of_the_dashboards() -> None:
    uids = set()
    for name in ("datasources", "loki"):
        (source,) = yaml.safe_load((ROOT / "compose" / "grafana" / f"{name}.yaml").read_text("utf-8"))[
            "datasources"
        ]
        uids.add(source["uid"])
    asked = re.findall(
        r'"uid": "(\w+)"',
        "".join(path.read_text("utf-8") for path in (ROOT / "chart/dashboards").glob("*.json")),
    )
    assert uids == set(asked) == {"prometheus", "loki"}


def test_every_container_is_restricted(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["profiles"], name
        assert service["restart"] == "no" or "healthcheck" in service, name
        assert not any(":/var/run/docker.sock" in volume for volume in service.get("volumes", ())), name


def test_ports_are_open_on_this_machine_only(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_secrets_are_files(stack: dict[str, Any]) -> None:
    """Environment variables of a container are shown by `docker inspect`."""
    assert all(set(secret) == {"file"} for secret in stack["secrets"].values())
    for name, service in stack["services"].items():
        for variable in service.get("environment", {}):
            secret = re.search("PASSWORD|SECRET|TOKEN|KEY", variable)
            assert not secret or variable.endswith("_FILE") or variable in HARMLESS, (name, variable)


def test_bounds_of_nginx_are_those_of_the_service() -> None:
    text, server = CONFIGURATION.read_text("utf-8"), ServerSettings()

    def number(directive: str) -> int:
        found = re.search(rf"^\s*{directive} (?:\d+ )?(\d+)[sk]?;", text, re.MULTILINE)
        assert found, directive
        return int(found[1])

    assert number("client_max_body_size") == server.max_body_bytes
    assert number("client_header_timeout") == server.header_timeout
    assert number("client_body_timeout") == server.body_timeout
    assert number("send_timeout") == server.write_timeout
    assert number("large_client_header_buffers") * 1024 > server.max_target_bytes
    upstream = Path(CONFIGURATION).read_text("utf-8").partition("upstream slipway")[2]
    idle = re.search(r"keepalive_timeout (\d+)s", upstream)
    assert idle
    assert int(idle[1]) < server.keep_alive
    assert number("worker_shutdown_timeout") > server.drain_delay + server.shutdown_timeout
