"""Refused credentials: the reason is logged and counted, and the response does not reveal it."""

import secrets
import time
from datetime import timedelta
from typing import Any

import pytest
import structlog
from httpx2 import AsyncClient
from prometheus_client import REGISTRY

from service import clock
from service.database import Database
from service.security import refusals
from service.security.api_keys.commands import create_key, revoke_key
from service.security.refusals import Reason, RefusalLog, RefusedError
from tests.api.conftest import unique
from tests.security.attacks import body, claims, head
from tests.security.issuer import Issuer, segment
from tests.security.test_token_requests import trusting

__all__ = ["trusting"]

URL = "/api/v1/shelves"


def counted(reason: Reason) -> float:
    return REGISTRY.get_sample_value("slipway_credentials_refused_total", {"reason": reason}) or 0.0


async def refused_key(database: Database, reason: Reason) -> str:
    ended = clock.now() - timedelta(seconds=1)
    async with database.session() as session:
        expires_at = ended if reason is Reason.KEY_EXPIRED else None
        key, text = await create_key(session, name="x", scopes=["admin"], expires_at=expires_at)
        if reason is Reason.KEY_REVOKED:
            await revoke_key(session, key.prefix)
    return text if reason is not Reason.KEY_UNKNOWN else text[:-43] + secrets.token_urlsafe(32)


TOKENS: dict[Reason, Any] = {
    Reason.MALFORMED: lambda i: f"{segment({'alg': 'none'})}.{segment(claims(i))}.",
    Reason.TOO_LARGE: body(pad="x" * 10_000),
    Reason.EXPIRED: body(exp=int(time.time()) - 3600),
    Reason.NOT_YET_VALID: body(nbf=int(time.time()) + 3600),
    Reason.AUDIENCE: body(aud="other"),
    Reason.ISSUER: lambda i: body(iss=f"{i.url}/")(i),
    Reason.KEY_ID: head(kid="rotated"),
    Reason.SIGNATURE: lambda i: i.token().rpartition(".")[0] + "." + i.token(sub="x").rpartition(".")[2],
    Reason.ALGORITHM: head(alg="RS384"),
    Reason.SUBJECT: body(sub="s" * 256),
    Reason.CLAIMS: body(exp=None),
    Reason.TYPE: head(typ="logout+jwt"),
    Reason.HEADER: head(crit=["exp"]),
}


async def test_reason_is_logged_and_counted_but_not_disclosed(
    trusting: tuple[AsyncClient, Issuer], database: Database, subtests: pytest.Subtests
) -> None:
    client, issuer = trusting
    assert len(Reason) <= refusals.LINES, "each gets its line"
    for reason in Reason:
        with subtests.test(reason=reason):
            credential = TOKENS[reason](issuer) if reason in TOKENS else await refused_key(database, reason)
            await refuse(client, credential, reason)


async def refuse(client: AsyncClient, credential: str, reason: Reason) -> None:
    before = counted(reason)
    with structlog.testing.capture_logs() as lines:
        response = await client.get(URL, headers={"Authorization": f"Bearer {credential}"})
    assert response.status_code == 401
    assert set(response.json()) == {"type", "title", "status", "instance", "code", "request_id"}
    assert counted(reason) == before + 1
    [line] = [line for line in lines if line["event"] == "credentials refused"]
    assert (line["reason"], line["log_level"]) == (reason.value, "warning")
    for part in credential.replace("_", ".").split("."):
        assert len(part) < 15 or part not in str(lines) + response.text


def test_flood_is_counted_but_logged_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    before, noting = counted(Reason.EXPIRED), RefusalLog()
    with structlog.testing.capture_logs() as lines:
        for number in range(5000):
            noting.note(f"address:{number % 100}", RefusedError(Reason.EXPIRED))
        assert len(lines) == refusals.LINES
        now += refusals.LINE_SECONDS
        noting.note("address:0", RefusedError(Reason.EXPIRED, "x" * 5000))
    assert lines[-1]["unlogged"] == "49"
    assert len(lines[-1]["detail"]) == 200
    assert counted(Reason.EXPIRED) == before + 5001


async def test_subject_of_255_characters_works(
    trusting: tuple[AsyncClient, Issuer],
) -> None:
    """Through the ORM, bulk, a replay, history and the limits."""
    client, issuer = trusting
    subject = "auth0|" + "s" * 249
    author = f"token:{subject}@{issuer.url.removeprefix('http://')}"
    headers = {"Authorization": f"Bearer {issuer.token(sub=subject)}", "Idempotency-Key": unique("key")}
    new = {"slug": unique("long").lower(), "name": "L"}
    made, again = [await client.post(URL, json=new, headers=headers) for _ in range(2)]
    assert (made.status_code, again.status_code) == (201, 201), made.text
    assert made.json()["created_by"] == again.json()["updated_by"] == author
    del headers["Idempotency-Key"]
    change = {
        "op": "patch",
        "id": made.json()["id"],
        "if_match": made.headers["ETag"],
        "changes": {"name": "M"},
    }
    bulk = await client.post(f"{URL}/bulk", json={"mode": "atomic", "operations": [change]}, headers=headers)
    assert bulk.status_code == 200, bulk.text
    history = (await client.get(f"{URL}/{made.json()['id']}/history", headers=headers)).json()["items"]
    assert {change["actor"] for change in history} == {author}
