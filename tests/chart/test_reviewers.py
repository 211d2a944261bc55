"""Linters that reviewers run find nothing, apart from findings accepted with a reason."""

import json
from pathlib import Path

from tests.chart.rendering import run
from tests.chart.reviewing import renderings, tool, unexplained
from tests.chart.rules.skips import ONE, PULL

APART = "The pods are the subcharts', which are not in a rendering of the chart's own objects."
SCALED = "KEDA decides how many there are, which kube-score does not know."
DIGEST = (
    "Which digest a registry gave an image its user knows: image.digest takes it, as profiles 02 and 04 show."
)
TEST = "The pod of `helm test` serves no requests: it sends some, prints the results and ends."
PROBE = "pgAdmin and Redis Commander have one page that costs nothing, and no other word on their health."
NODE_PORT = "This profile shows the node port, which the default does not have."

KUBE_SCORE = [
    ("* container-image-pull-policy", PULL),
    ("* NetworkPolicy/*/slipway-postgresql networkpolicy-targets-pod", APART),
    ("* NetworkPolicy/*/slipway-redis networkpolicy-targets-pod", APART),
    ("06-* NetworkPolicy/*/slipway-traefik networkpolicy-targets-pod", APART),
    *(
        (f"07-* NetworkPolicy/*/slipway-{part} networkpolicy-targets-pod", APART)
        for part in ("alloy", "grafana", "kube-state-metrics", "loki", "prometheus", "prometheus-operator")
    ),
    ("03-* service-type", NODE_PORT),
    ("03-* deployment-replicas", ONE),
    ("06-* deployment-replicas", ONE),
    ("06-* pod-probes-identical", PROBE),
    ("05-* deployment-replicas", SCALED),
]
CHECKOV = [
    ("* CKV_K8S_15 *", PULL),
    ("* CKV_K8S_43 *", DIGEST),
    ("* CKV_K8S_8 Pod.shop.slipway-test", TEST),
    ("* CKV_K8S_9 Pod.shop.slipway-test", TEST),
]


def _kube_score(path: Path) -> list[str]:
    done = run(
        tool("kube-score"), "score", "--output-format", "json", "--kubernetes-version", "v1.34", str(path)
    )
    scored = json.loads(done.stdout)
    assert scored, done.stderr
    return [
        f"{path.name}: {found['object_name']} {check['check']['id']}"
        for found in scored
        for check in found["checks"]
        if check["grade"] < 10 and not check["skipped"]
    ]


def test_kube_score_finds_nothing(tmp_path: Path) -> None:
    found = [finding for path in renderings(tmp_path) for finding in _kube_score(path)]
    assert unexplained(found, KUBE_SCORE) == []


def test_checkov_finds_nothing(tmp_path: Path) -> None:
    files = [part for path in renderings(tmp_path) for part in ("--file", str(path))]
    quiet = ("--skip-download", "--compact", "--quiet", "--framework", "kubernetes", "--output", "json")
    done = run(tool("checkov/bin/checkov"), *quiet, *files)
    results = json.loads(done.stdout)
    assert results["summary"]["passed"] > 1000, results["summary"]
    assert results["summary"]["parsing_errors"] == 0
    found = [
        f"{Path(check['file_path']).name}: {check['check_id']} {check['resource']}"
        for check in results["results"]["failed_checks"]
    ]
    assert unexplained(found, CHECKOV) == []
