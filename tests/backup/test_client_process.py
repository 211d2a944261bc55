"""How a program of PostgreSQL is run: what it says when it fails, and what it reads and writes. A shell stands in."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from service.backup import backup_connection
from service.backup.backup_connection import _STABLE_TEXT, connected, wait_for_server
from service.backup.client_process import running
from service.backup.errors import BackupError
from service.cli.backup import _run
from service.cli.errors import CommandError
from service.config import Settings
from tests.backup.conftest import name_of
from tests.conftest import DatabaseFactory
from tests.listener import listener
from tests.process.conftest import Command

SHELL = Path("/bin/sh")


async def fed(script: str, *, chunks: int = 100) -> None:
    """Run a script, which can read so many times 100 kB."""
    async with running(SHELL, ["-c", script], {"GIVEN": "a variable"}, fed=True) as program:
        for _ in range(chunks):
            await program.feed(b"x" * 100_000)
        await program.finish()


async def written(script: str, size: int) -> list[bytes]:
    """Return the chunks that a script writes."""
    async with running(SHELL, ["-c", script], {}) as program:
        found = [chunk async for chunk in program.chunks(size)]
        await program.finish()
    return found


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo one >&2; echo >&2; echo two >&2; exit 3", "sh failed: one / two"),
        ("for i in 1 2 3 4 5 6 7; do echo $i >&2; done; exit 3", "sh failed: 3 / 4 / 5 / 6 / 7"),
        ("(sleep 0.05; echo late >&2) & exit 3", "sh failed: late"),
        ("echo $GIVEN, ${HOME-and no other} >&2; exit 3", "sh failed: a variable, and no other"),
        ("exit 3", "sh failed: exit code 3"),
        ("exit 0", "sh stopped reading before the end of the dump"),
    ],
)
async def test_program_that_stops_reading_says_why(script: str, reason: str) -> None:
    with pytest.raises(BackupError) as raised:
        await fed(script)
    assert str(raised.value) == reason


async def test_program_that_fails_after_the_last_byte_has_failed() -> None:
    await fed("cat >/dev/null", chunks=2)
    for script in ("cat >/dev/null; exit 4", "sleep 0.05; exit 4"):  # the other one leaves some in our buffer
        with pytest.raises(BackupError, match="sh failed: exit code 4"):
            await fed(script, chunks=1)


async def test_output_comes_in_chunks_of_one_size() -> None:
    assert await written("printf abcdefg", 3) == [b"abc", b"def", b"g"]
    assert await written("printf ab; sleep 0.05; printf cdef", 3) == [b"abc", b"def"]
    assert await written("true", 3) == []
    with pytest.raises(BackupError, match="exit code 5"):
        await written("printf abc; exit 5", 3)


async def test_program_does_not_outlive_its_block() -> None:
    script = "printf %8d $$; exec sleep 60"
    async with asyncio.timeout(20), running(SHELL, ["-c", script], {"PATH": os.defpath}) as program:
        pid = int(await anext(program.chunks(8)))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def at(url: str) -> Settings:
    return Settings.model_validate({"database": {"url": url}})


async def test_server_is_asked_at_intervals_until_it_is_there(
    monkeypatch: pytest.MonkeyPatch, fresh_database: DatabaseFactory
) -> None:
    monkeypatch.setattr(backup_connection, "POLL_SECONDS", 0.05)
    asked = 0

    async def refuse(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1

    async with listener(refuse) as port:
        await wait_for_server(at(f"postgresql://u:p@127.0.0.1:{port}/d"), 0.12)
    assert 1 <= asked <= 3
    async with asyncio.timeout(10):
        url = fresh_database(migrated=False)
        await wait_for_server(at(url), 3600)
        await wait_for_server(at(f"{url}_missing"), 3600)


def test_sigterm_ends_a_command_with_its_own_code() -> None:
    async def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(60)

    with pytest.raises(CommandError, match="ended by a signal") as error:
        _run(work())
    assert error.value.exit_code == 143


@pytest.mark.parametrize("arguments", [("create",), ("restore", "latest"), ("drill",)])
def test_commands_wait_for_the_server(
    arguments: tuple[str, ...], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waited(_: Settings, seconds: float) -> None:
        raise BackupError(f"waited {seconds:g} s")

    monkeypatch.setattr("service.cli.backup.wait_for_server", waited)
    nowhere = {"database__url": "postgresql://a@127.0.0.1:1/b", "backup__storage": tmp_path}
    done = command("backup", *arguments, "--wait", "7", **nowhere)
    assert (done.exit_code, "waited 7 s" in done.stderr) == (1, True)


async def test_session_has_no_time_limits_and_one_form_of_text(fresh_database: DatabaseFactory) -> None:
    """The database and the settings of the service ask for others."""
    url = fresh_database(migrated=False)
    async with connected(Settings.model_validate({"database": {"url": url}})) as connection:
        for setting in (
            "datestyle = 'SQL, DMY'", "intervalstyle = 'sql_standard'", "bytea_output = 'escape'",
            "extra_float_digits = 0", "xmloption = 'document'", "statement_timeout = '1s'",
        ):  # fmt: skip
            await connection.execute(f"ALTER DATABASE {name_of(url)} SET {setting}")
    settings = Settings.model_validate({"database": {"url": url, "statement_timeout": 9}})
    async with connected(settings) as connection:
        shown = {
            name: await connection.fetchval(f"SHOW {name}")
            for name in (*_STABLE_TEXT, "statement_timeout", "client_connection_check_interval")
        }
    assert shown == {
        "datestyle": "ISO, YMD",
        "intervalstyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "lc_monetary": "C",
        "xmloption": "content",
        "search_path": "pg_catalog",
        "row_security": "off",
        "statement_timeout": "0",
        "client_connection_check_interval": "1s",
    }
