"""Additional namespaces for tests, and diagnosis of failures in them."""

from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from tests.cluster import diagnosis
from tests.cluster.cluster import NAMESPACE, REQUEST_SECONDS, Cluster, run
from tests.cluster.release import HELM


@contextmanager
def additional_namespace(cluster: Cluster, name: str) -> Iterator[Cluster]:
    """Create another namespace, as in k8s/namespace.yaml. Delete it at the end, with its objects and the cluster-wide
    objects of its releases, except CRDs, which Helm never removes.

    An exception from the block gets a note with the state of the namespace, which is deleted afterwards.
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
    """Also delete what a killed run has left behind."""
    of_it = ("--namespace", cluster.namespace)
    for release in run(HELM, *of_it, "list", "--short", seconds=30).split():
        run(HELM, *of_it, "uninstall", release, "--no-hooks", "--ignore-not-found", seconds=60)
    gone = ("--ignore-not-found", "--wait", "--timeout=150s")
    # Pods first: a namespace that still has some is looked at again only after half of their grace period.
    run("kubectl", *of_it, "delete", "pods,persistentvolumeclaims", "--all", *gone, seconds=170)
    run("kubectl", "delete", "namespace", cluster.namespace, *gone, seconds=170)
