"""Text that looks like a number or a boolean stays text: names, labels, environment, annotations."""

import json
import re
from typing import Any

import pytest

from tests.chart.changes import CHANGES, EXTERNAL, KINDS, NAMES, TEXTS, is_text
from tests.chart.rendering import objects, own, render, scalars
from tests.chart.test_values import ARRIVING
from tests.chart.together import Group, assigned, grouped

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


def _look(text: str, *given: str) -> None:
    """Every string is a string, and the given ones are among them, unchanged."""
    found = [(f"{each['kind']}{path}", value) for each in objects(text) for path, value in scalars(each)]
    wrong = [
        (path, value)
        for path, value in found
        if not isinstance(value, str)
        and not NUMBERS.search(path.rpartition("/")[2])
        # List items are named by index.
        and not (path.rpartition("/")[2].isdigit() and NUMBERS.search(path.split("/")[-2]))
    ]
    assert wrong == []
    texts = [value for _, value in found if isinstance(value, str)]
    assert [word for word in given if not any(word in value for value in texts)] == []


CONTEXTS = [(path, CHANGES[path][1] if path in CHANGES else {}) for path in (*sorted(GIVEN), *BUNDLED)]


@pytest.mark.parametrize("group", grouped(CONTEXTS), ids=lambda group: group.paths[0])
def test_numeric_strings_stay_strings(group: Group) -> None:
    """Each value has a word of its own, so none can hide another unnoticed."""
    given = dict(group.context)
    words = {}
    for number, path in enumerate(group.paths):
        words[path] = f"00{number + 100}"
        given[path] = json.loads(json.dumps(GIVEN.get(path, "007")).replace("007", words[path]))
    _look(own(*assigned(given)), *words.values())


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
