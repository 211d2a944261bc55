"""Objects besides the Deployment: routes, monitors, dashboards and the purge."""

import json

from tests.chart.rendering import CHART, environment, objects, one, own, template


def test_routes_lead_only_to_the_public_port() -> None:
    values = "enabled=true,httpRoute.hosts[0]=a.example.com,httpRoute.parentRefs[0].name=gateway"
    spec = one(own("--set", f"httpRoute.{values}"), "HTTPRoute")["spec"]
    assert spec["hostnames"] == ["a.example.com"]
    assert spec["parentRefs"] == [{"name": "gateway"}]
    (rule,) = spec["rules"]
    assert rule["backendRefs"] == [{"name": "slipway", "port": 80}]


def test_monitor_selects_the_admin_service_and_has_its_labels() -> None:
    text = own("--set", "serviceMonitor.enabled=true,serviceMonitor.labels.release=monitoring")
    monitor = one(text, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "monitoring"
    assert monitor["metadata"]["labels"]["app.kubernetes.io/instance"] == "slipway"
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    assert selector <= one(text, "Service", "slipway-admin")["metadata"]["labels"].items()
    assert not selector <= one(text, "Service", "slipway")["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "admin", "path": "/metrics", "interval": "30s", "scrapeTimeout": "10s"}


def test_dashboards_are_config_maps_labelled_for_the_sidecar() -> None:
    text = own("--set", "dashboards.enabled=true,dashboards.labels.team=shop,dashboards.annotations.a=b")
    maps = {found["metadata"]["name"]: found for found in objects(text) if found["kind"] == "ConfigMap"}
    names = sorted(path.name for path in (CHART / "dashboards").glob("*.json"))
    assert sorted(maps) == [f"slipway-dashboard-{name.removesuffix('.json')}" for name in names]
    for name, found in zip(names, (maps[name] for name in sorted(maps)), strict=True):
        assert found["metadata"]["labels"].items() >= {"grafana_dashboard": "1", "team": "shop"}.items()
        assert found["metadata"]["annotations"] == {"grafana_folder": "Slipway", "a": "b"}
        assert json.loads(found["data"][name]) == json.loads((CHART / "dashboards" / name).read_text("utf-8"))


def test_purge_job_forbids_concurrency_and_has_a_deadline() -> None:
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


def test_purge_job_logs_in_as_the_owner_only_to_delete_row_history() -> None:
    for setting, role in (("key_days", "slipway_app"), ("history_days", "slipway")):
        text = own("--set", f"config.retention.{setting}=30")
        pod = template(one(text, "CronJob"))["spec"]
        given = environment(pod["containers"][0])
        assert given[f"SLIPWAY_RETENTION__{setting.upper()}"] == "30"
        assert given["SLIPWAY_DATABASE__USER"] == role
        assert "SLIPWAY_DATABASE__APP_ROLE" not in given
        [secrets] = [volume["projected"] for volume in pod["volumes"] if volume["name"] == "secrets"]
        keys = {
            item["path"]: item["key"] for source in secrets["sources"] for item in source["secret"]["items"]
        }
        assert keys["database/password"] == (
            "database-app-password" if role != "slipway" else "database-password"
        )
        job = template(one(text, "Job"))["spec"]["containers"][0]
        assert "SLIPWAY_RETENTION__KEY_DAYS" not in environment(job)
