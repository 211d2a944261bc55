"""Rules about metadata, service accounts, roles and data of objects."""

from collections.abc import Iterator

from tests.chart.rendering import WORKLOADS
from tests.chart.rules.containers import SECRET
from tests.chart.rules.manifests import Manifests, Object, Rule, of_objects

ROLES = ("Role", "ClusterRole")
OF_THE_CLUSTER = {"ClusterRole", "ClusterRoleBinding", "IngressClass"}


def _unknown_account(manifests: Manifests) -> Iterator[str]:
    known = {account["metadata"]["name"] for _, account in manifests.of("ServiceAccount")} | {"default"}
    for workload in manifests.workloads:
        if workload.pod.get("serviceAccountName", "default") not in known:
            yield workload.name


def _everywhere(is_wrong: str) -> Rule:
    def rule(manifests: Manifests) -> Iterator[str]:
        for manifest in manifests.all:
            named = manifest["metadata"].get("namespace", "default")
            if manifest["kind"] not in OF_THE_CLUSTER and named == is_wrong:
                yield f"{manifest['kind']}/{manifest['metadata']['name']}"

    return rule


def _allows(role: Object, resource: str) -> bool:
    return any(resource in rule.get("resources", []) for rule in role.get("rules", []))


def _is_wild(role: Object) -> bool:
    return any(
        "*" in rule.get(field, []) for rule in role.get("rules", []) for field in ("resources", "verbs")
    )


def _is_admin(binding: Object) -> bool:
    return bool(binding["roleRef"]["name"] == "cluster-admin")


def _instance(manifest: Object) -> bool:
    metadata = manifest["metadata"]
    return bool(metadata.get("labels", {}).get("app.kubernetes.io/instance") != metadata["name"])


RULES: dict[str, Rule] = {
    "kube-linter/access-to-secrets": of_objects(lambda role: _allows(role, "secrets"), *ROLES),
    "kube-linter/no-extensions-v1beta": of_objects(
        lambda m: str(m["apiVersion"]).startswith("extensions/v1beta"), *WORKLOADS, "Ingress"
    ),
    "kube-linter/non-existent-service-account": _unknown_account,
    "kube-linter/required-label-owner": of_objects(
        lambda m: "owner" not in m["metadata"].get("labels", {}), *WORKLOADS
    ),
    "kube-linter/use-namespace": _everywhere("default"),
    "kube-linter/wildcard-in-rules": of_objects(_is_wild, *ROLES),
    "polaris/clusterrolebindingClusterAdmin": of_objects(_is_admin, "ClusterRoleBinding"),
    "polaris/metadataAndInstanceMismatched": of_objects(_instance, *WORKLOADS),
    "polaris/rolebindingClusterAdminClusterRole": of_objects(_is_admin, "RoleBinding"),
    "polaris/sensitiveConfigmapContent": of_objects(
        lambda m: any(SECRET.search(key) for key in m.get("data", {})), "ConfigMap"
    ),
}
