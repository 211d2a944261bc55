"""Rules of kube-linter, polaris and Pod Security, each by its upstream id, for machines that lack these programs.

A rule takes all objects of a rendering and yields what it finds, as `Kind/name` with what else tells where.
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
