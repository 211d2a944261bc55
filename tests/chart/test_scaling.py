"""Who sets the number of pods, and whether the database has connections for them."""

import pytest

from service.config import DatabaseSettings
from service.config.performance import PerformanceSettings
from tests.chart.refusals import EXTERNAL
from tests.chart.rendering import objects, one, own, render

HPA = ("--set", "autoscaling.enabled=true")
KEDA = ("--set", "keda.enabled=true,keda.triggers[0].type=cpu")


def _kinds(text: str) -> set[str]:
    return {found["kind"] for found in objects(text)}


def test_replica_count_applies_without_an_autoscaler() -> None:
    text = own()
    assert one(text, "Deployment")["spec"]["replicas"] == 2
    assert not {"HorizontalPodAutoscaler", "ScaledObject"} & _kinds(text)


@pytest.mark.parametrize("scaler", [HPA, KEDA])
def test_replica_count_is_omitted_with_an_autoscaler(scaler: tuple[str, ...]) -> None:
    # Each upgrade would reset the number of pods to it, regardless of load.
    assert "replicas" not in one(own(*scaler), "Deployment")["spec"]


def test_autoscaler_uses_cpu_of_the_server_container() -> None:
    spec = one(own(*HPA), "HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "slipway"}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 8)
    (metric,) = spec["metrics"]
    assert metric["containerResource"] == {
        "name": "cpu",
        "container": "server",
        "target": {"type": "AverageValue", "averageValue": "700m"},
    }


def test_keda_uses_the_same_replica_bounds() -> None:
    text = own(*KEDA)
    spec = one(text, "ScaledObject")["spec"]
    assert spec["scaleTargetRef"] == {"name": "slipway"}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 8)
    assert spec["triggers"] == [{"type": "cpu"}]
    assert "HorizontalPodAutoscaler" not in _kinds(text)


def test_number_of_pods_may_be_left_to_another_autoscaler() -> None:
    assert "replicas" not in one(own("--set", "replicaCount=null"), "Deployment")["spec"]


# The values, and the sum in the message; None if the connections suffice.
SUMS = [
    ("autoscaling.enabled=true", None),
    ("replicaCount=9,strategy.type=Recreate,config.server.workers=1", None),
    (
        "replicaCount=9",
        "104 connections to PostgreSQL, and postgresql.config.postgresql.max_connections allows 97",
    ),
    (
        "replicaCount=9",
        "(9 pods + 1 in a rollout) x 1 workers x (pool_max %d + exports %d) + 4 for",
    ),
    (
        "keda.enabled=true,keda.triggers[0].type=cpu,autoscaling.maxReplicas=40",
        "(40 pods + 1 in a rollout) x 1",
    ),
    ("autoscaling.enabled=true,strategy.maxSurge=30%", "(8 pods + 3 in a rollout) x 1 workers"),
    (
        "config.server.workers=4,config.database.pool_max=9",
        "(2 pods + 1 in a rollout) x 4 workers x (pool_max 9 +",
    ),
    ("replicaCount=9,postgresql.config.postgresql.max_connections=200", None),
    (f"{EXTERNAL},replicaCount=30", None),
    (f"{EXTERNAL},replicaCount=30,externalDatabase.maxConnections=314", None),
    (
        f"{EXTERNAL},replicaCount=30,externalDatabase.maxConnections=313",
        "externalDatabase.maxConnections allows 313:",
    ),
]


@pytest.mark.parametrize(("values", "said"), SUMS)
def test_pods_that_need_more_connections_than_the_database_has_are_refused(
    values: str, said: str | None
) -> None:
    done = render("--set", values)
    if said is None:
        assert done.returncode == 0, done.stderr
        return
    pools = DatabaseSettings().pool_max, PerformanceSettings().exports
    assert (said % pools if "%d" in said else said) in done.stderr
