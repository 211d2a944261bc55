"""Namespaces beside the one of the tests, and what is told of them when something in them fails."""

from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from tests.cluster import diagnosis
from tests.cluster.cluster import NAMESPACE, REQUEST_SECONDS, Cluster, run
from tests.cluster.release import HELM


@contextmanager
def beside(cluster: Cluster, name: str) -> Iterator[Cluster]:
    """Another namespace, as k8s/namespace.yaml makes it, that is gone when the block ends, with all that is in it and
    what its releases have outside of it, but for definitions of resources, which Helm never removes.

    What the block raises carries a note of what was there to see, which is gone afterwards.
    """
    other = Cluster(
        f"{cluster.namespace}-{name}",
        cluster.image,
        previous=cluster.previous,
        live=cluster.live,
        pooler=cluster.pooler,
    )
    manifest = yaml.safe_load(NAMESPACE.read_text("utf-8"))
    manifest["metadata"]["name"] = other.namespace
    _remove(other)
    cluster.core.create_namespace(manifest, _request_timeout=REQUEST_SECONDS)
    cluster.others.append(other)
    try:
        yield other
    except Exception as error:
        error.add_note(diagnosis.report(other))
        raise
    finally:
        cluster.others.remove(other)
        _remove(other)


def _remove(cluster: Cluster) -> None:
    """Also what a run that was killed has left."""
    of_it = ("--namespace", cluster.namespace)
    for release in run(HELM, *of_it, "list", "--short", seconds=30).split():
        run(HELM, *of_it, "uninstall", release, "--no-hooks", "--ignore-not-found", seconds=60)
    gone = ("--ignore-not-found", "--wait", "--timeout=150s")
    run("kubectl", "delete", "namespace", cluster.namespace, *gone, seconds=170)
