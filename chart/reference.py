"""Writes values.schema.json and the table of values in README.md from values.yaml. `make chart-reference` runs it.

In values.yaml, a comment `# -- Words` above a key describes a value; `# -- (TYPE) Words` also says its type, which is
otherwise that of the default. TYPE is a name of TYPES below or alternatives as `A|B`. Every key is either described or
a group of others; only within the charts that Chart.yaml names as dependencies, which know their values, it may be
neither. The type `settings` comes from the service's own settings, so that Helm refuses a name or a value that the
service would refuse.
"""  # noqa: INP001 - a script, not a package

import functools
import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from service.domains import DOMAINS
from service.resources.domain import settings_of

CHART = Path(__file__).parent
BEGIN, END = "<!-- values: written by `make chart-reference` -->", "<!-- end of values -->"
KEY = re.compile(r"^( *)([A-Za-z][\w.-]*):")
DESCRIPTION = re.compile(r"^-- (?:\(([^)]+)\) )?(.+)$")

Schema = dict[str, Any]


def _strict(properties: dict[str, Schema], *required: str) -> Schema:
    schema: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return schema | ({"required": list(required)} if required else {})


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


NAME = {"type": "string", "maxLength": 253, "pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"}
TEXT = {"type": "string", "minLength": 1}
ADDRESS = {"type": "string", "pattern": "^([^][:/@, ]+|\\[[0-9a-fA-F:.]+\\])(:[0-9]{1,5})?$"}
# A duration of the Gateway API (GEP-2257).
PERIOD: Schema = {"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"}
STRINGS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
POSITIVE = {"type": "integer", "minimum": 1}
QUANTITY = {"type": ["string", "integer"], "pattern": "^[0-9]+(\\.[0-9]+)?(m|[kMGT]i?)?$"}
AMOUNTS = _strict(dict.fromkeys(("cpu", "memory", "ephemeral-storage"), QUANTITY))
PROBE = ("periodSeconds", "timeoutSeconds", "failureThreshold")
NAMED: Schema = {"type": "object", "required": ["name"], "properties": {"name": TEXT}}
# SecurityContext and PodSecurityContext of core/v1, and what they share.
IDENTITY: dict[str, Schema] = {
    "runAsNonRoot": {"type": "boolean"},
    **{key: {"type": "integer", "minimum": 0} for key in ("runAsUser", "runAsGroup")},
    **{
        key: {"type": "object"}
        for key in ("appArmorProfile", "seccompProfile", "seLinuxOptions", "windowsOptions")
    },
}
POD_SECURITY: dict[str, Schema] = {
    "fsGroup": {"type": "integer", "minimum": 0},
    "fsGroupChangePolicy": {"enum": ["Always", "OnRootMismatch"]},
    "supplementalGroups": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    "supplementalGroupsPolicy": {"enum": ["Merge", "Strict"]},
    "seLinuxChangePolicy": {"enum": ["MountOption", "Recursive"]},
    "sysctls": {"type": "array", "items": NAMED},
}
CONTAINER_SECURITY: dict[str, Schema] = {
    **{
        key: {"type": "boolean"}
        for key in ("allowPrivilegeEscalation", "privileged", "readOnlyRootFilesystem")
    },
    "capabilities": _strict(dict.fromkeys(("add", "drop"), _list(TEXT))),
    "procMount": TEXT,
}
SCHEDULE = {"type": "string", "pattern": "^(@[a-z]+|[^ ]+( [^ ]+){4})$"}
TIME_ZONE = {"type": "string", "pattern": "^([A-Z][A-Za-z]+(/[A-Za-z0-9_+-]+)*)?$"}
CRON_JOB: dict[str, Schema] = {
    "schedule": SCHEDULE,
    "timeZone": TIME_ZONE,
    "job": TEXT,
    "args": _list(TEXT),
    "command": _list(TEXT),
    "deadline": POSITIVE,
    "retries": {"type": "integer", "minimum": 0},
    "concurrencyPolicy": {"enum": ["Allow", "Forbid", "Replace"]},
    "suspend": {"type": "boolean"},
}
GLOBAL: Schema = {
    "type": "object",
    "properties": {
        "imageRegistry": {"type": ["string", "null"]},
        "imagePullSecrets": {"type": ["array", "null"], "items": {"anyOf": [NAME, NAMED]}},
    },
}
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
# Environment variables are text: a text that parses as the type is accepted, and an empty one counts as unset.
READS_AS = {"integer": "^[0-9]*$", "number": "^([0-9]+([.][0-9]+)?)?$"}


