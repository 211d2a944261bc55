"""Test runs that import the service and the tests again: for changes of code that runs at import."""

import contextlib
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module

from tests.mutants.limits import TestLimits
from tests.mutants.mutations import ROOT
from tests.mutants.sandbox import PYTEST_OPTIONS, Sandbox, fork, wait
from tests.mutants.workers import GivenServers

# Prints the modules of libraries that the service and its tests import.
_LIBRARIES = """
import sys, pytest_asyncio.plugin, hypothesis, service.main, service.cli, tests.conftest
own = {"service", "tests", "__main__"}
print(*(name for name in sys.modules if name.partition(".")[0] not in own))
"""


def import_libraries() -> None:
    """Import what the service and its tests import of others."""
    names = subprocess.check_output([sys.executable, "-c", _LIBRARIES], cwd=ROOT, text=True).split()
    for name in names:
        with contextlib.suppress(Exception):  # a module that is made at run time
            import_module(name)


def run_cold(
    sandbox: Sandbox, tests: Mapping[str, float], seconds: float, *, servers: GivenServers | None
) -> int:
    """Return pytest's exit code for these tests, up to the first that fails, or TIMED_OUT.

    tests: each with the seconds that it may take.
    servers: None migrates databases of its own, for changes of migrations.
    """

    def become_pytest() -> int:
        sandbox.enter()
        import pytest  # noqa: PLC0415  # it is imported by now

        plugins = [TestLimits(tests), *([servers] if servers else [])]
        return int(pytest.main([*PYTEST_OPTIONS, *tests], plugins=plugins))

    return wait(fork(become_pytest), seconds)
