"""A platform that assigns the users and groups of pods, as OpenShift's SecurityContextConstraints `restricted-v2` do.

A pod that chooses none gets the namespace's number as the user of its containers and as `fsGroup`. Its group is 0, as
the container runtime does it for a user that the image does not know. A pod that chooses others is refused.
Capabilities and the seccomp profile are up to Pod Security, which the namespace enforces.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from kubernetes.client import ApiException

from tests.cluster.cluster import Cluster, Object, wait_until
from tests.cluster.loading import plain_pod

GROUP = "admissionregistration.k8s.io"
ASSIGNING = "MutatingAdmissionPolicy"
NOT_SERVED = (
    f"this cluster serves no {ASSIGNING}: it takes Kubernetes 1.34 and its feature gate, as in k8s/kind.yaml"
)
REFUSED = "the cluster assigns users and groups"
FIXED = ("runAsUser", "runAsGroup", "fsGroup")
CONTAINERS = ("containers", "initContainers")


def serves_policies(cluster: Cluster) -> bool:
    """Whether the cluster can assign ids by a policy."""
    return bool(cluster.version_of(ASSIGNING))


def refused(cluster: Cluster, pod: Object) -> str:
    """Return why the cluster refuses a pod; empty if it does not."""
    try:
        cluster.create(pod, dry_run=True)
    except ApiException as error:
        return str(error.body)
    return ""


@contextmanager
def assigning(cluster: Cluster) -> Iterator[int]:
    """Assign ids in the namespace until the block ends, and yield the number."""
    # Each namespace has 10 000 numbers of its own, from 1 000 000 000 on.
    number = 1_000_000_000 + 10_000 * secrets.randbelow(100_000)
    policies = {
        ASSIGNING: (_mutations(number), {}),
        "ValidatingAdmissionPolicy": (_validations(number), {"validationActions": ["Deny"]}),
    }
    try:
        for kind, (spec, actions) in policies.items():
            _create(cluster, kind, spec, actions)
        wait_until("ids are assigned", lambda: _assigned(cluster) == (number, number), seconds=30)
        wait_until(
            "other ids are refused", lambda: REFUSED in refused(cluster, _pod_with_own_user()), seconds=30
        )
        yield number
    finally:
        for kind in policies:
            _remove(cluster, kind)


def _name(cluster: Cluster) -> str:
    return f"{cluster.namespace}-ids"


def _remove(cluster: Cluster, kind: str) -> None:
    for each in (f"{kind}Binding", kind):
        cluster.delete(each, _name(cluster))


def _create(cluster: Cluster, kind: str, spec: Object, actions: Object) -> None:
    """Create a policy for the pods of the namespace, and its binding."""
    _remove(cluster, kind)  # a killed run leaves it behind
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    only = {"matchLabels": {"kubernetes.io/metadata.name": cluster.namespace}}
    matches = {"matchConstraints": {"resourceRules": [pods], "namespaceSelector": only}}
    specs = {kind: {**matches, **spec}, f"{kind}Binding": {"policyName": _name(cluster), **actions}}
    for each, content in specs.items():
        manifest = {"apiVersion": cluster.version_of(each), "kind": each, "spec": content}
        cluster.create({**manifest, "metadata": {"name": _name(cluster)}})


def _mutations(number: int) -> Object:
    containers = ", ".join(
        f"{each}: object.spec.?{each}.orValue([])"
        ".filter(c, !has(c.securityContext) || !has(c.securityContext.runAsUser))"
        f".map(c, Object.spec.{each}{{name: c.name,"
        f" securityContext: Object.spec.{each}.securityContext{{runAsUser: {number}}}}})"
        for each in CONTAINERS
    )
    group = f"object.spec.?securityContext.?fsGroup.orValue({number})"
    pod = f"securityContext: Object.spec.securityContext{{fsGroup: {group}}}"
    applied = {"expression": f"Object{{spec: Object.spec{{{pod}, {containers}}}}}"}
    return {
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": applied}],
    }


def _validations(number: int) -> Object:
    def is_assigned(path: str) -> str:
        return f"{path}.orValue({number}) == {number}"

    rules = [is_assigned(f"object.spec.?securityContext.?{id_}") for id_ in FIXED]
    rules += [
        f"object.spec.?{each}.orValue([]).all(c, {is_assigned('c.?securityContext.?runAsUser')})"
        for each in CONTAINERS
    ]
    return {"validations": [{"expression": rule, "message": REFUSED} for rule in rules]}


def _pod_with_own_user() -> Object:
    pod = plain_pod("tried", "tried")
    pod["spec"]["securityContext"]["runAsUser"] = 1000
    return pod


def _assigned(cluster: Cluster) -> tuple[int | None, int | None]:
    spec = cluster.create(plain_pod("tried", "tried"), dry_run=True)["spec"]
    return spec["securityContext"].get("fsGroup"), spec["containers"][0]["securityContext"].get("runAsUser")
