"""Values that cannot work are refused in full sentences that name the value and the way out."""

import pytest

from tests.chart.rendering import render

# What is set, and how the sentence about it begins and where it sends the reader.
REFUSALS = [
    (
        "postgresql.enabled=false",
        "postgresql.enabled is false and externalDatabase.host is empty: ",
        "Name one with externalDatabase.host",
    ),
    (
        "externalDatabase.host=db",
        'externalDatabase.host is "db" while postgresql.enabled is true: ',
        "Set postgresql.enabled=false",
    ),
    (
        "postgresql.enabled=false,externalDatabase.host=db",
        "externalDatabase.existingSecret is empty: ",
        "Create one and name it there",
    ),
    ("postgresql.auth.existingSecret=", "postgresql.auth.existingSecret is empty: ", "Leave the default"),
    (
        "externalRedis.host=cache",
        'externalRedis.host is "cache" while redis.enabled is true: ',
        "Set redis.enabled=false",
    ),
    ("redis.auth.existingSecret=", "redis.auth.existingSecret is empty: ", "Leave the default"),
    (
        "redis.architecture=replication",
        'redis.architecture is "replication": ',
        "Set redis.architecture=standalone",
    ),
    ("ingress.enabled=true", "ingress.enabled is true and ingress.hosts is empty: ", "Set ingress.hosts[0]="),
    (
        "config.security.issuers[0].issuer=https://id.example.com",
        "config.security.issuers names issuers of tokens while networkPolicy.egress is empty: ",
        "Allow it with a rule such as",
    ),
    (
        "httpRoute.enabled=true,httpRoute.hosts[0]=a.example.com",
        "httpRoute.enabled is true and httpRoute.parentRefs is empty: ",
        "Set httpRoute.parentRefs[0].name",
    ),
    (
        "httpRoute.enabled=true,httpRoute.parentRefs[0].name=gateway",
        "httpRoute.enabled is true and httpRoute.hosts is empty: ",
        "Set httpRoute.hosts[0]=",
    ),
    (
        "autoscaling.enabled=true,keda.enabled=true,keda.triggers[0].type=cpu",
        "autoscaling.enabled and keda.enabled are both true: ",
        "Set one of them to false",
    ),
    ("keda.enabled=true", "keda.enabled is true and keda.triggers is empty: ", "use autoscaling.enabled"),
    (
        "autoscaling.enabled=true,autoscaling.minReplicas=20",
        "autoscaling.minReplicas (20) is more than autoscaling.maxReplicas (10): ",
        "Raise autoscaling.maxReplicas",
    ),
    ("image.tag=latest", 'image.tag is "latest": ', "Name a version in image.tag"),
    (
        "migration.wait=900",
        "migration.wait (900) must be less than migration.deadline (600): ",
        "Raise migration.deadline",
    ),
    (
        "config.server.drain_delay=3",
        "config.server.drain_delay is set by the chart itself (SLIPWAY_SERVER__DRAIN_DELAY). ",
        "Use the value for it: drain",
    ),
    (
        "config.database.password=x",
        "config.database.password is set by the chart itself (SLIPWAY_DATABASE__PASSWORD). ",
        "or a Secret",
    ),
]


def _reasons(*arguments: str) -> list[str]:
    done = render(*arguments)
    assert done.returncode != 0
    return [line.removeprefix("- ") for line in done.stderr.splitlines() if line.startswith("- ")]


@pytest.mark.parametrize(("settings", "beginning", "way_out"), REFUSALS)
def test_it_refuses(settings: str, beginning: str, way_out: str) -> None:
    (reason,) = _reasons("--set", settings)
    assert reason.startswith(beginning)
    assert way_out in reason
    assert reason.endswith(".")


def test_it_names_all_reasons_at_once() -> None:
    assert len(_reasons("--set", "image.tag=latest,ingress.enabled=true,postgresql.enabled=false")) == 3


def test_it_refuses_a_cluster_that_is_too_old() -> None:
    (reason,) = _reasons("--kube-version", "1.29.0")
    assert reason.startswith("Kubernetes is v1.29.0: pods end by preStop.sleep")
