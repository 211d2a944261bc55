"""Settings of shutdown, and of connections that are not accepted yet."""

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx2

from tests.process.served import eventually
from tests.process.settings.table import Given, Running, Setup, process, setting

LIST = "/api/v1/shelves"


def slow(setup: Setup) -> Given:
    """Return settings of a process in which a request may wait long."""
    return {
        "database__url": setup.database_url,
        "database__lock_timeout": 60,
        "database__statement_timeout": 60,
        "redis__enabled": "false",
        "security__anonymous": "read",
    }


process("stop")(slow)


@process("end")
def unread(setup: Setup) -> Given:
    """Nobody reads the output: a pipe replaces the log file."""
    pipe = setup.home / "service" / "log"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    setup.closing.append(lambda: os.close(end))
    return slow(setup)


@setting("logging__buffer_bytes", 16_384, process="end")
def lines_beyond_the_buffer_are_dropped(run: Running) -> None:
    for _ in range(450):  # a pipe holds 64 KiB
        run.service.api.get("/health")
    assert eventually(lambda: run.service.metric("slipway_log_lines_dropped_total"), seconds=3)


@setting("server__backlog", 3, process="stop")
def connections_wait_in_a_bounded_queue(run: Running) -> None:
    os.kill(run.service.process.pid, signal.SIGSTOP)
    try:
        with ExitStack() as stack:
            made = [stack.enter_context(socket.socket()) for _ in range(12)]
            for one in made:
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", run.service.port))
            time.sleep(0.3)
            assert sum(map(connected, made)) < 8
    finally:
        os.kill(run.service.process.pid, signal.SIGCONT)


def connected(one: socket.socket) -> bool:
    try:
        one.getpeername()
    except OSError:
        return False
    return True


@setting("server__drain_delay", 1.5, process="stop")
def drain_keeps_serving(run: Running) -> None:
    began = time.monotonic()
    run.service.process.send_signal(signal.SIGTERM)
    assert eventually(lambda: run.service.probe("/readyz") == 503, seconds=1)
    assert run.service.api.get(LIST).status_code == 200
    assert run.service.process.wait(20) == 0
    assert 1.4 < time.monotonic() - began < 4


@setting("server__shutdown_timeout", 1, process="end")
def running_request_is_cancelled(run: Running) -> None:
    with run.locked("tests_shelf"), ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(httpx2.get, f"{run.service.api.base_url}{LIST}", timeout=30)
        assert eventually(lambda: run.service.admin.get("/metrics").text.count("in_progress{") > 0)
        time.sleep(0.5)
        assert run.service.stop(seconds=8) == 0
        assert waiting.exception(5) or waiting.result().status_code == 503
