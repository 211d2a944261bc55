"""`slipway seed` from the outside."""

import subprocess
from pathlib import Path

from typer.testing import CliRunner

from service.cli.command_line import application
from tests.conftest import DatabaseFactory
from tests.ports import next_port
from tests.process.served import SLIPWAY, environment, run_command


def seed(home: Path, url: str) -> subprocess.CompletedProcess[str]:
    variables = environment(app__environment="development", database__url=url)
    return run_command((SLIPWAY,), ["seed"], home, variables)


def test_unmigrated_database_is_reported_with_its_exit_code(
    fresh_database: DatabaseFactory, tmp_path: Path
) -> None:
    result = seed(tmp_path, fresh_database(migrated=False))
    assert result.returncode == 7
    assert "revision none" in result.stderr
    assert "Traceback" not in result.stderr


def test_unreachable_database_is_reported_with_its_exit_code(tmp_path: Path) -> None:
    result = seed(tmp_path, f"postgresql://nobody:secret@127.0.0.1:{next_port()}/none")
    assert result.returncode == 4
    assert "cannot reach the database" in result.stderr
    assert "secret" not in result.stderr


def test_help_describes_the_command() -> None:
    result = CliRunner().invoke(application(), ["seed", "--help"])
    assert result.exit_code == 0
    assert "Load the sample data of the domains" in result.stdout
