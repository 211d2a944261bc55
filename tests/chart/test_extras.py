"""Objects beside the Deployment: routes, monitors, alerts and the purge."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import environment, one, own, run, template


def test_a_route_leads_to_the_public_port_alone() -> None:
    values = "enabled=true,httpRoute.hosts[0]=a.example.com,httpRoute.parentRefs[0].name=gateway"
    spec = one(own("--set", f"httpRoute.{values}"), "HTTPRoute")["spec"]
    assert spec["hostnames"] == ["a.example.com"]
    assert spec["parentRefs"] == [{"name": "gateway"}]
    (rule,) = spec["rules"]
    assert rule["backendRefs"] == [{"name": "slipway", "port": 80}]


def test_a_monitor_finds_the_admin_service_and_carries_the_labels_asked_for() -> None:
    text = own("--set", "serviceMonitor.enabled=true,serviceMonitor.labels.release=monitoring")
    monitor = one(text, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "monitoring"
    assert monitor["metadata"]["labels"]["app.kubernetes.io/instance"] == "slipway"
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    assert selector <= one(text, "Service", "slipway-admin")["metadata"]["labels"].items()
    assert not selector <= one(text, "Service", "slipway")["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "admin", "path": "/metrics", "interval": "30s", "scrapeTimeout": "10s"}


def test_alerts_are_rules_that_prometheus_takes(tmp_path: Path) -> None:
    promtool = shutil.which(os.environ.get("PROMTOOL", "promtool"))
    if promtool is None:
        pytest.skip("there is no promtool on this machine: PROMTOOL says where it is")
    text = own("--set", "prometheusRule.enabled=true")
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(one(text, "PrometheusRule")["spec"]), "utf-8")
    done = run(promtool, "check", "rules", str(rules))
    assert done.returncode == 0, done.stderr
    assert "4 rules found" in done.stdout


def test_alerts_are_about_this_release() -> None:
    rule = one(own("--set", "prometheusRule.enabled=true,prometheusRule.labels.team=shop"), "PrometheusRule")
    assert rule["metadata"]["labels"]["team"] == "shop"
    (group,) = rule["spec"]["groups"]
    for alert in group["rules"]:
        assert 'namespace="shop", service="slipway-admin"' in alert["expr"], alert["alert"]
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["annotations"]["summary"].endswith(".")


def test_the_purge_runs_one_at_a_time_and_ends() -> None:
    job = one(own(), "CronJob")
    spec = job["spec"]
    assert spec["schedule"] == "17 3 * * *"
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 600
    pod = template(job)["spec"]
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    assert container["args"] == ["purge"]
    groups = {name.removeprefix("SLIPWAY_").split("__")[0] for name in environment(container)}
    assert groups == {"SECRETS_DIR", "APP", "DATABASE", "LOGGING"}
