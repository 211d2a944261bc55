"""Writes the dashboards, or with `--check` names stale ones and exits with 1."""

import sys

from chart.dashboards.written import FOLDER, written


def main(*, check: bool) -> int:
    """Write each dashboard, or name those whose file is stale."""
    stale = 0
    wanted = written()
    for path in sorted({*wanted, *FOLDER.glob("*.json")}):
        if path.exists() and path.read_text("utf-8") == wanted.get(path):
            continue
        if check:
            stale = 1
            sys.stderr.write(f"chart/dashboards/{path.name} is stale: run `make dashboards`\n")
        elif path in wanted:
            path.write_text(wanted[path], "utf-8")
        else:
            path.unlink()
    return stale


if __name__ == "__main__":
    raise SystemExit(main(check="--check" in sys.argv[1:]))
