"""Writes the measurements of the fault tests to docs/reliability.md: `make reliability`.

Figures that the last run did not measure stay as they are.
"""

import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.measurements import FILE, FULL, ROOT

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- figures: written by `make reliability` -->", "<!-- end of figures -->"
HEAD = ["| figure | measured | at most | unit | by |", "|---|--:|--:|---|---|"]
_ROW = re.compile(r"^\| `([a-z0-9-]+)` \|.*$", re.MULTILINE)


def written(page: str, figures: dict[str, dict[str, object]], *, conditions: str) -> str:
    """Return the page with these figures in its table, sorted by name."""
    before, _, rest = page.partition(BEGIN)
    old, _, after = rest.partition(END)
    rows = {match[1]: match[0] for match in _ROW.finditer(old)}
    rows |= {name: _row(name, figure) for name, figure in figures.items()}
    lines = [BEGIN, "", conditions, "", *HEAD, *(rows[name] for name in sorted(rows)), "", END]
    return before + "\n".join(lines) + after


def _row(name: str, figure: dict[str, object]) -> str:
    file = str(figure["test"]).partition("::")[0]
    link = f"[{Path(file).name}](../{file})"
    return f"| `{name}` | {figure['value']:.4g} | {figure['bound']:.4g} | {figure['unit']} | {link} |"


def main() -> int:
    """Write the page. Returns 1 if there are no measurements."""
    if not FILE.exists():
        sys.stderr.write("there are no figures yet: run make fault-test\n")
        return 1
    size = "in full size" if FULL else "in the short form"
    where = f"on {os.cpu_count()} processors that also ran the clients"
    conditions = f"Measured on {datetime.now(UTC):%Y-%m-%d}, {size}, {where}."
    page = PAGE.read_text("utf-8")
    PAGE.write_text(written(page, json.loads(FILE.read_text("utf-8")), conditions=conditions), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
