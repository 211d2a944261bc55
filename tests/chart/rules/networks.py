"""Rules about Services, routes and NetworkPolicies."""

from collections.abc import Iterator

from tests.chart.rules.manifests import Manifests, Object, Rule, matches, of_objects


def _dangling(manifests: Manifests) -> Iterator[str]:
    for name, service in manifests.of("Service"):
        selector = {"matchLabels": service["spec"].get("selector", {})}
        if not any(matches(selector, workload.labels) for workload in manifests.workloads):
            yield name


def _port_names(manifests: Manifests, service: Object) -> set[str | int]:
    selector = {"matchLabels": service["spec"].get("selector", {})}
    return {
        port.get(field)
        for workload in manifests.workloads
        if matches(selector, workload.labels)
        for container in workload.pod["containers"]
        for port in container.get("ports", [])
        for field in ("name", "containerPort")
    }


def _wrong_targets(manifests: Manifests) -> Iterator[str]:
    for name, service in manifests.of("Service"):
        known = _port_names(manifests, service)
        for port in service["spec"]["ports"]:
            if port.get("targetPort", port["port"]) not in known:
                yield f"{name}/{port['port']}"


def _not_isolated(manifests: Manifests) -> Iterator[str]:
    policies = [policy["spec"]["podSelector"] for _, policy in manifests.of("NetworkPolicy")]
    for workload in manifests.workloads:
        if not any(matches(selector, workload.labels) for selector in policies):
            yield workload.name


RULES: dict[str, Rule] = {
    "kube-linter/dangling-service": _dangling,
    "kube-linter/exposed-services": of_objects(
        lambda s: s["spec"].get("type") in {"NodePort", "LoadBalancer"}, "Service"
    ),
    "kube-linter/invalid-target-ports": _wrong_targets,
    "kube-linter/non-isolated-pod": _not_isolated,
    "polaris/missingNetworkPolicy": _not_isolated,
    "polaris/tlsSettingsMissing": of_objects(lambda i: not i["spec"].get("tls"), "Ingress"),
}
