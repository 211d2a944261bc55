"""Prometheus, promtool and Loki of this machine."""

import os
import shutil

import pytest


def program(name: str) -> str:
    """The path of a program: what SLIPWAY_NAME says, or what PATH knows. Skips the test when there is none."""
    variable = f"SLIPWAY_{name.upper()}"
    found = shutil.which(os.environ.get(variable) or name)
    if found is None:
        pytest.skip(f"there is no {name} on this machine: {variable} says where it is")
    return found