def _setting(found: Schema, definitions: dict[str, Schema]) -> Schema:
    """The schema of one setting as a value of the chart, from its own JSON schema."""
    if "$ref" in found:
        found = definitions[found["$ref"].rpartition("/")[2]]
    if "anyOf" in found:
        found = next(one for one in found["anyOf"] if one.get("type") != "null")
    kind = found.get("type", "string")
    if "enum" in found:
        return {"enum": [*found["enum"], ""]}
    if kind == "boolean":
        return {"enum": [True, False, "true", "false", ""]}
    if kind in READS_AS:
        bounds = {name: found[name] for name in BOUNDS if name in found}
        return {"type": [kind, "string"], "pattern": READS_AS[kind], **bounds}
    if kind == "array":
        return {"type": ["array", "string"], "items": _setting(found["items"], definitions)}
    if "properties" in found:
        members = {name: _setting(one, definitions) for name, one in found["properties"].items()}
        return _strict(members)
    return {"type": kind}


def _settings() -> Schema:
    """Return the schema of all settings, of the service and its domains. It allows no other names, at any level."""
    groups = {}
    for name, info in settings_of(DOMAINS).model_fields.items():
        whole = type(info.default).model_json_schema()
        fields, definitions = whole.get("properties", {}), whole.get("$defs", {})
        groups[name] = _strict({field: _setting(one, definitions) for field, one in fields.items()})
    return _strict(groups)


def _alerts() -> Schema:
    """Return the schema of changes to alerts. Only an alert whose file asks for a threshold has one."""
    alerts = {}
    for path in sorted((CHART / "alerts").glob("*.yaml")):
        change: Schema = {"enabled": {"type": "boolean"}, "labels": STRINGS}
        if "slipway.threshold" in path.read_text("utf-8"):
            change["threshold"] = {"type": "number", "exclusiveMinimum": 0}
        alerts[path.stem] = _strict(change)
    return _strict(alerts)


TYPES: dict[str, Schema] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": 0},
    "string": {"type": "string"},
    "object": {"type": "object"},
    "name": NAME,
    "names": _list(NAME),
    "text": TEXT,
    "texts": _list(TEXT),
    "addresses": _list(ADDRESS),
    "positive integer": POSITIVE,
    "port": POSITIVE | {"maximum": 65535},
    "ports": _list(POSITIVE | {"maximum": 65535}),
    "traffic policy": {"enum": ["", "Cluster", "Local"]},
    "port or null": {"type": ["integer", "null"], "minimum": 1, "maximum": 65535},
    "seconds": {"type": "integer", "minimum": 0, "maximum": 3600},
    "objective": {"type": "number", "minimum": 95, "exclusiveMaximum": 100},
    "latency": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 5},
    "folder": {"type": "string", "pattern": "^(https?://.+/)?$"},
    "duration": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"},
    "schedule": SCHEDULE,
    "optional schedule": {"type": "string", "pattern": "^(@[a-z]+|[^ ]+( [^ ]+){4})?$"},
    "backup id": {"type": "string", "pattern": "^(latest|[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8})?$"},
    "backup storage": {"type": "string", "pattern": "^(s3://[a-z0-9][a-z0-9.-]+(/.*)?)?$"},
    "tag": {"type": "string", "pattern": "^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$"},
    "digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    # As `service.config.clean_path` has it.
    "public path": {
        "type": "string",
        "maxLength": 200,
        "pattern": "^(/[A-Za-z0-9._~-]+)*$",
        "not": {"pattern": "^/(api(/v1)?|docs(/assets)?|openapi\\.json|health)$|/\\.\\.?(/|$)"},
    },
    "quantity": QUANTITY,
    "optional quantity": QUANTITY | {"pattern": QUANTITY["pattern"].removesuffix("$") + "$|^$"},
    "timeouts": _strict(dict.fromkeys(("request", "backendRequest"), PERIOD)),
    "time zone": TIME_ZONE,
    "optional integer": {"type": ["integer", "null"], "minimum": 0},
    "amount": {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+%?$"},
    "class": {
        "type": "string",
        "maxLength": 253,
        "pattern": "^([A-Za-z0-9]([-A-Za-z0-9._/]*[A-Za-z0-9])?)?$",
    },
    "strings by name": STRINGS,
    "alerts": _alerts(),
    "objects": _list({"type": "object", "minProperties": 1}),
    "named objects": _list(NAMED),
    "environment": _list(NAMED | {"properties": {"name": TEXT, "value": {"type": "string"}}}),
    "manifests": _list({"type": ["object", "string"], "minProperties": 1, "minLength": 1}),
    "pull secrets": _list({"anyOf": [NAME, _strict({"name": NAME}, "name")]}),
    "cron jobs": {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": _strict(CRON_JOB, "schedule")},
    },
    "lifecycle": _strict(
        {key: {"type": "object"} for key in ("postStart", "preStop")} | {"stopSignal": TEXT}
    ),
    "dns": _strict({"nameservers": _list(TEXT), "searches": _list(TEXT), "options": _list(NAMED)}),
    "pod security context": _strict({**IDENTITY, **POD_SECURITY}),
    "security context": _strict({**IDENTITY, **CONTAINER_SECURITY}),
    "resources": _strict({"requests": AMOUNTS, "limits": AMOUNTS}, "requests", "limits"),
    "probe": _strict(dict.fromkeys(PROBE, POSITIVE), *PROBE),
    "settings": _settings(),
}
INFERRED = {bool: "boolean", int: "integer", str: "string"}


