# ruff: noqa: INP001, SLF001  # a script; the metrics' library does not tell its labels otherwise
"""Writes the pages of this folder from the code: `make reference`. With `--check` it only names stale ones."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from service import main as _everything  # noqa: F401  # what it imports has problems and metrics
from service.config import Settings
from service.domains import DOMAINS
from service.features.flag_names import by_name
from service.http import problems
from service.observability.metrics import RequestMetrics
from service.resources.domain import flags_of, settings_of
from service.security.tokens import token_verifier as _tokens  # noqa: F401  # imported only if there are issuers

HERE = Path(__file__).parent
NOTICE = "<!-- Written by `make reference`. Change the code, not this page. -->"


def pages() -> dict[str, str]:
    """The text of each page by its name."""
    RequestMetrics(Settings.model_construct())  # the metrics of requests are made with it
    made = {
        "problems.md": _problems(),
        "settings.md": _settings(),
        "metrics.md": _metrics(),
        "features.md": _features(),
    }
    return {name: "\n".join(lines).rstrip("\n") + "\n" for name, lines in made.items()}


def _problems() -> Iterator[str]:
    yield from _head(
        "Problems",
        "Every error response is `application/problem+json` (RFC 9457) with `type` "
        "(`urn:slipway:problem:` and the code), `title`, `status`, `code`, `instance` and `request_id`; some "
        "also have `detail`, and `errors` with a `pointer` into the body, a `parameter` or a `header` for each. "
        "Codes are stable: use them in programs, not the texts. A hand-written route that raises `HTTPException` "
        "answers with that status, its text as `detail`, or anything else as `context`; a status without a row here "
        "has the code `status_` and its number, such as `status_460`.",
    )
    yield from _table(
        ("status", "code", "title", "when"),
        ((str(p.status), f"`{p.code}`", p.title, _text(p.__doc__)) for p in problems.catalogue()),
    )


def _settings() -> Iterator[str]:
    yield from _head(
        "Settings",
        "Sources, the first that has a value wins: arguments, environment, secret files "
        "(`$SLIPWAY_SECRETS_DIR/<group>/<name>`), `.env`, defaults. `slipway check` prints what is in force, and names "
        "every reason why production would not start. An empty value is the same as none, in every source. A list is "
        'words separated by commas, or JSON: `a,b` or `["a", "b"]`; `[]` is an empty list. '
        "The last column says how a change takes effect: after a restart; at run time, by `slipway features` "
        "([features.md](../features.md#settings-that-change-at-run-time)); or because the secret file is re-read. "
        "On Kubernetes, a changed value of the chart's `config` replaces the pods.",
    )
    schema = settings_of(DOMAINS).model_json_schema()
    for name, group in schema["properties"].items():
        definition = schema["$defs"][group["$ref"].rpartition("/")[2]]
        yield from (f"## {name}", "")
        rules = definition.get("properties", {})
        if not rules:
            yield from (_text(definition["description"]), "")
            continue
        yield from _table(
            ("variable", "type", "default", "meaning", "changes"),
            (
                (
                    f"`slipway_{name}__{field}`".upper(),
                    _type(rule, schema["$defs"]),
                    _default(rule),
                    rule["description"],
                    rule.get("changes", "after a restart"),
                )
                for field, rule in rules.items()
            ),
        )
        yield ""


def _type(rule: dict[str, Any], definitions: dict[str, Any]) -> str:
    """What a value must be, from its JSON schema."""
    if "$ref" in rule:
        return _type(definitions[rule["$ref"].rpartition("/")[2]], definitions)
    if choices := rule.get("anyOf"):
        return " or ".join(_type(choice, definitions) for choice in choices)
    if "enum" in rule:
        return "one of " + ", ".join(f"`{value}`" for value in rule["enum"])
    if rule.get("format") == "password":
        return "secret"
    if rule.get("type") == "array":
        return f"list of: {_type(rule.get('items', {}), definitions)}"
    names = {"string": "text", "null": "nothing", "object": "mapping"}
    kind: str = names.get(rule.get("type", ""), rule.get("type", "any"))
    return ", ".join([kind, *_bounds(rule)])


def _bounds(rule: dict[str, Any]) -> Iterator[str]:
    words = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "over",
        "exclusiveMaximum": "under",
    }
    for key, word in words.items():
        if key in rule:
            yield f"{word} {rule[key]:g}" if abs(rule[key]) < 10**6 else f"{word} {rule[key]}"
    if "pattern" in rule:
        yield f"like `{rule['pattern']}`"


def _default(rule: dict[str, Any]) -> str:
    value = rule.get("default")
    if value is None or value == "":
        return ""
    if isinstance(value, list):
        return f"`{','.join(str(one) for one in value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _metrics() -> Iterator[str]:
    yield from _head(
        "Metrics",
        "The service's own metrics on the admin port's `/metrics`, which also has the usual ones of the process and of "
        "Python. The number of label values is bounded, regardless of what clients send.",
    )
    own = [c for c in REGISTRY._collector_to_names if isinstance(c, MetricWrapperBase)]
    yield from _table(
        ("metric", "type", "labels", "meaning"),
        (_metric(c) for c in sorted(own, key=lambda c: c._name) if c._name.startswith(("slipway_", "http_"))),
    )


def _metric(collector: MetricWrapperBase) -> tuple[str, ...]:
    kind = str(collector._type)
    name = collector._name + ("_total" if kind == "counter" else "")
    return (
        f"`{name}`",
        kind,
        ", ".join(f"`{label}`" for label in collector._labelnames),
        collector._documentation,
    )


def _features() -> Iterator[str]:
    yield from _head(
        "Feature flags",
        "The flags that the domains declare. [features.md](../features.md) says how to change them.",
    )
    yield from _table(
        ("flag", "type", "default", "owner", "expires", "meaning"),
        (
            (
                f"`{flag.name}`",
                flag.kind.name,
                f"`{orjson.dumps(flag.kind.as_json(flag.default)).decode()}`",
                flag.owner,
                str(flag.expires or "never"),
                flag.description,
            )
            for flag in by_name(flags_of(DOMAINS)).values()
        ),
    )


def _head(title: str, introduction: str) -> Iterator[str]:
    yield from (f"# {title}", "", NOTICE, "", introduction, "")


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield "| " + " | ".join(_text(cell).replace("|", "\\|") for cell in row) + " |"


def _text(value: str | None) -> str:
    return re.sub(r"\s+", " ", value or "").strip()


def main(*, check: bool) -> int:
    """Write the pages, or with `check` name those that are stale; the exit code."""
    stale = 0
    for name, text in pages().items():
        page = HERE / name
        if page.exists() and page.read_text("utf-8") == text:
            continue
        if check:
            stale = 1
            sys.stderr.write(f"docs/reference/{name} is stale: run `make reference`\n")
        else:
            page.write_text(text, "utf-8")
    return stale


if __name__ == "__main__":
    raise SystemExit(main(check="--check" in sys.argv[1:]))
