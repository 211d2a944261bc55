"""Rules about pods."""

from tests.chart.rules.manifests import Object, Rule, of_pods

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
SENSITIVE = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr")


def _volumes(pod: Object) -> list[Object]:
    found: list[Object] = pod.get("volumes") or []
    return found


def _host_paths(pod: Object) -> list[str]:
    return [volume["hostPath"]["path"] for volume in _volumes(pod) if "hostPath" in volume]


def _sysctls(pod: Object) -> set[str]:
    return {s["name"] for s in pod.get("securityContext", {}).get("sysctls", [])}


def _windows_process(pod: Object) -> bool:
    return bool(pod.get("securityContext", {}).get("windowsOptions", {}).get("hostProcess"))


def _host(namespace: str) -> Rule:
    return of_pods(lambda pod: pod.get(namespace))


HOST_PATH = of_pods(_host_paths)
UNSAFE_SYSCTLS = of_pods(lambda pod: _sysctls(pod) - SYSCTLS)
NO_PRIORITY = of_pods(lambda pod: not pod.get("priorityClassName"))

RULES: dict[str, Rule] = {
    "kube-linter/default-service-account": of_pods(
        lambda pod: pod.get("serviceAccountName", "default") == "default"
    ),
    "kube-linter/deprecated-service-account-field": of_pods(lambda pod: "serviceAccount" in pod),
    "kube-linter/dnsconfig-options": of_pods(lambda pod: not pod.get("dnsConfig", {}).get("options")),
    "kube-linter/docker-sock": of_pods(lambda pod: [p for p in _host_paths(pod) if "docker.sock" in p]),
    "kube-linter/host-ipc": _host("hostIPC"),
    "kube-linter/host-network": _host("hostNetwork"),
    "kube-linter/host-pid": _host("hostPID"),
    "kube-linter/priority-class-name": NO_PRIORITY,
    "kube-linter/restart-policy": of_pods(
        lambda pod: pod.get("restartPolicy") not in {"Always", "OnFailure"}
    ),
    "kube-linter/sensitive-host-mounts": of_pods(
        lambda pod: [
            path for path in _host_paths(pod) if path.rstrip("/") in {p.rstrip("/") for p in SENSITIVE}
        ]
    ),
    "kube-linter/unsafe-sysctls": UNSAFE_SYSCTLS,
    "polaris/automountServiceAccountToken": of_pods(
        lambda pod: pod.get("automountServiceAccountToken") is not False
    ),
    "polaris/hostIPCSet": _host("hostIPC"),
    "polaris/hostNetworkSet": _host("hostNetwork"),
    "polaris/hostPIDSet": _host("hostPID"),
    "polaris/hostPathSet": HOST_PATH,
    "polaris/hostProcess": of_pods(_windows_process),
    "polaris/priorityClassNotSet": NO_PRIORITY,
    "restricted/hostNamespaces": of_pods(
        lambda pod: pod.get("hostNetwork") or pod.get("hostPID") or pod.get("hostIPC")
    ),
    "restricted/hostProcess": of_pods(_windows_process),
    "restricted/sysctls": UNSAFE_SYSCTLS,
    "restricted/volumes": of_pods(lambda pod: [v for v in _volumes(pod) if not VOLUMES & set(v)]),
}
