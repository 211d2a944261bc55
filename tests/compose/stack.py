"""The stack of Docker Compose as `compose/up` starts it, in a copy with ports and a project of its own."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.ports import next_port
from tests.unit.rules.rule import ROOT

COPIED = ("compose.yaml", "compose", "chart/dashboards", "chart/files")
IMAGES = (
    os.environ.get("SLIPWAY_IMAGE", "slipway:dev"),
    "nginx:1.30",
    "postgres:18",
    "redis:8",
    "quay.io/prometheus/prometheus:v3.14.0-distroless",
)
UP_SECONDS = 600  # most of it on a machine with a load of 20 for each processor


def missing_images() -> list[str]:
    """Return the images that Docker does not have; all of them without Docker."""
    if shutil.which("docker") is None:
        return [*IMAGES]
    looked = subprocess.run(
        ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return [image for image in IMAGES if image not in looked.stdout.split()]


@dataclass
class Stack:
    """A copy of the stack. Its containers are called `<project>-<service>-<number>`."""

    folder: Path
    project: str
    port: int
    tls_port: int
    prometheus_port: int

    @classmethod
    def copied_to(cls, folder: Path) -> "Stack":
        for name in COPIED:
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("secrets", "__pycache__"))
            else:
                shutil.copy(source, target)
        ports = [next_port() for _ in range(3)]
        stack = cls(folder, f"slipway-test-{ports[0]}", *ports)
        scraped = folder / "compose" / "prometheus" / "prometheus.yml"
        scraped.write_text(
            scraped.read_text("utf-8").replace("slipway-slipway-", f"{stack.project}-slipway-"), "utf-8"
        )
        return stack

    def up(self, **variables: str) -> str:
        """Run `compose/up`; return what it prints. Raises `AssertionError` if it fails."""
        return self._run([str(self.folder / "compose" / "up")], **variables)

    def compose(self, *arguments: str) -> str:
        """Run `docker compose` with all profiles."""
        return self._run(["docker", "compose", "--profile", "*", *arguments])

    @property
    def label(self) -> str:
        """The label of all objects of the project."""
        return f"com.docker.compose.project={self.project}"

    def left(self, kind: str) -> set[str]:
        """Return the names of the project's objects: `container`, `network` or `volume`."""
        every = ["--all"] if kind == "container" else []
        listed = self._run(
            ["docker", kind, "ls", *every, "--format", "{{json .}}", "--filter", f"label={self.label}"]
        )
        found = [json.loads(line) for line in listed.splitlines()]
        return {one.get("Names") or one["Name"] for one in found}

    @property
    def volumes(self) -> set[str]:
        """The names of all volumes that compose.yaml declares."""
        declared = yaml.safe_load((self.folder / "compose.yaml").read_text("utf-8"))["volumes"]
        return {f"{self.project}_{name}" for name in declared}

    def _run(self, command: list[str], **variables: str) -> str:
        own = {
            "COMPOSE_PROJECT_NAME": self.project,
            "SLIPWAY_HTTP_PORT": str(self.port),
            "SLIPWAY_HTTPS_PORT": str(self.tls_port),
            "SLIPWAY_PROMETHEUS_PORT": str(self.prometheus_port),
            "SLIPWAY_EDGE_SUBNET": f"10.213.{58 + self.port % 190}.0/28",
        }
        done = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **own, **variables},
            capture_output=True, text=True, timeout=UP_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
