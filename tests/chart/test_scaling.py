"""Either the Deployment or the autoscaler sets the number of pods, and the disruption budget follows it."""

import pytest

from tests.chart.rendering import objects, one, own

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
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 10)
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
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 10)
    assert spec["triggers"] == [{"type": "cpu"}]
    assert "HorizontalPodAutoscaler" not in _kinds(text)


@pytest.mark.parametrize("scaler", [HPA, KEDA])
def test_disruption_budget_follows_the_minimum_replicas(scaler: tuple[str, ...]) -> None:
    assert "PodDisruptionBudget" in _kinds(own(*scaler, "--set", "replicaCount=1"))
    assert "PodDisruptionBudget" not in _kinds(own(*scaler, "--set", "autoscaling.minReplicas=1"))
