"""CronJobs of a team: a job of its domain, a command of `slipway`, or another program of the image."""

import json

import pytest

from tests.chart.rendering import Object, environment, objects, one, own, render, template

JOBS = {
    "empty": {
        "schedule": "0 2 * * *",
        "job": "remove-empty-orders",
        "timeZone": "Europe/Berlin",
        "retries": 2,
    },
    "report": {"schedule": "@daily", "args": ["jobs", "list", "--json"], "deadline": 60, "suspend": True},
    "own": {"schedule": "@hourly", "command": ["python", "-m", "shop"], "concurrencyPolicy": "Allow"},
}
GIVEN = ("--set-json", f"cronJobs={json.dumps(JOBS)}")


def _spec(name: str) -> Object:
    spec: Object = one(own(*GIVEN), "CronJob", f"slipway-{name}")["spec"]
    return spec


def _container(name: str) -> Object:
    (container,) = template(one(own(*GIVEN), "CronJob", f"slipway-{name}"))["spec"]["containers"]
    return dict(container)


def test_job_runs_by_its_name_with_the_settings_and_secrets_of_the_server() -> None:
    assert _container("empty")["args"] == ["jobs", "run", "remove-empty-orders"]
    text = own(*GIVEN, "--set", "config.rate_limit.requests=9")
    pods = [template(one(text, *which))["spec"] for which in (("CronJob", "slipway-empty"), ("Deployment",))]
    settings = [environment(pod["containers"][0]) for pod in pods]
    assert settings[0] == settings[1]
    assert pods[0]["volumes"] == pods[1]["volumes"]


def test_cron_jobs_have_their_schedules_and_limits() -> None:
    empty, report, own_ = map(_spec, ("empty", "report", "own"))
    assert (empty["schedule"], empty["timeZone"], empty["concurrencyPolicy"]) == (
        "0 2 * * *",
        "Europe/Berlin",
        "Forbid",
    )
    runs = empty["jobTemplate"]["spec"]
    assert (runs["backoffLimit"], runs["activeDeadlineSeconds"]) == (2, 600)
    assert (report["suspend"], report["jobTemplate"]["spec"]["activeDeadlineSeconds"]) == (True, 60)
    assert own_["concurrencyPolicy"] == "Allow"


def test_cron_job_may_run_a_command() -> None:
    assert _container("report")["args"] == ["jobs", "list", "--json"]
    container = _container("own")
    assert container["command"] == ["python", "-m", "shop"]
    assert "args" not in container


def test_cron_jobs_reach_what_the_server_reaches() -> None:
    text = own(*GIVEN, "--set", "networkPolicy.egress[0].ports[0].port=443")
    egress = {
        found["metadata"]["name"]: found["spec"]["egress"]
        for found in objects(text)
        if found["kind"] == "NetworkPolicy" and "egress" in found["spec"]
    }
    assert egress["slipway-cron"] == egress["slipway-server"]
    for server in ("slipway-postgresql", "slipway-redis"):
        (rule, *_) = one(text, "NetworkPolicy", server)["spec"]["ingress"]
        (components,) = rule["from"][0]["podSelector"]["matchExpressions"]
        assert "cron" in components["values"]


def test_alert_about_failed_jobs_covers_them() -> None:
    text = own(*GIVEN, "--set", "prometheusRule.enabled=true,serviceMonitor.enabled=true")
    (group,) = one(text, "PrometheusRule")["spec"]["groups"]
    (alert,) = (rule for rule in group["rules"] if rule.get("alert") == "SlipwayJobFailed")
    assert "(migrate|purge|restore|empty|own|report)" in alert["expr"]


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (
            {"a": {"schedule": "@daily"}},
            "cronJobs.a runs nothing. Set its job to a name from `slipway jobs list`",
        ),
        (
            {"a": {"schedule": "@daily", "job": "x", "args": ["y"]}},
            "cronJobs.a has a job, and args or a command",
        ),
        ({"a" * 50: {"schedule": "@daily", "job": "x"}}, "which has 58 characters: a CronJob has at most 52"),
        (
            {"purge": {"schedule": "@daily", "job": "x"}},
            "cronJobs.purge has the name of the chart's own CronJob",
        ),
        ({"a": {"job": "x"}}, "at '/cronJobs/a': missing property 'schedule'"),
        ({"A": {"schedule": "@daily", "job": "x"}}, "at '/cronJobs': additional properties 'A' not allowed"),
    ],
)
def test_cron_job_that_cannot_work_is_refused(job: Object, said: str) -> None:
    assert said in render("--set-json", f"cronJobs={json.dumps(job)}").stderr
