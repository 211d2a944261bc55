"""API keys, from the command line to the response."""

import re
import time
from datetime import datetime, timedelta

import httpx2
import pytest

from service import clock
from tests.backup.conftest import sql
from tests.conftest import DatabaseFactory
from tests.process.conftest import Command, new_key
from tests.process.served import Served, eventually
from tests.services import Client

ARTICLES = "/api/v1/articles"


def send(service: Served, key: str, method: str = "GET") -> httpx2.Response:
    return service.api.request(method, ARTICLES, headers={"Authorization": f"Bearer {key}"})


def test_key_is_created_listed_used_and_revoked(shared: Served, command: Command, database_url: str) -> None:
    def keys(*arguments: str) -> str:
        done = command("keys", *arguments, database__url=database_url)
        assert done.exit_code == 0, done.output
        return done.stdout

    key = keys("create", "--name", "reader", "--scope", "shop:read", "--days", "1").strip()
    prefix, secret = key.split("_", 2)[1:]
    assert send(shared, key).status_code == 200
    line = rf"^{prefix}\tactive\tshop:read\treader\texpires (20\S+T\d\d:\d\d)Z\tlast used 20\S+T\d\d:\d\dZ$"
    found = eventually(lambda: re.search(line, keys("list"), re.MULTILINE), seconds=10)
    assert found, keys("list")
    left = datetime.fromisoformat(f"{found[1]}+00:00") - clock.now()
    assert timedelta(hours=23) < left <= timedelta(days=1)
    assert secret not in keys("list")
    keys("revoke", prefix)
    began = revoked_at = time.monotonic()
    while send(shared, key).status_code != 401:
        assert began < revoked_at + 2, "its cache time is 0.3 s"
        began = time.monotonic()
    assert f"{prefix}\trevoked" in keys("list")
    assert secret not in shared.output


def test_list_shows_how_a_key_ended_and_what_it_claims(
    command: Command, fresh_database: DatabaseFactory
) -> None:
    url = fresh_database()
    options = ("--scope", "shop:read", "--claim", "tenant=acme", "--claim", "formula=a=b")
    for name in ("ended", "revoked", "kept"):
        done = command("keys", "create", "--name", name, *options, database__url=url)
        assert (done.exit_code, done.stdout.count("\n")) == (0, 1), done.output
        assert "no expiry; copy it now" in done.stderr
        if name == "revoked":
            prefix = done.stdout.split("_")[1]
            assert command("keys", "revoke", prefix, database__url=url).stdout == f"key {prefix} revoked\n"
    sql(url, "UPDATE api_key SET expires_at = created_at WHERE name <> 'kept'")
    lines = [line.split("\t") for line in command("keys", "list", database__url=url).stdout.splitlines()]
    assert [(line[3], line[1]) for line in lines] == [
        ("ended", "expired"), ("revoked", "revoked"), ("kept", "active"),
    ]  # fmt: skip
    assert lines[2][4:] == ["expires never", "last used never", "formula=a=b", "tenant=acme"]
    without = command("keys", "create", "--name", "x", "--scope", "admin", "--claim", "x", database__url=url)
    assert (without.exit_code, without.stderr) == (
        2, "slipway: --claim x: write it as name=value, such as tenant=acme\n",
    )  # fmt: skip


def test_unknown_prefix_cannot_be_revoked(command: Command, database_url: str) -> None:
    done = command("keys", "revoke", "nothere", database__url=database_url)
    assert (done.exit_code, done.stderr) == (1, "slipway: there is no key with the prefix nothere\n")


@pytest.mark.parametrize(
    "arguments", [("list",), ("create", "--name", "x", "--scope", "shop:read"), ("revoke", "nothere")]
)
def test_unmigrated_database_is_reported_in_one_line(
    command: Command, services: Client, worker: int, arguments: tuple[str, ...]
) -> None:
    name = f"unmigrated_{worker}"
    url = services.create_database(name, migrated=False)
    try:
        done = command("keys", *arguments, database__url=url)
    finally:
        services.drop_database(name)
    assert done.exit_code == 7
    assert done.stderr.startswith("slipway: the database is at revision none, this version needs ")


def test_malformed_scopes_are_a_usage_error(command: Command, database_url: str) -> None:
    odd = ("no scope", "a:b:c", "CATALOG:read")
    options = [part for scope in odd for part in ("--scope", scope)]
    done = command("keys", "create", "--name", "x", *options, database__url=database_url)
    assert (done.exit_code, done.stderr) == (2, f"slipway: invalid scopes: {', '.join(odd)}\n")


def test_unknown_scope_is_refused_with_suggestions(command: Command, database_url: str) -> None:
    done = command("keys", "create", "--name", "x", "--scope", "shop:raed", database__url=database_url)
    said = "slipway: No route asks for the scope shop:raed. Did you mean shop:read?"
    assert done.exit_code == 2
    assert done.stderr.startswith(said)
    assert re.search(r"Known scopes: admin, features:admin, .*shop:read, shop:write\.", done.stderr)
    done = command(
        "keys", "create", "--name", "two\nlines", "--scope", "shop:read", database__url=database_url
    )
    assert (done.exit_code, done.stderr) == (
        2,
        "slipway: the name of a key must not contain line breaks or control characters\n",
    )


async def test_expired_key_is_refused(shared: Served, database_url: str) -> None:
    soon = clock.now() + timedelta(seconds=4)
    key = await new_key(database_url, "shop:read", expires_at=soon)
    assert send(shared, key).status_code == 200
    assert eventually(lambda: send(shared, key).status_code == 401, seconds=10)


async def test_missing_scope_is_403_and_reported(shared: Served, database_url: str) -> None:
    key = await new_key(database_url, "shop:read")
    response = send(shared, key, "POST")
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert "shop:write" in response.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_anonymous_request_is_401_with_a_challenge(shared: Served, method: str) -> None:
    response = shared.api.request(method, ARTICLES)
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response.headers["www-authenticate"] == 'Bearer realm="slipway"'


@pytest.mark.parametrize("change", ["secret", "prefix", "scheme", "empty"])
async def test_wrong_key_is_401_with_a_reason(shared: Served, database_url: str, change: str) -> None:
    scheme, prefix, secret = (await new_key(database_url, "admin")).split("_", 2)
    wrong = {
        "secret": f"{scheme}_{prefix}_{secret[::-1]}",
        "prefix": f"{scheme}_{prefix[::-1]}_{secret}",
        "scheme": f"abc_{prefix}_{secret}",
        "empty": "-",
    }[change]
    response = send(shared, wrong)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="slipway", error="invalid_token"'
