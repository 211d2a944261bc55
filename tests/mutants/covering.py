"""Which tests run which lines, from what `make coverage` recorded."""

import json
from collections import defaultdict
from functools import cache, cached_property
from pathlib import Path

import coverage

from tests.mutants.mutations import ROOT

FOLDER = ROOT / ".local" / "coverage"
UNKNOWN_SECONDS = 1.0


class Recording:
    """The lines of each file with the tests that run them, and how long each test takes."""

    def __init__(self, folder: Path = FOLDER) -> None:
        data = folder / "data"
        if not data.exists():
            raise SystemExit(
                "There is no recording of which tests run which lines: run `make coverage` first."
            )
        self._data = coverage.CoverageData(str(data))
        self._data.read()
        self.seconds: dict[str, float] = json.loads((folder / "seconds.json").read_text())

    def files(self) -> list[str]:
        """Return the files of the tests that were recorded, as far as they still exist."""
        files = {test.partition("::")[0] for test in self.seconds}
        return sorted(file for file in files if (ROOT / file).exists())

    def cost(self, test: str) -> float:
        """Return how many seconds a test took."""
        return self.seconds.get(test, UNKNOWN_SECONDS)

    @cache  # noqa: B019  # there is one recording
    def _tests_by_line(self, path: str) -> dict[int, dict[str, bool]]:
        """Return the tests of each line, and of each whether the test itself ran it, rather than its fixtures."""
        lines: dict[int, dict[str, bool]] = {}
        for line, contexts in self._data.contexts_by_lineno(str(ROOT / path)).items():
            tests: dict[str, bool] = defaultdict(bool)
            for context in contexts:
                for part in filter(None, context.split("|")):
                    test, _, phase = part.rpartition(" ")
                    tests[test] |= phase == "(call)"
            lines[line] = dict(tests)
        return lines

    def at_import(self, path: str, lines: range) -> bool:
        """Whether one of the lines runs when the tests are collected."""
        contexts = self._data.contexts_by_lineno(str(ROOT / path))
        return any("" in contexts.get(line, ()) for line in lines)

    @cached_property
    def _breadth(self) -> dict[str, int]:
        """Return how many files each test runs lines of: the fewer, the more it is about them."""
        files: dict[str, int] = defaultdict(int)
        for path in map(Path, self._data.measured_files()):
            by_line = self._tests_by_line(str(path.relative_to(ROOT))) if path.is_relative_to(ROOT) else {}
            for test in {test for tests in by_line.values() for test in tests}:
                files[test] += 1
        return files

    def tests(self, path: str, lines: range) -> list[str]:
        """Return the tests that run these lines, those first that are about them and quick.

        A line that is run at import, or by a fixture that many tests share, is recorded for one of them or for none:
        the tests of the rest of its file follow.
        """
        by_line = self._tests_by_line(path)
        near: dict[str, bool] = {}
        for line in lines:
            for test, itself in by_line.get(line, {}).items():
                near[test] = near.get(test, False) or itself
        if any(near.values()) and not self.at_import(path, lines):
            return sorted(near, key=lambda test: (not near[test], self._rank(test)))
        all_of_file = {test for tests in by_line.values() for test, itself in tests.items() if itself}
        return sorted(all_of_file | near.keys(), key=self._rank)

    def _rank(self, test: str) -> float:
        return self._breadth[test] * (0.2 + self.cost(test))
