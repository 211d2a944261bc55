"""Rules of kube-linter, polaris and Pod Security, under their upstream ids, for machines without these programs.

A rule takes all objects of a rendering and yields its findings as `Kind/name` and the place.
"""

from tests.chart.rules import containers, networks, objects, pods, workloads
from tests.chart.rules.manifests import Rule

RULES: dict[str, Rule] = {
    **containers.RULES,
    **pods.RULES,
    **workloads.RULES,
    **networks.RULES,
    **objects.RULES,
}
