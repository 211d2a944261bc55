"""Errors of settings: all reasons at once, each naming the variable and the fix."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.command_line import application
from service.config import Settings
from service.config.loading import SettingsError, effective, load
from tests.unit.conftest import Env

SAFE = {"SLIPWAY_SECURITY__SECRET_KEY": "k" * 32, "SLIPWAY_DATABASE__PASSWORD": "good"}
NAMES = [name for name, _ in effective(Settings.model_construct())]
ISSUERS = [
    {"issuer": "https://id.example", "audience": "slipway"},
    {"issuer": "http://id.example", "audince": "slipway", "algorithms": ["RS256", "HS256"]},
    "https://id.example",
    {"issuer": "https://id.example", "audience": " "},
]
WRONG = {
    "SLIPWAY_DATABASE__PORT": "70000",
    "SLIPWAY_LOGGING": "[]",
    "SLIPWAY_LOGGING__LEVEL": "loud",
    "SLIPWAY_MONITORING__DURATION_BUCKETS": "1, two",
    "SLIPWAY_REDIS": "{",
    "SLIPWAY_REDIS__ENABLED": "perhaps",
    "SLIPWAY_REDIS__ROOT_CERT": "/not/there",
    "SLIPWAY_REDIS__TIMEOUT": "fast",
    "SLIPWAY_SECURITY__CORS_ORIGINS": '["https://shop.example"',
    "SLIPWAY_SECURITY__ISSUERS": json.dumps(ISSUERS),
    "SLIPWAY_SECURITY__TRUSTED_HOSTS": "api.example,https://api.example",
    "SLIPWAY_SECRETS_DIR": "/not/there",
    "SLIPWAY_SERVER__TRUSTED_PROXIES": "10.0.0.0/8, ingress",
}
ALGORITHMS = "'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384' or 'EdDSA'"
REASONS = {
    "DATABASE__PORT: must be a whole number, at least 1, at most 65535",
    "LOGGING: must be a JSON object with the fields of the group",
    "LOGGING__LEVEL: must be one of 'debug', 'info', 'warning' or 'error'",
    "MONITORING__DURATION_BUCKETS entry 2: must be a valid number",
    "REDIS: is not JSON: set its fields one by one, as SLIPWAY_REDIS__<FIELD>",
    "REDIS__ENABLED: must be true or false",
    "REDIS__ROOT_CERT: must be the path of a file that exists",
    "REDIS__TIMEOUT: must be a number, over 0, at most 10",
    "SECURITY__CORS_ORIGINS: is not JSON (at character 24); write https://shop.example,https://desk.example",
    "SECURITY__ISSUERS entry 2, issuer: must be an https URL",
    "SECURITY__ISSUERS entry 2, audience: is missing",
    "SECURITY__ISSUERS entry 2, audince: is unknown",
    f"SECURITY__ISSUERS entry 2, algorithms.1: must be one of {ALGORITHMS}",
    "SECURITY__ISSUERS entry 3: must be an object",
    "SECURITY__ISSUERS entry 4, audience: must name this API, as the issuer does in `aud`",
    "SECURITY__TRUSTED_HOSTS: entry 2 is not a host name such as api.example or *.example, without a port",
    "SECRETS_DIR: directory /not/there does not exist",
    "SERVER__TRUSTED_PROXIES: entry 2 is not an address or network such as 10.0.0.0/8",
}


def reasons() -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load()
    return caught.value.reasons


def test_every_invalid_variable_is_reported(env: Env) -> None:
    env(**SAFE, **WRONG, SLIPWAY_SECURITY__ANONYMOUS="write")
    assert {reason.removeprefix("SLIPWAY_") for reason in reasons()} == {
        *REASONS,
        "SECURITY__ANONYMOUS: production allows no anonymous writes",
    }


def test_check_and_serve_report_the_same_errors(env: Env) -> None:
    env(**WRONG)
    check, serve = (CliRunner().invoke(application((name,)), [name]) for name in ("check", "serve"))
    assert (check.exit_code, check.output) == (serve.exit_code, serve.output)
    assert check.exit_code == 3
    assert len(check.stderr.splitlines()) > len(REASONS)


@pytest.mark.parametrize(
    ("name", "url", "reason"),
    [
        ("DATABASE", "postgresql://u:hunter2@db:port/x", "port is not a number"),
        ("DATABASE", "postgresql://u:hunter2@a:5432,b:5432/x", "must name one host"),
        (
            "DATABASE", "postgresql://u:hunter2@db/x?sslmode=verify",
            "sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full",
        ),
        ("REDIS", "redis://:hunter2@cache/shop", "path must be the number of a database, such as /0"),
    ],
)  # fmt: skip
def test_invalid_url_is_reported_once(env: Env, name: str, url: str, reason: str) -> None:
    password = SAFE | {"SLIPWAY_DATABASE__PASSWORD": "" if name == "DATABASE" else "good"}
    env(**password, **{f"SLIPWAY_{name}__URL": url})
    assert reasons() == [f"SLIPWAY_{name}__URL: {reason}"]


BOTH = "set both or neither"
CLUSTER = {"REDIS__SENTINELS": "a:26379,b", "REDIS__SENTINEL_MASTER": "shop"}
NO_ADDRESS = "REDIS__SENTINELS: entry 2 is not a host, or host:port such as sentinel-0:26379"
NOT_USED = "is not used unless SLIPWAY_REDIS__SENTINELS is set"
ALONE = f"REDIS__SENTINEL_MASTER: goes with SLIPWAY_REDIS__SENTINELS: {BOTH}"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"REDIS__SENTINELS": "a"}, ALONE),
        ({"REDIS__SENTINEL_MASTER": "shop"}, ALONE),
        *(
            ({**CLUSTER, "REDIS__SENTINELS": f"a,{wrong}"}, NO_ADDRESS)
            for wrong in ("b:x", "b:0", "b:70000", "redis://b", "u:p@b", ":1", "b/0", "b c", "[::1")
        ),
        (
            {**CLUSTER, "REDIS__URL": "redis://cache"},
            "REDIS__SENTINELS: cannot be combined with SLIPWAY_REDIS__URL: set one of them",
        ),
        ({"REDIS__SENTINEL_TLS": "true"}, f"REDIS__SENTINEL_TLS: {NOT_USED}"),
        ({"REDIS__SENTINEL_PASSWORD": "x"}, f"REDIS__SENTINEL_PASSWORD: {NOT_USED}"),
        (
            {**CLUSTER, "REDIS__SENTINEL_USER": "x"},
            "REDIS__SENTINEL_USER: cannot log in without SLIPWAY_REDIS__SENTINEL_PASSWORD",
        ),
        (
            {**CLUSTER, "REDIS__SENTINEL_ROOT_CERT": __file__},
            "REDIS__SENTINEL_ROOT_CERT: verifies nothing unless SLIPWAY_REDIS__SENTINEL_TLS is true",
        ),
        (
            {"BACKUP__S3_ACCESS_KEY_ID": "x"},
            f"BACKUP__S3_SECRET_ACCESS_KEY: goes with SLIPWAY_BACKUP__S3_ACCESS_KEY_ID: {BOTH}",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_reported_once(
    env: Env, given: dict[str, str], reason: str
) -> None:
    env(**SAFE, **{f"SLIPWAY_{name}": value for name, value in given.items()})
    assert reasons() == [f"SLIPWAY_{reason}"]


@pytest.mark.parametrize("value", ["hunter2", "[hunter2", '["hunter2"]', '{"hunter2": 1}'])
def test_no_error_repeats_a_value(env: Env, value: str) -> None:
    env(**dict.fromkeys(NAMES, value))
    assert len(found := reasons()) > 50
    assert "hunter2" not in " ".join(found)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("security__cors_origins", "https://Shop.example:443, http://b:8080,", ("https://shop.example", "http://b:8080")),
        ("security__cors_origins", '["https://shop.example"]', ("https://shop.example",)),
        ("security__trusted_hosts", "API.example,*.shop.example", ("api.example", "*.shop.example")),
        ("server__trusted_proxies", "10.0.0.0/8 ,192.0.2.7", ("10.0.0.0/8", "192.0.2.7")),
        ("server__trusted_proxies", "[]", ()),
        ("monitoring__duration_buckets", "[0.1, 1]", (0.1, 1)),
        ("redis__sentinels", "A, b:1,[::1],[::1]:3", ("a:26379", "b:1", "[::1]:26379", "[::1]:3")),
        ("redis__sentinels", '["a", "b:1"]', ("a:26379", "b:1")),
    ],
)  # fmt: skip
def test_lists_are_comma_separated_or_json(env: Env, name: str, text: str, value: object) -> None:
    group, field = name.split("__")
    needed = {"SLIPWAY_REDIS__SENTINEL_MASTER": "shop"} if field == "sentinels" else {}
    env(SLIPWAY_APP__ENVIRONMENT="test", **needed, **{f"SLIPWAY_{name}".upper(): text})
    assert getattr(getattr(load(), group), field) == value
    shown = dict(effective(load()))[f"SLIPWAY_{name}".upper()]
    env(**needed, **{f"SLIPWAY_{name}".upper(): shown})
    assert getattr(getattr(load(), group), field) == value


def test_lists_of_an_issuer_may_be_comma_separated_too(env: Env) -> None:
    issuer = {
        "issuer": "https://id.example",
        "audience": "slipway",
        "algorithms": "RS256,ES256",
        "role_scopes": {"seller": "shop:read, shop:write"},
    }
    env(**SAFE, SLIPWAY_SECURITY__ISSUERS=json.dumps([issuer]))
    (found,) = load().security.issuers
    assert found.algorithms == ("RS256", "ES256")
    assert found.role_scopes == {"seller": ("shop:read", "shop:write")}


@pytest.mark.parametrize("source", ["environment", "file", "dotenv"])
def test_empty_counts_as_unset(env: Env, tmp_path: Path, source: str) -> None:
    if source == "environment":
        env(**dict.fromkeys(NAMES, " "))
    elif source == "dotenv":
        (tmp_path / ".env").write_text("".join(f"{name}=\n" for name in NAMES))
    else:
        env(SLIPWAY_SECRETS_DIR=str(tmp_path / "secrets"))
        for name in NAMES:
            file = tmp_path / "secrets" / name.removeprefix("SLIPWAY_").lower().replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n")
    assert Settings() == Settings.model_construct()


def test_empty_secret_falls_back_to_the_next_source(env: Env, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets" / "database"
    secrets.mkdir(parents=True)
    (secrets / "password").write_text("file")
    env(
        SLIPWAY_SECRETS_DIR=str(secrets.parent),
        SLIPWAY_DATABASE__PASSWORD="",
        SLIPWAY_APP__ENVIRONMENT="test",
    )
    settings = load()
    assert settings.database_password() == "file"
    (secrets / "password").write_text("")  # a mount that is being updated
    assert settings.database_password() == "file"


def test_unreadable_sources_are_reported_with_all_other_errors(env: Env, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\n")
    secrets = tmp_path / "secrets"
    for name in ("database", "databse", "security"):
        (secrets / name).mkdir(parents=True)
    (secrets / "database" / "password").write_bytes(b"\xff")
    (secrets / "databse" / "host").write_text("x")
    (secrets / "security" / "secret_key").symlink_to("/etc/hostname")
    env(**SAFE, SLIPWAY_SECRETS_DIR=str(secrets), SLIPWAY_SERVER__PORT="0")
    assert reasons() == [
        "SLIPWAY_DATABSE__HOST: there is no such setting",
        "SLIPWAY_SECRETS_DIR: a file in it is not text in UTF-8: database/password",
        "SLIPWAY_SECRETS_DIR: a file in it cannot be read: security/secret_key: the symlink points outside the folder",
        ".env: is not text in UTF-8",
        "SLIPWAY_SERVER__PORT: must be a whole number, at least 1, at most 65535",
    ]
