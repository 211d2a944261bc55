"""A plugin of pytest's controller: pytest-xdist takes its workers from a process that has collected the tests."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from execnet.gateway_base import MainThreadOnlyExecModel

from tests.forked import ForkedProcess
from tests.forking import connected

START = (
    "import json, sys; given = json.loads(sys.stdin.readline()); sys.path[:] = given.pop('path');"
    "from tests.workers.collector import main; main(**given)"
)
TAKE = "from tests.workers.collector import take; take(channel)"
"""What execnet runs in a worker, in place of a program that collects the tests."""
COLLECTOR = pytest.StashKey["Collector"]()


class Collector:
    """The process that collects the tests of a run, and then waits for its forks to be asked for. It ends with this
    process, however that ends."""

    def __init__(self, config: pytest.Config, workers: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="slipway-collector-"))
        self._log = self._folder / "log"
        # As a worker: it gets its own number when it is one.
        node = SimpleNamespace(
            config=config,
            workerinput={
                "workerid": "gw0",
                "workercount": workers,
                "testrunuid": "",
                "mainargv": sys.argv,
            },
        )
        config.hook.pytest_configure_node(node=node)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([sys.executable, "-c", START], stdin=subprocess.PIPE, stdout=log)
        given = {
            "path": sys.path,
            "folder": str(self._folder),
            "args": [str(one) for one in config.invocation_params.args],
            "workerinput": node.workerinput,
        }
        assert self._process.stdin
        self._process.stdin.write(json.dumps(given).encode() + b"\n")
        self._process.stdin.flush()

    def fork(self) -> "Worker":
        """Return a fork, as soon as the tests are collected."""
        while (connection := connected(self._folder)) is None:
            if (code := self._process.poll()) is not None:
                pytest.exit(f"The tests were not collected.\n{self._log.read_text('utf-8')}", code)
            time.sleep(0.02)
        return Worker(connection)

    def stop(self) -> None:
        """Return when the process is gone. Its forks are: pytest-xdist has ended them."""
        self._process.terminate()
        self._process.communicate()
        shutil.rmtree(self._folder)


class Worker(ForkedProcess):
    """A fork of the collector, with the pipes that execnet talks through."""

    def __init__(self, connection: socket.socket) -> None:
        answers, answering = os.pipe()
        reading, requests = os.pipe()
        socket.send_fds(connection, [b"\n"], [reading, answering])
        os.close(reading)
        os.close(answering)
        self.stdin = os.fdopen(requests, "wb")
        self.stdout = os.fdopen(answers, "rb")
        super().__init__(connection)


class _Forking(MainThreadOnlyExecModel):
    """Lets execnet start a process by a function of ours."""

    def __init__(self, start: Callable[[], Worker]) -> None:
        self._start = start

    @property
    def subprocess(self) -> Any:
        return SimpleNamespace(PIPE=subprocess.PIPE, Popen=lambda *_, **__: self._start())


@pytest.hookimpl
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    collector = config.stash[COLLECTOR] = Collector(config, len(specs))
    plugin: Any = config.pluginmanager.getplugin("dsession")
    plugin.nodemanager.group.set_execmodel(_Forking(collector.fork), "main_thread_only")


@pytest.hookimpl
def pytest_xdist_getremotemodule() -> str:
    return TAKE


def pytest_unconfigure(config: pytest.Config) -> None:
    if collector := config.stash.get(COLLECTOR, None):
        collector.stop()
