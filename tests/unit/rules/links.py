"""Links, paths and names of code in Markdown point to something that exists."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.unit.rules.rule import ROOT, Finding, Rule, Source

_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(([^()\s]*)\)")
_HEADING = re.compile(r"^#+ +(.*?)(?: +#+)?$", re.MULTILINE)
# A path from the root of the repository, in code; not a pattern, a placeholder or a generated folder.
_PATH = re.compile(r"`((?:service|tests|docs|chart|k8s|tilt)/[\w./-]+)`")
# A link to a module, a colon, and names that it defines: `[probes.py](../service/health/probes.py): `Health.ready``.
_NAMED = re.compile(r"\]\(([^()\s]*\.py)\): (`[\w.]+`(?:, `[\w.]+`)*)")
_SAMPLE = ROOT / "service" / "domains" / "catalog"


def _blank(match: re.Match[str]) -> str:
    """Return as many empty lines."""
    return "\n" * match[0].count("\n")


def anchors(text: str) -> set[str]:
    """Return the fragments that GitHub generates for the headings of a page: `## Two roles` is `#two-roles`."""
    found: dict[str, int] = {}
    for heading in _HEADING.findall(_FENCE.sub(_blank, text)):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {slug if not n else f"{slug}-{n}" for slug, last in found.items() for n in range(last + 1)}


def _fault(source: Source, target: str) -> str | None:
    """Return what is wrong with the target of a link, if anything."""
    path, _, fragment = target.partition("#")
    if re.match(r"[a-z]+:", target):
        return None
    place = ROOT / Path(source.path).parent / path if path else ROOT / source.path
    if path and not place.exists() and not _is_removed_sample(place):
        return f"{path} does not exist; link to where it is now"
    if fragment and place.suffix == ".md":
        text = place.read_text("utf-8") if path else source.text
        if fragment not in anchors(text):
            return f"{target} has no such heading; link to one that {path or 'the page'} has"
    return None


def _undefined(source: Source, line: str) -> Iterator[str]:
    """Yield the names after links to modules that do not define them."""
    for module, names in _NAMED.findall(line):
        place = ROOT / Path(source.path).parent / module
        code = place.read_text("utf-8") if place.exists() else ""
        for name in re.findall(r"\w+", names):
            if not re.search(rf"^ *(?:(?:async )?def |class )?{name}\b", code, re.MULTILINE):
                yield f"{module} does not define {name}; link to where it is now"


def _is_removed_sample(place: Path) -> bool:
    """Whether this is part of the sample domain, which teams delete; the docs go on showing its code."""
    return not _SAMPLE.exists() and (place.resolve() == _SAMPLE or _SAMPLE in place.resolve().parents)


def _links(source: Source) -> Iterator[Finding]:
    text = _FENCE.sub(_blank, source.text)
    for number, line in enumerate(text.splitlines(), 1):
        for target in _LINK.findall(_CODE.sub("", line)):
            if (fault := _fault(source, target)) is not None:
                yield number, fault
        for fault in _undefined(source, line):
            yield number, fault
        for path in _PATH.findall(line):
            if not (ROOT / path).exists() and not _is_removed_sample(ROOT / path):
                yield number, f"{path} does not exist; name where it is now"


def _is_markdown(path: str) -> bool:
    return path.endswith(".md")


RULES = (
    Rule(
        "links-lead-somewhere",
        _is_markdown,
        _links,
        bad=(
            Source("docs/x.md", "See [it](novelty.md).\n"),
            Source("docs/x.md", "See [it](README.md#no-such-heading).\n"),
            Source("docs/x.md", "# One\n\nSee [it](#two).\n"),
            Source("README.md", "The code is in `service/novelty/`.\n"),
            Source("docs/x.md", "[probes](../service/health/probes.py): `Health.novelty`\n"),
        ),
        good=(
            Source("docs/x.md", "# One\n\nSee [it](README.md), [one](#one) and `[a](b)`.\n"),
            Source("docs/x.md", "```\n[a](b.md)\n```\n[there](https://example.com/x#y)\n"),
            Source("docs/x.md", "[probes](../service/health/probes.py): `Health.ready`, `Health`\n"),
            Source("README.md", "The code is in `service/main.py`, tests in `tests/domains/<name>/`.\n"),
        ),
    ),
)
