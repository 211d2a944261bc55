"""`slipway dev` from the outside: output, signals and data folder."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx2
import pytest

from service.dev.free_ports import is_free, read_port
from service.dev.processes import command_of, is_running, read_pid
from tests.conftest import DatabaseFactory
from tests.dev.help import eventually, listening, processes
from tests.forked import FORKS
from tests.ports import next_port, placed
from tests.process import served
from tests.process.served import SLIPWAY, execute, fork, run_command
from tests.sample import SAMPLE

START_SECONDS = 60
READY = "Ctrl-C stops everything"


class Dev:
    """One run of the command, with its output in a file. `executed`: it has an interpreter of its own."""

    def __init__(self, home: Path, environment: Mapping[str, str], *, executed: bool = False) -> None:
        self.home = home
        ports = {"PORT": str(next_port()), "ADMIN_PORT": str(next_port())}
        descriptor, log = tempfile.mkstemp(dir=home, prefix="log-")
        os.close(descriptor)
        self._log = Path(log)
        start = fork if FORKS and not executed else execute
        self.process = start(
            [SLIPWAY, "dev"], home, served.environment(**{**ports, **environment}), self._log
        )

    @property
    def output(self) -> str:
        return self._log.read_text("utf-8")

    def ready(self) -> "Dev":
        """Wait for the banner."""
        assert eventually(
            lambda: READY in self.output or self.process.poll() is not None, seconds=START_SECONDS
        )
        assert READY in self.output, f"it ended: {self.output}"
        return self

    def ended(self, number: signal.Signals | None = None) -> int:
        """Send a signal, if given, to the process group as a terminal does, and return the exit code."""
        if number:
            os.killpg(self.process.pid, number)
        return self.process.wait(START_SECONDS)

    def close(self) -> None:
        """Kill the process if it is still running."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def printed(self, name: str) -> str:
        """Return the value next to a name in the banner."""
        found = re.search(rf"^  {name} +(\S+)", self.output, re.MULTILINE)
        assert found, self.output
        return found[1]

    def curl(self) -> list[tuple[int, dict[str, object]]]:
        """Run the printed commands in a shell; return the status and body of each."""
        commands = re.findall(r"^  curl (.*?[^\\])$", self.output, re.MULTILINE | re.DOTALL)
        return [_pasted(f"curl -s -w '\\n%{{http_code}}' {command}") for command in commands]

    def client(self) -> httpx2.Client:
        """Return a client with the printed key."""
        headers = {"X-API-Key": self.printed("API key")}
        return httpx2.Client(base_url=self.printed("API"), headers=headers, timeout=30)


def _pasted(command: str) -> tuple[int, dict[str, object]]:
    shell = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    body, _, status = shell.stdout.rpartition("\n")
    return int(status), json.loads(body)


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Callable[..., Dev]]:
    """Runs the command, always in the same folder, and kills it at the end."""
    runs: list[Dev] = []

    def start(**environment: str) -> Dev:
        runs.append(Dev(tmp_path, environment))
        return runs[-1]

    yield start
    for run in runs:
        run.close()
    assert eventually(lambda: nothing_runs(tmp_path))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A run shared by tests that do not change it."""
    home = tmp_path_factory.mktemp("dev")
    placed(home / ".local" / "postgres")
    run = Dev(home, {}, executed=True)
    try:
        yield run.ready()
    finally:
        run.close()


def slipway(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run another command in the same folder."""
    return run_command((SLIPWAY,), arguments, home, served.environment(**environment))


def servers(home: Path) -> list[int]:
    """Return the process ids of PostgreSQL and initdb for this folder."""
    return [pid for pid in processes() if str(home) in command_of(pid)]


def nothing_runs(home: Path) -> bool:
    """Whether neither PostgreSQL nor Redis runs in this folder."""
    redis = read_port(home / ".local" / "redis" / "port")
    return not servers(home) and (redis is None or is_free(redis))


@pytest.mark.skipif(not shutil.which("curl"), reason="the printed commands need curl")
def test_printed_commands_work_and_data_is_kept(dev: Callable[..., Dev], tmp_path: Path) -> None:
    placed(tmp_path / ".local" / "postgres")
    first = dev().ready()
    examples = first.curl()
    assert {status for status, _ in examples} == ({200, 201} if SAMPLE else set())
    with first.client() as client:
        created = client.post("/keys", json={"name": "kept", "scopes": ["catalog:read"]})
        assert created.status_code == 201, created.text
    assert first.ended(signal.SIGINT) == 0
    assert nothing_runs(tmp_path)

    second = dev().ready()
    assert second.printed("API key") == first.printed("API key")
    assert second.printed("Database") == first.printed("Database")
    with second.client() as client:
        assert "kept" in {key["name"] for key in client.get("/keys").json()["items"]}
    docs = ["curl", "-sf", second.printed("Docs")]
    assert subprocess.run(docs, capture_output=True, timeout=30, check=False).returncode == 0


