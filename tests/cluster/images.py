"""The third-party images on the nodes, which may not be able to pull any."""

import functools

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.release import PROFILE_FULL


@functools.cache
def _held(cluster: Cluster) -> frozenset[str]:
    """Return the names without registry and tag."""
    nodes = cluster.list("Node")
    names = (name for node in nodes for image in node["status"]["images"] for name in image["names"])
    return frozenset(name.rpartition("/")[2].partition("@")[0].partition(":")[0] for name in names)


def holds(cluster: Cluster, *programs: str) -> bool:
    """Whether nodes can run these: they have the images, or PROFILE=full says that they can pull them."""
    return PROFILE_FULL or set(programs) <= _held(cluster)


def skip_without(cluster: Cluster, *programs: str) -> None:
    if not holds(cluster, *programs):
        wanted = ", ".join(programs)
        pytest.skip(f"the nodes hold no image of {wanted}; with PROFILE=full they are expected to pull it")
