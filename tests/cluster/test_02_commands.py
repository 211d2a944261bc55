"""The commands in the runbooks and docs/kubernetes.md work with the installed release."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import yaml

from tests.cluster.cluster import ROOT, Cluster, run
from tests.cluster.commands import Command, How, tried
from tests.cluster.release import BUNDLED, NAME, Release
from tests.tls.terminator import Authority

HOST, TLS_SECRET, INGRESS = "shop.example.com", "runbook-tls", NAME
SECONDS = 120
# How a command may fail if there is nothing to find or to restore, and its message.
NOTHING_FOUND = {
    "create secret generic slipway-credentials": "already exists",
    '"storage": "20Gi"': "must support resize",  # kind's storage class does not
    "--set postgresql.persistence.size=20Gi": "postgresql.persistence.size is 20Gi and was",
    "--previous": "previous terminated container",
    " top ": "Metrics API not available",
    "certificate": "the server doesn't have a resource type",
    "clusterissuers": "the server doesn't have a resource type",
    "https://id.example.com": "urlopen error",
}


class Placeholders:
    """Fills in the placeholders of a command, such as `POD`, and provides the files that it names."""

    def __init__(self, release: Release, folder: Path, public: str, admin: str) -> None:
        self._release, self.folder = release, folder
        namespace = release.cluster.namespace
        server = run(
            "kubectl",
            "config",
            "view",
            "--minify",
            "-o",
            "jsonpath={.clusters[0].cluster.server}",
            seconds=20,
        )
        self._words: dict[str, Callable[[], str]] = {
            r"(?<=-n |ce |ce=)slipway\b": lambda: namespace,
            r"helm install slipway\b": lambda: f"helm install {NAME}-second",
            r"https://YOUR-HOST\b": lambda: public,
            r"YOUR-HOST:443\b": lambda: server.rpartition("/")[2],
            r"\bYOUR-HOST\b": lambda: HOST,
            r"http://127\.0\.0\.1:9000\b": lambda: admin,
            r"\bmy-values\.yaml\b": lambda: str(folder / "my-values.yaml"),
            r"\btls\.(crt|key)(?=\s)": lambda: str(folder / f"{HOST}.pem"),
            r"(?<==)[a-z]+\.(?:crt|txt)(?=\s|$)": lambda: str(folder / "any.txt"),
            r"\bTLS-SECRET\b": lambda: TLS_SECRET,
            r"\bPOD\b": lambda: str(self._pod()["metadata"]["name"]),
            r"\bNODE\b": lambda: str(self._pod()["spec"]["nodeName"]),
            r"\bREVISION\b": lambda: "1",
            r"\bNAME\b": lambda: "runbook",
            r"\bSCOPE\b": lambda: "admin",
            r"\bPREFIX\b": lambda: release.key().split("_")[1],
            r"\bPID\b": lambda: "0",
            r"(?<==)N\b": lambda: "3",
            r"https://ISSUER\b": lambda: "https://id.example.com",
        }

    def _pod(self) -> dict[str, dict[str, str]]:
        return self._release.pods()[0]

    def fill(self, text: str) -> str:
        for pattern, word in self._words.items():
            if re.search(pattern, text):
                text = re.sub(pattern, word().replace("\\", r"\\"), text)
        return text


@pytest.fixture(scope="module")
def placeholders(
    release: Release, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Placeholders]:
    folder = tmp_path_factory.mktemp("runbook")
    Authority(folder).server(HOST)
    (folder / "any.txt").write_text("anything", "utf-8")
    pem = (folder / f"{HOST}.pem").read_text("utf-8")
    values = yaml.safe_load((ROOT / BUNDLED).read_text("utf-8"))
    values["image"] = dict(zip(("repository", "tag"), cluster.image.rsplit(":", 1), strict=True))
    (folder / "my-values.yaml").write_text(yaml.safe_dump(values), "utf-8")
    certificate = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": TLS_SECRET},
    }
    backend = {"service": {"name": NAME, "port": {"name": "http"}}}
    rule = {"host": HOST, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": INGRESS}}
    made = (
        {**certificate, "stringData": {"tls.crt": pem, "tls.key": pem}},
        {**ingress, "spec": {"tls": [{"hosts": [HOST], "secretName": TLS_SECRET}], "rules": [rule]}},
    )
    try:
        for manifest in made:
            cluster.create(manifest)
        with (
            cluster.forward(f"service/{NAME}", 80) as public,
            cluster.forward(f"deploy/{NAME}", 9000) as admin,
        ):
            yield Placeholders(release, folder, public, admin)
    finally:
        cluster.delete("Secret", TLS_SECRET)
        cluster.delete("Ingress", INGRESS)


def _type(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line in a shell, without input."""
    return subprocess.run(
        ("bash", "-o", "pipefail", "-c", line),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, "HELM": os.environ.get("HELM", "helm")},
    )


def _found_nothing(line: str, done: subprocess.CompletedProcess[str]) -> bool:
    said = done.stderr + done.stdout
    searched = " | grep " in line and done.returncode == 1 and not done.stderr
    return searched or any(mark in line and words in said for mark, words in NOTHING_FOUND.items())


@pytest.mark.parametrize("command", tried(How.RUN, How.PART), ids=lambda command: command.id)
def test_command_succeeds(command: Command, placeholders: Placeholders, cluster: Cluster) -> None:
    line = placeholders.fill(command.harmless)
    assert not re.search(r"\b[A-Z]{3,}-?[A-Z]*\b(?=\s|$)", re.sub(r"\"[^\"]*\"|'[^']*'", "", line)), line
    if line.endswith("&"):
        target, port = line.split()[-3:-1]
        with cluster.forward(target, int(port)) as url:
            assert httpx2.get(f"{url}/readyz", timeout=10).status_code == 200
        return
    done = _type(line)
    assert done.returncode == 0 or _found_nothing(line, done), f"{line}\n{done.stderr}{done.stdout}"


def test_dry_run_command_changes_nothing(
    placeholders: Placeholders, release: Release, cluster: Cluster
) -> None:
    before = (release.revision(), cluster.everything(), release.deployment()["metadata"]["generation"])
    for command in tried(How.PART):
        _type(placeholders.fill(command.harmless))
    assert (
        release.revision(),
        cluster.everything(),
        release.deployment()["metadata"]["generation"],
    ) == before


@pytest.mark.parametrize("command", tried(How.NAME), ids=lambda command: command.id)
def test_named_command_exists(command: Command, release: Release) -> None:
    program, name = command.text.split()
    if program == "slipway":
        assert name in release.slipway(name, "--help")
    else:
        done = _type(f"{command.text} --help")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", tried(How.SQL), ids=lambda command: command.id)
def test_sql_statement_is_valid(command: Command, placeholders: Placeholders, release: Release) -> None:
    release.sql(placeholders.fill(command.text))
