"""Text that looks like a number or a boolean stays text: names, labels, environment, annotations."""

import json
import re
from typing import Any

import pytest

from tests.chart.changes import CHANGES, EXTERNAL, KINDS, NAMES, TEXTS, is_text
from tests.chart.rendering import objects, own, render, scalars
from tests.chart.test_values import ARRIVING

NUMBERS = re.compile(
    r"(?i)port|replica(s|Count)|seconds|threshold|limit|weight|maxSkew|maxSurge|maxUnavailable|runAs(User|Group)|fsGroup|"
    r"defaultMode|automountServiceAccountToken|publishNotReadyAddresses|enableServiceLinks|runAsNonRoot|readOnly|"
    r"allowPrivilegeEscalation|^optional$"
)
"""Fields that hold numbers or booleans, by a part of their names. Everything else in an object is a text."""
BUNDLED = (
    "postgresql.auth.database",
    "postgresql.auth.username",
    "postgresql.auth.existingSecret",
    "postgresql.auth.secretKeys.adminPasswordKey",
    "redis.auth.existingSecret",
    "redis.auth.existingSecretPasswordKey",
)
GIVEN = {path: TEXTS[KINDS[path]] for path in {*CHANGES, *ARRIVING} if is_text(path)}


def _look(text: str, given: str) -> None:
    """Every string is a string, and the given ones are among them, unchanged."""
    leaves = [(f"{found['kind']}{path}", value) for found in objects(text) for path, value in scalars(found)]
    wrong = [
        (path, value)
        for path, value in leaves
        if not isinstance(value, str)
        and not NUMBERS.search(path.rpartition("/")[2])
        # List items are named by index.
        and not (path.rpartition("/")[2].isdigit() and NUMBERS.search(path.split("/")[-2]))
    ]
    assert wrong == []
    assert any(given in value for path, value in leaves if isinstance(value, str))


def _together() -> dict[str, list[str]]:
    """Return groups of paths that one rendering can test, by the settings that they need; none hides another."""
    found: dict[str, list[str]] = {}
    for path in [*sorted(GIVEN), *BUNDLED]:
        context = CHANGES[path][1] if path in CHANGES else {}
        apart = path if path.endswith("caConfigMap") else ""  # instead of a Secret
        found.setdefault(f"{apart}{json.dumps(context, sort_keys=True)}", []).append(path)
    return found


TOGETHER = _together()


@pytest.mark.parametrize("paths", TOGETHER.values(), ids=lambda paths: paths[0])
def test_numeric_strings_stay_strings(paths: list[str]) -> None:
    context = CHANGES[paths[0]][1] if paths[0] in CHANGES else {}
    given = dict(context)
    words = {}
    for number, path in enumerate(paths):
        words[path] = f"00{number + 100}"  # all different, so that none can be mistaken for another
        given[path] = json.loads(json.dumps(GIVEN.get(path, "007")).replace("007", words[path]))
    base = [part for name, value in given.items() for part in ("--set-json", f"{name}={json.dumps(value)}")]
    text = own(*base)
    for word in words.values():
        _look(text, word)


@pytest.mark.parametrize("path", NAMES)
@pytest.mark.parametrize("name", ["true", "null"])
def test_yaml_keywords_stay_strings(path: str, name: str) -> None:
    _look(own("--set-string", f"{path}={name}"), name)


@pytest.mark.parametrize("name", ["123", "1e3", "true"])
def test_release_and_namespace_names_may_be_numeric(name: str) -> None:
    full: dict[str, Any] = {
        "fullnameOverride": "shop",
        "redis": {"fullnameOverride": "cache"},
        "prometheusRule": {"enabled": True},
    }
    full |= {"serviceMonitor": {"enabled": True}, "dashboards": {"enabled": True}, **EXTERNAL}
    done = render("--namespace", name, "--values", "-", text=json.dumps(full), release=name)
    assert done.returncode == 0, done.stderr
    _look(done.stdout, name)
    # PyYAML reads an unquoted 1e3 as text; the YAML parser of Kubernetes does not.
    assert name == "true" or not re.search(rf": {name}$", done.stdout, re.MULTILINE)
