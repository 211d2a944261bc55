"""Finds Prometheus, promtool, Loki and Traefik on this machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def located(name: str) -> str | None:
    """Return the path of a program: from SLIPWAY_<NAME> or PATH, or None."""
    return shutil.which(os.environ.get(_variable(name)) or name)


def program(name: str) -> str:
    """Return the path of a program. Skips the test if it is not installed."""
    path = located(name)
    if path is None:
        pytest.skip(f"there is no {name} on this machine: {_variable(name)} says where it is")
    return path


def loki_program(folder: Path) -> Path | None:
    """Return Loki's binary, possibly copied from a local Docker image, or None. Downloads nothing."""
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
    """Return the output of the command, or nothing if Docker does not work."""
    command = [docker, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def _variable(name: str) -> str:
    return f"SLIPWAY_{name.upper()}"
