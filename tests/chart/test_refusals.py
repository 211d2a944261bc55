"""Values that cannot work are refused with a sentence that names the value and the fix."""

import subprocess

import pytest

from tests.chart.refusals import Row, together
from tests.chart.rendering import profile, render


def _reasons(*arguments: str) -> list[str]:
    return _refusals(render(*arguments))


def _reasons_of(release: str) -> list[str]:
    return _refusals(render(release=release))


def _refusals(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode != 0
    return [line.removeprefix("- ") for line in done.stderr.splitlines() if line.startswith("- ")]


@pytest.mark.parametrize("rows", [*together()], ids=lambda rows: rows[0][0])
def test_invalid_values_are_refused(rows: list[Row]) -> None:
    reasons = _reasons(*(part for settings, _, _ in rows for part in ("--set", settings)))
    assert len(reasons) == len(rows), reasons
    for _, beginning, fix in rows:
        (reason,) = [found for found in reasons if found.startswith(beginning)]
        assert fix in reason
        assert reason.endswith(".")


def test_all_reasons_are_reported_at_once() -> None:
    assert len(_reasons("--set", "image.tag=latest,ingress.enabled=true,postgresql.enabled=false")) == 3


def test_release_name_too_long_for_bundled_servers_is_refused() -> None:
    (reason,) = _reasons_of("r" * 42)
    assert reason.startswith("the bundled postgresql would be called rrr")
    assert reason.endswith("Choose a shorter release name, or set postgresql.fullnameOverride.")
    assert render(release="r" * 41).returncode == 0


def test_release_name_with_a_dot_is_refused() -> None:
    reasons = _reasons_of("shop.prod")
    assert len(reasons) == 3
    assert all("cannot be the name of a Service" in reason for reason in reasons)


def test_unsupported_kubernetes_version_is_refused() -> None:
    (reason,) = _reasons("--kube-version", "1.29.0")
    assert reason.startswith("Kubernetes is v1.29.0: pods need preStop.sleep")


def test_secret_generation_may_be_off_with_supplied_secrets() -> None:
    assert render(*profile("02-external-values.yaml"), "--set", "credentials.generate=false").returncode == 0


def test_existing_secret_may_have_the_generated_name() -> None:
    named = "externalDatabase.existingSecret=slipway-credentials,security.existingSecret=slipway-credentials"
    given = (*profile("02-external-values.yaml"), "--set", f"{named},credentials.generate=false")
    done = render(*given)
    assert done.returncode == 0, done.stderr


def test_alerts_do_not_require_a_monitor() -> None:
    done = render("--set", "prometheusRule.enabled=true,prometheusRule.scrapedOtherwise=true")
    assert done.returncode == 0, done.stderr
    assert "kind: PrometheusRule" in done.stdout
    assert "kind: ServiceMonitor" not in done.stdout


def test_release_named_like_a_bundled_server_is_refused() -> None:
    done = render(release="slipway-redis")
    assert (
        '- The release\'s name does not work: the service and redis would both have a Service "slipway-redis"'
        in done.stderr
    )
