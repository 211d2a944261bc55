"""TLS to PostgreSQL: which certificates each mode trusts."""

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.config import Settings
from service.config.loading import SettingsError, load
from service.database import Database, DatabaseUnavailableError
from service.migrations import runner
from tests.conftest import DatabaseFactory
from tests.tls.terminator import Authority, terminator


def _settings(url: str, port: int, mode: str, root: Path | None) -> Settings:
    parts = urlsplit(url)
    return Settings.model_validate(
        {
            "app": {"environment": "test"},
            "database": {
                "host": "127.0.0.1",
                "port": port,
                "name": parts.path.removeprefix("/"),
                "user": parts.username,
                "password": parts.password or "",
                "ssl": mode,
                "ssl_root_cert": root,
            },
        }
    )


async def _encrypted(settings: Settings) -> bool:
    """Whether the pool connected, over TLS."""
    database = Database(settings)
    await database.start()
    try:
        async with database.dedicated() as connection:
            assert await connection.fetchval("SELECT 1") == 1
            return connection._transport.get_extra_info("ssl_object") is not None  # asyncpg has no public way
    finally:
        await database.stop()


async def _reached(
    url: str, authority: Authority, mode: str, root: Path | None, *, certified: str = "127.0.0.1"
) -> bool:
    parts = urlsplit(url)
    behind = (parts.hostname or "", parts.port or 5432)
    async with terminator(authority.server(certified), *behind, postgres=True) as port:
        return await _encrypted(_settings(url, port, mode, root))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_server_with_the_configured_ca_is_trusted(
    fresh_database: DatabaseFactory, authority: Authority, mode: str
) -> None:
    assert await _reached(fresh_database(), authority, mode, authority.root)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_server_with_another_ca_is_refused(
    fresh_database: DatabaseFactory, authority: Authority, stranger: Authority, mode: str
) -> None:
    with pytest.raises(DatabaseUnavailableError, match="certificate verify failed"):
        await _reached(fresh_database(), authority, mode, stranger.root)


async def test_only_verify_full_checks_the_hostname(
    fresh_database: DatabaseFactory, authority: Authority
) -> None:
    url = fresh_database()
    assert await _reached(url, authority, "verify-ca", authority.root, certified="elsewhere.example")
    with pytest.raises(DatabaseUnavailableError, match="IP address mismatch"):
        await _reached(url, authority, "verify-full", authority.root, certified="elsewhere.example")


async def test_require_skips_verification_and_verify_full_uses_system_roots(
    fresh_database: DatabaseFactory, authority: Authority
) -> None:
    url = fresh_database()
    assert await _reached(url, authority, "require", None)
    with pytest.raises(DatabaseUnavailableError, match="certificate verify failed"):
        await _reached(url, authority, "verify-full", None)


async def test_migrations_use_the_same_tls_settings(
    fresh_database: DatabaseFactory, authority: Authority
) -> None:
    url = fresh_database()
    parts = urlsplit(url)
    behind = (parts.hostname or "", parts.port or 5432)
    async with terminator(authority.server("127.0.0.1"), *behind, postgres=True) as port:
        await runner.check(_settings(url, port, "verify-full", authority.root))


def test_unused_root_certificate_is_refused(authority: Authority) -> None:
    with pytest.raises(SettingsError, match="SLIPWAY_DATABASE__SSL_ROOT_CERT: verifies nothing unless"):
        load(app={"environment": "test"}, database={"ssl_root_cert": authority.root})


def test_unused_client_certificate_is_refused(authority: Authority) -> None:
    file = {"ssl_cert": authority.root}
    with pytest.raises(SettingsError, match="SLIPWAY_DATABASE__SSL_CERT: is not used unless"):
        load(app={"environment": "test"}, database=file)
    with pytest.raises(SettingsError, match="SLIPWAY_DATABASE__SSL_KEY: is not used unless"):
        load(app={"environment": "test"}, database={"ssl": "require", "ssl_key": authority.root})


def test_client_certificate_takes_the_place_of_a_password_in_production(authority: Authority) -> None:
    database = {"ssl": "verify-full", "ssl_cert": authority.root}
    load(app={"environment": "production"}, security={"secret_key": "x" * 32}, database=database)
    with pytest.raises(SettingsError, match="SLIPWAY_DATABASE__PASSWORD: production needs a password"):
        load(app={"environment": "production"}, security={"secret_key": "x" * 32})


async def test_client_certificate_without_verification_of_the_server(
    fresh_database: DatabaseFactory, authority: Authority
) -> None:
    """As with libpq, `require` alone trusts any server, also with a client certificate."""
    url = fresh_database()
    parts = urlsplit(url)
    context = authority.server("elsewhere.example")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.root)
    behind = (parts.hostname or "", parts.port or 5432)
    async with terminator(context, *behind, postgres=True) as port:
        settings = _settings(url, port, "require", None)
        certificate = authority.root.with_name("elsewhere.example.pem")
        database = settings.database.model_copy(update={"ssl_cert": certificate})
        assert await _encrypted(settings.model_copy(update={"database": database}))


def test_missing_root_certificate_is_refused(tmp_path: Path) -> None:
    settings = {"ssl": "verify-full", "ssl_root_cert": tmp_path / "none"}
    with pytest.raises(SettingsError, match="SLIPWAY_DATABASE__SSL_ROOT_CERT: "):
        load(app={"environment": "test"}, database=settings)
