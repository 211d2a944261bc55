"""Test runs in forks of a pytest that has collected the tests: for changes of functions."""

import contextlib
import gc
import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.mutants.limits import TestLimits
from tests.mutants.patching import Functions, NotInFunctionError
from tests.mutants.sandbox import PYTEST_OPTIONS, Sandbox, fork, wait
from tests.mutants.workers import GivenServers

NOT_IN_FUNCTION = 71
COLLECTION_SECONDS = 300


@dataclass(frozen=True)
class Request:
    """The tests of a run with the seconds of each, and the change: a file with its text before and after."""

    tests: Mapping[str, float]
    seconds: float
    number: int
    change: tuple[Path, str, str] | None


class WarmPytest:
    """A pytest in a process of its own that runs some of its tests on request."""

    def __init__(self, sandbox: Sandbox, servers: GivenServers, files: Sequence[str]) -> None:
        self._connection, other = Pipe()

        def become_pytest() -> int:
            self._connection.close()
            sandbox.enter()
            plugins = [servers, _Forks(sandbox, servers, other)]
            return int(pytest.main([*PYTEST_OPTIONS, "-s", *files], plugins=plugins))

        self._pid = fork(become_pytest)
        other.close()
        # At the end of the process, `poll` is true and `recv` raises.
        with contextlib.suppress(EOFError):
            if self._connection.poll(COLLECTION_SECONDS):
                self.tests: set[str] = self._connection.recv()
                return
        wait(self._pid, 0)
        raise RuntimeError(f"the tests cannot be collected: {sandbox.output.read_text('utf-8', 'replace')}")

    def run(self, request: Request) -> int:
        """Return pytest's exit code, TIMED_OUT, or NOT_IN_FUNCTION if the change is one of code that runs at import."""
        self._connection.send(request)
        return int(self._connection.recv())

    def stop(self) -> None:
        self._connection.close()
        wait(self._pid, 10)


class _Forks:
    """Forks pytest before its first test for every request."""

    def __init__(self, sandbox: Sandbox, servers: GivenServers, connection: Connection) -> None:
        self._sandbox, self._servers, self._connection = sandbox, servers, connection

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        items = {item.nodeid: item for item in session.items}
        session.items.clear()
        functions = Functions(self._sandbox.root)
        gc.collect()
        gc.freeze()  # no fork visits, and so copies, what is there
        self._connection.send(set(items))
        while (request := self._next()) is not None:
            pid = os.fork()
            if not pid:
                self._prepare(request, functions)
                session.items[:] = [items[test] for test in request.tests]
                limits = TestLimits(request.tests)
                session.config.pluginmanager.register(limits)
                limits.pytest_collection_modifyitems(session.items)
                break
            self._connection.send(wait(pid, request.seconds))
        return (yield)

    def _next(self) -> Request | None:
        try:
            return self._connection.recv()  # type: ignore[no-any-return]
        except EOFError:
            return None

    def _prepare(self, request: Request, functions: Functions) -> None:
        os.setsid()
        self._sandbox.redirect()
        self._servers.renumber(request.number)
        if request.change:
            try:
                functions.patch(*request.change)
            except NotInFunctionError:
                os._exit(NOT_IN_FUNCTION)
