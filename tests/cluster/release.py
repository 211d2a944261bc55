"""The release under test: Helm, and the release's objects."""

import json
import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from tests.cluster.cluster import Cluster, Object, run, wait_until

NAME = "slipway"
BUNDLED = "chart/ci/01-bundled-values.yaml"
HELM = os.environ.get("HELM", "helm")
INSTALL_SECONDS = 240
# Tags without digests: images loaded into a node have none.
SERVER_IMAGES = {"postgresql": "18", "redis": "8"}
PROFILE_FULL = os.environ.get("PROFILE") == "full"
SERVER = f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component=server"


def values_of(settings: Mapping[str, object]) -> list[str]:
    """Return Helm's arguments for values by path."""
    return [
        word for path, value in settings.items() for word in ("--set-json", f"{path}={json.dumps(value)}")
    ]


class Release:
    """The chart, or another version of it, with values and an image, under the name `slipway`."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Mapping[str, object] | None = None,
        *,
        values: str = BUNDLED,
        chart: str = "chart",
        image: str = "",
    ) -> None:
        self.cluster = cluster
        repository, _, tag = (image or cluster.image).rpartition(":")
        images = {"image.repository": repository, "image.tag": tag}
        images |= {f"{server}.image.tag": number for server, number in SERVER_IMAGES.items()}
        self._with = (NAME, chart, "--values", values, *values_of({**images, **(settings or {})}))

    def helm(self, *arguments: str) -> str:
        return run(HELM, "--namespace", self.cluster.namespace, *arguments, seconds=INSTALL_SECONDS + 30)

    def _apply(self, command: str, *arguments: str) -> str:
        wait = ("--wait", "--wait-for-jobs", "--timeout", f"{INSTALL_SECONDS}s")
        return self.helm(command, *self._with, *wait, *arguments)

    def install(self, *arguments: str, wait: bool = True) -> str:
        """Wait until pods are ready and the migration is done, and return Helm's output with the NOTES."""
        return self._apply("install", *arguments) if wait else self.helm("install", *self._with, *arguments)

    def manifests(self, *arguments: str) -> str:
        """Return the manifests, rendered without the cluster."""
        return self.helm("template", *self._with, *arguments)

    def upgrade(self, *arguments: str, wait: bool = True) -> str:
        return self._apply("upgrade", *arguments) if wait else self.helm("upgrade", *self._with, *arguments)

    def rollback(self, revision: int) -> None:
        self.helm("rollback", NAME, str(revision), "--wait", "--timeout", f"{INSTALL_SECONDS}s")

    def revision(self) -> int:
        """Return the current revision of the release."""
        return int(json.loads(self.helm("history", NAME, "--max", "1", "--output", "json"))[-1]["revision"])

    def uninstall(self) -> str:
        return self.helm("uninstall", NAME, "--ignore-not-found", "--wait", "--timeout", "120s")

    def remove(self) -> None:
        """Uninstall the release, and delete what an uninstall keeps."""
        self.uninstall()
        kept = (f"secret/{NAME}-credentials", f"pvc/data-{NAME}-postgresql-0", "pod/load")
        self.cluster.kubectl("delete", *kept, "--ignore-not-found", "--wait", "--timeout=80s")

    def key(self) -> str:
        """Create an API key as the NOTES say."""
        return self.slipway("keys", "create", "--name", f"test-{uuid.uuid4().hex[:8]}", "--scope", "admin")

    def pods(self) -> list[Object]:
        """Return the pods of the service that are not terminating."""
        found = self.cluster.list("Pod", labels=SERVER)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def deployment(self) -> Object:
        return self.cluster.get("Deployment", NAME, api_version="apps/v1")

    def migrations(self) -> list[Object]:
        labels = f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component=migration"
        return self.cluster.list("Job", api_version="batch/v1", labels=labels)

    def credentials(self) -> Any:
        return self.cluster.get("Secret", f"{NAME}-credentials")["data"]

    def slipway(self, *arguments: str) -> str:
        """Run a command of the service in a running pod, and return its output."""
        return self.cluster.exec(f"deploy/{NAME}", "slipway", *arguments, container="server").strip()

    def run_now(self, cron_job: str) -> str:
        """Run a CronJob of the release by hand, and return its log. Raises `AssertionError` if it fails."""
        job = f"{NAME}-{cron_job}-1"
        self.cluster.kubectl("create", "job", job, f"--from=cronjob/{NAME}-{cron_job}")
        wait_until(f"{job} has ended", lambda: self._conditions(job) & {"Complete", "Failed"}, seconds=80)
        log = self.cluster.kubectl("logs", f"job/{job}")
        assert "Complete" in self._conditions(job), log
        return log

    def _conditions(self, job: str) -> set[str]:
        """Return the types of conditions that hold for a Job."""
        status = self.cluster.get("Job", job, api_version="batch/v1")["status"]
        return {one["type"] for one in status.get("conditions", []) if one["status"] == "True"}

    @cached_property
    def document(self) -> Any:
        """The OpenAPI document of the service."""
        return json.loads(self.slipway("openapi"))

    def sql(self, statement: str) -> str:
        command = ("psql", "-U", "slipway", "-d", "slipway", "-v", "ON_ERROR_STOP=1", "-tAc", statement)
        return self.cluster.exec(f"{NAME}-postgresql-0", *command, container="postgresql").strip()

    def wait_rolled_out(self, seconds: float = 180) -> None:
        """Wait until all pods are new and the last old one is gone."""

        def settled() -> bool:
            wanted = self.deployment()
            pods = self.cluster.list("Pod", labels=SERVER)
            status = wanted["status"]
            return bool(
                status["observedGeneration"] == wanted["metadata"]["generation"]
                and status.get("updatedReplicas") == status.get("availableReplicas") == len(pods)
                and len(pods) == wanted["spec"]["replicas"]
            )

        wait_until("all pods are of the newest kind", settled, seconds=seconds)

    @contextmanager
    def exits(self) -> Iterator[dict[str, int]]:
        """Yield a dictionary; after the block it has the exit code of each pod's server that ended, by pod."""
        path = "{.metadata.name} {.status.containerStatuses[?(@.name=='server')].state.terminated.exitCode}{'\\n'}"
        watch = (
            "kubectl",
            "--namespace",
            self.cluster.namespace,
            "get",
            "pods",
            "--selector",
            SERVER,
            "--watch",
        )
        found: dict[str, int] = {}
        with tempfile.TemporaryFile("w+") as seen:
            with subprocess.Popen([*watch, "--output", f"jsonpath={path}"], stdout=seen) as process:
                try:
                    yield found
                finally:
                    time.sleep(2)  # for the last line
                    process.terminate()
            seen.seek(0)
            for line in seen:
                name, *code = line.split()
                found.update({name: int(code[0])} if code else {})
