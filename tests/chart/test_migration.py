"""The migration Job is named after what it does."""

import pytest

from tests.chart.rendering import environment, one, own


def _name(*arguments: str) -> str:
    name: str = one(own(*arguments), "Job")["metadata"]["name"]
    return name


def test_its_name_is_stable() -> None:
    first = _name()
    own.cache_clear()
    assert _name() == first


@pytest.mark.parametrize(
    "change",
    [
        "image.tag=9.9.9",
        "migration.wait=100",
        "resources.limits.memory=1Gi",
        "config.database.lock_timeout=9",
    ],
)
def test_what_it_does_changes_its_name(change: str) -> None:
    assert _name("--set", change) != _name()


@pytest.mark.parametrize(
    "change",
    ["drain=9", "replicaCount=7", "config.rate_limit.requests=9", "redis.enabled=false", "service.port=81"],
)
def test_what_is_not_its_business_does_not(change: str) -> None:
    assert _name("--set", change) == _name()


def test_it_may_be_left_to_somebody_else() -> None:
    assert "kind: Job" not in own("--set", "migration.enabled=false")


def test_it_is_told_of_the_database_alone() -> None:
    (container,) = one(own(), "Job")["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["migrate", "--wait", "300"]
    groups = {name.removeprefix("SLIPWAY_").split("__")[0] for name in environment(container)}
    assert groups == {"SECRETS_DIR", "APP", "DATABASE", "LOGGING"}


def test_it_ends() -> None:
    spec = one(own(), "Job")["spec"]
    assert spec["activeDeadlineSeconds"] > 0
    assert spec["ttlSecondsAfterFinished"] > 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
