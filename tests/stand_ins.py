"""Stand-ins for programs that need a cluster, a registry or a builder: they record how a script calls them."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

PROGRAM = """#!/bin/sh
called="$(basename "$0") $*"
echo "$called" >>"$CALLS"
case "$called" in
{answers}
esac
"""


class Programs:
    """Programs on the PATH, in front of the real ones, and what they were called with.

    answers: branches of a `case` in shell about a call, such as `"kind get clusters") echo slipway;;`. Without one, a
    program does nothing and succeeds.
    """

    def __init__(self, folder: Path, names: Iterable[str], answers: str) -> None:
        self._folder = folder / "programs"
        self._calls = folder / "calls"
        self._folder.mkdir()
        for name in names:
            program = self._folder / name
            program.write_text(PROGRAM.format(answers=answers))
            program.chmod(0o700)

    def run(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script without any environment but these variables."""
        environment = {
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "CALLS": str(self._calls),
            "HOME": "/nonexistent",
            **variables,
        }
        self._calls.write_text("")
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    @property
    def calls(self) -> list[str]:
        """The calls of the last run, in order."""
        return self._calls.read_text().splitlines()
