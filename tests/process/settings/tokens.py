"""Settings of credentials: caches and ages."""

import json
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from tests.engine.api import running
from tests.process.served import eventually
from tests.process.settings.proxy import Proxy
from tests.process.settings.table import Given, Running, Setup, process, setting
from tests.security.issuer import AUDIENCE, Issuer, local_issuer
from tests.tls.terminator import Authority, terminator

LIST = "/api/v1/shelves"
SECRET, OTHER_SECRET = "of-the-settings-table-" * 2, "of-another-replica-" * 2


@process("tokens")
def tokens(setup: Setup) -> Given:
    issuer = setup.servers["issuer"] = setup.background.enter(local_issuer())
    folder = setup.home / "authority"
    folder.mkdir()
    authority = Authority(folder)
    behind = terminator(authority.server("127.0.0.1"), "127.0.0.1", urlsplit(issuer.url).port or 0)
    proxy = Proxy()
    setup.servers |= {
        "root": authority.root,
        "keys": f"https://127.0.0.1:{setup.background.enter(behind)}/jwks",
        "proxy": proxy,
        "proxy_url": f"http://127.0.0.1:{setup.background.enter(proxy.running())}",
    }
    return {
        "app__environment": "test",  # production takes tokens over https only
        "database__url": setup.database_url,
        "redis__enabled": "false",
    }


def status(run: Running, token: str) -> int:
    return run.service.api.get(LIST, headers={"Authorization": f"Bearer {token}"}).status_code


def issuer_of(run: Running) -> Issuer:
    issuer: Issuer = run.setup.servers["issuer"]
    return issuer


def fetches(run: Running) -> int:
    return issuer_of(run).fetches.get("/jwks", 0)


@setting(
    "security__issuers",
    lambda setup: json.dumps(
        [{"issuer": setup.servers["issuer"].url, "audience": AUDIENCE, "jwks_url": setup.servers["keys"]}]
    ),
    process="tokens",
)
def token_of_the_issuer_is_accepted(run: Running) -> None:
    assert status(run, issuer_of(run).token()) == 200


@setting("security__issuers_root_cert", lambda setup: setup.servers["root"], process="tokens")
def keys_come_over_tls_of_this_authority(run: Running) -> None:
    assert status(run, issuer_of(run).token()) == 200


@setting("security__issuers_proxy", lambda setup: setup.servers["proxy_url"], process="tokens")
def keys_come_through_the_proxy(run: Running) -> None:
    assert status(run, issuer_of(run).token()) == 200
    assert run.setup.servers["proxy"].targets == {run.setup.servers["keys"].split("/")[2]}


@setting("security__token_leeway", 120, process="tokens")
def clock_skew_is_tolerated(run: Running) -> None:
    now = int(time.time())
    assert status(run, issuer_of(run).token(iat=now - 300, exp=now - 60)) == 200


@setting("security__jwks_refresh", 1, process="tokens")
def keys_are_fetched_again(run: Running) -> None:
    status(run, issuer_of(run).token(sub="first"))
    time.sleep(1.2)
    before = fetches(run)
    status(run, issuer_of(run).token(sub="second"))
    assert eventually(lambda: fetches(run) > before, seconds=5)


@setting("security__jwks_cooldown", 0.2, process="tokens")
def unknown_key_causes_another_fetch(run: Running) -> None:
    before = fetches(run)
    for number in range(3):
        time.sleep(0.4)
        assert status(run, issuer_of(run).token(headers={"kid": f"new-{number}"})) == 401
    assert fetches(run) - before >= 2


@setting("security__key_cache_seconds", 6, process="tokens")
def revoked_key_works_until_its_cache_expires(run: Running) -> None:
    key = run.key()
    assert run.service.api.get(LIST, headers=key).status_code == 200
    run.sql("UPDATE api_key SET revoked_at = $1", datetime.now(UTC))
    time.sleep(1.5)
    assert run.service.api.get(LIST, headers=key).status_code == 200


@setting("security__secret_key", SECRET, process="tokens")
def cursor_is_signed_with_this_key(run: Running) -> None:
    key = run.key()
    for number in range(2):
        body = {"slug": f"signed-{number}", "name": "Signed"}
        assert run.service.api.post(LIST, json=body, headers=key).status_code == 201
    cursor = run.service.api.get(f"{LIST}?limit=1", headers=key).json()["next_cursor"]
    for secret, expected in ((SECRET, 200), (SECRET[1:], 400)):
        setup = run.setup
        assert (
            setup.background.run(replica(setup.database_url, secret, f"{LIST}?limit=1&cursor={cursor}"))
            == expected
        )


async def replica(database_url: str, secret: str, path: str) -> int:
    """Return the response of a replica with that key."""
    security = {"secret_key": secret, "anonymous": "read"}
    async with running(database_url, security=security) as api:
        return (await api.client.get(path)).status_code


@setting("security__previous_secret_key", OTHER_SECRET, process="tokens")
def cursor_signed_with_the_previous_key_is_accepted(run: Running) -> None:
    key = run.key()
    for number in range(2):
        body = {"slug": f"rotated-{number}", "name": "Rotated"}
        assert run.service.api.post(LIST, json=body, headers=key).status_code == 201
    cursor = run.setup.background.run(cursor_of_replica(run.setup.database_url, OTHER_SECRET))
    assert run.service.api.get(f"{LIST}?limit=1&cursor={cursor}", headers=key).status_code == 200


async def cursor_of_replica(database_url: str, secret: str) -> str:
    async with running(database_url, security={"secret_key": secret, "anonymous": "read"}) as api:
        return str((await api.client.get(f"{LIST}?limit=1")).json()["next_cursor"])


@setting("security__jwks_max_age", 2, process="tokens")
def keys_expire_without_a_fetch(run: Running) -> None:
    assert status(run, issuer_of(run).token(sub="third")) == 200
    issuer_of(run).status = "500 Internal Server Error"
    time.sleep(2.4)
    assert status(run, issuer_of(run).token(sub="fourth")) == 503
