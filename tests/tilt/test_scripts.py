"""The scripts of tilt/, with stand-ins for the programs that need a cluster or a builder."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.tilt.tiltfile import ROOT

# Records its arguments, and its input if it has any; the test says how it ends.
PROGRAM = """#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
case "$*" in *"$REFUSED"*) exit 1;; esac
if [ "$1" = create ]; then cat >"$CALLS.input"; fi
echo done
"""


class Programs:
    """Stand-ins on the PATH, and what they were called with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._calls = folder / "calls"
        for name in ("kubectl", "docker", "make"):
            program = folder / name
            program.write_text(PROGRAM)
            program.chmod(0o700)

    def run(self, script: str, *arguments: str, refused: str = "nothing") -> subprocess.CompletedProcess[str]:
        """Run a script of tilt/. A program fails if its arguments have the text `refused`."""
        variables = {
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "CALLS": str(self._calls),
            "REFUSED": refused,
        }
        command = [str(ROOT / "tilt" / script), *arguments]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()

    @property
    def input(self) -> str:
        return Path(f"{self._calls}.input").read_text()


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


def test_secret_has_a_random_value_for_each_use_and_none_in_an_argument(programs: Programs) -> None:
    assert programs.run("secret", "shop", "shop-development", refused="get secret").returncode == 0
    made = yaml.safe_load(programs.input)
    assert (made["kind"], made["metadata"]) == ("Secret", {"namespace": "shop", "name": "shop-development"})
    values = made["stringData"]
    assert len({*values.values()}) == len(values) == 6
    assert min(map(len, values.values())) >= 40
    assert all(value.isalnum() for value in values.values()), "they stand in URLs"
    assert programs.calls == [
        "kubectl --namespace shop get secret shop-development --output name",
        "kubectl create --filename -",
    ]
    named = yaml.safe_load((ROOT / "tilt" / "values.yaml").read_text("utf-8"))
    parts = [one for one in named.values() if "existingSecretKey" in one]
    assert {one["existingSecretKey"] for one in parts} <= values.keys()


def test_secret_that_exists_stays(programs: Programs) -> None:
    assert programs.run("secret", "shop", "shop-development").returncode == 0
    assert programs.calls == ["kubectl --namespace shop get secret shop-development --output name"]


def test_image_is_built_on_the_production_image_of_this_tree(programs: Programs) -> None:
    assert programs.run("build", "slipway:live").returncode == 0
    make, build = programs.calls
    assert make == "make --no-print-directory image IMAGE=slipway:tilt-base"
    assert build == "docker build --quiet --tag slipway:live --build-arg BASE=slipway:tilt-base tilt"
    assert programs.run("build", "slipway:live", refused="image").returncode != 0
    assert programs.calls == [make, build, make]


@pytest.mark.parametrize("script", ["secret", "build", "load"])
def test_script_says_what_it_needs(programs: Programs, script: str) -> None:
    done = programs.run(script)
    assert done.returncode != 0
    assert f"usage: tilt/{script} " in done.stderr


def test_changed_code_precedes_the_installed_package() -> None:
    image = (ROOT / "tilt" / "Dockerfile").read_text("utf-8").splitlines()
    assert "ENV PYTHONPATH=/tmp/live" in image
    assert image[-1] == 'ENTRYPOINT ["python", "/opt/reload.py", "slipway"]'
