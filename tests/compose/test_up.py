"""What `compose/up` prints and makes, without Docker: a program in its place accepts every command."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests.compose.stack import Stack

PORT = re.compile(r"127\.0\.0\.1:\$\{\w+:-(\d+)\}:")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = Stack.copied_to(tmp_path / "copy").folder
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\n")
    docker.chmod(0o755)
    return folder


def _up(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
    path = f"{folder.parent}:{os.environ['PATH']}"
    return subprocess.run(
        [folder / "compose" / "up"], cwd=folder, env={**clean, **variables, "PATH": path},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_every_port_of_the_stack_is_printed(folder: Path) -> None:
    for name in ("tls.crt", "tls.key"):
        file = folder / "compose" / "secrets" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("x")
    done = _up(folder, PROFILES="core observability tools load", TLS="1")
    assert done.returncode == 0, done.stderr
    files = (folder / "compose.yaml").read_text("utf-8") + (folder / "compose" / "tls.yaml").read_text(
        "utf-8"
    )
    ports = PORT.findall(files)
    assert len(ports) == 6
    assert [port for port in ports if f"://127.0.0.1:{port}" not in done.stdout] == []


def test_secrets_are_made_once_in_a_folder_that_others_cannot_enter(folder: Path) -> None:
    def secrets() -> dict[str, str]:
        return {file.name: file.read_text() for file in (folder / "compose" / "secrets").iterdir()}

    assert _up(folder).returncode == 0
    made = secrets()
    assert all(len(secret) >= 32 for secret in made.values())  # of 43 characters, a few are left out
    assert len(set(made.values())) == len(made) == 6
    assert stat.S_IMODE((folder / "compose" / "secrets").stat().st_mode) == 0o700
    assert _up(folder).returncode == 0
    assert secrets() == made
