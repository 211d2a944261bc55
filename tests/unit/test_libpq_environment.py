"""What pg_dump and pg_restore are told: they reach the server of the settings, as the service does."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from service.backup.backup_connection import libpq_environment
from service.backup.replacement import prefix_of
from service.backup.restore_backup import _conninfo
from service.config import Settings

PARTS = {"host": "db", "port": 6432, "name": "orders", "user": "u", "password": "p"}
PLACE = {
    "PGHOST": "db", "PGPORT": "6432", "PGDATABASE": "orders", "PGUSER": "u", "PGPASSWORD": "p",
    "PGAPPNAME": "slipway", "PGCONNECT_TIMEOUT": "5",
}  # fmt: skip
URL = "postgresql://u%40x:p%2F%3A@db:6432/or%20ders"
AT_URL = {**PLACE, "PGUSER": "u@x", "PGPASSWORD": "p/:", "PGDATABASE": "or ders"}


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment leads to another server, with another role and other certificates."""
    for name in (
        "HOST", "HOSTADDR", "PORT", "DATABASE", "USER", "PASSWORD", "PASSFILE", "SERVICE", "OPTIONS",
        "SSLMODE", "SSLCERT", "SSLKEY", "SSLROOTCERT", "SSLCRL", "TARGETSESSIONATTRS", "CONNECT_TIMEOUT", "APPNAME",
    ):  # fmt: skip
        monkeypatch.setenv(f"PG{name}", "elsewhere")


def variables(**database: Any) -> dict[str, str]:
    """Return the variables of libpq."""
    environment = libpq_environment(Settings.model_validate({"database": database}))
    assert "PATH" in environment
    return {name: value for name, value in environment.items() if name.startswith("PG")}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    file = tmp_path / "certificate.pem"
    file.touch()
    return file


def test_settings_decide_and_not_the_environment() -> None:
    assert variables(**PARTS, ssl="disable") == {**PLACE, "PGSSLMODE": "disable"}
    assert variables(url=URL) == AT_URL


def test_certificates_are_those_of_the_service(certificate: Path) -> None:
    own = {"ssl_root_cert": certificate, "ssl_cert": certificate}
    named = dict.fromkeys(("PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"), str(certificate))
    assert variables(**PARTS, ssl="require", **own) == {**PLACE, "PGSSLMODE": "require", **named}
    key = certificate.with_name("key.pem")
    key.touch()
    assert variables(**PARTS, ssl="require", **own, ssl_key=key)["PGSSLKEY"] == str(key)


def test_only_verifying_modes_trust_the_certificates_of_the_system() -> None:
    system = ssl.get_default_verify_paths().cafile
    for mode in ("verify-ca", "verify-full"):
        assert variables(**PARTS, ssl=mode).get("PGSSLROOTCERT") == system
    assert "PGSSLROOTCERT" not in variables(**PARTS, ssl="require")


def test_parameters_of_a_url_are_kept() -> None:
    query = (
        "sslmode=verify-full&sslrootcert=r&sslcert=c&sslkey=k&sslcrl=l&passfile=f"
        "&target_session_attrs=read-write&application_name=x"
    )
    assert variables(url=f"{URL}?{query}") == {
        **AT_URL, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "r", "PGSSLCERT": "c", "PGSSLKEY": "k", "PGSSLCRL": "l",
        "PGPASSFILE": "f", "PGTARGETSESSIONATTRS": "read-write",
    }  # fmt: skip
    inside = "host=db&port=6432&user=u%40x&password=p%2F%3A"
    assert variables(url=f"postgresql:///or%20ders?{inside}") == AT_URL


def test_one_of_several_hosts_takes_writes_and_a_socket_has_no_tls() -> None:
    several = variables(**{**PARTS, "host": "one,two"}, ssl="disable")
    assert (several["PGHOST"], several["PGTARGETSESSIONATTRS"]) == ("one,two", "read-write")
    assert variables(**{**PARTS, "host": "/run/pg"}, ssl="require") == {**PLACE, "PGHOST": "/run/pg"}


def test_time_to_connect_is_whole_seconds_and_at_least_two() -> None:
    """libpq takes 1 for 2."""
    assert [variables(**PARTS, connect_timeout=given)["PGCONNECT_TIMEOUT"] for given in (0.5, 2.6, 60)] == [
        "2",
        "3",
        "60",
    ]


def test_name_of_a_database_is_not_taken_for_a_connection_string() -> None:
    assert _conninfo("dbname=o'ther\\") == "dbname='dbname=o\\'ther\\\\'"


def test_name_of_a_new_database_has_room_for_a_suffix() -> None:
    """PostgreSQL cuts names after 63 bytes."""
    for name, stem in (("o" * 60, "o" * 40), ("ü" * 30, "ü" * 20), ("oü" + "☃" * 20, "oü" + "☃" * 12)):
        settings = Settings.model_validate({"database": {"name": name}})
        assert prefix_of(settings, "restored") == f"{stem}_restored_"
