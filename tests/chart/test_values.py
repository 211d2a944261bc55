"""Every value of values.yaml is used, typed and described; every other one is refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, own, run

SUBCHARTS = {"postgresql", "redis"}
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

EXTERNAL = {"postgresql": {"enabled": False}, "externalDatabase": {"host": "db", "existingSecret": "db"}}
CACHE = {"redis": {"enabled": False}, "externalRedis": {"host": "cache"}}
INGRESS = {"ingress": {"enabled": True, "hosts": ["a.example.com"]}}
DIGEST = f"sha256:{'1' * 64}"

# Every value: another one for it, and what else must be set for it to matter.
CHANGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "nameOverride": ("other", {}),
    "fullnameOverride": ("other", {}),
    "image.repository": ("other", {}),
    "image.tag": ("2.0.0", {}),
    "image.digest": (DIGEST, {}),
    "image.pullPolicy": ("Always", {}),
    "image.pullSecrets": (["registry"], {}),
    "replicaCount": (3, {}),
    "drain": (7, {}),
    "shutdownTimeout": (7, {}),
    "config.app.environment": ("development", {}),
    "config.logging.format": ("console", {}),
    "security.existingSecret": ("mine", {}),
    "security.existingSecretKey": ("mine", {"security": {"existingSecret": "mine"}}),
    "externalDatabase.host": ("other", EXTERNAL),
    "externalDatabase.port": (6432, EXTERNAL),
    "externalDatabase.name": ("other", EXTERNAL),
    "externalDatabase.user": ("other", EXTERNAL),
    "externalDatabase.existingSecret": ("other", EXTERNAL),
    "externalDatabase.existingSecretKey": ("other", EXTERNAL),
    "externalRedis.host": ("other", CACHE),
    "externalRedis.port": (6380, CACHE),
    "externalRedis.existingSecret": ("other", CACHE),
    "externalRedis.existingSecretKey": (
        "other",
        {**CACHE, "externalRedis": {"host": "cache", "existingSecret": "x"}},
    ),
    "migration.enabled": (False, {}),
    "migration.wait": (100, {}),
    "migration.deadline": (700, {}),
    "migration.ttl": (100, {}),
    "resources.requests.cpu": ("7m", {}),
    "resources.requests.memory": ("7Mi", {}),
    "resources.requests.ephemeral-storage": ("7Mi", {}),
    "resources.limits.cpu": ("7", {}),
    "resources.limits.memory": ("7Gi", {}),
    "resources.limits.ephemeral-storage": ("7Gi", {}),
    "tmpSize": ("7Mi", {}),
    **{
        f"probes.{probe}.{field}": (7, {})
        for probe in ("startup", "liveness", "readiness")
        for field in ("periodSeconds", "timeoutSeconds", "failureThreshold")
    },
    "service.type": ("LoadBalancer", {}),
    "service.port": (81, {}),
    "service.nodePort": (30080, {}),
    "service.annotations": ({"a": "b"}, {}),
    "ingress.enabled": (True, {"ingress": {"hosts": ["a.example.com"]}}),
    "ingress.className": ("other", INGRESS),
    "ingress.hosts": (["b.example.com"], INGRESS),
    "ingress.tlsSecret": ("cert", INGRESS),
    **{
        f"ingress.annotations.nginx.ingress.kubernetes.io/{name}": ("7", INGRESS)
        for name in ("proxy-body-size", "proxy-read-timeout", "proxy-send-timeout", "proxy-next-upstream")
    },
    "serviceAccount.create": (False, {}),
    "serviceAccount.name": ("other", {}),
    "serviceAccount.annotations": ({"a": "b"}, {}),
    "podLabels": ({"a": "b"}, {}),
    "podAnnotations": ({"a": "b"}, {}),
    "priorityClassName": ("high", {}),
    "nodeSelector": ({"a": "b"}, {}),
    "tolerations": ([{"operator": "Exists"}], {}),
    "affinity": ({"nodeAffinity": {}}, {}),
    "topologyKeys": (["rack"], {}),
}


def _leaves(values: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield path + name, value


LEAVES = dict(_leaves({name: value for name, value in VALUES.items() if name not in SUBCHARTS}))


def _set(path: str, value: Any) -> tuple[str, ...]:
    # A backslash keeps the dots of an annotation's name from being steps.
    group, mark, annotation = path.partition("annotations.")
    escaped = group + mark + annotation.replace(".", "\\.") if mark else path
    return ("--set-json", f"{escaped}={json.dumps(value)}")


def _render(*arguments: str) -> str:
    passwords = ("  database-password:", "  redis-password:", "  secret-key:")  # new at each rendering
    return "\n".join(line for line in own(*arguments).splitlines() if not line.startswith(passwords))


def test_the_table_of_this_test_holds_every_value() -> None:
    assert set(CHANGES) == set(LEAVES)


@pytest.mark.parametrize("path", sorted(CHANGES))
def test_a_value_changes_what_is_rendered(path: str) -> None:
    value, context = CHANGES[path]
    base = [part for name, found in context.items() for part in ("--set-json", f"{name}={json.dumps(found)}")]
    assert _render(*base, *_set(path, value)) != _render(*base)


# Settings are the service's own business: it refuses to start on a wrong or unknown one, and names it.
@pytest.mark.parametrize("path", sorted(path for path in CHANGES if not path.startswith("config.")))
def test_a_value_is_typed(path: str) -> None:
    # Annotations and affinities are free, but never a bare boolean.
    wrong: Any = 5 if isinstance(LEAVES[path], bool) else True
    done = run(str(CHART / "render"), *_set(path, wrong))
    assert done.returncode != 0
    assert "schema" in done.stderr, done.stderr


GROUPS = sorted(
    {path.rpartition(".")[0] for path in LEAVES if "annotations." not in path and "config." not in path}
)


@pytest.mark.parametrize("group", GROUPS)
def test_an_unknown_value_is_refused(group: str) -> None:
    done = run(str(CHART / "render"), *_set(f"{group}.unknownThing".lstrip("."), "x"))
    assert done.returncode != 0
    assert "unknownThing" in done.stderr


def test_every_value_is_described() -> None:
    lines = (CHART / "values.yaml").read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        top = line.split(":")[0]
        if line and line[0].isalpha():
            assert lines[number - 1].startswith("#") or not _needs_words(top), top


def _needs_words(name: str) -> bool:
    """Groups whose members are described one by one speak for themselves."""
    return not isinstance(VALUES[name], dict) or not VALUES[name]


def test_values_stay_learnable_in_one_sitting() -> None:
    assert len((CHART / "values.yaml").read_text("utf-8").splitlines()) < 700
