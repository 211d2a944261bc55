"""The scripts of tilt/, with stand-ins for the programs that need a cluster or a builder."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.stand_ins import Programs
from tests.tilt.tiltfile import ROOT

Run = Callable[..., tuple[int, list[str], str]]
ANSWERS = """
*"$REFUSED"*) exit 1;;
"kubectl create "*) cat >"$CALLS.input";;
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a script of tilt/. A program fails if its call has the text `refused`."""
    programs = Programs(tmp_path, ("kubectl", "docker", "make"), ANSWERS)

    def run(script: str, *arguments: str, refused: str = "nothing") -> tuple[int, list[str], str]:
        done = programs.run(ROOT / "tilt" / script, *arguments, REFUSED=refused)
        return done.returncode, programs.calls, done.stderr

    return run


def test_secret_has_a_random_value_for_each_use_and_none_in_an_argument(run: Run, tmp_path: Path) -> None:
    assert run("secret", "shop", "shop-development", refused="get secret")[:2] == (
        0,
        [
            "kubectl --namespace shop get secret shop-development --output name",
            "kubectl create --filename -",
        ],
    )
    made = yaml.safe_load((tmp_path / "calls.input").read_text())
    assert (made["kind"], made["metadata"]) == ("Secret", {"namespace": "shop", "name": "shop-development"})
    values = made["stringData"]
    assert len({*values.values()}) == len(values) == 6
    assert min(map(len, values.values())) >= 40
    assert all(value.isalnum() for value in values.values()), "they stand in URLs"
    named = yaml.safe_load((ROOT / "tilt" / "values.yaml").read_text("utf-8"))
    parts = [one for one in named.values() if "existingSecretKey" in one]
    assert {one["existingSecretKey"] for one in parts} <= values.keys()


def test_secret_that_exists_stays(run: Run) -> None:
    code, calls, _ = run("secret", "shop", "shop-development")
    assert (code, calls) == (0, ["kubectl --namespace shop get secret shop-development --output name"])


def test_image_is_built_on_the_production_image_of_this_tree(run: Run) -> None:
    code, (make, build), _ = run("build", "slipway:live")
    assert code == 0
    assert make == "make --no-print-directory image IMAGE=slipway:tilt-base"
    assert build == "docker build --quiet --tag slipway:live --build-arg BASE=slipway:tilt-base tilt"
    code, calls, _ = run("build", "slipway:live", refused="image")
    assert (code != 0, calls) == (True, [make])


@pytest.mark.parametrize("script", ["secret", "build", "load"])
def test_script_says_what_it_needs(run: Run, script: str) -> None:
    code, calls, errors = run(script)
    assert (code != 0, calls) == (True, [])
    assert f"usage: tilt/{script} " in errors


def test_changed_code_precedes_the_installed_package() -> None:
    image = (ROOT / "tilt" / "Dockerfile").read_text("utf-8").splitlines()
    assert "ENV PYTHONPATH=/tmp/live" in image
    assert image[-1] == 'ENTRYPOINT ["python", "/opt/reload.py", "slipway"]'
