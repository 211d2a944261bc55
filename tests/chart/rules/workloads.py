"""Rules about workloads, autoscalers and disruption budgets."""

from collections.abc import Iterator
from typing import Any

from tests.chart.rules.manifests import (
    Manifests,
    Object,
    Rule,
    Workload,
    matches,
    of_objects,
    of_workloads,
)

# Two instead of kube-linter's three: fewer are not redundant, more depend on the load.
LEAST = 2


def _unbounded_job(workload: Workload) -> bool:
    spec = workload.manifest["spec"]
    if workload.kind == "CronJob":  # the history limits clean up; both would conflict
        return "ttlSecondsAfterFinished" in spec["jobTemplate"]["spec"]
    return workload.kind == "Job" and "ttlSecondsAfterFinished" not in spec


def _few(workload: Workload) -> bool:
    return workload.kind == "Deployment" and workload.replicas is not None and workload.replicas < LEAST


def _no_anti_affinity(workload: Workload) -> bool:
    several = workload.kind == "Deployment" and not _few(workload)
    return several and not workload.pod.get("affinity", {}).get("podAntiAffinity")


def _mismatched(workload: Workload) -> bool:
    return not matches(workload.manifest["spec"].get("selector", {}), workload.labels)


def _scalers(manifests: Manifests) -> Iterator[tuple[str, str, int, int]]:
    """Yield name, target, minimum and maximum of each autoscaler."""
    for name, manifest in manifests.of("HorizontalPodAutoscaler", "ScaledObject"):
        spec = manifest["spec"]
        least = spec.get("minReplicas", spec.get("minReplicaCount", 1))
        most = spec.get("maxReplicas", spec.get("maxReplicaCount", 100))
        yield name, spec["scaleTargetRef"]["name"], least, most


def _few_by_scaler(manifests: Manifests) -> Iterator[str]:
    yield from (name for name, _, least, _ in _scalers(manifests) if least < LEAST)


def _no_headroom(manifests: Manifests) -> Iterator[str]:
    yield from (name for name, _, least, most in _scalers(manifests) if most <= least)


def _missing_replicas(manifests: Manifests) -> Iterator[str]:
    scaled = {target for _, target, _, _ in _scalers(manifests)}
    for name, manifest in manifests.of("Deployment"):
        if manifest["metadata"]["name"] not in scaled and manifest["spec"].get("replicas", 1) < LEAST:
            yield name


def _guarded(budget: Object, manifests: Manifests) -> int:
    """Return the minimum number of pods that a budget covers."""
    bounds = {target: least for _, target, least, _ in _scalers(manifests)}
    return sum(
        bounds.get(workload.manifest["metadata"]["name"], workload.replicas or 1)
        for workload in manifests.lasting
        if matches(budget["spec"]["selector"], workload.labels)
    )


def _budget_of_all(manifests: Manifests) -> Iterator[str]:
    for name, budget in manifests.of("PodDisruptionBudget"):
        least: Any = budget["spec"].get("minAvailable", 0)
        if least == "100%" or (isinstance(least, int) and least and least >= _guarded(budget, manifests)):
            yield name


def _unguarded(manifests: Manifests) -> Iterator[str]:
    budgets = [budget["spec"]["selector"] for _, budget in manifests.of("PodDisruptionBudget")]
    for workload in manifests.lasting:
        if not any(matches(selector, workload.labels) for selector in budgets):
            yield workload.name


NO_DISRUPTION = of_objects(lambda b: b["spec"].get("maxUnavailable") in {0, "0%"}, "PodDisruptionBudget")

RULES: dict[str, Rule] = {
    "kube-linter/hpa-minimum-three-replicas": _few_by_scaler,
    "kube-linter/job-ttl-seconds-after-finished": of_workloads(_unbounded_job),
    "kube-linter/minimum-three-replicas": of_workloads(_few),
    "kube-linter/mismatching-selector": of_workloads(_mismatched, lasting=True),
    "kube-linter/no-anti-affinity": of_workloads(_no_anti_affinity),
    "kube-linter/no-rolling-update-strategy": of_objects(
        lambda d: d["spec"].get("strategy", {}).get("type") != "RollingUpdate", "Deployment"
    ),
    "kube-linter/pdb-max-unavailable": NO_DISRUPTION,
    "kube-linter/pdb-min-available": _budget_of_all,
    "kube-linter/pdb-unhealthy-pod-eviction-policy": of_objects(
        lambda b: "unhealthyPodEvictionPolicy" not in b["spec"], "PodDisruptionBudget"
    ),
    "polaris/deploymentMissingReplicas": _missing_replicas,
    "polaris/hpaMaxAvailability": _no_headroom,
    "polaris/hpaMinAvailability": _few_by_scaler,
    "polaris/missingPodDisruptionBudget": _unguarded,
    "polaris/pdbDisruptionsIsZero": NO_DISRUPTION,
    "polaris/pdbMinAvailableGreaterThanHPAMinReplicas": _budget_of_all,
    "polaris/topologySpreadConstraint": of_workloads(
        lambda w: not w.pod.get("topologySpreadConstraints"), lasting=True
    ),
}
