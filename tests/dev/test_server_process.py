"""The servers when their parent process is killed, or gets Ctrl-C or a hang-up from its terminal."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.dev.postgres_server import PostgresServer
from service.dev.processes import is_running
from tests.dev.conftest import Run
from tests.dev.help import ask, copied, eventually

PARENT = """
import signal, sys, time
from pathlib import Path
from service.dev.postgres_server import PostgresServer
from service.dev.redis_server import RedisServer
signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
servers = [PostgresServer(Path(sys.argv[1]) / "postgres"), RedisServer(Path(sys.argv[1]) / "redis")]
for server in servers:
    server.start()
print(*[server.pid for server in servers], servers[0].url, flush=True)
time.sleep(60)
"""


@pytest.fixture
def parent(tmp_path: Path, initialised: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in a separate session that has started both servers."""
    copied(initialised, tmp_path / "postgres")
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        yield process
        process.kill()


def started(parent: subprocess.Popen[str]) -> tuple[list[int], str]:
    assert parent.stdout
    *pids, url = parent.stdout.readline().split()
    return [int(pid) for pid in pids], url


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_servers_stop_gracefully_when_their_parent_is_killed(
    parent: subprocess.Popen[str], tmp_path: Path, run: Run
) -> None:
    pids, url = started(parent)
    run(ask(url, "CREATE TABLE kept AS SELECT 42 AS answer"))
    parent.kill()
    assert eventually(lambda: not any(is_running(pid) for pid in pids))
    assert "received fast shutdown request" in (tmp_path / "postgres" / "log").read_text()
    again = PostgresServer(tmp_path / "postgres")
    try:
        again.start()
        assert run(ask(again.url, "SELECT answer FROM kept")) == 42
        assert run(ask(again.url, "SHOW fsync")) == run(ask(again.url, "SHOW full_page_writes")) == "on"
    finally:
        again.stop()


def test_terminal_interrupt_reaches_only_the_parent(parent: subprocess.Popen[str], run: Run) -> None:
    pids, url = started(parent)
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.stdout
    assert parent.stdout.readline() == "interrupted\n"
    assert all(is_running(pid) for pid in pids)
    assert run(ask(url, "SELECT 1")) == 1
