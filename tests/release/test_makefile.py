"""What `make` runs: checks that change nothing, packages with their hashes, and every test by some target."""

import functools
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
GENERATORS = ("reference", "chart-reference", "dashboards", "compose-files")
INSTALLED = ".venv/.installed"


@functools.cache
def commands(target: str, *options: str) -> str:
    """Return what a target would run, with the environment as it is."""
    made = ["make", "--dry-run", "--no-print-directory", *(options or ("--old-file", INSTALLED)), target]
    variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        made, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env=variables
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.replace("\\\n", " ")


def _selected(target: str) -> set[str]:
    """Return the tests that a target selects, by markers."""
    return set(re.findall(r'-m ("[^"]+"|(?:long|fault|observability)\b)', commands(target)))


def test_check_changes_nothing_and_leaves_nothing_out() -> None:
    checks = commands("check").splitlines()
    for target in GENERATORS:
        (generator,) = commands(target).splitlines()
        assert f"{generator} --check" in checks, "a generated file that is out of date"
    for command in ("ruff format --check .", "ruff check .", "mypy", "slipway features check"):
        assert f".venv/bin/{command}" in checks
    assert ".venv/bin/python -m tests.migrations.lint" in checks
    assert checks[-1].endswith(" tests/unit/test_architecture.py")


def test_every_test_is_run_by_a_target() -> None:
    markers = {marker.partition(":")[0] for marker in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
    left_out = markers - {"cluster"}  # by its folder, which has no other tests
    expression = '"' + " and ".join(f"not {name}" for name in ("long", "fault", "observability")) + '"'
    assert left_out == {"long", "fault", "observability"}
    assert _selected("test") == _selected("coverage") == {expression}
    assert "--ignore=tests/cluster " in commands("test")
    assert _selected("test-long") == {"long", '"hypothesis and not long"'}
    many = {f"SLIPWAY_TEST_{what} .venv/bin/pytest -q" for what in ("PLAN_ROWS=1000000", "EXAMPLES=150")}
    assert many == {line.partition(" -q")[0] + " -q" for line in commands("test-long").splitlines()[1:]}
    assert _selected("fault-test") == {"fault"}
    assert _selected("observability-test") == {"observability"}
    chart = commands("chart-test")
    assert _selected("chart-test") == {'"not observability"'}
    assert {"tests/chart", "tests/observability", "tests/release"} <= {*chart.split()}
    assert "SLIPWAY_CHART_TOOLS=" in chart
    assert re.search(
        r"SLIPWAY_CLIENT_TOOLS=\S+ \S+pytest tests/clients$", commands("client-test"), re.MULTILINE
    )
    assert commands("cluster-test").split() == ["k8s/cluster", "test"]


def test_environment_has_the_locked_packages_alone() -> None:
    installs = [line for line in commands("env", "--always-make").splitlines() if " install " in line]
    of_files = [line for line in installs if "--requirement" in line]
    assert [re.findall(r"requirements\S*\.txt", line) for line in of_files] == [
        ["requirements-uv.txt"],
        ["requirements-dev.txt"],
    ]
    assert all("--require-hashes" in line for line in of_files)
    (project,) = [line for line in installs if line not in of_files]
    assert "--no-deps" in project
    assert "--no-build-isolation" in project


def test_lock_is_for_every_platform_and_the_oldest_python() -> None:
    of_service, of_tests, _ = commands("lock").splitlines()
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    for line in (of_service, of_tests):
        for option in (
            "--universal",
            f"--python-version {oldest}",
            "--generate-hashes",
            "--no-emit-index-url",
        ):
            assert f" {option} " in line
    assert of_service.endswith("pyproject.toml -o requirements.txt")
    # So the tests run with the versions of the image.
    assert of_tests.endswith("--extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt")


def test_image_gets_every_argument_and_has_a_budget() -> None:
    text = commands("image")
    declared = re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"--build-arg (\w+)=", text)) == set(declared)
    assert "all - base > 200e6" in text
    assert "exit 1" in text


def test_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = {name for line in re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE) for name in line.split()}
    listed = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True, env={"PATH": os.environ["PATH"]},
    ).stdout  # fmt: skip
    assert {line.split()[0] for line in listed.splitlines()} == targets


def test_bytecode_is_written_even_if_the_caller_forbids_it() -> None:
    probe = ["make", "--no-print-directory", "--eval", "probe: ; @env", "probe", "PORT=8111"]
    given = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(probe, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True, env=given)
    found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert found["COVERAGE_FOLDER"] == str(ROOT / ".local" / "coverage")
    assert (found["IMAGE"], found["PORT"]) == ("slipway:dev", "8111")