class Value(NamedTuple):
    """A described value: where it is, its type, default and words."""

    path: tuple[str, ...]
    type: str
    default: Any
    words: str


def described(text: str) -> list[Value]:
    """The described values of values.yaml, in its order. Raises ValueError for a type that there is not."""
    values, found = yaml.load(text, yaml.CSafeLoader), []
    stack: list[str] = []
    comment: list[str] = []
    inside: int | None = None  # indentation of the described value whose members follow
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line.lstrip()[1:].strip())
            continue
        key = KEY.match(line)
        if key and (inside is None or len(key[1]) <= inside):
            del stack[len(key[1]) // 2 :]
            stack.append(key[2])
            words = DESCRIPTION.match(" ".join(comment))
            inside = len(key[1]) if words else None
            if words:
                found.append(_value(tuple(stack), _at(values, stack), words[1], words[2]))
        comment = []
    return found


def _at(values: Any, path: list[str]) -> Any:
    for name in path:
        values = values[name]
    return values


def _value(path: tuple[str, ...], default: Any, kind: str | None, words: str) -> Value:
    kind = kind or INFERRED.get(type(default), "")
    if kind not in TYPES and "|" not in kind:
        message = (
            f"values.yaml: {'.'.join(path)} needs a type, as in `# -- (TYPE) Words`; there is no {kind!r}"
        )
        raise ValueError(message)
    return Value(path, kind, default, words)


@functools.cache
def dependencies() -> frozenset[str]:
    """Names under which other charts take their values."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    return frozenset(found.get("alias", found["name"]) for found in chart["dependencies"])


def _may_be_null(value: Value) -> bool:
    """Whether templates do without it: what is empty anyway, and what a user may want none of."""
    return (
        not value.default
        or isinstance(value.default, list)
        or value.type in {"strings by name", "optional integer"}
    )


def _add(group: Schema, name: str, member: Schema, *, required: bool) -> Schema:
    """A member of a group. Helm leaves out what is set to null, before it looks at the schema: then it is missing."""
    if required and name not in group.setdefault("required", []):
        group["required"].append(name)
    added: Schema = group["properties"].setdefault(name, member)
    return added


def schema(values: list[Value]) -> Schema:
    """The schema of the chart's own values. Dependencies may have more; what is described here they must have."""
    # What a parent chart may set: `global`, and `enabled` as the condition of its dependency.
    root = _strict({"global": GLOBAL, "enabled": {"type": "boolean"}})
    for value in values:
        group, is_open = root, value.path[0] in dependencies()
        for depth, name in enumerate(value.path[:-1]):
            new: Schema = {"type": "object", "properties": {}} if is_open else _strict({})
            group = _add(group, name, new, required=not is_open or depth < 2)  # noqa: PLR2004 - the group and its members
        kind = {"enum": value.type.split("|")} if "|" in value.type else TYPES[value.type]
        required = len(value.path) == 2 if is_open else not _may_be_null(value)  # noqa: PLR2004
        _add(group, value.path[-1], {"description": value.words, **kind}, required=required)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **root}


def _dump(found: Any, indent: str = "") -> str:
    """JSON with a line for each value."""
    members = found.get("properties", {}) if isinstance(found, dict) else {}
    nested = any("properties" in member for member in members.values())
    if not members or ("description" in found and not nested):
        return json.dumps(found, ensure_ascii=False)
    inner = indent + "  "
    shown = [f"{inner}  {json.dumps(k)}: {_dump(v, inner + '  ')}" for k, v in members.items()]
    lines = [f"{inner}{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items() if k != "properties"]
    block = ",\n".join(shown)
    lines.append(f'{inner}"properties": {{\n{block}\n{inner}}}')
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _cell(value: Value) -> str:
    default = json.dumps(value.default, ensure_ascii=False)
    words = value.words.replace("|", "\\|")
    kind = value.type.replace("|", " or ")
    return f"| `{'.'.join(value.path)}` | {kind} | `{textwrap.shorten(default, 60, placeholder=' …')}` | {words} |"


def written() -> dict[Path, str]:
    """What each file should hold."""
    values = described((CHART / "values.yaml").read_text("utf-8"))
    rows = ["| value | type | default | what it is |", "|---|---|---|---|", *map(_cell, values)]
    readme = (CHART / "README.md").read_text("utf-8")
    before, after = readme.partition(BEGIN)[0], readme.partition(END)[2]
    table = "\n".join(rows)
    return {
        CHART / "values.schema.json": _dump(schema(values)) + "\n",
        CHART / "README.md": f"{before}{BEGIN}\n{table}\n{END}{after}",
    }


if __name__ == "__main__":
    if "--check" in sys.argv:
        stale = [path.name for path, text in written().items() if path.read_text("utf-8") != text]
        sys.exit(f"{', '.join(stale)} of the chart: stale, run `make chart-reference`" if stale else None)
    for path, text in written().items():
        path.write_text(text, "utf-8")
