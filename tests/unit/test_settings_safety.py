"""Production refuses unsafe settings, and no secret is shown."""

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from service.cli.command_line import application
from service.config import Settings
from service.config.loading import MASK, SettingsError, effective, load
from tests.unit.conftest import Env

SECRETS = {
    "SLIPWAY_DATABASE__URL": "postgresql://slipway:hunter2-url@db/slipway",
    "SLIPWAY_DATABASE__PASSWORD": "hunter2-password",
    "SLIPWAY_REDIS__URL": "redis://:hunter2-redis@cache/0",
    "SLIPWAY_REDIS__PASSWORD": "hunter2-other",
    "SLIPWAY_SECURITY__SECRET_KEY": "hunter2-" * 5,
}
SAFE = {"SLIPWAY_SECURITY__SECRET_KEY": "k" * 32, "SLIPWAY_DATABASE__PASSWORD": "good"}
UNSAFE = {
    "SLIPWAY_SECURITY__SECRET_KEY": "short",
    "SLIPWAY_SECURITY__ANONYMOUS": "write",
    "SLIPWAY_DATABASE__PASSWORD": "",
    "SLIPWAY_SERVER__TRUSTED_PROXIES": "10.0.0.1,*",
    "SLIPWAY_SECURITY__PREVIOUS_SECRET_KEY": "k" * 31,
    "SLIPWAY_SECURITY__ISSUERS": '[{"issuer": "https://id", "audience": "a", "jwks_url": "http://127.0.0.1/keys"}]',
}


def reasons() -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load()
    return caught.value.reasons


def test_safe_settings_are_accepted_in_production(env: Env) -> None:
    env(**SAFE)
    assert load().production


@pytest.mark.parametrize("name", UNSAFE)
def test_each_unsafe_setting_is_refused(env: Env, name: str) -> None:
    env(**{**SAFE, name: UNSAFE[name]})
    (reason,) = reasons()
    assert reason.startswith(f"{name}: production ")


def test_all_unsafe_settings_are_reported_at_once(env: Env) -> None:
    env(**UNSAFE, SLIPWAY_SERVER__PORT="x", SLIPWAY_NO__SUCH="1")
    assert {reason.partition(":")[0] for reason in reasons()} == {
        *UNSAFE,
        "SLIPWAY_SERVER__PORT",
        "SLIPWAY_NO__SUCH",
    }


@pytest.mark.parametrize("environment", ["development", "test"])
def test_unsafe_settings_are_allowed_elsewhere(env: Env, environment: str) -> None:
    env(**UNSAFE, SLIPWAY_APP__ENVIRONMENT=environment)
    assert not load().production


def test_check_lists_three_bad_settings_in_three_lines(env: Env) -> None:
    env(**SAFE, SLIPWAY_SERVER__PORT="x", SLIPWAY_REDIS__TIMEOUT="0", SLIPWAY_NO__SUCH="1")
    done = CliRunner().invoke(application(), ["check"])
    assert done.exit_code == 3
    assert done.stdout == ""
    assert [line.partition(": SLIPWAY_")[0] for line in done.stderr.splitlines()] == ["slipway"] * 3


def test_check_prints_every_setting_and_no_secret(env: Env) -> None:
    env(**SECRETS)
    done = CliRunner().invoke(application(), ["check"])
    assert done.exit_code == 0, done.output
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert set(shown) == {name for name, _ in effective(Settings())}
    assert {shown[name] for name in SECRETS} == {MASK}
    assert shown["SLIPWAY_BACKUP__KEY"] == "", "a secret that is not set is not masked"
    assert "hunter2" not in done.output


def test_no_representation_of_settings_holds_a_secret(env: Env) -> None:
    env(**SECRETS)
    settings = load()
    for text in (repr(settings), str(settings), repr(settings.database), settings.model_dump_json()):
        assert "hunter2" not in text


@pytest.mark.parametrize("name", ["SLIPWAY_DATABASE__URL", "SLIPWAY_REDIS__URL"])
@pytest.mark.parametrize("value", ["mysql://u:hunter2@h/d", "hunter2", "postgresql://u:hunter2@h:port/d"])
def test_no_error_holds_a_secret(env: Env, name: str, value: str) -> None:
    env(**{**SAFE, name: value})
    assert "hunter2" not in " ".join(reasons())
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "hunter2" not in str(caught.value)
