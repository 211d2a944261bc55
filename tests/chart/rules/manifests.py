"""The objects of a rendering, for rules."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.chart.rendering import WORKLOADS, template

Object = dict[str, Any]
LASTING = {"Deployment", "StatefulSet", "DaemonSet"}


class Workload(NamedTuple):
    """An object that makes pods."""

    name: str
    manifest: Object
    labels: dict[str, str]
    pod: Object

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])

    @property
    def containers(self) -> list[Object]:
        return [*(self.pod.get("initContainers") or []), *self.pod["containers"]]

    @property
    def replicas(self) -> int | None:
        """None: the number is set elsewhere."""
        found: int | None = self.manifest["spec"].get("replicas")
        return found


class Manifests:
    """All objects of a rendering."""

    def __init__(self, found: list[Object]) -> None:
        self.all = found

    def of(self, *kinds: str) -> Iterator[tuple[str, Object]]:
        """Objects of some kinds, as `Kind/name` and themselves."""
        for manifest in self.all:
            if manifest["kind"] in kinds:
                yield f"{manifest['kind']}/{manifest['metadata']['name']}", manifest

    @functools.cached_property
    def workloads(self) -> list[Workload]:
        return [
            Workload(
                name, manifest, template(manifest)["metadata"].get("labels", {}), template(manifest)["spec"]
            )
            for name, manifest in self.of(*WORKLOADS)
        ]

    @property
    def lasting(self) -> list[Workload]:
        """Workloads whose pods are meant to run forever."""
        return [workload for workload in self.workloads if workload.kind in LASTING]


Rule = Callable[[Manifests], Iterator[str]]


def of_containers(is_wrong: Callable[[Object, Workload], Any]) -> Rule:
    """A rule about each container."""

    def rule(manifests: Manifests) -> Iterator[str]:
        for workload in manifests.workloads:
            for container in workload.containers:
                if is_wrong(container, workload):
                    yield f"{workload.name}/{container['name']}"

    return rule


def of_pods(is_wrong: Callable[[Object], Any]) -> Rule:
    """A rule about each pod."""
    return of_workloads(lambda workload: is_wrong(workload.pod))


def of_workloads(is_wrong: Callable[[Workload], Any], *, lasting: bool = False) -> Rule:
    """A rule about each workload, or each whose pods are meant to run forever."""

    def rule(manifests: Manifests) -> Iterator[str]:
        for workload in manifests.lasting if lasting else manifests.workloads:
            if is_wrong(workload):
                yield workload.name

    return rule


def of_objects(is_wrong: Callable[[Object], Any], *kinds: str) -> Rule:
    """A rule about each object of some kinds."""

    def rule(manifests: Manifests) -> Iterator[str]:
        for name, manifest in manifests.of(*kinds):
            if is_wrong(manifest):
                yield name

    return rule


def matches(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector (`matchLabels`, `matchExpressions` with `In`) selects these labels."""
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"]
        for expression in selector.get("matchExpressions", [])
    )
