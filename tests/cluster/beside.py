"""Namespaces beside the one of the tests, and what is told of them when something in them fails."""

from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from tests.cluster import diagnosis
from tests.cluster.cluster import NAMESPACE, REQUEST_SECONDS, Cluster, run


@contextmanager
def beside(cluster: Cluster, name: str) -> Iterator[Cluster]:
    """Another namespace, as k8s/namespace.yaml makes it, that is gone with all in it when the block ends.

    What the block raises carries a note of what was there to see, which is gone afterwards.
    """
    other = Cluster(
        f"{cluster.namespace}-{name}", cluster.image, previous=cluster.previous, live=cluster.live
    )
    manifest = yaml.safe_load(NAMESPACE.read_text("utf-8"))
    manifest["metadata"]["name"] = other.namespace
    remove = ("kubectl", "delete", "namespace", other.namespace, "--ignore-not-found", "--wait")
    run(*remove, "--timeout=150s", seconds=170)
    cluster.core.create_namespace(manifest, _request_timeout=REQUEST_SECONDS)
    cluster.others.append(other)
    try:
        yield other
    except Exception as error:
        error.add_note(diagnosis.report(other))
        raise
    finally:
        cluster.others.remove(other)
        run(*remove, "--timeout=150s", seconds=170)
