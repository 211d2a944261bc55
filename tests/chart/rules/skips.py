"""Accepted findings: a pattern of `PROFILE: FINDING`, and the reason. One that matches nothing fails."""

FOLDER = "SLIPWAY_SECRETS_DIR names the folder of the secrets; its value is a path and no secret."
PULL = "Tags of releases never move, and image.digest pins one for good; pulling again would tie starts to a registry."
PRIORITY = "Which classes there are is the cluster's business; priorityClassName names one."
OWNER = "Who owns a release its user knows; podLabels carries it to pods, and objects have Kubernetes' own labels."
INSTANCE = "By Kubernetes' recommended labels the instance is the release, whose objects have several names."
ATTEMPTS = "Never keeps the pod of each failed attempt with its log; the Job starts the next one itself."
ONE = "One pod is what this profile is for; a budget or redundancy needs two."

SINGLE = "One replica is enough: the service keeps working during a short outage."
OPERATOR = "The operator makes these pods, so no rendering shows them."
WRITES = "Only its image shows where it writes outside its volumes, so this stays as its chart has it."
HELPER = "A helper of Grafana's pod, whose own probes tell whether it works."
VARIABLE = "The image takes its password so; the service itself, and all that this chart makes, read files."
TOKEN = "It asks the API server, by a role that says what."
INGRESS = (
    "A development ingress: its node port is what it is for, and it serves the TLS Secrets of Ingresses."
)

BUNDLED: dict[str, list[tuple[str, str]]] = {
    "kube-linter/access-to-secrets": [
        (
            "07-*: ClusterRole/slipway-kube-prometheus-st-operator",
            "It writes the Secrets that Prometheus is configured by.",
        ),
        ("06-*: ClusterRole/slipway-traefik-*", INGRESS),
    ],
    "kube-linter/dangling-service": [("07-*: Service/slipway-kube-prometheus-st-prometheus", OPERATOR)],
    "kube-linter/default-service-account": [
        ("*: StatefulSet/slipway-*", "It uses no account: no token is mounted.")
    ],
    "kube-linter/dnsconfig-options": [
        ("*", "It calls names inside of the cluster alone, which the defaults are for.")
    ],
    "kube-linter/exposed-services": [("06-*: Service/slipway-traefik", INGRESS)],
    "kube-linter/invalid-target-ports": [("07-*: Service/slipway-kube-prometheus-st-prometheus/*", OPERATOR)],
    "kube-linter/minimum-three-replicas": [("*", SINGLE)],
    "kube-linter/no-liveness-probe": [("07-*: Deployment/slipway-grafana/grafana-sc-*", HELPER)],
    "kube-linter/no-read-only-root-fs": [("07-*: Deployment/slipway-grafana/*", WRITES)],
    "kube-linter/no-readiness-probe": [("07-*: Deployment/slipway-grafana/grafana-sc-*", HELPER)],
    "kube-linter/no-rolling-update-strategy": [
        ("07-*: Deployment/*", "Nothing said is Kubernetes' default, a rolling update.")
    ],
    "kube-linter/priority-class-name": [("*", PRIORITY)],
    "kube-linter/read-secret-from-env-var": [("*", VARIABLE)],
    "kube-linter/required-label-owner": [("*", OWNER)],
    "kube-linter/restart-policy": [("*", "Nothing said is Kubernetes' default, Always.")],
    "kube-linter/wildcard-in-rules": [
        (
            "07-*: ClusterRole/slipway-kube-prometheus-st-operator",
            "All it may do with the kinds of its own API group.",
        ),
    ],
    "polaris/automountServiceAccountToken": [
        *((f"07-*: Deployment/slipway-{name}", TOKEN) for name in ("alloy", "grafana", "kube-*")),
        ("06-*: Deployment/slipway-traefik", TOKEN),
        ("07-*: StatefulSet/slipway-loki", "Its account says so, not the pod: no token is mounted."),
    ],
    "polaris/deploymentMissingReplicas": [("*", SINGLE)],
    "polaris/livenessProbeMissing": [("07-*: Deployment/slipway-grafana/grafana-sc-*", HELPER)],
    "polaris/metadataAndInstanceMismatched": [("*", INSTANCE)],
    "polaris/missingPodDisruptionBudget": [
        ("*", "A budget over one pod could only block the drain of a node.")
    ],
    "polaris/notReadOnlyRootFilesystem": [("07-*: Deployment/slipway-grafana/*", WRITES)],
    "polaris/priorityClassNotSet": [("*", PRIORITY)],
    "polaris/pullPolicyNotAlways": [("*", PULL)],
    "polaris/readinessProbeMissing": [("07-*: Deployment/slipway-grafana/grafana-sc-*", HELPER)],
    "polaris/topologySpreadConstraint": [("*", "One pod cannot be spread.")],
}
"""The same for the bundled programs, which other charts make."""

SKIPS: dict[str, list[tuple[str, str]]] = {
    "kube-linter/env-var-secret": [("*", FOLDER)],
    "polaris/sensitiveContainerEnvVar": [("*", FOLDER)],
    "polaris/pullPolicyNotAlways": [("*", PULL)],
    "kube-linter/priority-class-name": [("*", PRIORITY)],
    "polaris/priorityClassNotSet": [("*", PRIORITY)],
    "kube-linter/required-label-owner": [("*", OWNER)],
    "polaris/metadataAndInstanceMismatched": [
        ("*: *Job/*", INSTANCE),
        ("*: Pod/slipway-test", INSTANCE),
        ("06-*: Deployment/slipway-*", INSTANCE),
    ],
    "kube-linter/restart-policy": [
        ("*: *Job/*", ATTEMPTS),
        ("*: Pod/slipway-test", "`helm test` looks at how the pod ends; one that starts again has no end."),
    ],
    "kube-linter/minimum-three-replicas": [("03-*", ONE), ("06-*", ONE)],
    "polaris/deploymentMissingReplicas": [("03-*", ONE), ("06-*", ONE)],
    "polaris/missingPodDisruptionBudget": [
        ("06-*: Deployment/slipway-pgadmin", ONE),
        ("06-*: Deployment/slipway-redis-commander", ONE),
    ],
    "polaris/topologySpreadConstraint": [
        ("06-*: Deployment/slipway-pgadmin", "One pod cannot be spread."),
        ("06-*: Deployment/slipway-redis-commander", "One pod cannot be spread."),
    ],
    "kube-linter/exposed-services": [
        ("03-*", "This profile shows the node port, which the default does not have.")
    ],
    "kube-linter/default-service-account": [
        ("03-*", "This profile shows how to do without an account; no token is mounted."),
        ("04-*: Job/*", "A hook runs before the account of the release is there; no token is mounted."),
    ],
    "polaris/tlsSettingsMissing": [
        ("06-*", "Development on a laptop, where no certificate would be trusted.")
    ],
}
