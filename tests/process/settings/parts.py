"""PostgreSQL and Redis by their parts instead of a URL, over TLS, as a role with few privileges."""

import ssl
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import redis

from tests.process.settings.limits import own_redis
from tests.process.settings.table import Given, Running, Setup, process, setting
from tests.tls.terminator import Authority, terminator

HOST = "localhost"  # the host name in the certificates
REDIS_DATABASE = 5
REDIS_USER, REDIS_PASSWORD = "shop", "of-a-user-for-tests"
ROLE_PASSWORD = "of-a-role-for-tests"
SESSIONS = """
SELECT usename, datname FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()
"""


@process("parts")
def parts(setup: Setup) -> Given:
    folder = setup.home / "authority"
    folder.mkdir()
    authority = Authority(folder)
    context, asking = authority.server(HOST), authority.server(HOST)
    asking.verify_mode = ssl.CERT_REQUIRED
    asking.load_verify_locations(authority.root)
    authority.server("client")
    certificate = (folder / "client.pem").read_text()
    end = certificate.index("-----BEGIN CERTIFICATE")
    (folder / "client.key").write_text(certificate[:end])
    (folder / "client.crt").write_text(certificate[end:])
    database, server = urlsplit(setup.database_url), urlsplit(own_redis(setup).url)
    enter = setup.background.enter
    setup.servers |= {
        "root": authority.root,
        "client": folder / "client",
        "database_port": enter(terminator(asking, "127.0.0.1", database.port or 5432, postgres=True)),
        "redis_port": enter(terminator(context, "127.0.0.1", server.port or 6379)),
        "role": add_role(setup),
    }
    with closing(redis.Redis.from_url(setup.servers["redis"].url)) as client:
        client.acl_setuser(
            REDIS_USER,
            enabled=True,
            passwords=[f"+{REDIS_PASSWORD}"],
            commands=["+@all"],
            keys=["*"],
            channels=["*"],
        )
    return {"redis__timeout": 5, "redis__connect_timeout": 10}  # for a busy machine


def add_role(setup: Setup) -> str:
    """Create a role that can log in and read what the service needs; it is dropped after the test."""
    run, role = Running(setup, None), f"parts_{uuid4().hex[:8]}"  # type: ignore[arg-type]  # no process yet
    run.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{ROLE_PASSWORD}'")
    run.sql(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}")
    setup.closing += [lambda: run.sql(f"DROP ROLE {role}"), lambda: run.sql(f"DROP OWNED BY {role}")]
    return role


def _served(run: Running) -> None:
    """The service reads from its database, which it reaches only if every part is right."""
    assert run.service.api.get("/api/v1/shelves", headers=run.key()).status_code == 200


def _sessions(run: Running, name: str = "orders") -> set[tuple[str, str]]:
    return {(row["usename"], row["datname"]) for row in run.sql(SESSIONS, name)}


@setting("app__name", "orders", process="parts")
def service_has_this_name(run: Running) -> None:
    assert run.service.api.get("/openapi.json").json()["info"]["title"] == "Orders"
    assert _sessions(run)
    assert 'app_name="orders"' in run.service.admin.get("/metrics").text


@setting("database__name", lambda setup: urlsplit(setup.database_url).path[1:], process="parts")
def database_has_this_name(run: Running) -> None:
    assert {name for _, name in _sessions(run)} == {urlsplit(run.setup.database_url).path[1:]}


@setting("database__user", lambda setup: setup.servers["role"], process="parts")
def sessions_have_this_role(run: Running) -> None:
    assert {role for role, _ in _sessions(run)} == {run.setup.servers["role"]}


setting("database__password", ROLE_PASSWORD, process="parts")(_served)
setting("database__host", HOST, process="parts")(_served)
setting("database__port", lambda setup: setup.servers["database_port"], process="parts")(_served)
setting("database__ssl", "verify-full", process="parts")(_served)
setting("database__ssl_root_cert", lambda setup: setup.servers["root"], process="parts")(_served)


def _client(suffix: str) -> Callable[[Setup], Path]:
    return lambda setup: setup.servers["client"].with_suffix(suffix)


setting("database__ssl_cert", _client(".crt"), process="parts")(_served)
setting("database__ssl_key", _client(".key"), process="parts")(_served)


def redis_replies(run: Running) -> None:
    """Redis answers the health check of the service."""
    assert run.service.admin.get("/readyz").json()["checks"]["redis"]["ok"]


setting("redis__host", HOST, process="parts")(redis_replies)
setting("redis__port", lambda setup: setup.servers["redis_port"], process="parts")(redis_replies)
setting("redis__password", REDIS_PASSWORD, process="parts")(redis_replies)
setting("redis__user", REDIS_USER, process="parts")(redis_replies)
setting("redis__tls", "true", process="parts")(redis_replies)
setting("redis__root_cert", lambda setup: setup.servers["root"], process="parts")(redis_replies)


@setting("redis__database", REDIS_DATABASE, process="parts")
def logical_database_has_this_number(run: Running) -> None:
    _served(run)
    with closing(redis.Redis.from_url(run.setup.servers["redis"].url)) as client:
        clients: list[dict[str, Any]] = client.client_list()
    assert str(REDIS_DATABASE) in {one["db"] for one in clients}
