"""Prometheus, promtool, Loki and Traefik of this machine."""

import os
import shutil

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


def _variable(name: str) -> str:
    return f"SLIPWAY_{name.upper()}"
