"""The lint of migrations: refuses long locks on tables in use, and changes that break running clients.

`make check` runs it; `python -m tests.migrations.lint` alone.

It reads the SQL of each revision, however the revision was written. squawk finds most problems; a few more rules are
here. A revision that needs an exception says why, in a comment:

    # allow ban-drop-column: no version that reads it is in service since 1.4
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.migrations import rendering
from service.migrations.branches import BRANCHES, scripts
from service.migrations.errors import ScriptsError
from tests.unit.rules.rule import ROOT

SQUAWK = Path(sys.executable).with_name("squawk")
OLDEST_SERVER = "15"
NOT_OURS = (
    "prefer-bigint-over-int",  # versions and stock counts stay small
    "prefer-text-field",  # lengths are part of the API contract; changing one needs an exception anyway
    "prefer-robust-stmts",  # a revision is one transaction, and helpers make other steps repeatable
    "require-lock-timeout",  # the runner sets it
    "require-statement-timeout",  # statements that lock nothing may take long
)
# Rules that squawk lacks: (rule, SQL that it matches, what to do).
MORE = (
    ("lock-table", r"LOCK\s", "let each statement take the lock that it needs, for as long as it needs it"),
    ("cluster", r"CLUSTER\s", "it rewrites the table under a lock against readers; pg_repack does it without"),
    ("vacuum-full", r"VACUUM\s+\(?\s*FULL", "it rewrites the table under a lock against readers; use VACUUM"),
    ("truncate", r"TRUNCATE\s", "it locks readers out and leaves no history; delete in batches"),
    ("rewrite", r"ALTER\s+TABLE\s[^;]*\bSET\s+(?:LOGGED|UNLOGGED|TABLESPACE|ACCESS\s+METHOD)\b",
     "it rewrites the table under a lock against readers"),
    ("change-rows", r"(?:UPDATE(?:\s+ONLY)?|DELETE\s+FROM(?:\s+ONLY)?|MERGE\s+INTO(?:\s+ONLY)?)\s+(?P<table>[\w.\"]+)",
     "rows stay locked until the revision commits; change them in batches, see docs/migrations.md"),
)  # fmt: skip
_START = r"(?:^|[;()]|\b(?:BEGIN|LOOP|THEN|ELSE)\b)\s*"
_BODY = re.compile(r"(?P<do>\bDO\s+)?(?P<mark>\$\w*\$)(?P<body>.*?)(?P=mark)", re.DOTALL | re.IGNORECASE)
_TEXT = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_CREATED = re.compile(
    r"\bCREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?([\w.\"]+)", re.IGNORECASE
)
_ESCAPE = re.compile(r"^[ \t]*# allow ([\w-]+):?[ \t]*(.*)$", re.MULTILINE)
SHORTEST_REASON = 15


@dataclass(frozen=True)
class Finding:
    """A finding. An exception names its `rule`."""

    rule: str
    text: str


def findings(sql: str) -> list[Finding]:
    """Return the findings in the SQL of one revision."""
    return [*_of_squawk(sql), *_of_ours(sql)]


def _of_squawk(sql: str) -> Iterator[Finding]:
    done = subprocess.run(
        [SQUAWK, "--reporter=json", f"--pg-version={OLDEST_SERVER}", f"--exclude={','.join(NOT_OURS)}"],
        input=sql, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"squawk: {done.stderr}")
    lines = sql.splitlines()
    for found in json.loads(done.stdout):
        text = " ".join(filter(None, [lines[found["line"]], "-", found["message"], found["help"]]))
        yield Finding(found["rule_name"], text)
    if "squawk-ignore" in sql:
        yield Finding("squawk-ignore", "say it in the revision, with a reason: # allow RULE: REASON")


def _of_ours(sql: str) -> Iterator[Finding]:
    # Functions run later, for one row at a time; a DO block runs now.
    bare = _TEXT.sub(
        lambda match: "''" if match[0][0] == "'" else " ",
        _BODY.sub(lambda match: match["body"] if match["do"] else "''", sql),
    )
    own = {name.lower() for name in _CREATED.findall(bare)} | {branch.table for branch in BRANCHES}
    for rule, pattern, advice in MORE:
        for match in re.finditer(_START + f"(?P<what>{pattern})", bare, re.IGNORECASE):
            if match.groupdict().get("table", "").lower() not in own:
                yield Finding(rule, f"{' '.join(match['what'].split())} - {advice}")


def judge(source: str, sql: str) -> list[str]:
    """Return the findings of a revision without an exception, and invalid exceptions. `source` is its Python code."""
    escapes = dict(_ESCAPE.findall(source))
    found = findings(sql)
    faults = [f"{one.rule}: {one.text}" for one in found if one.rule not in escapes]
    faults += [
        f"{rule}: the escape gives no reason" for rule, why in escapes.items() if len(why) < SHORTEST_REASON
    ]
    unused = escapes.keys() - {one.rule for one in found}
    return faults + [f"{rule}: nothing here needs this escape" for rule in sorted(unused)]


def lint() -> list[str]:
    """Return the findings in both branches, one line each."""
    try:
        known = scripts()
    except ScriptsError as error:
        return [str(error)]
    lines = []
    for branch in BRANCHES:
        for script in known[branch]:
            path = branch.location / script.file
            name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
            sql = rendering.statements(branch, script.revision)
            lines += [f"{name}: {fault}" for fault in judge(path.read_text("utf-8"), sql)]
    return lines


if __name__ == "__main__":
    sys.exit("\n".join(lint()) or None)