def test_secrets_are_private_and_in_no_process_list(running: Dev) -> None:
    folder = running.home / ".local"
    names = ("api_key", "secret_key", "running.json", "postgres/password", "redis/password")
    secrets = [folder / name for name in names]
    assert [file.stat().st_mode & 0o777 for file in secrets] == [0o600] * 5
    commands = " ".join(command_of(pid) for pid in [running.process.pid, *servers(running.home)])
    assert not [file for file in secrets if file.read_text().strip() in commands]


@pytest.mark.parametrize("arguments", ["migrate --check", "keys list", "purge"])
def test_other_commands_use_its_database_and_say_so(running: Dev, arguments: str) -> None:
    done = slipway(running.home, *arguments.split())
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        f"slipway: using the development database {running.printed('Database')} of `slipway dev` "
        f"(process {running.process.pid}, {running.home / '.local'}); set SLIPWAY_DATABASE__URL to use another\n"
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "code"),
    [
        ("serve", {}, 3),
        ("migrate", {"SLIPWAY_APP__ENVIRONMENT": "production"}, 3),
        ("migrate", {"SLIPWAY_DATABASE__HOST": "127.0.0.1"}, 3),
        (
            "migrate",
            {"SLIPWAY_DATABASE__URL": "postgresql://u@127.0.0.1:1/x", "SLIPWAY_APP__ENVIRONMENT": "test"},
            4,
        ),
    ],
)
def test_serve_and_configured_commands_ignore_its_database(
    running: Dev, arguments: str, environment: dict[str, str], code: int
) -> None:
    done = slipway(running.home, arguments, **environment)
    assert done.returncode == code
    assert "development database" not in done.stderr


def test_restart_after_a_kill_keeps_the_data(dev: Callable[..., Dev], tmp_path: Path) -> None:
    killed = dev().ready()
    postmaster = read_pid(tmp_path / ".local" / "postgres" / "data" / "postmaster.pid")
    assert postmaster
    assert killed.ended(signal.SIGKILL) == -signal.SIGKILL
    told = slipway(tmp_path, "migrate", "--check")
    assert (told.returncode, "start `make run` in this folder" in told.stderr) == (3, True), told.stderr
    again = dev().ready()
    assert not is_running(postmaster)
    assert again.printed("API key") == killed.printed("API key")
    assert "sample catalogue" not in again.output
    assert again.ended(signal.SIGHUP) == 0
    assert "Traceback" not in again.output


def test_interrupt_during_startup_leaves_nothing_running(dev: Callable[..., Dev], tmp_path: Path) -> None:
    run = dev()
    assert eventually(lambda: bool(servers(tmp_path)), seconds=START_SECONDS)
    assert run.ended(signal.SIGINT) in {0, 130}
    assert eventually(lambda: nothing_runs(tmp_path))
    assert "Traceback" not in run.output
    assert dev().ready().ended(signal.SIGINT) == 0


@pytest.mark.parametrize("name", ["PORT", "ADMIN_PORT"])
def test_port_in_use_is_one_line_and_exit_code_5(dev: Callable[..., Dev], name: str) -> None:
    with listening() as port:
        run = dev(**{name: str(port)})
        assert run.ended() == 5
    lines = run.output.splitlines()
    assert len(lines) == 1
    assert f"port {port} " in lines[0]
    assert f" {name}=" in lines[0]


def test_second_instance_on_the_same_data_is_refused(running: Dev) -> None:
    done = slipway(running.home, "dev")
    assert done.returncode == 4
    assert f"process {running.process.pid}" in done.stderr


def test_configured_servers_are_used(
    dev: Callable[..., Dev], fresh_database: DatabaseFactory, redis_url: str, tmp_path: Path
) -> None:
    given = {
        "SLIPWAY_DATABASE__URL": fresh_database(migrated=False),
        "SLIPWAY_REDIS__URL": redis_url,
        "SLIPWAY_SERVER__WORKERS": "2",  # of `serve`; this is one process, which reloads
    }
    run = dev(**given).ready()
    assert nothing_runs(tmp_path)
    admin = run.printed("Admin").rpartition("/")[0]
    assert "\nslipway_build_info{" in httpx2.get(f"{admin}/metrics").text
    assert sorted(path.name for path in (tmp_path / ".local").iterdir()) == [
        "api_key", "lock", "running.json", "secret_key",
    ]  # fmt: skip
    assert shlex.quote(given["SLIPWAY_DATABASE__URL"]) not in run.output
    assert run.ended(signal.SIGINT) == 0


def test_invalid_settings_are_reported(dev: Callable[..., Dev]) -> None:
    run = dev(SLIPWAY_DATABASE__POOL_MAX="many")
    assert run.ended() == 3
    assert "SLIPWAY_DATABASE__POOL_MAX" in run.output
