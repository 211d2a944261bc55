"""The sources of settings and their precedence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.config import Settings
from service.config.group import Group
from service.config.loading import SettingsError, load
from service.config.sources import UnreadableSourceError
from service.database.connect import connect_options
from tests.unit.conftest import Env

PRODUCTION = {"SLIPWAY_SECURITY__SECRET_KEY": "k" * 32, "SLIPWAY_DATABASE__PASSWORD": "good"}
Secret = Callable[[str, str], Path]


@pytest.fixture
def secret(tmp_path: Path, env: Env) -> Secret:
    """Writes a secret file, as in `secret("database/password", "…")`, and sets SLIPWAY_SECRETS_DIR."""

    def write(name: str, value: str) -> Path:
        file = tmp_path / "secrets" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(value)
        env(SLIPWAY_SECRETS_DIR=str(tmp_path / "secrets"))
        return file

    return write


def test_first_source_with_a_value_wins(env: Env, tmp_path: Path, secret: Secret) -> None:
    def host(**arguments: Any) -> str:
        return Settings(**arguments).database.host

    assert host() == "127.0.0.1"
    (tmp_path / ".env").write_text("SLIPWAY_DATABASE__HOST=dotenv\n")
    assert host() == "dotenv"
    secret("database/host", "file\n")
    assert host() == "file"
    env(SLIPWAY_DATABASE__HOST="environment")
    assert host() == "environment"
    assert host(database={"host": "argument"}) == "argument"


def test_sources_are_merged_field_by_field(env: Env, tmp_path: Path, secret: Secret) -> None:
    (tmp_path / ".env").write_text("\ufeffSLIPWAY_DATABASE__NAME=dotenv\nOTHER=ignored\n", "utf-8")
    secret("database/password", "file")
    env(SLIPWAY_DATABASE__HOST="environment")
    database = load(app={"environment": "test"}, database={"user": "argument"}).database
    assert (database.user, database.host, database.name) == ("argument", "environment", "dotenv")
    assert database.password.get_secret_value() == "file"


def test_secret_files_of_kubernetes_volumes_are_read(env: Env, tmp_path: Path) -> None:
    group = tmp_path / "secrets" / "database"
    (group / "..2026").mkdir(parents=True)
    (group / "..2026" / "password").write_text("mounted")
    (group / "..data").symlink_to("..2026")
    (group / "password").symlink_to("..data/password")
    env(SLIPWAY_APP__ENVIRONMENT="test", SLIPWAY_SECRETS_DIR=str(tmp_path / "secrets"))
    assert load().database_password() == "mounted"


def test_rotated_password_is_reread(secret: Secret) -> None:
    file = secret("database/password", "first\n")
    password = connect_options(Settings())["password"]
    assert password() == "first"
    file.write_text("second\n")
    assert password() == "second"
    file.unlink()  # as while a mount is updated
    assert password() == "first"
    file.write_bytes(b"\xff")
    assert password() == "first"


def test_binary_secret_is_reported(secret: Secret) -> None:
    secret("database/password", "").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="SLIPWAY_SECRETS_DIR: a file in it is not text in UTF-8"):
        load()


def test_password_of_a_file_that_cannot_be_read_is_that_of_the_settings(env: Env, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("renewed\n")
    env(SLIPWAY_DATABASE__PASSWORD="given", SLIPWAY_DATABASE__PASSWORD_FILE=str(file))
    settings = Settings()
    assert settings.database_password() == "renewed"
    file.write_bytes(b"\xff")
    assert settings.database_password() == "given"
    file.unlink()  # as while it is renewed
    assert settings.database_password() == "given"


def test_secret_has_a_largest_size(secret: Secret) -> None:
    secret("database/password", "x" * 2**20)
    assert len(Settings().database_password()) == 2**20
    secret("database/password", "x" * (2**20 + 1))
    with pytest.raises(UnreadableSourceError, match="the file is larger than 1 MiB"):
        Settings()


def test_environment_takes_precedence_over_a_rotated_file(env: Env, secret: Secret) -> None:
    secret("database/password", "file")
    env(SLIPWAY_DATABASE__PASSWORD="environment")
    assert Settings().database_password() == "environment"


def test_unknown_names_are_reported_from_every_source(env: Env, tmp_path: Path, secret: Secret) -> None:
    (tmp_path / ".env").write_text("SLIPWAY_REDIS__HOTS=1\n")
    secret("server/prot", "1")
    env(SLIPWAY_DATABSE__HOST="1", **PRODUCTION)
    with pytest.raises(SettingsError) as caught:
        load()
    assert caught.value.reasons == [
        f"SLIPWAY_{name}: there is no such setting"
        for name in ("DATABSE__HOST", "REDIS__HOTS", "SERVER__PROT")
    ]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SLIPWAY_SECRETS_DIR", "/not/there", "SLIPWAY_SECRETS_DIR: directory"),
        ("SLIPWAY_DATABASE", "x", "SLIPWAY_DATABASE: is not JSON"),
        ("SLIPWAY_LOGGING", '"x"', "SLIPWAY_LOGGING: must be a JSON object"),
        ("SLIPWAY_SERVER__PORT", "0", "SLIPWAY_SERVER__PORT: "),
        ("SLIPWAY_SERVER__DRAIN_DELAY", "NaN", "SLIPWAY_SERVER__DRAIN_DELAY: "),
        ("SLIPWAY_APP__NAME", "Two Words", "SLIPWAY_APP__NAME: "),
        ("SLIPWAY_MONITORING__DURATION_BUCKETS", "1,0.5", "SLIPWAY_MONITORING__DURATION_BUCKETS: must be ascending"),
        ("SLIPWAY_MONITORING__DURATION_BUCKETS", "1,1", "SLIPWAY_MONITORING__DURATION_BUCKETS: must be ascending"),
        ("SLIPWAY_BACKUP__KEY", f"{'A' * 43}=,{'B' * 43}=", "SLIPWAY_BACKUP__KEY: must be 32 bytes in base64"),
        ("SLIPWAY_MONITORING__DURATION_BUCKETS", "[]", "SLIPWAY_MONITORING__DURATION_BUCKETS: "),
        ("SLIPWAY_DATABASE__APP_PASSWORD", "pässword", "SLIPWAY_DATABASE__APP_PASSWORD: must be ASCII"),
        ("SLIPWAY_DATABASE__URL", "postgresql://u@h/d?sslmode=", "SLIPWAY_DATABASE__URL: sslmode must be one of"),
        ("SLIPWAY_DATABASE__URL", "mysql://u@h/d", "SLIPWAY_DATABASE__URL: must start with postgresql://"),
        ("SLIPWAY_DATABASE__URL", "postgresql://u@h:x/d", "SLIPWAY_DATABASE__URL: port is not a number"),
        ("SLIPWAY_REDIS__URL", "http://h", "SLIPWAY_REDIS__URL: must start with redis://"),
    ],
)  # fmt: skip
def test_invalid_value_is_reported_once(env: Env, name: str, value: str, reason: str) -> None:
    env(**{**PRODUCTION, name: value})
    with pytest.raises(SettingsError) as caught:
        load()
    assert len(caught.value.reasons) == 1
    assert caught.value.reasons[0].startswith(reason)


def test_path_of_a_socket_is_not_the_number_of_a_database(env: Env) -> None:
    env(**PRODUCTION, SLIPWAY_REDIS__URL="unix:///run/redis.sock")
    assert load().redis.location == "unix:///run/redis.sock"


def test_output_of_check_is_valid_input(env: Env) -> None:
    env(SLIPWAY_APP__ENVIRONMENT="test", SLIPWAY_MONITORING__DURATION_BUCKETS="0.1,0.5,1")
    assert load().monitoring.duration_buckets == (0.1, 0.5, 1)


def test_group_of_a_team_may_have_optional_lists_and_objects() -> None:
    class Team(Group):
        words: tuple[str, ...] | None = None
        counts: dict[str, int] | None = None
        number: int | None = None

    assert Team(words="a, b", counts='{"a": 1}', number="1") == Team(
        words=("a", "b"), counts={"a": 1}, number=1
    )
    with pytest.raises(ValidationError, match="must be a JSON object"):
        Team(counts="[]")
