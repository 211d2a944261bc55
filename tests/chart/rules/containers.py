"""Rules about containers."""

import re
from typing import Any

from tests.chart.rules.manifests import LASTING, Object, Rule, Workload, of_containers

# A variable with such a name and a literal value counts as a secret.
SECRET = re.compile(r"secret|password|passwd|token|api_?key|private_?key|credential", re.IGNORECASE)
MAY_ADD = {"NET_BIND_SERVICE"}


def _security(container: Object) -> Object:
    found: Object = container.get("securityContext", {})
    return found


def _effective(field: str, container: Object, workload: Workload) -> Any:
    """Return a field of the container's security context, or else of the pod's."""
    return _security(container).get(field, workload.pod.get("securityContext", {}).get(field))


def _capabilities(container: Object, verb: str) -> set[str]:
    return set(_security(container).get("capabilities", {}).get(verb, []))


def _tag(container: Object) -> str:
    image = str(container["image"])
    return "digest" if "@" in image else image.rpartition("/")[2].partition(":")[2]


def _lacks(side: str, resource: str) -> Rule:
    return of_containers(lambda c, _: resource not in c.get("resources", {}).get(side, {}))


def _lacks_probe(probe: str) -> Rule:
    def is_wrong(container: Object, workload: Workload) -> bool:
        main = container in workload.pod["containers"]
        return workload.kind in LASTING and main and f"{probe}Probe" not in container

    return of_containers(is_wrong)


def _wrong_probe_port(probe: str) -> Rule:
    def is_wrong(container: Object, _: Workload) -> bool:
        asked = container.get(f"{probe}Probe", {}).get("httpGet", {}).get("port")
        ports = container.get("ports", [])
        return asked is not None and asked not in {p.get("name") for p in ports} | {
            p["containerPort"] for p in ports
        }

    return of_containers(is_wrong)


def _ports(container: Object, field: str) -> set[Any]:
    return {port[field] for port in container.get("ports", []) if field in port}


def _variables(container: Object) -> list[str]:
    return [variable["name"] for variable in container.get("env", [])]


ROOT_FS = of_containers(lambda c, _: not _security(c).get("readOnlyRootFilesystem"))
ESCALATION = of_containers(lambda c, _: _security(c).get("allowPrivilegeEscalation") is not False)
PRIVILEGED = of_containers(lambda c, _: _security(c).get("privileged"))
ROOT = of_containers(lambda c, w: not _effective("runAsNonRoot", c, w))
USER = of_containers(lambda c, w: _effective("runAsUser", c, w) == 0)
SECCOMP = of_containers(
    lambda c, w: (_effective("seccompProfile", c, w) or {}).get("type") not in {"RuntimeDefault", "Localhost"}
)
ADDED = of_containers(lambda c, _: _capabilities(c, "add") - MAY_ADD)
DROPPED = of_containers(lambda c, _: "ALL" not in _capabilities(c, "drop"))
PROC_MOUNT = of_containers(lambda c, _: _security(c).get("procMount", "Default") != "Default")
HOST_PORT = of_containers(lambda c, _: _ports(c, "hostPort") - {0})
SECRET_VALUE = of_containers(
    lambda c, _: [v for v in c.get("env", []) if SECRET.search(v["name"]) and v.get("value")]
)
LATEST = of_containers(lambda c, _: _tag(c) in {"", "latest"})

RULES: dict[str, Rule] = {
    "kube-linter/drop-net-raw-capability": of_containers(
        lambda c, _: not {"ALL", "NET_RAW"} & _capabilities(c, "drop")
    ),
    "kube-linter/duplicate-env-var": of_containers(
        lambda c, _: len(_variables(c)) != len(set(_variables(c)))
    ),
    "kube-linter/env-var-secret": SECRET_VALUE,
    "kube-linter/latest-tag": LATEST,
    "kube-linter/liveness-port": _wrong_probe_port("liveness"),
    "kube-linter/no-liveness-probe": _lacks_probe("liveness"),
    "kube-linter/no-read-only-root-fs": ROOT_FS,
    "kube-linter/no-readiness-probe": _lacks_probe("readiness"),
    "kube-linter/privilege-escalation-container": ESCALATION,
    "kube-linter/privileged-container": PRIVILEGED,
    "kube-linter/read-secret-from-env-var": of_containers(
        lambda c, _: [v for v in c.get("env", []) if "secretKeyRef" in v.get("valueFrom", {})]
    ),
    "kube-linter/readiness-port": _wrong_probe_port("readiness"),
    "kube-linter/run-as-non-root": ROOT,
    "kube-linter/ssh-port": of_containers(lambda c, _: 22 in _ports(c, "containerPort")),
    "kube-linter/startup-port": _wrong_probe_port("startup"),
    "kube-linter/unset-cpu-requirements": _lacks("requests", "cpu"),
    "kube-linter/unset-memory-requirements": _lacks("limits", "memory"),
    "polaris/cpuLimitsMissing": _lacks("limits", "cpu"),
    "polaris/cpuRequestsMissing": _lacks("requests", "cpu"),
    "polaris/dangerousCapabilities": ADDED,
    "polaris/hostPortSet": HOST_PORT,
    "polaris/insecureCapabilities": DROPPED,
    "polaris/linuxHardening": SECCOMP,
    "polaris/livenessProbeMissing": _lacks_probe("liveness"),
    "polaris/memoryLimitsMissing": _lacks("limits", "memory"),
    "polaris/memoryRequestsMissing": _lacks("requests", "memory"),
    "polaris/notReadOnlyRootFilesystem": ROOT_FS,
    "polaris/privilegeEscalationAllowed": ESCALATION,
    "polaris/procMount": PROC_MOUNT,
    "polaris/pullPolicyNotAlways": of_containers(lambda c, _: c.get("imagePullPolicy") != "Always"),
    "polaris/readinessProbeMissing": _lacks_probe("readiness"),
    "polaris/runAsPrivileged": PRIVILEGED,
    "polaris/runAsRootAllowed": ROOT,
    "polaris/sensitiveContainerEnvVar": SECRET_VALUE,
    "polaris/tagNotSpecified": LATEST,
    "restricted/allowPrivilegeEscalation": ESCALATION,
    "restricted/capabilities.add": ADDED,
    "restricted/capabilities.drop": DROPPED,
    "restricted/hostPorts": HOST_PORT,
    "restricted/privileged": PRIVILEGED,
    "restricted/procMount": PROC_MOUNT,
    "restricted/runAsNonRoot": ROOT,
    "restricted/runAsUser": USER,
    "restricted/seccompProfile": SECCOMP,
}
