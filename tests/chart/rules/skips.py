"""Findings that are right as they are: a pattern of `PROFILE: FINDING`, and why. One that matches nothing fails."""

FOLDER = "SLIPWAY_SECRETS_DIR names the folder of the secrets; its value is a path and no secret."
PULL = "Tags of releases never move, and image.digest pins one for good; asking anew would tie starts to a registry."
PRIORITY = "Which classes there are is the cluster's business; priorityClassName names one."
OWNER = "Who owns a release its user knows; podLabels carries it to pods, and objects have Kubernetes' own labels."
INSTANCE = "By Kubernetes' recommended labels the instance is the release, whose objects have several names."
ATTEMPTS = "Never keeps the pod of each failed attempt with its log; the Job starts the next one itself."
ONE = "One pod is what this profile is for; a budget or redundancy needs two."

SKIPS: dict[str, list[tuple[str, str]]] = {
    "kube-linter/env-var-secret": [("*", FOLDER)],
    "polaris/sensitiveContainerEnvVar": [("*", FOLDER)],
    "polaris/pullPolicyNotAlways": [("*", PULL)],
    "kube-linter/priority-class-name": [("*", PRIORITY)],
    "polaris/priorityClassNotSet": [("*", PRIORITY)],
    "kube-linter/required-label-owner": [("*", OWNER)],
    "polaris/metadataAndInstanceMismatched": [("*: *Job/*", INSTANCE), ("*: Pod/slipway-test", INSTANCE)],
    "kube-linter/restart-policy": [
        ("*: *Job/*", ATTEMPTS),
        ("*: Pod/slipway-test", "`helm test` looks at how the pod ends; one that starts again has no end."),
    ],
    "kube-linter/minimum-three-replicas": [("03-*", ONE), ("06-*", ONE)],
    "polaris/deploymentMissingReplicas": [("03-*", ONE), ("06-*", ONE)],
    "polaris/missingPodDisruptionBudget": [("03-*", ONE), ("06-*", ONE)],
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
