"""`slipway migrate`: step by step, as SQL for psql, and what it refuses."""

import asyncio
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from service.dev.binaries import postgres_binaries
from service.migrations.branches import CHASSIS, DOMAINS, head, known
from service.migrations.revisions import Position, heads
from tests.conftest import DatabaseFactory
from tests.migrations.roles import Roles
from tests.migrations.test_privileges import due, held
from tests.migrations.writing import Write
from tests.process.conftest import Command

EMPTY = ("migrate", "--sql", "--from", "none")


def ahead(revision: str) -> Position:
    """Return the heads, with another head of the chassis."""
    return Position(revision, head(DOMAINS))


def psql(url: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script with psql's default settings."""
    program = postgres_binaries() / "psql"
    return subprocess.run(
        [program, "--no-psqlrc", "--quiet", url],
        input=script, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def dump(url: str) -> list[str]:
    """Return the schema from pg_dump, and the revisions."""
    command = [str(postgres_binaries() / "pg_dump"), "--schema-only", "--no-owner", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "server version mismatch" in done.stderr:
        pytest.skip("the server of this run is newer than the pg_dump at hand")
    assert done.returncode == 0, done.stderr
    revision = psql(url, "SELECT * FROM alembic_version, alembic_version_domains").stdout
    # pg_dump 18 puts a random word into two lines.
    return [*(line for line in done.stdout.splitlines() if "restrict " not in line), revision]


def test_script_and_command_produce_the_same_database(
    command: Command, fresh_database: DatabaseFactory
) -> None:
    url = fresh_database(migrated=False)
    script = command(*EMPTY)
    assert script.exit_code == 0, script.output
    assert script.stdout == script.stdout.strip() + "\n"
    done = psql(url, script.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    made = dump(url)
    assert "CREATE TABLE public.row_history (" in made
    assert made == dump(fresh_database())
    assert command("migrate", database__url=url).stdout == f"already at revision {heads()}\n"


def test_script_supports_concurrent_index_builds(
    command: Command, fresh_database: DatabaseFactory, write: Write
) -> None:
    url = fresh_database()
    write("indexed", code='create_index_concurrently("ix_api_key_x", "api_key", ["name", "prefix"])')
    script = command("migrate", "--sql", database__url=url).stdout
    assert "CREATE INDEX CONCURRENTLY ix_api_key_x ON api_key (name, prefix)" in script
    assert psql(url, script).returncode == 0
    by_command = fresh_database()
    assert command("migrate", database__url=by_command).stdout == f"migrated to revision {ahead('indexed')}\n"
    assert dump(url) == dump(by_command)


def test_script_starts_at_the_revision_of_the_database(
    command: Command, fresh_database: DatabaseFactory, write: Write
) -> None:
    url = fresh_database()
    for name in ("one", "two"):
        write(name, f"CREATE TABLE {name} (id int)", branch=DOMAINS)
    command("migrate", "--to", "one", database__url=url)
    before = dump(url)
    script = command("migrate", "--sql", database__url=url).stdout
    assert dump(url) == before
    assert script == command("migrate", "--sql", "--from", head(CHASSIS), "--from", "one").stdout
    missing = f"to_regclass('{DOMAINS.table}') IS NULL THEN"
    assert missing not in script
    assert missing in command("migrate", "--sql", "--from", head(CHASSIS)).stdout
    alone = command("migrate", "--sql", "--from", "one")
    assert (alone.exit_code, "--from must be `none`, or a chassis revision" in alone.stderr) == (2, True)
    assert "Running upgrade one -> two" in script
    assert script.count("Running upgrade") == 1
    assert psql(url, script).returncode == 0
    assert "nothing to do" in command("migrate", "--sql", database__url=url).stdout
    by_command = fresh_database()
    command("migrate", database__url=by_command)
    assert dump(url) == dump(by_command)


@pytest.mark.parametrize("arguments", [EMPTY, ("migrate", "--sql", "--from", "0003")])
def test_script_stops_at_a_database_at_another_revision(
    command: Command, fresh_database: DatabaseFactory, arguments: tuple[str, ...]
) -> None:
    url = fresh_database(migrated=False)
    command("migrate", "--to", "0002", database__url=url)
    before = dump(url)
    done = psql(url, command(*arguments).stdout)
    assert done.returncode == 3  # psql's exit code for a failed script
    assert "the database is not at revision" in done.stderr
    assert dump(url) == before


def test_script_stops_before_it_grants_to_a_role_that_does_not_exist(
    command: Command, fresh_database: DatabaseFactory
) -> None:
    role = "nobody's"
    script = command(*EMPTY, database__app_role=role).stdout
    done = psql(fresh_database(migrated=False), script)
    assert (done.returncode, f"there is no role {role}" in done.stderr) == (3, True)


def test_script_stops_at_the_first_error(
    command: Command, fresh_database: DatabaseFactory, write: Write
) -> None:
    url = fresh_database()
    write("broken", "CREATE TABLE lost (id int)", "SELECT 1 / 0")
    write("after", "CREATE TABLE never (id int)")
    before = dump(url)
    done = psql(url, command("migrate", "--sql", database__url=url).stdout)
    assert (done.returncode, "division by zero" in done.stderr) == (3, True)
    assert dump(url) == before


async def test_script_grants_privileges_to_the_app_role(roles: Roles, command: Command, connect: Any) -> None:
    script = command(*EMPTY, database__app_role=roles.app).stdout
    done = psql(roles.owner_url, script)
    assert (done.returncode, done.stderr) == (0, "")
    assert await held(connect, roles) == await due(connect, roles)
    done = psql(
        roles.admin_url,
        command("migrate", "--sql", "--from", known(CHASSIS)[-2], database__app_role="it's").stdout,
    )
    assert done.returncode == 3


async def test_script_at_the_head_adds_missing_grants(owned: Roles, command: Command, connect: Any) -> None:
    where = {"database__url": owned.owner_url, "database__app_role": owned.app}
    script = await asyncio.to_thread(command, "migrate", "--sql", **where)
    assert script.exit_code == 0, script.output
    assert "Running upgrade" not in script.stdout
    for _ in range(2):
        done = psql(owned.owner_url, script.stdout)
        assert (done.returncode, done.stderr) == (0, "")
        assert await held(connect, owned) == await due(connect, owned)


def test_script_waits_for_the_database(command: Command, fresh_database: DatabaseFactory) -> None:
    nowhere = make_url(fresh_database()).set(port=1).render_as_string(hide_password=False)
    began = time.monotonic()
    done = command("migrate", "--sql", "--wait", "1", database__url=nowhere)
    assert (done.exit_code, done.stdout, "waiting for the database" in done.stderr) == (4, "", True)
    assert time.monotonic() - began >= 1


def test_to_stops_at_a_revision_and_never_goes_back(
    command: Command, fresh_database: DatabaseFactory, write: Write
) -> None:
    url = fresh_database(migrated=False)
    for name in ("one", "two"):
        write(name, branch=DOMAINS)

    def to(revision: str) -> tuple[int, str]:
        done = command("migrate", "--to", revision, database__url=url)
        return done.exit_code, done.stdout or done.stderr

    pooled = command("migrate", database__url=url, database__pgbouncer="true")
    assert (pooled.exit_code, pooled.stdout, pooled.stderr.count("\n")) == (6, "", 1)
    assert pooled.stderr.startswith(
        "slipway: there are pending changes, but slipway is connected through a pooler"
    )
    assert to("0001") == (0, "migrated to revision 0001 (chassis), none (domains)\n")
    assert to("0003") == (0, "migrated to revision 0003 (chassis), none (domains)\n")
    assert to("0003") == (0, "already at revision 0003 (chassis), none (domains)\n")
    code, said = to("0002")
    assert (code, said.count("\n")) == (6, 1)
    assert said.startswith(
        "slipway: the database is at revision 0003 (chassis), past 0002: migrations only go forward"
    )
    assert command("migrate", "--check", database__url=url).exit_code == 7
    assert to("one") == (0, f"migrated to revision {Position(head(CHASSIS), 'one')}\n")
    assert to("0003")[0] == 6
    assert to(known(CHASSIS)[-1]) == (0, f"already at revision {Position(head(CHASSIS), 'one')}\n")
    assert to("head") == (0, f"migrated to revision {heads()}\n")
    code, said = to("one")
    assert (code, said.count("\n")) == (6, 1)
    assert said.startswith("slipway: the database is at revision two (domains), past one: ")


@pytest.mark.parametrize(
    "arguments", [("--to", "9999"), ("--sql", "--from", "9999"), ("--sql", "--to", "9999")]
)
def test_unknown_revision_error_lists_the_known_ones(command: Command, arguments: tuple[str, ...]) -> None:
    done = command("migrate", *arguments, database__password="x")
    assert (done.exit_code, done.stdout) == (2, "")
    everything = [*known(CHASSIS), *known(DOMAINS)]
    assert done.stderr == (f"slipway: this version has no revision 9999; it has {', '.join(everything)}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--from", "0001"),
        ("--check", "--sql"),
        ("--check", "--to", "0001"),
        ("--to", ""),
        ("--sql", "--from", "0001", "--wait", "5"),
        ("--sql", "--from", "0001", "--from", "0002"),
        ("--sql", "--from", "0001", "--from", "none"),
    ],
)
def test_incompatible_options_are_usage_errors(command: Command, arguments: tuple[str, ...]) -> None:
    assert command("migrate", *arguments, database__password="x").exit_code == 2


def test_revision_of_a_newer_version_is_reported(
    command: Command, fresh_database: DatabaseFactory, tmp_path: Path
) -> None:
    url = fresh_database()
    newer = str(ahead("newer"))
    assert newer.startswith("newer (chassis, unknown to this version)")
    psql(url, "UPDATE alembic_version SET version_num = 'newer'")
    assert command("migrate", database__url=url).stdout == f"already at revision {newer}\n"
    assert command("migrate", "--check", database__url=url).stdout == f"the database is at revision {newer}\n"
    assert command("migrate", "--to", "0003", database__url=url).exit_code == 6
    assert command("migrate", "--sql", database__url=url).exit_code == 0
