"""How servers run: environment, user, signals, log."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.dev import processes
from service.dev.errors import LocalServerError
from service.dev.processes import is_running, stop_orphaned_postgres, stop_process
from service.dev.server_process import ServerProcess, command_line
from service.dev.server_user import ServerUser, open_to_others, unprivileged_user
from tests.dev.help import eventually

SHELL = Path("/bin/sh")
STUBBORN = "trap '' TERM INT; echo ready; while :; do sleep 0.02; done"
linux = pytest.mark.skipif(sys.platform != "linux", reason="what a process has is read from /proc")
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another user")


def _program(log: Path, user: ServerUser | None = None, *, seconds: float = 5) -> ServerProcess:
    return ServerProcess(SHELL, log, stop_signals=((signal.SIGTERM, seconds),), user=user)


def _output(log: Path, script: str, user: ServerUser | None = None) -> list[str]:
    program = _program(log, user)
    program.start("-c", script)
    program.wait_until_exit(seconds=30)
    return log.read_text().splitlines()


@linux
def test_server_inherits_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    _output(log, "echo of an earlier run")
    script = (
        "cat; pwd; cut -d ' ' -f 6 /proc/$$/stat; echo $$; env | grep -v '^\\(PWD\\|OLDPWD\\|SHLVL\\|_\\)='"
    )
    folder, session, pid, *environment = _output(log, script)
    assert (folder, session) == ("/", pid)
    assert sorted(environment) == ["LC_ALL=C", f"PATH={os.defpath}", "TZ=UTC"]


def test_program_that_fails_or_runs_on_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match=r"^sh failed: broken$"):
        _output(tmp_path / "log", "echo broken; exit 3")
    program = _program(tmp_path / "log")
    program.start("-c", "exec sleep 60")
    with pytest.raises(LocalServerError, match=r"^sh did not exit within 0\.1 s$"):
        program.wait_until_exit(seconds=0.1)
    program.stop()
    program.start("-c", "echo too early; exit 0")
    with pytest.raises(LocalServerError, match=r"^sh did not start: too early$"):
        program.wait_until(lambda: False, seconds=30)


def test_program_that_ignores_its_signal_is_killed(tmp_path: Path) -> None:
    program = _program(tmp_path / "log", seconds=0.05)
    program.start("-c", STUBBORN)
    assert eventually(lambda: "ready" in (tmp_path / "log").read_text())
    pid = program.pid
    assert pid
    program.stop()
    assert program.pid is None
    assert not is_running(pid)


@linux
def test_program_whose_parent_has_ended_does_not_start() -> None:
    command = command_line(SHELL, ["-c", "echo started"], user=None, on_parent_death=signal.SIGTERM)
    options = json.loads(command[4])
    assert options["parent"] == os.getpid()
    command[4] = json.dumps({**options, "parent": 1})
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "the parent process has ended\n")


@linux
@root
@pytest.mark.parametrize("capabilities", [0, 2], ids=["plain", "bypass"])
def test_server_has_the_rights_of_its_user_alone(tmp_path: Path, capabilities: int) -> None:
    nobody = ServerUser(uid=65534, gid=65533, bypass_permissions=bool(capabilities))
    script = "id -u; id -g; id -G; sed -n 's/^Cap\\(Eff\\|Prm\\|Amb\\):\\t//p' /proc/self/status"
    before = os.getgroups()
    os.setgroups([1234])
    try:
        *ids, permitted, effective, ambient = _output(tmp_path / "log", script, nobody)
    finally:
        os.setgroups(before)
    assert ids == ["65534", "65533", "65533"]
    assert {int(found, 16) for found in (permitted, effective, ambient)} == {capabilities}


@linux
@root
def test_server_of_another_user_ends_with_its_parent(tmp_path: Path) -> None:
    program = ServerProcess(
        Path(sys.executable),
        tmp_path / "log",
        stop_signals=((signal.SIGINT, 5),),
        user=ServerUser(uid=65534, gid=65534, bypass_permissions=True),
    )
    asked = "import ctypes; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n)); print(n.value)"
    program.start("-I", "-S", "-c", asked)
    program.wait_until_exit(seconds=30)
    assert (tmp_path / "log").read_text() == f"{signal.SIGINT:d}\n"


@root
def test_server_runs_as_the_owner_of_its_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    named = unprivileged_user(data, SHELL)
    data.mkdir()
    assert named
    assert named == unprivileged_user(data, SHELL), "data that root has made is not to be served by root"
    assert named.uid != 0
    in_open_folders = unprivileged_user(Path("/nowhere"), SHELL)
    assert in_open_folders
    assert not in_open_folders.bypass_permissions
    os.chown(data, 1234, 1235)
    owner = unprivileged_user(data, SHELL)
    assert owner
    assert (owner.uid, owner.gid, owner.bypass_permissions) == (1234, 1235, not open_to_others(data))


def test_one_closed_folder_keeps_others_out(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert open_to_others(SHELL)
    assert not open_to_others(SHELL, closed / "program")


def test_process_of_another_user_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr("service.dev.processes.os.kill", refuse)  # as for everybody but root
    assert is_running(os.getpid())


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A program that ignores the signals that end servers, with the data folder in its command line."""
    with subprocess.Popen([SHELL, "-c", STUBBORN, "/data/of/another"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_server_that_ignores_its_signals_is_killed(
    stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "ORDERLY_SECONDS", 0.05)
    stop_process(stranger.pid, orderly=signal.SIGINT, forced=signal.SIGKILL)
    assert not is_running(stranger.pid)
    assert stranger.wait(30) == -signal.SIGKILL


def test_only_a_server_of_the_same_data_is_stopped(stranger: subprocess.Popen[bytes], tmp_path: Path) -> None:
    file = tmp_path / "postmaster.pid"
    for named in (str(stranger.pid), "999999999"):
        file.write_text(f"{named}\n{tmp_path}\n")
        stop_orphaned_postgres(tmp_path)
        assert not file.exists()
    assert stranger.poll() is None
