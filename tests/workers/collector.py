"""The process that collects the tests for all workers of a run, and what its forks do (see controller.py)."""

import contextlib
import os
import shutil
import signal
import socket
import threading
from collections.abc import Generator, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn, TextIO

import pytest
from execnet.gateway_base import Channel, Popen2IO, get_execmodel, serve

from tests.forking import ForkServer, end, send

channels: SimpleQueue[Channel] = SimpleQueue()
over = threading.Event()


def take(channel: Channel) -> None:
    """Let the main thread run the tests with this channel to the controller. It closes when this returns."""
    channels.put(channel)
    over.wait()


class CollectedTests:
    """A plugin of pytest: forks it after the collection for every worker, which goes on as one of pytest-xdist."""

    def __init__(self, folder: Path, alive: TextIO, workerinput: dict[str, Any]) -> None:
        self._folder, self._alive, self._input = folder, alive, workerinput
        self._reports: list[pytest.CollectReport] = []
        self._warnings: list[dict[str, Any]] = []
        self._gateway: threading.Thread | None = None
        self._xdist: Any = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: Any) -> Generator[None, object, object]:
        from xdist import remote  # noqa: PLC0415  # pytest imports it first, to rewrite its assertions

        self._xdist = remote
        remote.setup_config(config, None)
        config.workerinput, config.workeroutput = self._input, {}
        return (yield)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            self._reports.append(report)

    def pytest_warning_recorded(
        self, warning_message: object, when: str, nodeid: str, location: object
    ) -> None:
        recorded = {"warning_message": warning_message, "when": when, "nodeid": nodeid, "location": location}
        self._warnings.append(recorded)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if threads := [one.name for one in threading.enumerate() if one is not threading.main_thread()]:
            raise pytest.UsageError(f"workers would lack threads that run since the collection: {threads}")
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the controller says when it is over
        server = ForkServer(self._folder, self._alive)
        client = server.next_client()
        server.close()
        if client is None:
            shutil.rmtree(self._folder, ignore_errors=True)  # the controller may have been killed
            return True
        signal.signal(signal.SIGINT, before)
        with client:
            _, (requests, answers), _, _ = socket.recv_fds(client, 1, 2)
            send(client, os.getpid())
        self._gateway = threading.Thread(target=_serve, args=(requests, answers), daemon=True)
        self._gateway.start()
        return self._work(session, channels.get())

    def _work(self, session: pytest.Session, channel: Channel) -> bool:
        """Run the tests that the controller asks for, as the program does that pytest-xdist sends to a worker."""
        config: Any = session.config
        given, _, options, _ = channel.receive()
        self._input.update(given)
        name_worker(given)
        config.option.basetemp = options["basetemp"]
        config._tmp_path_factory = pytest.TempPathFactory.from_config(config, _ispytest=True)
        worker = self._xdist.interactor = self._xdist.WorkerInteractor(config, channel)
        worker.pytest_sessionstart(session)
        for report in self._reports:
            worker.pytest_collectreport(report)
        for warning in self._warnings:
            worker.pytest_warning_recorded(**warning)
        worker.pytest_collection_finish(session)
        return bool(worker.pytest_runtestloop(session))

    def leave(self) -> None:
        """Let the controller know that a worker has reported all, and wait for its word."""
        over.set()
        if self._gateway:
            with contextlib.suppress(KeyboardInterrupt):
                self._gateway.join()


def _serve(requests: int, answers: int) -> None:
    model = get_execmodel("main_thread_only")
    io = Popen2IO(os.fdopen(answers, "wb"), os.fdopen(requests, "rb"), model)
    io.infile.readline()  # what a new interpreter would execute to become a worker
    io.write(b"1")
    serve(io, "worker")  # type: ignore[arg-type]  # of a worker, it neither kills nor waits for anything


def name_worker(given: Mapping[str, Any]) -> None:
    os.environ["PYTEST_XDIST_TESTRUNUID"] = given["testrunuid"]
    os.environ["PYTEST_XDIST_WORKER"] = given["workerid"]
    os.environ["PYTEST_XDIST_WORKER_COUNT"] = str(given["workercount"])


def main(folder: str, args: list[str], workerinput: dict[str, Any]) -> NoReturn:
    alive = os.fdopen(os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    name_worker(workerinput)
    tests = CollectedTests(Path(folder), alive, workerinput)
    code = pytest.main(args, plugins=[tests])
    tests.leave()
    end(int(code))
