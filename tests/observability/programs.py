"""Prometheus, promtool, Loki and Traefik of this machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def located(name: str) -> str | None:
    """The path of a program: what SLIPWAY_NAME says, or what PATH knows; None when there is none."""
    return shutil.which(os.environ.get(_variable(name)) or name)


def program(name: str) -> str:
    """The same. Skips the test when there is none."""
    path = located(name)
    if path is None:
        pytest.skip(f"there is no {name} on this machine: {_variable(name)} says where it is")
    return path


def loki_program(folder: Path) -> Path | None:
    """Loki's program, out of its image where Docker holds one; None when there is neither. Nothing is fetched."""
    if (found := located("loki")) or (docker := shutil.which("docker")) is None:
        return Path(found) if found else None
    images = _docker(docker, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    image = next((name for name in images if name.rpartition(":")[0].endswith("grafana/loki")), None)
    if image is None:
        return None
    container = _docker(docker, "create", image).strip()
    copy = folder / "loki-program"
    _docker(docker, "cp", f"{container}:/usr/bin/loki", str(copy))
    _docker(docker, "rm", container)
    return copy if copy.exists() else None


def _docker(docker: str, *arguments: str) -> str:
    """What the command prints; nothing where Docker does not work."""
    command = [docker, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def _variable(name: str) -> str:
    return f"SLIPWAY_{name.upper()}"
