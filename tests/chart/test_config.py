"""Helm refuses wrong values under `config`, naming the value and its place."""

import pytest

from tests.chart.rendering import helm_or_skip, render

REFUSED = {
    "config.databse.pool_max=1": "at '/config': additional properties 'databse' not allowed",
    "config.database.pool_mx=1": "at '/config/database': additional properties 'pool_mx' not allowed",
    "config.logging.level=loud": "at '/config/logging/level': value must be one of 'debug'",
    "config.redis.timeout=soon": "at '/config/redis/timeout': 'soon' does not match pattern",
    "config.database.pool_max=900": "at '/config/database/pool_max': maximum: got 900, want 64",
    "config.monitoring.metrics=perhaps": "at '/config/monitoring/metrics': value must be one of true, false",
    "config.security.issuers[0].audiance=x": "at '/config/security/issuers/0': additional properties 'audiance'",
}
GOOD = (
    "config.database.pool_max=9", "config.redis.timeout=0.25", "config.monitoring.metrics=false",
    "config.security.cors_origins={https://a.example,https://b.example}", "config.rate_limit.requests=1000000",
    "config.security.trusted_hosts=api.example",
)  # fmt: skip


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_error_names_the_value_of_an_invalid_setting(helm: str) -> None:
    helm_or_skip(helm)
    done = render(*(part for value in REFUSED for part in ("--set", value)), helm=helm)
    assert done.returncode != 0
    assert [said for said in REFUSED.values() if said not in done.stderr] == []


def test_settings_may_be_typed_or_strings() -> None:
    helm_or_skip("helm")
    for option in ("--set", "--set-string"):
        values = [value for value in GOOD if option == "--set" or "{" not in value]
        done = render(*(part for value in values for part in (option, value)))
        assert done.returncode == 0, done.stderr


def test_previous_signing_key_is_a_secret() -> None:
    helm_or_skip("helm")
    done = render("--set", "config.security.previous_secret_key=x")
    assert "config.security.previous_secret_key is set by the chart" in done.stderr
