"""The commands in runbooks and in the pages on clusters, and how each is tested."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from tests.chart.rendering import CHART

DOCS = CHART.parent / "docs"
PAGES = [*sorted((DOCS / "runbooks").glob("*.md")), DOCS / "kubernetes.md", DOCS / "observability.md"]

BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`]+)`")
CHANGING = {"annotate", "apply", "cordon", "create", "delete", "label", "patch", "scale"}
PROGRAMS = {"chart/render", "curl", "helm", "kubectl", "make", "openssl", "slipway"}


class How(StrEnum):
    """How a command is tested."""

    RUN = "run as it stands"
    PART = "run up to what would change something, which the server or the program is asked to try only"
    NAME = "the name of a command in a sentence: its help is asked for"
    SQL = "put to PostgreSQL"
    LOGQL = "put to Loki"
    NOT = "not tried"


# Text in backquotes with spaces that is not a command.
NOT_COMMANDS = {
    '"ok": false',
    "ALTER ROLE",
    "another operation (install/upgrade/rollback) is in progress",
    "GET /api/v1/…/history",
    "No space left on device",
    "CREATE INDEX CONCURRENTLY",
    "OOM command not allowed",
    "certificate verify failed",
    "config.server.trusted_hops: 2",
    'grafana_dashboard: "1"',
    "keys list",
    "log lines dropped",
    'no matches for kind "ServiceMonitor"',
    "password authentication failed",
    "permission denied for table feature_flag",
    "promtool test rules",
    "restartPolicy: Always",
    'relation "feature_flag" does not exist',
    'resources.limits.cpu: "1"',
    "too many clients",
}
NOT_TRIED = {
    "helm install prometheus-operator-crds": "it fetches a chart from a registry, which the tests do without",
}


class Command(NamedTuple):
    """A command on a page, joined into one line."""

    page: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.page}: {self.text[:70]}"

    @property
    def how(self) -> How:
        """Raises `ValueError` for an unknown command."""
        first, *rest = self.text.split()
        if first == "SELECT":
            return How.SQL
        if first in {"sum", "{"} or self.text.startswith("{"):
            return How.LOGQL
        if first not in PROGRAMS:
            raise ValueError(
                f"{self.page} says {self.text!r}, and nobody tries it: see tests/cluster/commands.py"
            )
        if any(self.text.startswith(beginning) for beginning in NOT_TRIED):
            return How.NOT
        if len(rest) == 1 and first in {"helm", "kubectl", "slipway"}:
            return How.NAME
        return How.RUN if self.harmless == self.text else How.PART

    @property
    def harmless(self) -> str:
        """Return the command with the arguments that make each part a dry run."""
        return " | ".join(_harmless(part) for part in self.text.split(" | "))


def _harmless(part: str) -> str:
    words = part.split()
    if words[0] == "make":
        return f"make -n {' '.join(words[1:])}"
    verbs = CHANGING & set(part.partition(" -- ")[0].split())  # the rest is for a program in a pod
    if words[0] == "kubectl" and "--dry-run" not in part and verbs:
        return f"{part} --dry-run=server"
    if words[0] == "kubectl" and "edit" in words:
        return f"KUBE_EDITOR=true {part}"  # which leaves everything as it is
    if words[:2] in (["helm", "install"], ["helm", "upgrade"], ["helm", "rollback"]):
        return f"{part} --dry-run=server"
    return f"{part} --dry-run" if words[:2] == ["helm", "uninstall"] else part


def lines(text: str) -> Iterator[str]:
    """Return the lines of a block without comments, with continued lines joined."""
    for line in re.sub(r" *\\\n *", " ", text).splitlines():
        if found := re.sub(r"(^| {2,})# .*$", "", line).strip():
            yield found


def commands() -> list[Command]:
    """Return every command of every page, once."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        found += [
            Command(page.stem, line)
            for kind, block in BLOCK.findall(text)
            if not kind
            for line in lines(block)
        ]
        for inline in INLINE.findall(BLOCK.sub("", text)):
            words = " ".join(inline.split())
            if " " in words and words not in NOT_COMMANDS:
                found.append(Command(page.stem, words))
    return list(dict.fromkeys(found))


def tried(*hows: How) -> list[Command]:
    """Return the commands that are tested in this way, without duplicates."""
    by_text = {command.text: command for command in commands() if command.how in hows}
    return list(by_text.values())
