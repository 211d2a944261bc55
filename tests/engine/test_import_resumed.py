"""`slipway import --from-line` adds to the report of the run before; from the first line a new report begins."""

import json
from pathlib import Path

from tests.engine.test_import import Run, run, url, write

__all__ = ["run", "url"]


def test_resumed_import_keeps_earlier_error_lines(run: Run, tmp_path: Path) -> None:
    file, report = write(tmp_path / "in", "{first", "{second", "{third"), tmp_path / "report"

    def imported(*more: object) -> list[int]:
        done = run("import", "articles", file, "--errors", report, *more)
        assert done.exit_code == 1, done.stderr
        return [json.loads(line)["line"] for line in report.read_text().splitlines()]

    assert imported() == [1, 2, 3]
    assert imported("--from-line", "3") == [1, 2, 3, 3]
    assert imported("--from-line", "1") == [1, 2, 3]
